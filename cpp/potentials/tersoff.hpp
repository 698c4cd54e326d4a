// Tersoff and its variants,
//   E    = 1/2 sum_i sum_{j != i} fC(r_ij) [fR(r_ij) + b_ij fA(r_ij)],   b = (1 + (beta zeta)^eta)^-q
//   zeta = sum_{k != i,j} fC_ijk(r_ik) g(cos theta) exp((lam3 (r_ij - r_ik))^m)
// with fR = A exp(-lam1 r) + c0, fA = -B exp(-lam2 r) and, y = (h - cos theta)^2,
//   g = c1 + c2 y / (c3 + y) (1 + c4 exp(-c5 y))
// which is Kumagai's; Tersoff's is the same with c1 = gamma, c2 = gamma c^2 / d^2, c3 = d^2, c4 = 0.
//
// Lanes are centres (forces/centre_lanes.hpp). Pass 1 adds up zeta of all bonds of a centre, pass 2 puts
// its derivatives where they belong; what both need of a pair of neighbors is kept between them.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/centre_lanes.hpp"

namespace mdkern {

struct TersoffParams {
    Reach reach;
    // Rows of 24 per (centre, neighbor): (R + D)^2, R, 1 / D, A, lam1, B, lam2, c0; beta, eta, q, least
    // beta zeta that counts; of ZBL, as far as it is there: Z Z e^2 / (4 pi e0), 1 / length, zcut, zscale.
    const double* pair = nullptr;  // (n_species, n_species, 24)
    // Rows of sixteen per (centre, j, k): c1, c2, c3, h, c4, c5, lam3, 1 where m is 3; R, 1 / D.
    const double* triplet = nullptr;  // (n_species, n_species, n_species, 16)
    bool mod = false;                 // Kumagai's cutoff function, and c4
    bool zbl = false;
    bool decays = false;  // some lam3 is not zero
    // Whether R and D of (i, j, k) are those of the pair (i, k), so that fC is one per neighbor.
    bool one_cutoff = true;
    // Whether g and the exponential depend on the centre's species alone.
    bool one_angle = true;
};

// Pairs of neighbors that are kept between the passes; with more they are evaluated twice.
constexpr int kKeptSlots = 10;
constexpr std::size_t kTersoffSlot = 32 * kWidestVector;  // bytes, at most
constexpr std::size_t kTersoffCorner = 13 * kWidestVector;
constexpr std::size_t kTersoffCorners = kTersoffCorner * (kKeptSlots * (kKeptSlots - 1) / 2);

MDKERN_KERNEL(tersoff_compute,
              (const TersoffParams&, const System&, const Neighbors&, const ForceBlocks&,
               const ForceBlockWork&, double* energies, int n_threads, const Outputs&))

}  // namespace mdkern
