// What every descriptor shares: centers, gradients per pair, and their sums over atoms.
#pragma once

#include <cstdint>

#include "core/types.hpp"

namespace mdkern {

// Whose environments are described. A center is a row of the System: an atom, or a point, which
// is a row with a species below zero that no descriptor sees as a neighbor.
struct Centers {
    std::int64_t n = 0;
    const std::int32_t* row = nullptr;     // (n)
    const std::int64_t* output = nullptr;  // (n) where the caller wants the result of this center
    std::int32_t longest = 0;              // neighbors of the center that has most
};

// Gradients of a sum over centers of functions of their neighbors' vectors r_j - r_i.
struct PairGradients {
    double* pairs = nullptr;   // (entries of the list, 3), at the place of the pair in the list
    double* sums = nullptr;    // (n_centers, 3) sum over the neighbors
    double* virial = nullptr;  // (n_centers, 9) - sum r (x) g
};

// gradient (n_homes, 3): what the pairs of all centers give to each row, images to their
// homes, minus the sums of its own center. Every atom adds its terms in the order of the centers and
// their lists: the same bits for every number of threads.
void descriptor_gather(const System& s, const Neighbors& list, const Centers& centers,
                       const PairGradients& in, int n_threads, double* gradient);

// Where the blocks (3, n_features) of a Jacobian are, and which pair adds to which.
struct JacobianBlocks {
    const std::int64_t* pair = nullptr;  // (entries of the list): block of the neighbor; -1: none
    const std::int64_t* own = nullptr;   // (n_centers) block of the center's own atom; -1: none
    // (n_centers) first block of each center and their number, in new memory; null: all are zero
    const std::int64_t *first = nullptr, *count = nullptr;
    bool attach = true;  // centers move with their atoms
};

}  // namespace mdkern
