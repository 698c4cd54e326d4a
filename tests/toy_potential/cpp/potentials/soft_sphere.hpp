// Soft spheres: phi(r) = k/2 (r_cut - r)^2 for r < r_cut.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

struct SoftSphereParams {
    double k = 0.0, r_cut = 0.0;
};
MDKERN_KERNEL(soft_sphere_compute,
              (const SoftSphereParams&, const System&, const Neighbors&, int, const Outputs&))

}  // namespace mdkern
