// Descriptors as models that are linear in them see them: gradients of weighted sums of features.
#pragma once

#include <memory>

#include "core/fields.hpp"
#include "core/types.hpp"
#include "descriptors/environments.hpp"

namespace mdkern {

// Weights of the center c at weights + row[c] n_features. energies: sum_f w_cf D_cf of each, in the
// order of Centers::output. scratch: (team, stride), 64-byte aligned.
struct WeightedTask {
    const double* weights = nullptr;
    const std::int64_t* row = nullptr;
    double* energies = nullptr;
    PairGradients out;
    double* scratch = nullptr;
    std::int64_t stride = 0;
};

class WeightedDescriptor {
public:
    virtual ~WeightedDescriptor() = default;
    virtual double cutoff() const = 0;
    virtual int n_species() const = 0;
    virtual std::int64_t n_features() const = 0;
    virtual double center_ns() const = 0;  // of one center, for team_size()
    // Doubles of scratch of a thread, for environments of at most `longest` neighbors.
    virtual std::int64_t scratch(std::int64_t longest) const = 0;
    virtual void gradients(const System&, const Neighbors&, const Centers&, const WeightedTask&,
                           int team) const = 0;
};

// By the descriptor's `kind`: soap, acsf or bispectrum. Throws std::invalid_argument.
std::unique_ptr<const WeightedDescriptor> make_descriptor(const Fields& fields);

}  // namespace mdkern
