// Neighbors of one center in the working memory of descriptor kernels.
#pragma once

#include <initializer_list>

#include "core/arena.hpp"

namespace mdkern {
namespace {

// Vectors r_j - r_i by group, and where they come from.
struct Near {
    int n = 0;
    double *x, *y, *z;
    std::int32_t* source;  // place in the center's list; -1: the atom on the center
    std::int32_t* species;
    std::int32_t* start;   // (n_groups + 1)
    double *tx, *ty, *tz;  // as they are listed
    std::int32_t *from, *kind;

    void take(Arena& arena, std::int64_t longest, int n_groups) {
        const auto room = std::size_t(padded_room(longest));
        for (double** v : {&x, &y, &z, &tx, &ty, &tz}) arena.take(*v, room);
        for (std::int32_t** v : {&source, &species, &from, &kind}) arena.take(*v, room);
        arena.take(start, std::size_t(n_groups) + 1);
    }
};

}  // namespace
}  // namespace mdkern
