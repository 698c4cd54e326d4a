// SOAP from its fields: the arrays of its parameters, checked and kept.
#pragma once

#include <vector>

#include "descriptors/soap.hpp"
#include "descriptors/weighted.hpp"

namespace mdkern {

class SoapModel final : public WeightedDescriptor {
public:
    explicit SoapModel(const Fields& fields);
    const SoapParams& params() const { return params_; }
    const std::vector<SoapBlock>& blocks() const { return blocks_; }
    std::int64_t block_features(const SoapBlock& block) const;

    double cutoff() const override { return params_.cutoff; }
    int n_species() const override { return params_.n_species; }
    std::int64_t n_features() const override { return params_.n_features; }
    double center_ns() const override { return 8e3; }
    std::int64_t scratch(std::int64_t longest) const override {
        return (soap_scratch(params_, longest) + 7) / 8 * 8;
    }
    void gradients(const System&, const Neighbors&, const Centers&, const WeightedTask&,
                   int team) const override;

private:
    Fields fields_;
    std::vector<SoapBlock> blocks_;
    SoapParams params_;
};

}  // namespace mdkern
