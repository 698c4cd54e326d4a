// Parameters and working memory of the descriptor se_e3.
#pragma once

#include "potentials/deepmd/environment.hpp"

namespace mdkern {

// Three bodies, se_e3: with e_jk = X_j . X_k, components 1 to 3,
//   x = sum_{t <= t'} 1 / (sel_t sel_t') sum_{j in t, k in t'} e_jk G_tt'(e_jk)
template <class T> struct SeT {
    DeepEnv env;
    int n_channels = 0;
    const Net<T>* nets = nullptr;  // net (t, t') at t + t' n_types
};

namespace {

// Pairs of neighbors that go through the net together.
template <class T> struct SeTScratch {
    DeepEnvScratch<T> env;
    T* e;                 // (kDeepChunk) their products
    std::int32_t *j, *k;  // (kDeepChunk)
    NetTape<T> tape;

    void take(Arena& arena, const SeT<T>& p, std::int64_t largest) {
        env.take(arena, p.env, largest, false);
        arena.take(e, kDeepChunk);
        arena.take(j, kDeepChunk);
        arena.take(k, kDeepChunk);
        take_tape(arena, p.nets, p.env.n_types * p.env.n_types, kDeepChunk, true, tape);
    }
};

}  // namespace
}  // namespace mdkern
