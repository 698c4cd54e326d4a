// Scratch of the environment of a block of centres, and of the embedding nets behind it.
#pragma once

#include "potentials/deepmd/deep.hpp"

namespace mdkern {
namespace {

// A run of neighbors of one type: [begin, end) of the centre's arrays, and its slots without one.
struct DeepRun {
    int type, begin, end, empty;
};

// Arrays (kDeepBlock, room), of one centre after the other.
template <class T> struct DeepEnvScratch {
    std::int64_t room = 0;
    double *dx, *dy, *dz;  // r_j - r_i
    double *q, *ds, *dq;   // q, s'/r, q'/r
    double* w;             // switch and w'/r; only where wanted (dpa1)
    double* dw;
    std::int32_t* index;  // rows of the System; the row itself beyond the last neighbor
    T* x;                 // (.., 4) X
    DeepRun* runs;        // (kDeepBlock, n_types): one for each type
    // Of one centre at a time.
    double *r2, *species, *gx;  // gx: (room, 4) dE/dX
    std::int32_t *order, *stays;

    void carve(Arena& arena, const DeepEnv& env, std::int64_t largest, bool wants_switch) {
        room = padded_room(largest);
        const std::size_t n = std::size_t(room) * kDeepBlock;
        double** const arrays[] = {&dx, &dy, &dz, &q, &ds, &dq};
        for (double** a : arrays) arena.take(*a, n);
        arena.take(w, wants_switch ? n : 0);
        arena.take(dw, wants_switch ? n : 0);
        if (!wants_switch) w = dw = nullptr;
        arena.take(index, n);
        arena.take(x, 4 * n);
        arena.take(runs, std::size_t(kDeepBlock) * env.n_types);
        arena.take(r2, std::size_t(room));
        arena.take(species, std::size_t(room));
        arena.take(gx, 4 * std::size_t(room));
        arena.take(order, std::size_t(room));
        arena.take(stays, std::size_t(room));
    }
};

constexpr int kDeepChunk = 64;  // neighbors that go through an embedding net together

}  // namespace
}  // namespace mdkern
