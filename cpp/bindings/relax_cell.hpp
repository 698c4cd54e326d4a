// Options of cells and constraints as Python gives them, for the bindings of relaxations.
#pragma once

#include "bindings/bindings.hpp"
#include "relax/cell_filter.hpp"

namespace mdkern {

// kind: "none", "deformation" or "logarithm"; mask (3, 3). Throws std::invalid_argument for other kinds and shapes.
CellOptions cell_options(const std::string& kind, const DoubleArray& mask, bool hydrostatic,
                         bool constant_volume, double pressure, double factor);

// A constraint as Python holds it: made once, never changed.
using PyConstraint = std::shared_ptr<Constraint>;
// Throws std::invalid_argument where one does not belong to n atoms.
Constraints constraints_of(const std::vector<PyConstraint>& list, std::int64_t n);

}  // namespace mdkern
