// Pair tables of DeePMD-kit, and their smooth blending with a Deep Potential at short distances
// (DP-ZBL: H. Wang, X. Guo, L. Zhang, H. Wang, J. Xue, Appl. Phys. Lett. 114, 244101 (2019)).
//
//   phi(r) = ((c3 f + c2) f + c1) f + c0,  u = (r - r_min) inverse_step,  k = int(u),  f = u - k
//   E_i = keep_t(i) / 2 sum_j phi(r_ij) + bias_t(i);  NaN for pairs closer than the table
//
// Blending, with the softened distance of the nearest neighbor
//   sigma_i = sum_j r_ij e^(-r_ij / a) / sum_j e^(-r_ij / a)
//   c_i = 1 - 10 u^3 + 15 u^4 - 6 u^5,  u = (sigma_i - inner) / (outer - inner) clamped to [0, 1]
//   E_i = (1 - c_i) E_i^net + c_i E_i^table,  c_i = 0 where keep_t(i) = 0
//
// A list with fewer places than neighbors keeps the nearest: sums over j are then over pairs within
// the limit of i, which need not be within that of j.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

struct PairTab {
    int n_types = 1, n_steps = 0;
    double r_min = 0.0, inverse_step = 0.0;
    double r_end = 0.0;             // phi = 0 from there on
    const double* table = nullptr;  // (n_types, n_types, n_steps, 4) c3, c2, c1, c0
    const double* bias = nullptr;   // (n_types)
    const double* keep = nullptr;   // (n_types) what E_i is multiplied by, or null
    // Where neighbors are left out, else null: squared distance of the last that is kept (n_total),
    // and rows x, y, z, number of the row (n_total, 4).
    const double *limit = nullptr, *numbered = nullptr;
};

struct PairBlend {
    double length = 0.0, inner = 0.0, outer = 0.0;  // a and the range of sigma
    double r_cut = 0.0;                             // of the sums in sigma
    const double* limit = nullptr;                  // of these sums, as in PairTab
    const double* present =
        nullptr;  // (n_types, n_types) 1 for pairs that are in them, 0 for others
};

MDKERN_KERNEL(pair_tab_compute,
              (const PairTab&, const System&, const Neighbors&, int n_threads, const Outputs&))

// First pass: of each real row {c, (dc/dsigma) / sum e^(-r/a), sigma, species} into atoms (n_total,
// 4), and E^table into energies (n_real), caller's order.
MDKERN_KERNEL(pair_blend_weights_compute,
              (const PairTab&, const PairBlend&, const System&, const Neighbors&, int n_threads,
               double* atoms, double* energies))
// Second pass: the blended energies of those of the table and of the net, all (n_real) in the caller's
// order, and in `atoms` dc/dsigma times their difference. Rows behind the real ones need theirs then
// (Table::forward).
MDKERN_KERNEL(pair_blend_terms_compute, (const System&, int n_threads, const double* table,
                                         const double* net, double* atoms, double* energies))
// Last pass: forces and virials of the table, of c and of sigma. rows: scratch, (n_total, 4).
MDKERN_KERNEL(pair_blend_compute,
              (const PairTab&, const PairBlend&, const System&, const Neighbors&, int n_threads,
               const double* atoms, double* rows, const double* energies, const Outputs&))

}  // namespace mdkern
