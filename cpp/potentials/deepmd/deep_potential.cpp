#include <algorithm>
#include <stdexcept>

#include "core/threads.hpp"
#include "model/potential.hpp"
#include "potentials/deepmd/parameters.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 150.0;  // of a listed pair, for team_size()

// The net of rows whose input k is found in column `columns[k]` of `width`; several may share one.
std::shared_ptr<const DenseNet> gather_inputs(const DenseNet& net, const std::vector<int>& columns,
                                              int width) {
    auto out = std::make_shared<DenseNet>(net);
    DenseLayer& first = out->layers.front();
    const std::size_t n = std::size_t(first.n_out);
    std::vector<double> w(std::size_t(width) * n, 0.0);
    for (std::size_t k = 0; k < columns.size(); ++k)
        for (std::size_t j = 0; j < n; ++j)
            w[std::size_t(columns[k]) * n + j] += first.w[k * n + j];
    first.n_in = width;
    first.w = std::move(w);
    return out;
}

template <class T> struct PackedModel {
    PackedNets<T> fitting;
    std::vector<DeepDescriptor<T>> descriptors;
    Buffer<T> tail, zeros;
    DeepModel<T> m;
};

struct DeepSpace final : Workspace {
    ForceBlockSpace blocks;
};

// Descriptors side by side, and the fitting nets of what they give; without nets its features are the
// descriptors.
class DeepPotential final : public Potential {
public:
    explicit DeepPotential(const Fields& f) {
        n_types_ = f.length("bias", 0, 1, kMaxSpecies);
        bias_ = f.values("bias", {n_types_});
        single_ = f.flag("single");
        const std::vector<Fields> groups = f.groups("descriptors");
        if (groups.empty() || int(groups.size()) > kMaxDescriptors)
            throw std::invalid_argument(f.prefix() +
                                        "descriptors: " + std::to_string(groups.size()) +
                                        "; expected 1 to " + std::to_string(kMaxDescriptors));
        for (const Fields& group : groups) {
            kept_.push_back(DescriptorParameters::make(group));
            const DescriptorParameters& d = *kept_.back();
            if (d.n_types() != n_types_)
                throw std::invalid_argument(group.prefix() +
                                            "environment.sel: " + std::to_string(d.n_types()) +
                                            " types; expected " + std::to_string(n_types_));
            width_ += d.width();
            traits_.cutoff = std::max(traits_.cutoff, d.r_cut());
        }
        std::vector<double> tail;
        if (f.has("tail")) {
            tail = f.values("tail", {n_types_, -1});
            width_ += int(f.length("tail", 1));
        }
        if (f.has("silent")) {
            const std::uint8_t* silent = f.array<std::uint8_t>("silent", {n_types_});
            silent_.assign(silent, silent + n_types_);
        }
        const NetList fitting = make_nets(f, "fitting");
        has_net_ = !fitting.empty();
        if (has_net_ && fitting.size() != 1 && int(fitting.size()) != n_types_)
            throw std::invalid_argument(f.prefix() + "fitting: " + std::to_string(fitting.size()) +
                                        " nets; expected 1 or " + std::to_string(n_types_));
        for (const auto& net : fitting)
            if (net->n_in() != width_ || net->n_out() != 1)
                throw std::invalid_argument(f.prefix() + "fitting: a net of " +
                                            std::to_string(net->n_in()) + " inputs and " +
                                            std::to_string(net->n_out()) + " outputs; expected " +
                                            std::to_string(width_) + " and 1");
        traits_.n_features = has_net_ ? 0 : width_;
        traits_.n_species = n_types_;
        traits_.nine_virials = true;
        if (single_)
            narrow_ = make<float>(fitting, tail);
        else
            wide_ = make<double>(fitting, tail);
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<DeepSpace>(); }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<DeepSpace&>(workspace);
        const CentreTask task = out.features          ? CentreTask::descriptor
                                : out.feature_weights ? CentreTask::vjp
                                : out.jacobian.values ? CentreTask::jacobian
                                                      : CentreTask::energy;
        if (has_net_ != (task == CentreTask::energy))
            throw std::invalid_argument(
                has_net_ ? "features: a model with fitting nets; expected one of descriptors alone"
                         : "fitting: a model of descriptors alone has no energy; expected nets");
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), n_types_,
                                             team_size(threads, list.n_pairs, kPairNs));
        const ForceBlocks plan = space.blocks.blocks();
        const Neighbors& grouped = space.blocks.list();
        const std::int64_t largest = space.blocks.largest_count();
        const bool gradients = task != CentreTask::descriptor;
        DeepWork work;
        static_cast<ForceBlockWork&>(work) =
            space.blocks.work(s, team,
                              single_ ? deep_scratch_bytes(narrow_->m, largest)
                                      : deep_scratch_bytes(wide_->m, largest),
                              gradients, gradients ? out.width_of_virials() : 0);
        work.overflow = &space.overflow;
        if (single_)
            deep_single_compute(task, narrow_->m, s, grouped, plan, work, team, out);
        else
            deep_double_compute(task, wide_->m, s, grouped, plan, work, team, out);
    }

private:
    template <class T> std::unique_ptr<PackedModel<T>> make(const NetList& fitting,
                                                            const std::vector<double>& tail) {
        // Equal features share a column, unless they leave as they are or are added to an output.
        const bool half =
            has_net_ && std::all_of(fitting.begin(), fitting.end(), [](const auto& net) {
                return net->layers.front().skip == Skip::none;
            });
        const int n_tail = int(tail.size()) / n_types_;
        int column = 0;
        std::vector<int> columns;
        std::vector<DeepDescriptor<T>> kinds;
        for (const auto& d : kept_) {
            const PackedDescriptor part = d->pack(single_, half);
            params_.push_back(part.params);
            traits_.tabulated = traits_.tabulated || part.tabulated;
            kinds.push_back({d->kind(), column, params_.back().get()});
            int last = 0;
            for (int c : d->columns(half)) {
                columns.push_back(column + c);
                last = std::max(last, c);
            }
            column += last + 1;
        }
        for (int c = 0; c < n_tail; ++c) columns.push_back(column + c);
        NetList nets;
        for (const auto& net : fitting)
            nets.push_back(gather_inputs(*net, columns, column + n_tail));
        auto packed = std::unique_ptr<PackedModel<T>>(
            new PackedModel<T>{PackedNets<T>(nets), std::move(kinds), {}, {}, {}});
        DeepModel<T>& m = packed->m;
        m.n_types = n_types_;
        m.n_descriptors = int(packed->descriptors.size());
        m.descriptors = packed->descriptors.data();
        m.width = column + n_tail;
        m.n_tail = n_tail;
        T* last = packed->tail.reserve(tail.size() + 1);
        put_row(last, tail);
        m.tail = last;
        m.one_net = fitting.size() == 1;
        m.fitting = fitting.empty() ? nullptr : packed->fitting.data();
        m.bias = bias_.data();
        m.silent = silent_.empty() ? nullptr : silent_.data();
        const std::size_t n =
            std::size_t(std::max(padded(width_), kMaxWidth));  // embedding nets too
        T* zeros = packed->zeros.reserve(n);
        std::fill_n(zeros, n, T(0));
        m.zeros = zeros;
        return packed;
    }

    int n_types_, width_ = 0;  // width: features of an atom
    bool single_, has_net_;
    Traits traits_;
    std::vector<double> bias_;
    std::vector<std::uint8_t> silent_;
    // The kernel reads the descriptors' own arrays of types, and what is packed.
    std::vector<std::unique_ptr<const DescriptorParameters>> kept_;
    std::vector<std::shared_ptr<const void>> params_;
    std::unique_ptr<PackedModel<double>> wide_;
    std::unique_ptr<PackedModel<float>> narrow_;
};

const Registration registration = register_potential<DeepPotential>("deep_potential");

}  // namespace

}  // namespace mdkern
