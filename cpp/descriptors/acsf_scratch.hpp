// Working memory of one thread of the ACSF kernels.
#pragma once

#include "descriptors/acsf.hpp"
#include "descriptors/scratch.hpp"

namespace mdkern {
namespace {

struct AcsfSegment {
    std::int32_t j, k;  // neighbors j, and k, k + 1, ...
    std::int32_t at;    // place in the tile
    unsigned live;      // lanes
};

struct AcsfWork : Near {
    double *r, *inverse_r, *f, *df;  // distance, its inverse, cutoff function and slope
    double *gx, *gy, *gz;            // gradients of neighbors; of a Jacobian (n_features, room)
    std::int64_t room;
    // Triplets: cosine, r_j^2 + r_k^2, third side squared, product of cutoff functions; then what
    // gradients need: twice the slope by the sum of squares, e of the angle and distances, slope by
    // the cosine, by the third side.
    double *cosine, *squares, *side, *cut;
    double *p2, *e, *pc, *q;
    double *slope_cut, *inverse_side, *full;  // of the third side
    double *a, *b, *db, *base;                // functions (n_eta, tile), (n_angle, tile), slopes,
                                              // (n_lambda, tile)
    double* sums;                             // (n_features, 8) sums per lane
    double* row;                              // (n_features)
    AcsfSegment segments[kAcsfTile];
    int n_segments, n_tile;

    void take(Arena& arena, const AcsfParams& p, std::int64_t longest, bool jacobian) {
        Near::take(arena, longest, p.n_species);
        room = padded_room(longest);
        for (double** v : {&r, &inverse_r, &f, &df}) arena.take(*v, std::size_t(room));
        const auto gradients = std::size_t(jacobian ? p.n_features * room : room);
        for (double** v : {&gx, &gy, &gz}) arena.take(*v, gradients);
        for (double** v :
             {&cosine, &squares, &side, &cut, &p2, &e, &pc, &q, &slope_cut, &inverse_side, &full})
            arena.take(*v, kAcsfTile + kPadLanes);
        const auto angles = std::size_t(p.closed.n_angle + p.open.n_angle) * kAcsfTile;
        arena.take(a, std::size_t(p.closed.n_eta + p.open.n_eta) * kAcsfTile);
        for (double** v : {&b, &db, &base}) arena.take(*v, angles);
        arena.take(sums, 8 * std::size_t(p.closed.n + p.open.n + 1));
        arena.take(row, std::size_t(p.n_features));
    }
};

}  // namespace
}  // namespace mdkern
