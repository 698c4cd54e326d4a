// Behler-Parrinello networks (J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007)) with the
// symmetry functions of n2p2; formulas in src/mdkern/reference/behler_parrinello.py.
//
// Whatever its type, a function of a centre is
//   G = sum_j w R(r_j)                              of neighbors j of one species
//   G = sum_j<k w R(r_j) R(r_k) [R(r_jk)] A(cos)    of pairs of neighbors of two species
// with radial factors R (a Gaussian times the cutoff function, or a compact function) and factors A of
// the angle. Each distinct R of a neighbor is computed once, each distinct R and A of a triplet too. A
// function over all elements is listed for each of them, with its weight, and the same feature.
//
// dG/dr is never made: with v = dE/dG, a triplet gives
//   V_q = sum_f v_f A_f, D_q = sum_f v_f A'_f       over the functions f that have factor q
// and from these the slopes by its three sides and its cosine.
#pragma once

#include "core/arena.hpp"
#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/force_blocks.hpp"
#include "nn/dense.hpp"

namespace mdkern {

// A cutoff function, n2p2's cutoff_type 0 to 8: 1 up to `inner`, 0 from `rc` on.
struct SymmetryCutoff {
    int type = 0;
    double rc = 0.0, inner = 0.0;
};
// R: exp(-eta (r - rs)^2) fc(r), or the compact function that is 1 in `middle`.
struct RadialFactor {
    bool compact = false, asymmetric = false;
    int shape = 0;   // of a compact function: 1 to 4 polynomials, 0 exponential
    int cutoff = 0;  // place of the cutoff function
    double eta = 0.0, rs = 0.0;
    double middle = 0.0, half = 0.0;  // of a compact function, as is its end
    double end = 0.0;                 // zero from here on
};
// A: (1 + lambda cos)^zeta, without the factor 2^(1 - zeta), or a compact function of the angle.
struct AngleFactor {
    bool compact = false;
    int shape = 0;
    int power = -1;  // zeta, where it is an integer up to 64
    double lambda = 0.0, zeta = 0.0;
    double middle = 0.0, half = 0.0;  // radian
};

// A Gaussian as a power of another one, of factor `from`; by exp where that is negative.
struct GaussianPower {
    int factor = 0, from = -1, exponent = 0;
    double eta = 0.0;
};

// Functions of pairs of neighbors of species a and b that do, or do not, have a factor of the third
// side.
//
// Plain ones have Gaussians around 0 and one cutoff function. Their slopes are R' / r = R (L - 2 eta)
// with L = fc' / (fc r), so that V_q only counts in two sums, of P V and of 2 eta P V, where P is the
// product of the factors.
struct SymmetrySet {
    int a = 0, b = 0;
    bool closed = false, plain = false;
    bool exact = false;                     // some factor of the angle is compact
    int cutoff = 0;                         // of a plain one
    const GaussianPower* powers = nullptr;  // (n_factors) of a plain one, in the order of eta
    const double* steep = nullptr;          // (n_factors) of a plain one: 2 eta
    double reach = 0.0;                     // of the third side
    int n_factors = 0, n_angles = 0, n_functions = 0;
    const std::int32_t* factor = nullptr;    // (n_factors) place among the element's near factors
    const std::int32_t* first = nullptr;     // (n_factors + 1) functions of each factor
    const std::int32_t* angle = nullptr;     // (n_angles) place among all angle factors
    const std::int32_t* function = nullptr;  // (n_functions, 2) place in `angle`, feature
    const double* weight = nullptr;          // (n_functions)
};

struct SymmetryElement {
    int n_features = 0;
    double reach = 0.0, near_reach = 0.0;        // of pairs, of triplets
    const std::int32_t* radial_first = nullptr;  // (n_species + 1) functions of each species
    const std::int32_t* radial = nullptr;        // (n, 2) radial factor, feature
    const double* radial_weight = nullptr;       // (n)
    int n_near = 0;                              // radial factors of triplets
    const std::uint8_t* listed = nullptr;        // (n_near) whether a set needs R of the neighbors
    const std::int32_t* near = nullptr;          // (n_near)
    int n_sets = 0;
    const SymmetrySet* sets = nullptr;
    const double *lower = nullptr, *upper = nullptr;  // (n_features) range of the training
};

struct BehlerParrinelloParams {
    int n_species = 1, n_members = 1, n_cutoffs = 0;
    int n_features = 0;            // of the element that has most
    std::int64_t most_radial = 0;  // of elements: functions of neighbors, near factors
    int most_near = 0;
    int most_factors = 0, most_angles = 0, most_functions = 0;  // of sets
    const SymmetryCutoff* cutoffs = nullptr;
    const RadialFactor* factors = nullptr;
    const AngleFactor* angles = nullptr;
    const SymmetryElement* elements = nullptr;  // (n_species)
    const Net<double>* nets = nullptr;          // (n_members, n_species)
    const double* scale = nullptr;              // (n_members) of the nets' outputs
    const double* bias = nullptr;               // (n_species)
    const double* zeros = nullptr;              // as many as the widest layer is wide
};

struct BehlerParrinelloWork : ForceBlockWork {
    std::int32_t* overflow =
        nullptr;  // set to 1 where a feature is beyond the range of the training
};

// Bytes of scratch per thread.
std::size_t behler_parrinello_scratch(const BehlerParrinelloParams& p, std::int64_t largest);

MDKERN_KERNEL(behler_parrinello_compute,
              (CentreTask, const BehlerParrinelloParams&, const System&, const Neighbors&,
               const ForceBlocks&, const BehlerParrinelloWork&, int n_threads, const Outputs&))

}  // namespace mdkern
