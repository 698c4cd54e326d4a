#include "potentials/deepmd/se_r.hpp"

#include "potentials/deepmd/parameters.hpp"

namespace mdkern {

namespace {

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

}  // namespace

std::unique_ptr<const DescriptorParameters> make_se_r(const Fields& f) {
    return std::make_unique<SeRParameters>(f);
}

}  // namespace mdkern
