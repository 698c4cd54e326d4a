// The views that flow from atoms to results. Plain structs of numbers and raw pointers: they own
// nothing, so a kernel can be called with arrays from NumPy, from the neighbor table, or from a
// domain-decomposed code with its own ghost atoms.
#pragma once

#include <cstdint>

namespace mdkern {

// Atoms and their explicit periodic images (or, in a domain-decomposed code, local and ghost
// atoms). No kernel sees a cell.
struct System {
    std::int64_t n_real = 0;       // rows [0, n_real) are the atoms whose energy is computed here
    std::int64_t n_total = 0;      // rows [n_real, n_total) are images or ghosts
    const double* rows = nullptr;  // n_total rows (x, y, z, species) in Angstrom, 64-byte aligned
    // Row in which the sums of each row are collected, below n_homes: of an image its atom, so that
    // n_homes = n_real; of an atom of another process itself, as that process is sent the sum.
    const std::int32_t* home = nullptr;
    std::int64_t n_homes = 0;
    // Caller's index of real row i: results go to [order[i]]. Null: they are rows' own.
    const std::int32_t* order = nullptr;
    // Caller's index of real row i, whatever `order` is; null in a parallel code.
    const std::int32_t* caller = nullptr;
};

// Full neighbor list: the neighbors of row i are index[first[i] .. first[i] + count[i]), rows of a
// System, in any radius at least as large as the cutoff of the kernel that reads it.
struct Neighbors {
    std::int64_t n_pairs = 0;
    const std::int64_t* first = nullptr;
    const std::int32_t* count = nullptr;
    const std::int32_t* index = nullptr;
};

// Half list: one direction of each pair. What a pair adds to row j, atom or image, is added to sums
// of all rows. Tiles of rows say how threads share this: a tile begins after the tiles before it
// that reach the same rows. So every row collects its terms in an order that follows from the
// system alone, and threads do not meet.
struct HalfList {
    Neighbors list;
    std::int64_t n_tiles = 0;
    const std::int32_t* tile = nullptr;          // (n_tiles + 1) first range of each tile
    const std::int32_t* range = nullptr;         // (n_ranges, 2) rows [begin, end)
    const std::int32_t* before_first = nullptr;  // (n_tiles + 1) tile t waits for the tiles
    const std::int32_t* before = nullptr;        // before[before_first[t]] ..., which are lower
    std::int32_t* done = nullptr;                // (n_tiles) scratch
    // All rows over those of the longest chain of tiles that wait for each other: more threads than
    // that only wait.
    double width = 1.0;
    // The images of real row i are image[image_first[i]] ...: their sums belong to it. Null where
    // the rows behind the real ones are other processes' atoms: a pair with one of them is then in
    // the list of either process, and what it adds to the row behind the real ones is dropped.
    const std::int32_t* image_first = nullptr;  // (n_real + 1)
    const std::int32_t* image = nullptr;
};

// Derivatives of features of centres by the positions of atoms: (n_centres, n_moving, 3,
// n_features), zero at first. centre_at, moving_at: (n) place of each atom in the first two axes, or
// -1, caller's order.
struct FeatureJacobian {
    double* values = nullptr;
    const std::int32_t *centre_at = nullptr, *moving_at = nullptr;
    std::int64_t n_moving = 0, n_features = 0;
};

// What is asked of a potential, in memory of the caller; null: not wanted. Atoms stand in the order
// that the System's `order` gives. Voigt order xx, yy, zz, yz, xz, xy; virial = -dE/d(strain).
struct Outputs {
    double* energies = nullptr;  // (n_real)
    // Of these two, rows behind the real ones are zero before: pairs put nothing there.
    double* forces = nullptr;  // (n_homes, 3)
    // (n_homes, virial_width): virials of atoms, which sum to the total. Six: in Voigt order, of each
    // matrix the symmetric part, shared between atoms as each potential finds it cheapest. Nine, where
    // Traits::nine_virials says that there are: W_i of the heat flux, see kNine. What is written
    // besides has the same bits, whether virials are wanted or not, if they are nine.
    double* virials = nullptr;
    int virial_width = 6;
    // (n_blocks(n_real), 7): energy and virial of each block of rows. Null only where neither
    // energies nor virials are wanted, and for potentials that say so (Traits::forces_alone).
    double* block_totals = nullptr;
    double* charges = nullptr;  // (n_real), of a model with charges
    // Of a committee, both or none, with everything above that they are made of: by how much the forces
    // of its members deviate, (n_real); energy, virial and overflow of each, (n_members,
    // kMemberNumbers).
    double *deviation = nullptr, *members = nullptr;
    // One of the following at a time, instead of the energy and its derivatives:
    double* born = nullptr;      // (n_real, 9) half of sum_j (r_ij p_ij - r_ji p_ji) with
                                 // p_ij = dQ_i/dr_ij; `energies` are the charges Q
    double* features = nullptr;  // (n_real, n_features)
    const double* feature_weights = nullptr;  // (n_real, n_features): forces and virial of
                                              // sum_id weight_id feature_id
    FeatureJacobian jacobian;
    // (n_real) by row: multiplies the gradient of each centre's energy, but not the energy.
    const double* centre_weights = nullptr;

    bool nine() const { return virials && virial_width == 9; }
    int width_of_virials() const { return virials ? virial_width : 0; }
};

// Nine components of a virial of an atom,
//   W_i = sum_j (r_j - r_i) (x) dU_j/dr_i,
// with the energies U_j that `energies` gives: the change of sum_j U_j r_j beside that by convection is
// sum_i W_i v_i, exactly. Component c is that of the row (of r) kNine[c][0] and the column kNine[c][1]:
// xx, yy, zz, xy, xz, yz, yx, zx, zy, as GPUMD and LAMMPS (centroid/stress/atom) have them.
constexpr int kNine[9][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2},
                             {1, 2}, {1, 0}, {2, 0}, {2, 1}};
// Those of a symmetric matrix among its six in Voigt order.
constexpr int kNineOfSix[9] = {0, 1, 2, 5, 4, 3, 5, 4, 3};
// Six of an atom as the potential has found them, symmetric, to where the atom's are.
static inline void put_virial(const Outputs& out, std::int64_t atom, const double* six) {
    double* to = out.virials + out.virial_width * atom;
    if (out.virial_width == 6)
        for (int c = 0; c < 6; ++c) to[c] = six[c];
    else
        for (int c = 0; c < 9; ++c) to[c] = six[kNineOfSix[c]];
}

constexpr int kMemberNumbers = 8;
constexpr int kMaxSpecies = 128;  // of a potential
// Rows of which energies and virials are summed first. Fixed: the bits of the totals follow from it.
constexpr std::int64_t kPairBlock = 64;
static inline constexpr std::int64_t n_blocks(std::int64_t n_real) {
    return (n_real + kPairBlock - 1) / kPairBlock;
}

}  // namespace mdkern
