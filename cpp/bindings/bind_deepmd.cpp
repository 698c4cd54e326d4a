#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "bindings/deepmd.hpp"
#include "core/threads.hpp"
#include "nn/gemm_check.hpp"

namespace mdkern {

namespace {

// (w (n_in, n_out), b (n_out) or None, idt (n_out) or None, activation, resnet) of each layer.
std::shared_ptr<DenseNet> make_net(const py::list& layers) {
    auto net = std::make_shared<DenseNet>();
    for (const py::handle& entry : layers) {
        const auto t = entry.cast<py::tuple>();
        const auto w = t[0].cast<DoubleArray>();
        check_shape(w, "w", {-1, -1});
        DenseLayer layer;
        layer.n_in = int(w.shape(0));
        layer.n_out = int(w.shape(1));
        if (!net->layers.empty() && net->n_out() != layer.n_in)
            throw std::invalid_argument("w: a layer of " + std::to_string(layer.n_in) +
                                        " inputs after one of " + std::to_string(net->n_out()) +
                                        " outputs");
        if (w.shape(0) < 1 || w.shape(0) > (1 << 20) || w.shape(1) < 1 || w.shape(1) > kMaxWidth)
            throw std::invalid_argument("w: " + std::to_string(w.shape(0)) + " inputs and " +
                                        std::to_string(w.shape(1)) + " outputs; expected 1 to " +
                                        std::to_string(1 << 20) + " and 1 to " +
                                        std::to_string(kMaxWidth));
        layer.w = values_of(w);
        const auto vector = [&](int k, const char* name) {
            if (t[k].is_none()) return std::vector<double>();
            const auto x = t[k].cast<DoubleArray>();
            check_shape(x, name, {layer.n_out});
            return values_of(x);
        };
        layer.b = vector(1, "b");
        layer.idt = vector(2, "idt");
        set_activation(layer, t[3].cast<std::string>());
        if (t[4].cast<bool>() && layer.n_out == layer.n_in) layer.skip = Skip::same;
        if (t[4].cast<bool>() && layer.n_out == 2 * layer.n_in) layer.skip = Skip::twice;
        net->layers.push_back(std::move(layer));
    }
    if (net->layers.empty() || int(net->layers.size()) > kMaxLayers)
        throw std::invalid_argument("layers: " + std::to_string(net->layers.size()) +
                                    "; expected 1 to " + std::to_string(kMaxLayers));
    return net;
}

// The parameters with everything that they point to.
template <class T> struct PackedSeA {
    PackedNets<T> nets;
    Tables<T> tables;
    Buffer<T> padding;
    SeA<T> p;
};

struct PySeA final : PyDeepDescriptor {
    EnvArrays e;
    NetList nets;
    int axis;
    bool one_side;
    double r_table;  // shortest distance of the tables; 0: no tables

    PySeA(const EnvArrays& e_, int axis_, bool one_side_, const NetList& nets_, double r_table_)
        : e(e_), nets(nets_), axis(axis_), one_side(one_side_), r_table(r_table_) {
        const std::size_t n = std::size_t(e.env.n_types), want = one_side ? n : n * n;
        if (nets.size() != want)
            throw std::invalid_argument("nets: " + std::to_string(nets.size()) + "; expected " +
                                        std::to_string(want));
        for (const auto& net : nets)
            if (net->n_in() != 1 || net->n_out() != nets[0]->n_out())
                throw std::invalid_argument("nets: expected one input and equal outputs");
        if (axis < 1 || axis > nets[0]->n_out())
            throw std::invalid_argument("axis: " + std::to_string(axis) + "; expected 1 to " +
                                        std::to_string(nets[0]->n_out()));
    }
    int width() const override { return nets[0]->n_out() * axis; }
    int n_types() const override { return e.env.n_types; }
    double r_cut() const override { return e.env.r_cut; }
    DeepKind kind() const override { return DeepKind::se_a; }
    std::vector<int> columns(bool half) const override {
        return outer_columns({axis, half}, nets[0]->n_out(), 0);
    }
    PackedDescriptor pack(bool single, bool half) const override {
        if (single) return make<float>(half);
        return make<double>(half);
    }
    template <class T> PackedDescriptor make(bool half) const {
        auto packed = std::make_shared<PackedSeA<T>>(PackedSeA<T>{PackedNets<T>(nets), {}, {}, {}});
        SeA<T>& p = packed->p;
        p.env = e.env;
        p.n_channels = nets[0]->n_out();
        p.outer = {axis, half};
        p.one_side = one_side;
        p.nets = packed->nets.data();
        const int n = e.env.n_types, ld = padded(p.n_channels);
        T* padding = packed->padding.reserve(std::size_t(n) * n * ld);
        std::fill_n(padding, std::size_t(n) * n * ld, T(0));
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j) {
                const double s = e.empty(i);
                const auto g = nets[p.net_of(i, j)]->value(&s);
                for (int c = 0; c < p.n_channels; ++c)
                    padding[(std::size_t(i) * n + j) * ld + c] = T(s * g[c]);
            }
        p.padding = padding;
        const bool tabulated = tabulate(packed->tables, nets, e, r_table, !one_side);
        if (tabulated) p.tables = packed->tables.data();
        return {std::shared_ptr<const void>(packed, &p), tabulated};
    }
};

// The net of rows whose input k is found in column `columns[k]` of `width`; several may share one.
std::shared_ptr<DenseNet> gather_inputs(const DenseNet& net, const std::vector<int>& columns,
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

using DescriptorList = std::vector<std::shared_ptr<PyDeepDescriptor>>;

struct DeepSpace final : Workspace {
    ForceBlockSpace blocks;
};

struct PyDeepPotential final : Potential {
    int n_types, width = 0;  // width: features of an atom
    bool single, has_net, tabulated = false;
    std::vector<double> bias;
    std::vector<std::uint8_t> silent;
    DescriptorList kept;  // own arrays of types that the kernel reads
    std::vector<std::shared_ptr<const void>> params;
    std::unique_ptr<PackedModel<double>> wide;
    std::unique_ptr<PackedModel<float>> narrow;

    PyDeepPotential(const DescriptorList& descriptors, const NetList& fitting,
                    const DoubleArray& bias_, const std::optional<BoolArray>& silent_,
                    const std::optional<DoubleArray>& tail, bool single_)
        : n_types(int(bias_.size())),
          single(single_),
          has_net(!fitting.empty()),
          bias(values_of(bias_)),
          kept(descriptors) {
        if (descriptors.empty() || int(descriptors.size()) > kMaxDescriptors)
            throw std::invalid_argument("descriptors: " + std::to_string(descriptors.size()) +
                                        "; expected 1 to " + std::to_string(kMaxDescriptors));
        for (const auto& d : descriptors) {
            if (d->n_types() != n_types)
                throw std::invalid_argument("descriptors: " + std::to_string(d->n_types()) +
                                            " types; expected " + std::to_string(n_types));
            width += d->width();
        }
        if (tail) {
            check_shape(*tail, "tail", {n_types, -1});
            width += int(tail->shape(1));
        }
        if (silent_) {
            check_shape(*silent_, "silent", {n_types});
            silent.assign(silent_->data(), silent_->data() + n_types);
        }
        if (!fitting.empty() && fitting.size() != 1 && int(fitting.size()) != n_types)
            throw std::invalid_argument("fitting: " + std::to_string(fitting.size()) +
                                        " nets; expected 1 or " + std::to_string(n_types));
        for (const auto& net : fitting)
            if (net->n_in() != width || net->n_out() != 1)
                throw std::invalid_argument("fitting: a net of " + std::to_string(net->n_in()) +
                                            " inputs and " + std::to_string(net->n_out()) +
                                            " outputs; expected " + std::to_string(width) +
                                            " and 1");
        if (single)
            narrow = make<float>(descriptors, fitting, tail);
        else
            wide = make<double>(descriptors, fitting, tail);
    }

    template <class T>
    std::unique_ptr<PackedModel<T>> make(const DescriptorList& list, const NetList& fitting,
                                         const std::optional<DoubleArray>& tail) {
        // Equal features share a column, unless they leave as they are or are added to an output.
        const bool half =
            has_net && std::all_of(fitting.begin(), fitting.end(), [](const auto& net) {
                return net->layers.front().skip == Skip::none;
            });
        const int n_tail = tail ? int(tail->shape(1)) : 0;
        int column = 0;
        std::vector<int> columns;
        std::vector<DeepDescriptor<T>> kinds;
        for (const auto& d : list) {
            const PackedDescriptor part = d->pack(single, half);
            params.push_back(part.params);
            tabulated = tabulated || part.tabulated;
            kinds.push_back({d->kind(), column, params.back().get()});
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
        m.n_types = n_types;
        m.n_descriptors = int(packed->descriptors.size());
        m.descriptors = packed->descriptors.data();
        m.width = column + n_tail;
        m.n_tail = n_tail;
        T* last = packed->tail.reserve(std::size_t(n_types) * m.n_tail + 1);
        for (int k = 0; tail && k < n_types * m.n_tail; ++k) last[k] = T(tail->data()[k]);
        m.tail = last;
        m.one_net = fitting.size() == 1;
        m.fitting = fitting.empty() ? nullptr : packed->fitting.data();
        m.bias = bias.data();
        m.silent = silent.empty() ? nullptr : silent.data();
        const std::size_t n =
            std::size_t(std::max(padded(width), kMaxWidth));  // embedding nets too
        T* zeros = packed->zeros.reserve(n);
        std::fill_n(zeros, n, T(0));
        m.zeros = zeros;
        return packed;
    }

    Traits traits() const override {
        Traits t;
        for (const auto& d : kept) t.cutoff = std::max(t.cutoff, d->r_cut());
        t.n_features = has_net ? 0 : width;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<DeepSpace>(); }
    void compute(NeighborTable& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<DeepSpace&>(workspace);
        const DeepTask task = out.features          ? DeepTask::descriptor
                              : out.feature_weights ? DeepTask::vjp
                              : out.jacobian.values ? DeepTask::jacobian
                                                    : DeepTask::energy;
        if (has_net != (task == DeepTask::energy))
            throw std::logic_error("DeepPotential: energies need fitting nets, features need none");
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), n_types,
                                             team_size(threads, list.n_pairs, 150.0));
        const ForceBlocks plan = space.blocks.blocks();
        const Neighbors& grouped = space.blocks.list();
        const std::int64_t largest = space.blocks.largest_count();
        const bool gradients = task != DeepTask::descriptor;
        DeepWork work;
        static_cast<ForceBlockWork&>(work) = space.blocks.work(
            s, team,
            single ? deep_scratch_bytes(narrow->m, largest) : deep_scratch_bytes(wide->m, largest),
            gradients, gradients && out.virials);
        work.overflow = &space.overflow;
        if (single)
            deep_single_compute(task, narrow->m, s, grouped, plan, work, team, out);
        else
            deep_double_compute(task, wide->m, s, grouped, plan, work, team, out);
    }
};

}  // namespace

void bind_deepmd(py::module_& m) {
    py::class_<DenseNet, std::shared_ptr<DenseNet>>(m, "DeepNet")
        .def(py::init(&make_net), py::arg("layers"))
        .def_property_readonly("n_in", &DenseNet::n_in)
        .def_property_readonly("n_out", &DenseNet::n_out)
        .def(
            "value",
            [](const DenseNet& net, const DoubleArray& x) {
                check_shape(x, "x", {net.n_in()});
                const auto y = net.value(x.data());
                return DoubleArray(py::ssize_t(y.size()), y.data());
            },
            py::arg("x").noconvert());
    py::class_<PyDeepDescriptor, std::shared_ptr<PyDeepDescriptor>>(m, "DeepDescriptor")
        .def_property_readonly("width", &PyDeepDescriptor::width)
        .def_property_readonly("r_cut", &PyDeepDescriptor::r_cut);
    py::class_<EnvArrays>(m, "DeepEnv")
        .def(py::init<double, double, double, const IntArray&, const DoubleArray&,
                      const DoubleArray&, const std::optional<BoolArray>&,
                      const std::optional<BoolArray>&, int>(),
             py::kw_only(), py::arg("r_cut"), py::arg("r_cut_smth"), py::arg("protection"),
             py::arg("sel").noconvert(), py::arg("mean").noconvert(), py::arg("std").noconvert(),
             py::arg("excluded").noconvert(), py::arg("removed").noconvert(), py::arg("n_listed"));
    py::class_<PySeA, PyDeepDescriptor, std::shared_ptr<PySeA>>(m, "DeepSeA")
        .def(py::init<const EnvArrays&, int, bool, const NetList&, double>(), py::kw_only(),
             py::arg("env"), py::arg("axis"), py::arg("one_side"), py::arg("nets"),
             py::arg("r_table"));
    py::class_<PyDeepPotential, Potential, std::shared_ptr<PyDeepPotential>> potential(
        m, "DeepPotential");
    potential
        .def(py::init<const DescriptorList&, const NetList&, const DoubleArray&,
                      const std::optional<BoolArray>&, const std::optional<DoubleArray>&, bool>(),
             py::kw_only(), py::arg("descriptors"), py::arg("fitting"), py::arg("bias").noconvert(),
             py::arg("silent").noconvert(), py::arg("tail").noconvert(), py::arg("single"))
        .def_readonly("width", &PyDeepPotential::width)
        .def_readonly("tabulated", &PyDeepPotential::tabulated);
    m.def(
        "dense_gemm",
        [](const DoubleArray& a, const DoubleArray& b, bool single, int repeats) {
            const int rows = int(a.shape(0)), depth = int(a.shape(1)), columns = int(b.shape(1));
            check_shape(b, "b", {depth, columns});
            const int ld = padded(columns);
            DoubleArray c(py::array::ShapeContainer{std::int64_t(rows), std::int64_t(ld)});
            const auto go = [&](auto zero, auto kernel, auto* out) {
                using T = decltype(zero);
                Buffer<T> left, right, zeros;
                T* x = left.reserve(std::size_t(rows) * depth);
                std::copy_n(a.data(), std::size_t(rows) * depth, x);
                T* packed = right.reserve(packed_size(depth, columns, kPanel<T>));
                pack_panels(b.data(), depth, columns, false, packed);
                T* z = zeros.reserve(std::size_t(ld));
                std::fill_n(z, ld, zero);
                py::gil_scoped_release nogil;
                for (int k = 0; k < repeats; ++k)
                    kernel(rows, columns, depth, x, packed, z, out, ld);
            };
            if (single) {
                std::vector<float> out(std::size_t(rows) * ld);
                go(0.0f, dense_gemm_single_compute, out.data());
                std::copy(out.begin(), out.end(), c.mutable_data());
            } else {
                go(0.0, dense_gemm_double_compute, c.mutable_data());
            }
            return c;
        },
        py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("single"), py::arg("repeats"));
}

}  // namespace mdkern
