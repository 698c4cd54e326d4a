// Smooth editions: se_a (with angles), se_r (distances), se_t (three bodies).
#include "potentials/deepmd/kinds.hpp"
#include "potentials/deepmd/parameters.hpp"

namespace mdkern {

namespace {

// The parameters with everything that they point to.
template <class T> struct PackedSeA {
    PackedNets<T> nets;
    Tables<T> tables;
    Buffer<T> padding;
    SeA<T> p;

    PackedSeA(const DescriptorParameters& d, int axis, bool one_side, bool half) : nets(d.nets) {
        p.env = d.e.env;
        p.n_channels = d.nets[0]->n_out();
        p.outer = {axis, half};
        p.one_side = one_side;
        p.nets = nets.data();
        const int n = d.n_types(), ld = padded(p.n_channels);
        T* empty = take_zeros(padding, std::size_t(n) * n * ld);
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j) {
                const double s = d.e.empty(i);
                put_row(empty + (std::size_t(i) * n + j) * ld, d.nets[p.net_of(i, j)]->value(&s),
                        s);
            }
        p.padding = empty;
        if (tabulate(tables, d.nets, d.e, d.r_table, !one_side)) p.tables = tables.data();
    }
    bool tabulated() const { return p.tables != nullptr; }
};

class SeAParameters final : public DescriptorParameters {
public:
    explicit SeAParameters(const Fields& f)
        : DescriptorParameters(f), axis_(axis_of(f)), one_side_(f.flag("one_side")) {
        const std::size_t n = std::size_t(n_types());
        check_nets(f, one_side_ ? n : n * n, 1);
    }
    int width() const override { return nets[0]->n_out() * axis_; }
    DeepKind kind() const override { return DeepKind::se_a; }
    std::vector<int> columns(bool half) const override {
        return outer_columns({axis_, half}, nets[0]->n_out(), 0);
    }
    PackedDescriptor pack(bool single, bool half) const override {
        if (single) return packed<PackedSeA<float>>(*this, axis_, one_side_, half);
        return packed<PackedSeA<double>>(*this, axis_, one_side_, half);
    }

private:
    int axis_;
    bool one_side_;
};

template <class T> struct PackedSeR {
    PackedNets<T> nets;
    Tables<T> tables;
    Buffer<T> padding, at_zero;
    SeR<T> p;

    explicit PackedSeR(const DescriptorParameters& d) : nets(d.nets) {
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

class SeRParameters final : public DescriptorParameters {
public:
    explicit SeRParameters(const Fields& f) : DescriptorParameters(f) {
        check_nets(f, std::size_t(n_types()), 1);
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
    explicit PackedSeT(const DescriptorParameters& d)
        : nets(d.nets), p{d.e.env, d.width(), nets.data()} {}
    bool tabulated() const { return false; }
};

class SeTParameters final : public DescriptorParameters {
public:
    explicit SeTParameters(const Fields& f) : DescriptorParameters(f) {
        check_nets(f, std::size_t(n_types()) * n_types(), 1);
    }
    DeepKind kind() const override { return DeepKind::se_t; }
    PackedDescriptor pack(bool single, bool) const override {
        if (single) return packed<PackedSeT<float>>(*this);
        return packed<PackedSeT<double>>(*this);
    }
};

}  // namespace

std::unique_ptr<const DescriptorParameters> make_se_a(const Fields& f) {
    return std::make_unique<SeAParameters>(f);
}
std::unique_ptr<const DescriptorParameters> make_se_r(const Fields& f) {
    return std::make_unique<SeRParameters>(f);
}
std::unique_ptr<const DescriptorParameters> make_se_t(const Fields& f) {
    return std::make_unique<SeTParameters>(f);
}

}  // namespace mdkern
