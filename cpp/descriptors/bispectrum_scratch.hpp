// Working memory of one thread of the bispectrum kernels. Vectors of lanes lie side by side.
#pragma once

#include "core/arena.hpp"
#include "descriptors/bispectrum.hpp"

namespace mdkern {
namespace {

constexpr int kBispectrumTogether = 2;  // neighbors in one walk

struct BispectrumWork {
    // Neighbors within the cutoff of each centre as they are listed, (width, near_room).
    double *tx, *ty, *tz;
    std::int32_t *from, *kind;
    std::int64_t near_room;
    // Those of all lanes by block, (room, width): vector, then its direction; table row; place in the
    // list, -1: none.
    double *x, *y, *z;
    std::int32_t *pair, *source;
    // Of each: cosine and sine of theta0, weight with its derivative by r, 1 / r, d theta0/dr.
    double *cosine, *sine, *weight, *dweight, *inverse_r, *turn;
    double* layer[2];
    double *half, *full, *y_half;  // (n_blocks, n_half or n_full, 2, width)
    double* turned;                // (n_blocks, n_half, 8, width)
    double *b, *slope;             // (n_components, width)
    double* orbits;                // (n_orbits, width)
    double* rows;                  // (n_slopes, width)
    double* weights;               // (n_features, width)
    double* one;                   // (n_features)
    double* gradients;             // (3, room, width)

    std::size_t take(char* memory, const BispectrumParams& p, std::int64_t longest, int width) {
        Arena arena;
        arena.memory = memory;
        const auto w = std::size_t(width);
        near_room = padded_room(longest);
        const auto one_row = std::size_t(near_room) * w;
        // The lanes' most of each block, which may be in different lanes.
        const auto room = std::size_t((longest + kBispectrumTogether) * p.n_blocks) * w;
        for (double** v : {&tx, &ty, &tz}) arena.take(*v, one_row);
        for (std::int32_t** v : {&from, &kind}) arena.take(*v, one_row);
        for (double** v : {&x, &y, &z, &cosine, &sine, &weight, &dweight, &inverse_r, &turn})
            arena.take(*v, room);
        for (std::int32_t** v : {&pair, &source}) arena.take(*v, room + kPadLanes);
        const auto layers = std::size_t(p.twojmax / 2 + 2) * std::size_t(p.twojmax + 1);
        for (double*& v : layer) arena.take(v, 2 * kBispectrumTogether * layers * w);
        const auto blocks = std::size_t(p.n_blocks) * w;
        arena.take(half, 2 * blocks * std::size_t(p.n_half));
        arena.take(full, 2 * blocks * std::size_t(p.n_full));
        arena.take(y_half, 2 * blocks * std::size_t(p.n_half));
        arena.take(turned, 8 * blocks * std::size_t(p.n_half));
        arena.take(b, std::size_t(p.n_components) * w);
        arena.take(slope, std::size_t(p.n_components) * w);
        arena.take(orbits, std::size_t(p.n_orbits) * w);
        arena.take(rows, std::size_t(p.n_slopes()) * w);
        arena.take(weights, std::size_t(p.n_features) * w);
        arena.take(one, std::size_t(p.n_features));
        arena.take(gradients, 3 * room);
        return arena.used;
    }
};

}  // namespace
}  // namespace mdkern
