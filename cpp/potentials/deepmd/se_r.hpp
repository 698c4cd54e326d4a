// Parameters and working memory of the descriptor se_e2_r.
#pragma once

#include "nn/quintic_table.hpp"
#include "potentials/deepmd/environment.hpp"

namespace mdkern {

// Radial edition, se_e2_r: x = 1 / (5 N) sum over slots G(X_0). Here an excluded neighbor is a slot
// with X_0 = 0.
template <class T> struct SeR {
    DeepEnv env;
    int n_channels = 0;
    const Net<T>* nets = nullptr;  // (n_types) of the neighbor
    const T* padding = nullptr;    // (n_types, n_types, padded(n_channels)) G of an empty slot
    const T* at_zero = nullptr;    // (n_types, padded(n_channels)) G(0)
    const QuinticTable<T>* tables = nullptr;  // as nets, or null
    const QuinticTable<T>* table(int type) const { return tables ? tables + type : nullptr; }
};

namespace {

template <class T> struct SeRScratch {
    DeepEnvScratch<T> env;
    NetTape<T> tape;

    void take(Arena& arena, const SeR<T>& p, std::int64_t largest) {
        env.take(arena, p.env, largest, false);
        take_tape(arena, p.nets, p.env.n_types, kDeepChunk, true, tape);
    }
};

}  // namespace
}  // namespace mdkern
