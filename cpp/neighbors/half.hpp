// The half list of a table: one direction of every pair, for potentials that add a pair to both of
// its rows.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

// Rows of a half list have room for a multiple of so many neighbors: whole vectors may be written.
constexpr std::int64_t kRowPadding = 8;

// Of the two directions of a pair the list keeps the one with i < j in the caller's order; between
// images of one atom, the one whose first non-zero S is positive.
struct HalfTask {
    System system;
    Neighbors list;
    const std::int32_t* shift = nullptr;  // rows of four, see Exact
    std::int64_t block = 0;               // rows whose neighbors stand one behind the other
    std::int64_t* first = nullptr;
    std::int32_t* count = nullptr;
    std::int32_t* index = nullptr;  // a row begins at most kRowPadding (i + 1) behind its place in
                                    // the list
};
MDKERN_KERNEL(neighbor_half_compute, (const HalfTask&, int))

}  // namespace mdkern
