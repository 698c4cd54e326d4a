// Per-atom work of molecular dynamics, in the order of the rows of the neighbor table: momenta,
// coordinates, periodic images and the displacements that tell whether the list still holds.
//
// Momenta are kept, not velocities (amu Angstrom per ASE time unit), and coordinates as the caller
// counts them, not wrapped. Every expression is evaluated as ASE's integrators write it, without
// fused operations: where the formulas are the same, so are the bits.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"

namespace mdkern {

constexpr std::int64_t kMdBlock = 64;  // rows per partial sum; the bits of the sums follow from it
constexpr int kMdSums = 10;  // of momenta: p^2/m, then xx, yy, zz, yz, xz, xy of p p / m, then p

// Arrays of the loop; rows of four are 32-byte aligned.
struct MdAtoms {
    std::int64_t n = 0, n_total = 0;
    double* x = nullptr;                  // (n, 4) x, y, z as the caller counts them, species
    double* p = nullptr;                  // (n, 3)
    const double* f = nullptr;            // (n, 3)
    const double* mass = nullptr;         // (n); infinite: the atom does not move
    double* rows = nullptr;               // (n_total, 4) of the table: x + offset
    double* offset = nullptr;             // (n_total, 4) S @ cell, 0
    const std::int32_t* shift = nullptr;  // (n_total, 4) S and the owner's caller index
    const std::int32_t* owner = nullptr;  // (n_total)
    const std::int32_t* order = nullptr;  // (n) caller's index
    double* noise = nullptr;              // (n, 3) Langevin: random part of the velocity
    double* noise_x = nullptr;            // (n, 3) Langevin with FixCom: that of the position
};

// How forces change momenta.
enum class MdKick : int {
    none = 0,
    plain = 1,     // p + half f
    langevin = 2,  // v + (c1 f / m - c2 v + noise)
    affine = 3,    // p @ P + f @ F: barostats
};

// Langevin: ASE's constants of one friction; c3, c4, c5 still without the factor sqrt(1 / m).
struct MdFriction {
    double c1 = 0.0, c2 = 0.0, c3 = 0.0, c4 = 0.0, c5 = 0.0;
};

struct MdMotion {
    MdKick kick = MdKick::plain;
    double dt = 0.0, half = 0.0;
    MdFriction friction;  // Langevin
    const MdFriction* each =
        nullptr;  // (n) of every atom, in the caller's order; null: one for all
    std::uint64_t seed = 0, step = 0;
    // affine: p' = p @ P + f @ F, x' = x @ A + (p / m) @ B
    double P[9] = {}, F[9] = {}, A[9] = {}, B[9] = {};
};

// p: kick, then minus m shift, then times scale; sums of the result per block of rows.
struct MdMomentumTask {
    MdAtoms atoms;
    MdMotion motion;
    MdKick kick = MdKick::none;
    double shift[3] = {0, 0, 0}, scale = 1.0;
    double* sums = nullptr;  // (n_blocks, kMdSums); null: not wanted
};
MDKERN_KERNEL(md_momentum_compute, (const MdMomentumTask&, int))

// One step of the coordinates: the kick that the former step still owes, the scales of thermostats,
// the first kick of this step, the drift, the rows of the table and their displacements.
struct MdDriftTask {
    MdAtoms atoms;
    MdMotion motion;
    bool owed = false;   // the second kick of the former step comes first
    bool first = true;   // the first kick of this step
    bool split = false;  // Langevin: stop before the drift and sum up what would move the centre of
                         // mass: m (dt v + noise_x) in the last three of `sums`
    bool drift = true;
    double scale[2] = {1.0, 1.0};
    double shift[3] = {0, 0, 0};  // velocity taken off before the drift
    const double* built = nullptr;
    const double* strain = nullptr;  // (9) of the cell since the build; affine only
    double* largest = nullptr;       // (n_blocks, 2) squared displacements
    double* sums = nullptr;
};
MDKERN_KERNEL(md_drift_compute, (const MdDriftTask&, int))

// offset = S @ cell of all rows, where a cell is given; then rows = x of the owner + offset, from
// row `begin` on.
struct MdImageTask {
    MdAtoms atoms;
    const double* cell = nullptr;  // (9), zero rows for open directions
    std::int64_t begin = 0;
};
MDKERN_KERNEL(md_images_compute, (const MdImageTask&, int))

// Normal deviates of atoms: out (n, 6). What Langevin dynamics draws at a step, for tests.
struct MdNormalTask {
    std::int64_t n = 0;
    const std::int32_t* atom = nullptr;
    std::uint64_t seed = 0, step = 0;
    double* out = nullptr;
};
MDKERN_KERNEL(md_normals_compute, (const MdNormalTask&, int))

}  // namespace mdkern
