// Parameters and working memory of the descriptor dpa1 (se_atten).
#pragma once

#include "potentials/deepmd/attention.hpp"
#include "potentials/deepmd/se_a.hpp"

namespace mdkern {

// dpa1, se_atten: T and x as those of se_e2_a, with slots that all types share, and
//   G_j = net(X_0, constants of the types of i and j)  times  1 + factor_ij [times w_j]
// and attention layers over that.
template <class T> struct Dpa1 {
    DeepEnv env;
    int n_channels = 0, n_constants = 0, n_tail = 0, n_layers = 0, hidden = 0;
    OuterRows outer;
    Net<T> net;
    // Of the net as a function of X_0: one, or with constants (n_types, n_types) [j][i]; or null.
    const QuinticTable<T>* tables = nullptr;
    const T* constants = nullptr;  // (n_types, n_types, n_constants) [i][j]
    const T* factor = nullptr;     // (n_types, n_types, padded(n_channels)) [i][j], or null
    const T* padding = nullptr;    // (n_types, padded(n_channels)) X_0 G of an empty slot
    const T* tail = nullptr;       // (n_types, n_tail) last columns of x, by the centre's type
    const AttentionLayer<T>* layers = nullptr;
    bool smooth = false, normalize = false, dotr = false;
    const QuinticTable<T>* table(int centre, int neighbor) const {
        if (!tables || n_constants == 0) return tables;
        return tables + centre + neighbor * env.n_types;
    }
};

namespace {

template <class T> struct Dpa1Scratch {
    DeepEnvScratch<T> env;
    T* t;                     // (kDeepBlock, 4, ld), ld = padded(n_channels)
    T* gt;                    // (4, ld)
    T* input;                 // (kDeepChunk, padded(n_in))
    T* direction;             // (padded(n_in)) 1, 0, 0, ...
    std::int32_t* member;     // (room) neighbors with a row of G
    T *slope, *bend;          // (room, ld) dG/dX_0, dG/dw
    T* g[kMaxAttention + 1];  // (room, ld) before, between and behind the layers
    T* gg;                    // (room, ld) dE/dG
    NetTape<T> tape;
    T *w, *gw;        // (room) switch and dE/dw
    T *unit, *gunit;  // (3, room) directions of neighbors, dE/d of them
    double* bent;     // (room) (dE/dw) w'/r
    // Attention.
    AttentionTape<T> layer[kMaxAttention];
    T *square, *other;          // (room, room)
    T *z, *h, *packed, *zeros;  // (room, the wider), (room, padded(hidden)), panels, a row

    void take(Arena& arena, const Dpa1<T>& p, std::int64_t largest) {
        env.take(arena, p.env, largest, true);
        const std::size_t ld = std::size_t(padded(p.n_channels)), room = std::size_t(env.room),
                          hidden = std::size_t(padded(p.hidden)),
                          n_in = std::size_t(padded(1 + p.n_constants));
        arena.take(t, 4 * ld * kDeepBlock);
        arena.take(gt, 4 * ld);
        arena.take(input, kDeepChunk * n_in);
        arena.take(direction, n_in);
        arena.take(member, room);
        arena.take(slope, room * ld);
        arena.take(bend, room * ld);
        for (int l = 0; l <= p.n_layers; ++l) arena.take(g[l], room * ld);
        arena.take(gg, room * ld);
        take_tape(arena, &p.net, 1, kDeepChunk, true, tape);
        T** const vectors[] = {&w, &gw};
        for (T** v : vectors) arena.take(*v, room);
        arena.take(unit, 3 * room);
        arena.take(gunit, 3 * room);
        arena.take(bent, room);
        if (p.n_layers == 0) return;
        for (int l = 0; l < p.n_layers; ++l) layer[l].take(arena, room, hidden, ld);
        arena.take(square, room * room);
        arena.take(other, room * room);
        arena.take(z, room * (ld > hidden ? ld : hidden));
        arena.take(h, room * hidden);
        const std::size_t wide = room > hidden ? room : hidden;
        arena.take(packed, wide * (wide + std::size_t(kPanel<T>)));
        arena.take(zeros, wide + std::size_t(kPanel<T>));
    }
};

}  // namespace
}  // namespace mdkern
