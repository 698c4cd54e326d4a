// Scratch of the descriptors beside se_e2_a.
#pragma once

#include "potentials/deepmd/env_scratch.hpp"
#include "potentials/deepmd/kinds.hpp"

namespace mdkern {
namespace {

template <class T> struct SeRScratch {
    DeepEnvScratch<T> env;
    NetTape<T> tape;

    void carve(Arena& arena, const SeR<T>& p, std::int64_t largest) {
        env.carve(arena, p.env, largest, false);
        take_tape(arena, p.nets, p.env.n_types, kDeepChunk, true, tape);
    }
};

// Pairs of neighbors that go through the net together.
template <class T> struct SeTScratch {
    DeepEnvScratch<T> env;
    T* e;                 // (kDeepChunk) their products
    std::int32_t *j, *k;  // (kDeepChunk)
    NetTape<T> tape;

    void carve(Arena& arena, const SeT<T>& p, std::int64_t largest) {
        env.carve(arena, p.env, largest, false);
        arena.take(e, kDeepChunk);
        arena.take(j, kDeepChunk);
        arena.take(k, kDeepChunk);
        take_tape(arena, p.nets, p.env.n_types * p.env.n_types, kDeepChunk, true, tape);
    }
};

// What a layer of attention leaves for its gradient.
template <class T> struct AttentionTape {
    T* projected[3];       // (room, padded(hidden)) q, k, v
    T* inverse_length[3];  // (room)
    T *logits, *weights;   // (room, room) scale q k and softmax
    T* normal;             // (room, padded(n_channels)) (Z - mean) / deviation
    T* inverse_deviation;  // (room)
};
constexpr int kMaxAttention = 8;

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

    void carve(Arena& arena, const Dpa1<T>& p, std::int64_t largest) {
        env.carve(arena, p.env, largest, true);
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
        for (int l = 0; l < p.n_layers; ++l) {
            for (int q = 0; q < 3; ++q) {
                arena.take(layer[l].projected[q], room * hidden);
                arena.take(layer[l].inverse_length[q], room);
            }
            arena.take(layer[l].logits, room * room);
            arena.take(layer[l].weights, room * room);
            arena.take(layer[l].normal, room * ld);
            arena.take(layer[l].inverse_deviation, room);
        }
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
