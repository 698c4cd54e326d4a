// Bispectrum of the density of neighbors on the 3-sphere (SNAP); formulas in
// src/mdkern/reference/snap.py. Angular momenta are doubled integers.
//
// Lanes of vectors are centres. Of a centre the kernel makes
//   1. U_j, sums over its neighbors of functions u_j (bispectrum_walk.hpp),
//   2. where they are wanted, the components B (bispectrum_couple.hpp),
//   3. Y = dE/dU from dE/dB, by the same sums of products of two U,
//   4. dE/dr of each neighbor, from one pass over its u_j: as these are functions on a group of
//      rotations, their derivatives are contracted with Y that was rotated before, once per centre.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "descriptors/environments.hpp"
#include "forces/force_blocks.hpp"

namespace mdkern {

constexpr int kBispectrumMostJ = 20;
constexpr int kBispectrumMostBlocks = 16;

// Clebsch-Gordan coefficients <j1 m1 j2 m2|j m> of one (j1, j2) and one m1 + m2, counted from the
// lowest: k1 + k2 = m. Rows are j from the highest on.
struct BispectrumTable {
    std::int32_t at = 0;             // of [k1 - low][row]
    std::int32_t n_rows = 0;         // 0: none that is kept
    std::int32_t low = 0, high = 0;  // k1
};

// The products of U_j1 and U_j2, j1 >= j2. Row r is j = top - 2 r.
struct BispectrumPair {
    std::int32_t j1 = 0, j2 = 0, top = 0;
    std::int32_t first_row = 0, n_rows = 0;
    std::int32_t component = 0, n_kept = 0;  // of the rows with j >= j1, ascending j
    std::int32_t table = 0;                  // of m = 0; j1 + j2 + 1 of them
};

// What Y gets from one product: dE/dB of an orbit, the mean over components that are equal, times
// a factor.
struct BispectrumRow {
    double factor = 0.0;
    std::int32_t orbit = 0;
};

struct BispectrumParams {
    int n_species = 1, n_blocks = 1;  // blocks: U of their own for neighbors of each element
    int twojmax = 0;
    double rmin0 = 0.0;
    bool switched = true, inner = false, quadratic = false;
    const std::int32_t* block = nullptr;  // (n_species)
    // (n_species centre, n_species neighbor, 8): squared cutoff, weight, d theta0/dr, pi / (rcut -
    // rmin0), begin, end and middle of the inner switch, pi / twice its half width
    const double* pair = nullptr;
    const double* self = nullptr;  // (n_species, n_blocks) the centre's own weight
    const double* zero = nullptr;  // (n_species, n_components) what is subtracted
    int n_half = 0, n_full = 0;    // numbers of u: rows mb <= j / 2, and all
    const std::int32_t *half_at = nullptr, *full_at = nullptr;  // (twojmax + 1) of layer j
    const double* norm = nullptr;                               // (n_half)
    int n_pairs = 0, n_rows = 0;
    const BispectrumPair* pairs = nullptr;
    const BispectrumTable* tables = nullptr;
    const double *couple = nullptr, *couple_twice = nullptr;  // the latter: of unordered k1, k2
    int n_triples = 0, n_components = 0, n_orbits = 0;
    const std::int32_t* orbit = nullptr;  // (n_components)
    const double* share = nullptr;        // (n_components) one by the size of its orbit
    const double* scale = nullptr;        // (n_triples) of B
    const BispectrumRow* rows = nullptr;  // (n_blocks^3, n_rows)
    std::int64_t n_features = 0;

    int n_slopes() const { return n_blocks * n_blocks * n_blocks * n_rows; }
};

std::size_t bispectrum_scratch_bytes(const BispectrumParams& p, std::int64_t longest);

// Energies linear or quadratic in the components. Of linear ones all that follows from the
// coefficients is made once: slopes of Y, and the part of the energy that does not depend on
// neighbors, c_0 less what `zero` subtracts.
struct SnapParams {
    BispectrumParams basis;
    const double* coefficients = nullptr;  // (n_species, 1 + n_features)
    const double* slopes = nullptr;        // (n_species, n_slopes), linear
    const double* shift = nullptr;         // (n_species), linear
};
MDKERN_KERNEL(snap_compute, (const SnapParams&, const System&, const Neighbors&, const ForceBlocks&,
                             const ForceBlockWork&, int n_threads, const Outputs&))

struct BispectrumTask {
    Centers centers;
    double* scratch = nullptr;  // (threads, scratch_stride), 64-byte aligned
    std::int64_t scratch_stride = 0;
};
MDKERN_KERNEL(bispectrum_values_compute, (const BispectrumParams&, const System&, const Neighbors&,
                                          const BispectrumTask&, int, double*, float*))
// weights, weight_row and energies as for SOAP
struct BispectrumVjpTask {
    const double* weights = nullptr;
    const std::int64_t* weight_row = nullptr;
    double* energies = nullptr;
    PairGradients out;
};
MDKERN_KERNEL(bispectrum_vjp_compute, (const BispectrumParams&, const System&, const Neighbors&,
                                       const BispectrumTask&, const BispectrumVjpTask&, int))
struct BispectrumJacobianTask {
    JacobianBlocks blocks;
    double* values = nullptr;
    float* values_single = nullptr;
    double* strain = nullptr;  // (n_centers, 9, n_features) instead
};
MDKERN_KERNEL(bispectrum_jacobian_compute,
              (const BispectrumParams&, const System&, const Neighbors&, const BispectrumTask&,
               const BispectrumJacobianTask&, int))

}  // namespace mdkern
