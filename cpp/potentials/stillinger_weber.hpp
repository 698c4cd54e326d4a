// Stillinger-Weber,
//   E = sum_{i<j} A eps [B (s/r)^p - (s/r)^q] exp(s / (r - a s))
//     + sum_i sum_{j<k} L_ijk (cos theta_jik - c0_ijk)^2 h_ij h_ik,   h = exp(gamma s / (r - a s))
// in one pass: lanes are centres (forces/centre_lanes.hpp), so that h and the functions of a pair are
// evaluated once per neighbor, and a triplet takes some twenty operations.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/centre_lanes.hpp"

namespace mdkern {

struct StillingerWeberParams {
    Reach reach;
    // Rows of sixteen per (centre, neighbor): cutoff^2, a s, gamma s, s, A eps, A eps B, p, q, the rest unused.
    const double* pair = nullptr;  // (n_species, n_species, 16)
    // Of triplets (centre, neighbor, neighbor), symmetric in the last two.
    const double* strength = nullptr;  // (n_species, n_species, n_species) L
    const double* cos0 = nullptr;      // the same of c0
    // p and q where all are small whole numbers, else -1: powers by products.
    int whole_p = -1, whole_q = -1;
};

constexpr std::size_t kStillingerWeberSlot = 24 * kWidestVector;  // bytes, at most

MDKERN_KERNEL(stillinger_weber_compute,
              (const StillingerWeberParams&, const System&, const Neighbors&, const ForceBlocks&,
               const ForceBlockWork&, double* energies, int n_threads, const Outputs&))

}  // namespace mdkern
