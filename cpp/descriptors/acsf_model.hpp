// Symmetry functions from their fields: the arrays of their parameters, checked and kept.
#pragma once

#include <vector>

#include "descriptors/acsf.hpp"
#include "descriptors/weighted.hpp"

namespace mdkern {

class AcsfModel final : public WeightedDescriptor {
public:
    explicit AcsfModel(const Fields& fields);
    const AcsfParams& params() const { return params_; }

    double cutoff() const override { return params_.cutoff; }
    int n_species() const override { return params_.n_species; }
    std::int64_t n_features() const override { return params_.n_features; }
    double center_ns() const override { return 12e3; }
    std::int64_t scratch(std::int64_t longest) const override { return scratch(longest, false); }
    std::int64_t scratch(std::int64_t longest, bool jacobian) const {
        return (acsf_scratch(params_, longest, jacobian) + 7) / 8 * 8;
    }
    void gradients(const System&, const Neighbors&, const Centers&, const WeightedTask&,
                   int team) const override;

private:
    Fields fields_;
    std::vector<std::int32_t> group_;
    AcsfParams params_;
};

}  // namespace mdkern
