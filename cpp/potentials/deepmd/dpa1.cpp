#include "potentials/deepmd/dpa1.hpp"

#include <stdexcept>

#include "potentials/deepmd/parameters.hpp"

namespace mdkern {

namespace {

// One layer: nets of one layer each, vectors, numbers.
struct AttentionData {
    NetList project, out;
    std::vector<double> gain, shift;
    double scale, epsilon;
};

constexpr int kMostPairTables = 4;  // types whose pairs have a table each: some MB for a pair

class Dpa1Parameters final : public DescriptorParameters {
public:
    explicit Dpa1Parameters(const Fields& f) : DescriptorParameters(f) {
        e.env.by_type = false;
        e.env.n_slots = f.integer("n_slots", 1, 1 << 30);
        check_nets(f, 1, nets[0]->n_in());
        const std::int64_t n = n_types(), n_out = nets[0]->n_out();
        n_constants = int(f.length("constants", 2));
        constants = f.values("constants", {n, n, n_constants});
        check_nets(f, 1, 1 + n_constants);
        if (f.has("factor")) factor = f.values("factor", {n, n, n_out});
        if (f.has("padding")) padding = f.values("padding", {n, n_out});
        n_tail = int(f.length("tail", 1));
        tail = f.values("tail", {n, n_tail});
        axis = axis_of(f);
        smooth = f.flag("smooth");
        normalize = f.flag("normalize");
        dotr = f.flag("dotr");
        const std::vector<Fields> groups = f.groups("attention");
        if (int(groups.size()) > kMaxAttention)
            throw std::invalid_argument(f.prefix() + "attention: " + std::to_string(groups.size()) +
                                        " layers; expected at most " +
                                        std::to_string(kMaxAttention));
        for (const Fields& group : groups) add_layer(group);
    }
    // The net of each pair of types, [j][i], as a function of X_0 alone; none where they are many.
    NetList nets_of_pairs() const {
        NetList out;
        const int n = n_types();
        const DenseLayer& first = nets[0]->layers.front();
        if (n > kMostPairTables || first.skip != Skip::none) return out;
        const std::size_t n_out = std::size_t(first.n_out);
        for (int j = 0; j < n; ++j)
            for (int i = 0; i < n; ++i) {
                auto net = std::make_shared<DenseNet>(*nets[0]);
                DenseLayer& layer = net->layers.front();
                const double* c = constants.data() + (std::size_t(i) * n + j) * n_constants;
                layer.n_in = 1;
                layer.w.resize(n_out);
                layer.b.resize(n_out, 0.0);
                for (int k = 0; k < n_constants; ++k)
                    for (std::size_t m = 0; m < n_out; ++m)
                        layer.b[m] += c[k] * first.w[(std::size_t(k) + 1) * n_out + m];
                out.push_back(std::move(net));
            }
        return out;
    }
    int hidden() const { return layers.empty() ? 0 : layers[0].out[0]->n_in(); }
    int width() const override { return nets[0]->n_out() * axis + n_tail; }
    DeepKind kind() const override { return DeepKind::dpa1; }
    std::vector<int> columns(bool half) const override {
        return outer_columns({axis, half}, nets[0]->n_out(), n_tail);
    }
    PackedDescriptor pack(bool single, bool half) const override;

    int axis, n_constants, n_tail;
    std::vector<double> constants, factor, padding, tail;
    std::vector<AttentionData> layers;
    bool smooth, normalize, dotr;

private:
    void add_layer(const Fields& f) {
        AttentionData layer;
        const std::int64_t n = nets[0]->n_out();
        layer.project = make_nets(f, "project");
        layer.out = {make_net(f.group("out"))};
        layer.gain = f.values("gain", {n});
        layer.shift = f.values("shift", {n});
        layer.scale = f.number("scale");
        layer.epsilon = f.number("epsilon");
        const DenseNet& back = *layer.out[0];
        bool fits = layer.project.size() == 3 && back.n_out() == n && back.layers.size() == 1 &&
                    (layers.empty() || hidden() == back.n_in());
        for (const auto& net : layer.project)
            fits =
                fits && net->n_in() == n && net->n_out() == back.n_in() && net->layers.size() == 1;
        if (!fits)
            throw std::invalid_argument(f.prefix() + "project, out: three nets of " +
                                        std::to_string(n) +
                                        " inputs and one back, a layer each, as wide as those of "
                                        "the other layers expected");
        layers.push_back(std::move(layer));
    }
};

template <class T> struct PackedDpa1 {
    PackedNets<T> nets;
    Tables<T> tables;
    std::vector<PackedNets<T>> attention;
    std::vector<AttentionLayer<T>> layers;
    Buffer<T> constants, factor, padding, tail;
    std::vector<Buffer<T>> norms;
    Dpa1<T> p;

    PackedDpa1(const Dpa1Parameters& d, bool half) : nets(d.nets) {
        p.env = d.e.env;
        p.n_channels = d.nets[0]->n_out();
        p.outer = {d.axis, half};
        p.n_constants = d.n_constants;
        p.n_tail = d.n_tail;
        p.net = nets.data()[0];
        if (d.n_constants == 0 ? tabulate(tables, d.nets, d.e, d.r_table, false)
                               : tabulate(tables, d.nets_of_pairs(), d.e, d.r_table, true))
            p.tables = tables.data();
        p.smooth = d.smooth;
        p.normalize = d.normalize;
        p.dotr = d.dotr;
        const std::size_t ld = std::size_t(padded(p.n_channels)), width = std::size_t(p.n_channels);
        put_row(take_zeros(constants, d.constants.size()), d.constants);
        put_row(take_zeros(tail, d.tail.size()), d.tail);
        p.constants = constants.data();
        p.tail = tail.data();
        const auto rows = [&](Buffer<T>& memory, const std::vector<double>& x) -> const T* {
            if (x.empty()) return nullptr;
            T* out = take_zeros(memory, x.size() / width * ld);
            for (std::size_t k = 0; k < x.size(); ++k) out[k / width * ld + k % width] = T(x[k]);
            return out;
        };
        p.factor = rows(factor, d.factor);
        p.padding = rows(padding, d.padding);
        const auto vector = [&](const std::vector<double>& x) {
            T* out = take_zeros(norms.emplace_back(), ld);
            put_row(out, x);
            return out;
        };
        for (const AttentionData& a : d.layers) {
            attention.emplace_back(a.project);
            const Net<T>* project = attention.back().data();
            attention.emplace_back(a.out);
            AttentionLayer<T> layer;
            for (int q = 0; q < 3; ++q) layer.project[q] = project[q].layers;
            layer.out = attention.back().data()->layers;
            layer.gain = vector(a.gain);
            layer.shift = vector(a.shift);
            layer.scale = a.scale;
            layer.epsilon = a.epsilon;
            layers.push_back(layer);
        }
        p.n_layers = int(layers.size());
        p.hidden = d.hidden();
        p.layers = layers.data();
    }
    bool tabulated() const { return p.tables != nullptr; }
};

PackedDescriptor Dpa1Parameters::pack(bool single, bool half) const {
    if (single) return packed<PackedDpa1<float>>(*this, half);
    return packed<PackedDpa1<double>>(*this, half);
}

}  // namespace

std::unique_ptr<const DescriptorParameters> make_dpa1(const Fields& f) {
    return std::make_unique<Dpa1Parameters>(f);
}

}  // namespace mdkern
