// Tables of models of forces/centre_lanes.hpp. Not for kernels.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/fields.hpp"

namespace mdkern {

// A table whose numbers have to be finite and not above `most`: comparisons with what is no number would
// pass over neighbors, or cutoff functions, in silence. Throws std::invalid_argument.
const double* lane_table(const Fields& f, const std::string& name,
                         std::initializer_list<std::int64_t> shape, double most);

}  // namespace mdkern
