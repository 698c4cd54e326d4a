// Potentials of few neighbors whose centres know the gradients of all of them: a vector of centres side
// by side, each lane with its own neighbors in slots.
//
// What there is of one centre, some four neighbors within reach, would leave most lanes empty; so slot k
// holds the k-th neighbor of every centre of the group, and pairs of neighbors are pairs of slots. Lanes
// whose centre has fewer neighbors hold one far beyond the reach, where all functions are zero.
//
// Gradients go to the entries of the block's rows (force_blocks.hpp), and so do shares of the energy, which
// are the fourth number of an entry: some of a triplet's energy belongs to the neighbors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/table.hpp"
#include "forces/force_blocks.hpp"

namespace mdkern {

constexpr std::size_t kWidestVector = 64;                // bytes
constexpr std::size_t kLaneCentres = 9 * kWidestVector;  // of a slot, see LaneCentres

// Which neighbors are kept: those of species b at a centre of species a with r^2 < reach2[a n_species + b].
struct Reach {
    int n_species = 1;
    const double* reach2 = nullptr;
    double largest = 0.0;  // of r
    // Whether what belongs to a pair, not to an atom and its neighbor, differs between (a, b) and (b, a). LAMMPS evaluates
    // a pair once, and the numbers of its atoms decide which of both it takes; so do we where there are such
    // numbers. In a parallel code each direction is half of the pair.
    bool by_index = false;
};

// Scratch of a thread for `largest` neighbors, in slots of so many bytes, and for what else there is.
inline std::size_t lane_scratch_bytes(std::int64_t largest, std::size_t slot_bytes,
                                      std::size_t more = 0) {
    const std::size_t slots = std::size_t(largest > 0 ? largest : 1);
    const std::size_t bytes = slots * slot_bytes + more + (slots + 16) * sizeof(std::int32_t);
    return (bytes + 4095) / 4096 * 4096 + 4096;
}

// Where a kernel puts the energies of the homes, (n_homes), which may be those of other processes: memory of
// the caller, or of `rows` where not all atoms are here. Null where none are wanted.
double* energies_of_homes(const Table& table, const System& s, double* energies,
                          Buffer<double>& rows);
// After the kernel: adds up what other processes have of our atoms (one call of Table::reverse).
void finish_energies(const Table& table, const System& s, double* of_homes, int team,
                     double* energies);

}  // namespace mdkern
