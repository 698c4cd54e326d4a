// The environment of a centre in Deep Potential models: parameters and working memory.
#pragma once

#include "core/arena.hpp"
#include "core/types.hpp"
#include "nn/dense.hpp"

namespace mdkern {

constexpr int kDeepBlock = 128;  // centres that are worked on together
constexpr int kDeepChunk = 64;   // neighbors that go through an embedding net together

// Neighbors of a centre and their rows of the environment matrix, with u = (r - r_cut_smth) / (r_cut
// - r_cut_smth), w = 1 - 10 u^3 + 15 u^4 - 6 u^5, s = w / (r + protection), q = s / (r +
// protection):
//   X = ((s - mean) / std_0, q dx / std_1, q dy / std_2, q dz / std_3)
// Each type has sel slots. An empty one has X = (-mean / std_0, 0, 0, 0), a neighbor of an excluded
// pair X = 0. Neighbors of a removed pair leave an empty slot.
struct DeepEnv {
    int n_types = 1, n_slots = 0;
    int n_listed = 0;  // the nearest of all types, from which slots are filled
    double r_cut = 0.0, r_cut_smth = 0.0, protection = 0.0;
    bool by_type = true;                     // false: the slots are shared by all types
    const std::int32_t* sel = nullptr;       // (n_types)
    const double* mean = nullptr;            // (n_types) of the centre
    const double* inverse_std = nullptr;     // (n_types, 4)
    const std::uint8_t* excluded = nullptr;  // (n_types, n_types)
    const std::uint8_t* removed = nullptr;   // (n_types, n_types)
};

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

    void take(Arena& arena, const DeepEnv& env, std::int64_t largest, bool wants_switch) {
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

}  // namespace
}  // namespace mdkern
