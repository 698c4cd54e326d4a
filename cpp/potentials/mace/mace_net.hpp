// The inner loop of the nets that give radial functions.
#pragma once

#include "core/dispatch.hpp"

namespace mdkern {

// value = x w + b and slope = dx w, for a row x of n_in numbers; b may be null.
MDKERN_KERNEL(mace_net_compute, (int n_in, int n_out, const double* w, const double* b,
                                 const double* x, const double* dx, double* value, double* slope))

}  // namespace mdkern
