// Buckingham: phi(r) = A exp(-r / rho) - C / r^6 + e0 for r < r_cut (e0 = -phi(r_cut): shifted; C =
// 0: Born-Mayer).
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

struct BuckinghamParams {
    int n_species = 1;
    // One row of eight per ordered pair of species: A, 1 / rho, C, e0, r_cut^2, and three unused.
    const double* table = nullptr;  // (n_species, n_species, 8)
};
MDKERN_KERNEL(buckingham_compute,
              (const BuckinghamParams&, const System&, const Neighbors&, int, const Outputs&))

}  // namespace mdkern
