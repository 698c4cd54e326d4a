// Parameters and working memory of a layer of attention.
#pragma once

#include "core/arena.hpp"
#include "nn/dense.hpp"

namespace mdkern {

// One layer of gated attention over the neighbors of a centre, rows of G:
//   (q, k, v) = G W + b, each row divided by its length where `normalize`
//   L_jk = scale q_j . k_k, smooth: (L_jk + 20) w_j w_k - 20
//   P = softmax_k(L); smooth: empty slots are in its sum with e^-20, and P_jk is multiplied by w_j w_k
//   dotr: P_jk is multiplied by the cosine of the angle between the neighbors
//   G' = gain (Z - mean(Z)) / sqrt(var(Z) + epsilon) + shift,  Z = G + (P v) W_out + b_out
template <class T> struct AttentionLayer {
    const Layer<T>* project[3];  // G to q, k and v
    const Layer<T>* out = nullptr;
    const T* gain = nullptr;  // (padded(n_channels))
    const T* shift = nullptr;
    double scale = 1.0, epsilon = 1e-5;
};

constexpr int kMaxAttention = 8;  // layers

namespace {

// What a layer of attention leaves for its gradient.
template <class T> struct AttentionTape {
    T* projected[3];       // (room, padded(hidden)) q, k, v
    T* inverse_length[3];  // (room)
    T *logits, *weights;   // (room, room) scale q k and softmax
    T* normal;             // (room, padded(n_channels)) (Z - mean) / deviation
    T* inverse_deviation;  // (room)

    void take(Arena& arena, std::size_t room, std::size_t hidden, std::size_t width) {
        for (int q = 0; q < 3; ++q) {
            arena.take(projected[q], room * hidden);
            arena.take(inverse_length[q], room);
        }
        arena.take(logits, room * room);
        arena.take(weights, room * room);
        arena.take(normal, room * width);
        arena.take(inverse_deviation, room);
    }
};

}  // namespace
}  // namespace mdkern
