// Ziegler-Biersack-Littmark screened nuclear repulsion, switched to zero between two distances:
//   phi(r) = Z_i Z_j k / r sum_m c_m exp(-d_m r / a_ij) + S(r), r < outer
//   S(r) = A t^3 / 3 + B t^4 / 4 + C, t = max(0, r - inner)
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

struct ZblParams {
    int n_species = 1;
    double inner = 0.0, outer = 0.0;  // Angstrom
    // One row of eight per ordered pair of species: k Z_i Z_j, 1 / a_ij, A, B, C, and three unused.
    const double* table = nullptr;  // (n_species, n_species, 8)
};
// The universal screening function: c_m and d_m.
inline constexpr double kZblWeight[4] = {0.02817, 0.28022, 0.50986, 0.18175};
inline constexpr double kZblDecay[4] = {0.20162, 0.40290, 0.94229, 3.19980};

MDKERN_KERNEL(zbl_compute, (const ZblParams&, const System&, const Neighbors&, int, const Outputs&))

}  // namespace mdkern
