// Several potentials on one table: results of the first, and how much they deviate.
#pragma once

#include <memory>
#include <vector>

#include "model/potential.hpp"

namespace mdkern {

// Throws std::invalid_argument: fewer than two, of other species, without energies.
std::shared_ptr<const Potential> make_committee(
    std::vector<std::shared_ptr<const Potential>> parts);

}  // namespace mdkern
