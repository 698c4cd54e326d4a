// Neuroevolution potential (NEP3, NEP4, NEP5): Fan et al., Phys. Rev. B 104, 104309 (2021) and
// J. Chem. Phys. 157, 114801 (2022); Song et al., Nat. Commun. 15, 10208 (2024).
//
//   f_k(r) = (T_k(x) + 1)/2 fc(r), x = 2 (r/rc - 1)^2 - 1, fc = (1 + cos(pi r/rc))/2
//   g_n(r) = sum_k c_nk f_k(r)                             c depends on both types
//   radial q_n = sum_j gR_n,  S_nb = sum_j gA_n b(u_ij)    b: monomials, see math/monomials.hpp
//   q_nl = sum_m C_lm S_nlm^2 and invariants of third order, S_nlm linear in S_nb
//   U = sum_h w1_h tanh(sum_d w0_hd q_d - b0_h) - bias     one network per type of centre
//   p_ij = dU_i/dr_ij; F_i += p_ij, F_j -= p_ij; W -= r_ij (x) p_ij
//
// With charges the hidden layer has a second output, Q = sum_h w1c_h tanh(...). CentreTask::charge
// gives it; what it feels, D = dE/dQ (coulomb.hpp), then makes the last weights of its atom
// w1_h + D w1c_h in the way back of CentreTask::energy.
//
// The series in T_k come as coefficients of P = sum_k c'_k T_k (the + 1 of f_k folded into k = 0,
// the 1/2 into all) and of dP/dx, so that g = fc P and g' = fc' P + fc x' P'.
#pragma once

#include "core/arena.hpp"
#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/force_blocks.hpp"

namespace mdkern {

constexpr int kNepMaxBasis = 32;   // functions f_k
constexpr int kNepMaxRadial = 32;  // functions g_n
constexpr int kNepMaxL = 8;

struct NepParams {
    int n_types = 1, l_max = 4;
    int n_radial = 0, n_angular = 0;  // functions g_n
    int k_radial = 0, k_angular = 0;  // functions f_k
    int n_descriptors = 0, hidden = 0;
    bool one_network = false;      // NEP3
    bool uniform_cutoff = true;    // the same for all pairs of types
    bool dipole = false;           // the first three of the virial are -sum r^2 p_ij instead
    double cutoff = 0.0;           // largest of any pair
    const double* keep = nullptr;  // (n_types, n_types) squared distance from which on nothing acts
    // Screened nuclear repulsion, (n_types, n_types): inner and outer cutoff,
    // K Zi Zj, inverse screening length; (n_types, n_types, 8) screening function. Null without.
    const double *zbl_inner = nullptr, *zbl_outer = nullptr, *zbl_charge = nullptr,
                 *zbl_inverse_length = nullptr, *zbl_phi = nullptr;
    double zbl_range = 0.0;  // no repulsion from here on, whatever the pair
    // S_lm = sum of coefficient S_b: pairs (lm, b), b = 0 the constant.
    int n_map = 0;
    const std::int32_t* map = nullptr;  // (n_map, 2)
    const double* map_c = nullptr;      // (n_map)
    const double* weight = nullptr;     // ((l_max + 1)^2 - 1) of S_lm^2
    // Blocks of third order: terms (block, i, j, k); block -1 in `bodies` is 7/15 q_1^2 instead.
    int n_bodies = 0;
    const std::int32_t* bodies = nullptr;  // (n_bodies, 2) first and last + 1 term, or -1
    const std::int32_t* terms = nullptr;   // (n_terms, 3)
    const double* term_c = nullptr;        // (n_terms)

    int n_lm() const { return (l_max + 1) * (l_max + 1) - 1; }
    int n_basis() const { return 1 + (n_lm() + 3) / 4 * 4; }  // rows of S: constant, then groups
};

// Arrays in the precision of the kernel; p: padded().
template <class T> struct NepTables {
    const T* inverse_rc_radial = nullptr;   // (n_types, n_types)
    const T* inverse_rc_angular = nullptr;  // (n_types, n_types)
    const T* rc2_angular = nullptr;         // (n_types, n_types)
    const T* radial_kn = nullptr;           // (t1, t2, k_radial, p(n_radial)) P
    const T* radial_nk = nullptr;           // (t1, t2, n_radial, 2, p(k_radial)) P, dP/dx
    const T* angular = nullptr;             // (t1, t2, n_angular, k_angular, 2) P, dP/dx
    const T* w0_dh = nullptr;               // (nets, n_descriptors, p(hidden))
    const T* w0_hd = nullptr;               // (nets, hidden, p(n_descriptors))
    const T *b0 = nullptr, *w1 = nullptr;   // (nets, p(hidden))
    const T* w1_charge = nullptr;           // the same, or null
    const double* bias = nullptr;           // (nets)
};

struct NepWork : ForceBlockWork {
    double* charges = nullptr;             // (n) by row: CentreTask::charge
    const double* charge_slope = nullptr;  // (n) by row: CentreTask::energy of a model with charges
};

// Bytes of scratch per thread.
std::size_t nep_scratch_bytes(const NepParams& p, std::int64_t largest, std::size_t real_bytes);

MDKERN_KERNEL(nep_double_compute,
              (CentreTask, const NepParams&, const NepTables<double>&, const System&,
               const Neighbors&, const ForceBlocks&, const NepWork&, int n_threads, const Outputs&))
MDKERN_KERNEL(nep_single_compute,
              (CentreTask, const NepParams&, const NepTables<float>&, const System&,
               const Neighbors&, const ForceBlocks&, const NepWork&, int n_threads, const Outputs&))

}  // namespace mdkern
