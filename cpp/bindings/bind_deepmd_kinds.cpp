#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bindings/deepmd.hpp"
#include "potentials/deepmd/deep.hpp"

namespace mdkern {

namespace {

template <class T> void put_row(T* to, const std::vector<double>& row, double factor = 1.0) {
    for (std::size_t k = 0; k < row.size(); ++k) to[k] = T(factor * row[k]);
}
template <class T> T* take_zeros(Buffer<T>& memory, std::size_t n) {
    T* out = memory.reserve(n + 1);
    std::fill_n(out, n, T(0));
    return out;
}

void check_nets(const NetList& nets, std::size_t want, int n_in) {
    if (nets.size() != want)
        throw std::invalid_argument("nets: " + std::to_string(nets.size()) + "; expected " +
                                    std::to_string(want));
    for (const auto& net : nets)
        if (net->n_in() != n_in || net->n_out() != nets[0]->n_out() || net->n_out() > kMaxWidth)
            throw std::invalid_argument("nets: expected " + std::to_string(n_in) +
                                        " inputs and equal outputs");
}

// What descriptors of this file have in common: an environment and nets.
struct PyNets : PyDeepDescriptor {
    EnvArrays e;
    NetList nets;

    double r_table = 0.0;  // shortest distance of the tables; 0: no tables

    PyNets(const EnvArrays& e_, const NetList& nets_) : e(e_), nets(nets_) {}
    int width() const override { return nets[0]->n_out(); }
    int n_types() const override { return e.env.n_types; }
    double r_cut() const override { return e.env.r_cut; }
};

template <class Packed, class... Args> PackedDescriptor packed(const Args&... args) {
    auto out = std::make_shared<Packed>(args...);
    return {std::shared_ptr<const void>(out, &out->p), out->tabulated()};
}

template <class T> struct PackedSeR {
    PackedNets<T> nets;
    Tables<T> tables;
    Buffer<T> padding, at_zero;
    SeR<T> p;
    explicit PackedSeR(const PyNets& d) : nets(d.nets) {
        const int n = d.n_types(), ld = padded(d.width());
        T* empty = take_zeros(padding, std::size_t(n) * n * ld);
        T* zero = take_zeros(at_zero, std::size_t(n) * ld);
        const double nothing = 0.0;
        for (int j = 0; j < n; ++j) {
            put_row(zero + std::size_t(j) * ld, d.nets[j]->value(&nothing));
            for (int i = 0; i < n; ++i) {
                const double s = d.e.empty(i);
                put_row(empty + (std::size_t(i) * n + j) * ld, d.nets[j]->value(&s));
            }
        }
        p = {d.e.env, d.width(), nets.data(), empty, zero, nullptr};
        if (tabulate(tables, d.nets, d.e, d.r_table, false)) p.tables = tables.data();
    }
    bool tabulated() const { return p.tables != nullptr; }
};

struct PySeR final : PyNets {
    PySeR(const EnvArrays& e_, const NetList& nets_, double r_table_) : PyNets(e_, nets_) {
        r_table = r_table_;
        check_nets(nets, std::size_t(n_types()), 1);
    }
    DeepKind kind() const override { return DeepKind::se_r; }
    PackedDescriptor pack(bool single, bool) const override {
        if (single) return packed<PackedSeR<float>>(*this);
        return packed<PackedSeR<double>>(*this);
    }
};

template <class T> struct PackedSeT {
    PackedNets<T> nets;
    SeT<T> p;
    explicit PackedSeT(const PyNets& d) : nets(d.nets), p{d.e.env, d.width(), nets.data()} {}
    bool tabulated() const { return false; }
};

struct PySeT final : PyNets {
    PySeT(const EnvArrays& e_, const NetList& nets_) : PyNets(e_, nets_) {
        check_nets(nets, std::size_t(n_types()) * n_types(), 1);
    }
    DeepKind kind() const override { return DeepKind::se_t; }
    PackedDescriptor pack(bool single, bool) const override {
        if (single) return packed<PackedSeT<float>>(*this);
        return packed<PackedSeT<double>>(*this);
    }
};

// (q, k, v, out, gain, shift, scale, epsilon): nets of one layer, vectors, numbers.
struct AttentionData {
    NetList project, out;
    std::vector<double> gain, shift;
    double scale, epsilon;
};

constexpr int kMostPairTables = 4;  // types whose pairs have a table each: some MB for a pair

struct PyDpa1 final : PyNets {
    int axis, n_constants = 0, n_tail = 0;
    std::vector<double> constants, factor, padding, tail;
    std::vector<AttentionData> layers;
    bool smooth, normalize, dotr;

    PyDpa1(EnvArrays e_, int n_slots, const std::shared_ptr<DenseNet>& net, int axis_,
           const DoubleArray& constants_, const std::optional<DoubleArray>& factor_,
           const std::optional<DoubleArray>& padding_, const DoubleArray& tail_,
           const py::list& attention, bool smooth_, bool normalize_, bool dotr_, double r_table_)
        : PyNets(e_, {net}), axis(axis_), smooth(smooth_), normalize(normalize_), dotr(dotr_) {
        const std::int64_t n = n_types(), width = net->n_out();
        r_table = r_table_;
        e.env.by_type = false;
        e.env.n_slots = n_slots;
        check_shape(constants_, "constants", {n, n, -1});
        n_constants = int(constants_.shape(2));
        constants = values_of(constants_);
        check_nets(nets, 1, 1 + n_constants);
        if (factor_) {
            check_shape(*factor_, "factor", {n, n, width});
            factor = values_of(*factor_);
        }
        if (padding_) {
            check_shape(*padding_, "padding", {n, width});
            padding = values_of(*padding_);
        }
        check_shape(tail_, "tail", {n, -1});
        n_tail = int(tail_.shape(1));
        tail = values_of(tail_);
        if (axis < 1 || axis > width)
            throw std::invalid_argument("axis: " + std::to_string(axis) + "; expected 1 to " +
                                        std::to_string(width));
        if (n_slots < 1)
            throw std::invalid_argument("n_slots: " + std::to_string(n_slots) +
                                        "; expected at least 1");
        if (attention.size() > kMaxAttention)
            throw std::invalid_argument("attention: " + std::to_string(attention.size()) +
                                        " layers; expected at most " +
                                        std::to_string(kMaxAttention));
        for (const py::handle& entry : attention) add_layer(entry.cast<py::tuple>(), width);
    }
    void add_layer(const py::tuple& t, std::int64_t width) {
        AttentionData layer;
        layer.project = t[0].cast<NetList>();
        layer.out = {t[1].cast<std::shared_ptr<DenseNet>>()};
        const auto gain = t[2].cast<DoubleArray>(), shift = t[3].cast<DoubleArray>();
        check_shape(gain, "gain", {width});
        check_shape(shift, "shift", {width});
        layer.gain = values_of(gain);
        layer.shift = values_of(shift);
        layer.scale = t[4].cast<double>();
        layer.epsilon = t[5].cast<double>();
        check_nets(layer.project, 3, int(width));
        check_nets(layer.out, 1, layer.project[0]->n_out());
        if (layer.out[0]->n_out() != width || (!layers.empty() && hidden() != layer.out[0]->n_in()))
            throw std::invalid_argument("attention: widths of layers do not fit");
        layers.push_back(std::move(layer));
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
};

template <class T> struct PackedDpa1 {
    PackedNets<T> nets;
    Tables<T> tables;
    std::vector<PackedNets<T>> attention;
    std::vector<AttentionLayer<T>> layers;
    Buffer<T> constants, factor, padding, tail;
    std::vector<Buffer<T>> norms;
    Dpa1<T> p;

    PackedDpa1(const PyDpa1& d, bool half) : nets(d.nets) {
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

PackedDescriptor PyDpa1::pack(bool single, bool half) const {
    if (single) return packed<PackedDpa1<float>>(*this, half);
    return packed<PackedDpa1<double>>(*this, half);
}

}  // namespace

void bind_deepmd_kinds(py::module_& m) {
    py::class_<PySeR, PyDeepDescriptor, std::shared_ptr<PySeR>>(m, "DeepSeR")
        .def(py::init<const EnvArrays&, const NetList&, double>(), py::arg("env"), py::arg("nets"),
             py::arg("r_table"));
    py::class_<PySeT, PyDeepDescriptor, std::shared_ptr<PySeT>>(m, "DeepSeT")
        .def(py::init<const EnvArrays&, const NetList&>(), py::arg("env"), py::arg("nets"));
    py::class_<PyDpa1, PyDeepDescriptor, std::shared_ptr<PyDpa1>>(m, "DeepDpa1")
        .def(py::init<EnvArrays, int, const std::shared_ptr<DenseNet>&, int, const DoubleArray&,
                      const std::optional<DoubleArray>&, const std::optional<DoubleArray>&,
                      const DoubleArray&, const py::list&, bool, bool, bool, double>(),
             py::kw_only(), py::arg("env"), py::arg("n_slots"), py::arg("net"), py::arg("axis"),
             py::arg("constants").noconvert(), py::arg("factor").noconvert(),
             py::arg("padding").noconvert(), py::arg("tail").noconvert(), py::arg("attention"),
             py::arg("smooth"), py::arg("normalize"), py::arg("dotr"), py::arg("r_table"));
}

}  // namespace mdkern
