// The bispectrum from its fields: parameters, checked, and the tables that follow from them.
#pragma once

#include <vector>

#include "descriptors/bispectrum.hpp"
#include "descriptors/weighted.hpp"

namespace mdkern {

class BispectrumModel final : public WeightedDescriptor {
public:
    // twojmax; radii, weights (n_species), block (n_species): which U a neighbor belongs to; rcutfac,
    // rfac0, rmin0; flags switch, bzero, quadratic, chem, bnorm, wselfall; perhaps sinner and dinner
    // (n_species).
    explicit BispectrumModel(const Fields& fields);
    BispectrumModel(const BispectrumModel&) = delete;
    BispectrumModel& operator=(const BispectrumModel&) = delete;
    const BispectrumParams& params() const { return params_; }
    // Slopes of Y, (n_slopes), from dE/dB (n_components).
    std::vector<double> slopes(const double* components) const;

    double cutoff() const override { return cutoff_; }
    int n_species() const override { return params_.n_species; }
    std::int64_t n_features() const override { return params_.n_features; }
    double center_ns() const override { return 20e3; }
    std::int64_t scratch(std::int64_t longest) const override {
        return std::int64_t(bispectrum_scratch_bytes(params_, longest) / sizeof(double));
    }
    void gradients(const System&, const Neighbors&, const Centers&, const WeightedTask&,
                   int team) const override;

private:
    void read(const Fields& f);
    void read_pairs(const Fields& f);
    void make_layers();
    void make_couplings();
    void make_components(bool chem, bool bzero, bool bnorm, bool wselfall);

    double cutoff_ = 0.0;
    std::vector<std::int32_t> block_, half_at_, full_at_, orbit_;
    std::vector<double> pair_, self_, zero_, norm_, couple_, couple_twice_, share_, scale_;
    std::vector<BispectrumPair> pairs_;
    std::vector<BispectrumTable> tables_;
    std::vector<BispectrumRow> rows_;
    BispectrumParams params_;
};

}  // namespace mdkern
