#include "potentials/deepmd/se_a.hpp"

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

}  // namespace

std::unique_ptr<const DescriptorParameters> make_se_a(const Fields& f) {
    return std::make_unique<SeAParameters>(f);
}

}  // namespace mdkern
