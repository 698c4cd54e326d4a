#include "potentials/deepmd/se_t.hpp"

#include "potentials/deepmd/parameters.hpp"

namespace mdkern {

namespace {

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

std::unique_ptr<const DescriptorParameters> make_se_t(const Fields& f) {
    return std::make_unique<SeTParameters>(f);
}

}  // namespace mdkern
