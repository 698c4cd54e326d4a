// Parameters and working memory of the descriptor se_e2_a.
#pragma once

#include "nn/quintic_table.hpp"
#include "potentials/deepmd/environment.hpp"

namespace mdkern {

// How T T_<^T lies in x, T_< the first `axis` rows of T: row m begins at begin(m). The first `axis`
// rows are symmetric: with `half` their lower triangle alone is kept, and the fitting net has the
// sums of the weights of equal numbers, 1480 instead of 1600 for 100 channels and axis 16.
struct OuterRows {
    int axis = 0;
    bool half = false;
    constexpr int begin(int m) const {
        if (!half) return m * axis;
        return m < axis ? m * (m + 1) / 2 : m * axis - axis * (axis - 1) / 2;
    }
    constexpr int columns(int m) const { return half && m < axis ? m + 1 : axis; }
};

// Smooth edition with angles, se_e2_a: T = 1/N sum over slots G(X_0) X, x = T T_<^T.
template <class T> struct SeA {
    DeepEnv env;
    int n_channels = 0;
    OuterRows outer;
    bool one_side = true;          // net of the neighbor's type, else of (centre, neighbor)
    const Net<T>* nets = nullptr;  // one side: (n_types), else net (t_i, t_j) at t_i + t_j n_types
    const QuinticTable<T>* tables = nullptr;  // as nets, or null
    const T* padding = nullptr;  // (n_types, n_types, padded(n_channels)) X_0 G of an empty slot
    int n_nets() const { return one_side ? env.n_types : env.n_types * env.n_types; }
    int net_of(int centre, int neighbor) const {
        return one_side ? neighbor : centre + neighbor * env.n_types;
    }
};

namespace {

template <class T> struct SeAScratch {
    DeepEnvScratch<T> env;
    T* t;        // (kDeepBlock, 4, padded(n_channels))
    T* gt;       // (4, padded(n_channels)) dE/dT
    T* outside;  // (room, 4) X of neighbors that the table does not cover
    // (kDeepBlock, room): neighbors of each run in the order of their steps, those outside behind;
    // steps, and places within them.
    std::int32_t *member, *step;
    T* u;
    std::int32_t* inside;  // (kDeepBlock, n_types) neighbors of a run that the table covers
    NetTape<T> tape;

    void take(Arena& arena, const SeA<T>& p, std::int64_t largest) {
        env.take(arena, p.env, largest, false);
        const std::size_t ld = std::size_t(padded(p.n_channels)), room = std::size_t(env.room);
        arena.take(t, 4 * ld * kDeepBlock);
        arena.take(gt, 4 * ld);
        arena.take(outside, 4 * room);
        const std::size_t placed = p.tables ? room * kDeepBlock : 0;
        arena.take(member, placed);
        arena.take(step, placed);
        arena.take(u, placed);
        arena.take(inside, std::size_t(kDeepBlock) * p.env.n_types);
        take_tape(arena, p.nets, p.n_nets(), kDeepChunk, true, tape);
    }
};

}  // namespace
}  // namespace mdkern
