// Parameters of the descriptors beside se_e2_a, as kernels read them.
#pragma once

#include "potentials/deepmd/deep.hpp"

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

// Three bodies, se_e3: with e_jk = X_j . X_k, components 1 to 3,
//   x = sum_{t <= t'} 1 / (sel_t sel_t') sum_{j in t, k in t'} e_jk G_tt'(e_jk)
template <class T> struct SeT {
    DeepEnv env;
    int n_channels = 0;
    const Net<T>* nets = nullptr;  // net (t, t') at t + t' n_types
};

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

}  // namespace mdkern
