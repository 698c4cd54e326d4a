// The two loops of LBFGS over the moves that it remembers, of coordinates that one thread has in its
// cache. The order of sums is the same on every instruction set.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"

namespace mdkern {

struct DirectionTask {
    std::int64_t size = 0;                      // numbers of a row of pairs
    std::int64_t room = 0, next = 0, kept = 0;  // of the ring, its next place, and places in use
    const double* pairs = nullptr;  // (room, 2, size): moves, and how the gradient changed
    const double* rho = nullptr;    // (room) 1 / (move . change)
    double* a = nullptr;            // (room) scratch
    double scale = 0.0;             // of the inverse matrix at first
    double* p = nullptr;            // (size) the gradient, then the product with the inverse matrix
};
MDKERN_KERNEL(direction_compute, (const DirectionTask&, int))

}  // namespace mdkern
