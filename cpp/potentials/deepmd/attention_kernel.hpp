// Gated attention over the neighbors of a centre and its gradient; formulas in attention.hpp. Include
// from kernels only.
//
// Everything between the projections is a product of matrices, whose right factor is packed on the
// spot. Forward n neighbors cost about 2 n^2 H with H hidden channels, back twice as much.
//
// Gradient, from gZ through P v: gP = gO v^T, gv = P^T gO; through the softmax gL = P (gP - sum_k P
// gP), with what P is multiplied by in the first factor; through the logits gq = scale gL k, gk =
// scale gL^T q; through y = x / |x|: gx = (gy - y (y . gy)) / |x|.
#pragma once

#include "nn/dense_net.hpp"
#include "potentials/deepmd/dpa1.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

constexpr double kAttentionShift = 20.0;

// Rows divided by their lengths.
template <class T> void normalize_rows(int n, int width, Matrix<T> x, T* inverse_length) {
    using V = simd::Vec<T>;
    for (int i = 0; i < n; ++i) {
        T* row = x.row(i);
        V sum = T(0);
        for (int m = 0; m < width; m += V::width) {
            const V v = simd::load(row + m, simd::first_n<T>(width - m));
            sum = simd::fma(v, v, sum);
        }
        const V length = simd::max(simd::sqrt(V(simd::sum(sum))), V(T(1e-12)));
        const V inverse = V(T(1)) / length;
        T lanes[V::width];
        simd::store(lanes, inverse);
        inverse_length[i] = lanes[0];
        for (int m = 0; m < width; m += V::width)
            simd::store(row + m, simd::load(row + m) * inverse);
    }
}
// g = (g - y (y . g)) inverse_length, row by row.
template <class T>
void normalize_rows_gradient(int n, int width, Matrix<const T> y, const T* inverse, Matrix<T> g) {
    using V = simd::Vec<T>;
    for (int i = 0; i < n; ++i) {
        T* row = g.row(i);
        const T* unit = y.row(i);
        V sum = T(0);
        for (int m = 0; m < width; m += V::width) {
            const auto live = simd::first_n<T>(width - m);
            sum = simd::fma(simd::load(row + m, live), simd::load(unit + m, live), sum);
        }
        const V along = simd::sum(sum), factor = inverse[i];
        for (int m = 0; m < width; m += V::width)
            simd::store(row + m,
                        factor * simd::fnma(along, simd::load(unit + m), simd::load(row + m)));
    }
}

// What P_jk is multiplied by, for a vector of k.
template <class T> struct Gate {
    using V = simd::Vec<T>;
    const Dpa1Scratch<T>& s;
    const bool smooth, dotr;
    const int room;
    V switches(int j, int k) const { return smooth ? V(s.w[j]) * simd::load(s.w + k) : V(T(1)); }
    V cosine(int j, int k) const {
        if (!dotr) return T(1);
        V c = T(0);
        for (int x = 0; x < 3; ++x)
            c = simd::fma(V(s.unit[x * room + j]), simd::load(s.unit + x * room + k), c);
        return c;
    }
};

// tape.weights = softmax of the logits of n neighbors; `empty` slots have no neighbor.
template <class T>
void softmax(const Gate<T>& gate, int n, int empty, int room, const AttentionTape<T>& tape) {
    using V = simd::Vec<T>;
    const V shift = T(kAttentionShift), low = T(-1e30);
    for (int j = 0; j < n; ++j) {
        const T* logits = tape.logits + j * std::int64_t(room);
        T* p = tape.weights + j * std::int64_t(room);
        V most = gate.smooth && empty > 0 ? -shift : low;
        for (int k = 0; k < n; k += V::width) {
            V l = simd::load(logits + k);
            if (gate.smooth) l = simd::fma(l + shift, gate.switches(j, k), -shift);
            l = simd::select(simd::first_n<T>(n - k), l, low);
            simd::store(p + k, l);
            most = simd::max(most, l);
        }
        T lanes[V::width], top;
        simd::store(lanes, most);
        top = lanes[0];
        for (int v = 1; v < V::width; ++v) top = lanes[v] > top ? lanes[v] : top;
        V sum = T(0);
        for (int k = 0; k < n; k += V::width) {
            const V e = simd::keep(simd::first_n<T>(n - k), math::exp(simd::load(p + k) - V(top)));
            simd::store(p + k, e);
            sum = sum + e;
        }
        V total = simd::sum(sum);
        if (gate.smooth) total = simd::fma(V(T(empty)), math::exp(-shift - V(top)), total);
        const V inverse = V(T(1)) / total;
        for (int k = 0; k < n; k += V::width) simd::store(p + k, simd::load(p + k) * inverse);
    }
}

// Layer l over n rows: s.g[l] to s.g[l + 1].
template <class T>
void attention_values(const Dpa1<T>& p, const Dpa1Scratch<T>& s, int l, int n, int empty) {
    using V = simd::Vec<T>;
    const AttentionLayer<T>& layer = p.layers[l];
    const AttentionTape<T>& tape = s.layer[l];
    const int width = p.n_channels, ld = padded(width), hidden = p.hidden, ldh = padded(hidden),
              room = int(s.env.room);
    const Matrix<const T> g{s.g[l], ld};
    const auto as_const = [](T* data, std::int64_t ld_) { return Matrix<const T>{data, ld_}; };
    for (int q = 0; q < 3; ++q) {
        const Matrix<T> to{tape.projected[q], ldh};
        gemm<T>(n, hidden, width, g, layer.project[q]->w, Matrix<const T>{layer.project[q]->b, 0},
                to, NoFinish());
        if (p.normalize) normalize_rows(n, hidden, to, tape.inverse_length[q]);
    }
    multiply<T>(n, n, hidden, as_const(tape.projected[0], ldh), as_const(tape.projected[1], ldh),
                true, s.packed, s.zeros, Matrix<T>{tape.logits, room});
    const V scale = T(layer.scale);
    for (int j = 0; j < n; ++j)
        for (int k = 0; k < n; k += V::width) {
            T* at = tape.logits + j * std::int64_t(room) + k;
            simd::store(at, scale * simd::load(at));
        }
    const Gate<T> gate{s, p.smooth, p.dotr, room};
    softmax(gate, n, empty, room, tape);
    for (int j = 0; j < n; ++j)
        for (int k = 0; k < n; k += V::width)
            simd::store(s.square + j * std::int64_t(room) + k,
                        simd::load(tape.weights + j * std::int64_t(room) + k) *
                            gate.switches(j, k) * gate.cosine(j, k));
    multiply<T>(n, hidden, n, as_const(s.square, room), as_const(tape.projected[2], ldh), false,
                s.packed, s.zeros, Matrix<T>{s.h, ldh});
    gemm<T>(n, width, hidden, as_const(s.h, ldh), layer.out->w, Matrix<const T>{layer.out->b, 0},
            Matrix<T>{s.z, ld}, NoFinish());
    for (int j = 0; j < n; ++j) {
        const std::int64_t at = j * std::int64_t(ld);
        V sum = T(0), squares = T(0);
        for (int m = 0; m < width; m += V::width) {
            const V z = simd::keep(simd::first_n<T>(width - m),
                                   simd::load(s.z + at + m) + simd::load(g.data + at + m));
            simd::store(s.z + at + m, z);
            sum = sum + z;
        }
        const V mean = V(simd::sum(sum)) / V(T(width));
        for (int m = 0; m < width; m += V::width) {
            const V d = simd::keep(simd::first_n<T>(width - m), simd::load(s.z + at + m) - mean);
            squares = simd::fma(d, d, squares);
        }
        const V inverse =
            V(T(1)) / simd::sqrt(V(simd::sum(squares)) / V(T(width)) + V(T(layer.epsilon)));
        T lanes[V::width];
        simd::store(lanes, inverse);
        tape.inverse_deviation[j] = lanes[0];
        for (int m = 0; m < width; m += V::width) {
            const V x = simd::keep(simd::first_n<T>(width - m),
                                   (simd::load(s.z + at + m) - mean) * inverse);
            simd::store(tape.normal + at + m, x);
            simd::store(s.g[l + 1] + at + m,
                        simd::fma(simd::load(layer.gain + m), x, simd::load(layer.shift + m)));
        }
    }
}

// s.gg: dE/dg[l + 1] to dE/dg[l]; adds to s.gw and s.gunit.
template <class T>
void attention_gradient(const Dpa1<T>& p, const Dpa1Scratch<T>& s, int l, int n) {
    using V = simd::Vec<T>;
    const AttentionLayer<T>& layer = p.layers[l];
    const AttentionTape<T>& tape = s.layer[l];
    const int width = p.n_channels, ld = padded(width), hidden = p.hidden, ldh = padded(hidden),
              room = int(s.env.room);
    const auto as_const = [](T* data, std::int64_t ld_) { return Matrix<const T>{data, ld_}; };
    for (int j = 0; j < n; ++j) {
        const T* x = tape.normal + j * std::int64_t(ld);
        T* g = s.gg + j * std::int64_t(ld);
        V sum = T(0), along = T(0);
        for (int m = 0; m < width; m += V::width) {
            const V d = simd::keep(simd::first_n<T>(width - m),
                                   simd::load(g + m) * simd::load(layer.gain + m));
            simd::store(g + m, d);
            sum = sum + d;
            along = simd::fma(d, simd::load(x + m), along);
        }
        const V mean = V(simd::sum(sum)) / V(T(width)), slope = V(simd::sum(along)) / V(T(width)),
                inverse = tape.inverse_deviation[j];
        for (int m = 0; m < width; m += V::width)
            simd::store(g + m, simd::keep(simd::first_n<T>(width - m),
                                          inverse * simd::fnma(simd::load(x + m), slope,
                                                               simd::load(g + m) - mean)));
    }
    // s.gg is dE/dZ, and its part that goes around the layer.
    gemm<T>(n, hidden, width, as_const(s.gg, ld), layer.out->w_transposed,
            Matrix<const T>{s.zeros, 0}, Matrix<T>{s.h, ldh}, NoFinish());
    multiply<T>(n, n, hidden, as_const(s.h, ldh), as_const(tape.projected[2], ldh), true, s.packed,
                s.zeros, Matrix<T>{s.square, room});
    const Gate<T> gate{s, p.smooth, p.dotr, room};
    for (int j = 0; j < n; ++j)  // transposed: gv = other gO
        for (int k = 0; k < n; k += V::width) {
            T lanes[V::width];
            simd::store(lanes, simd::load(tape.weights + j * std::int64_t(room) + k) *
                                   gate.switches(j, k) * gate.cosine(j, k));
            for (int v = 0; v < V::width && k + v < n; ++v)
                s.other[(k + v) * std::int64_t(room) + j] = lanes[v];
        }
    const auto back = [&](int q, const T* left, const T* right) {
        const Matrix<T> to{s.z, ldh};
        multiply<T>(n, hidden, n, Matrix<const T>{left, room}, Matrix<const T>{right, ldh}, false,
                    s.packed, s.zeros, to);
        if (p.normalize)
            normalize_rows_gradient(n, hidden, as_const(tape.projected[q], ldh),
                                    tape.inverse_length[q], to);
    };
    // dE/dG waits until all three are known: gg is added to at the end of each.
    const auto add = [&](int q) {
        gemm<T>(n, width, hidden, as_const(s.z, ldh), layer.project[q]->w_transposed,
                as_const(s.gg, ld), Matrix<T>{s.gg, ld}, NoFinish());
    };
    back(2, s.other, s.h);
    add(2);
    // dE/dL in place of dE/dP, and its transpose.
    const V shift = T(kAttentionShift), scale = T(layer.scale);
    for (int j = 0; j < n; ++j) {
        const T *weights = tape.weights + j * std::int64_t(room),
                *logits = tape.logits + j * std::int64_t(room);
        T* g = s.square + j * std::int64_t(room);
        V dot = T(0), w_sum = T(0), u_sum[3] = {T(0), T(0), T(0)};
        for (int k = 0; k < n; k += V::width) {
            const auto live = simd::first_n<T>(n - k);
            const V gp = simd::keep(live, simd::load(g + k)), q = simd::load(weights + k),
                    w = gate.switches(j, k), c = gate.cosine(j, k), gq = gp * q;
            if (p.smooth) {
                const V gs = gq * c;
                w_sum = simd::fma(gs, simd::load(s.w + k), w_sum);
                simd::store(s.gw + k, simd::fma(gs, V(s.w[j]), simd::load(s.gw + k)));
            }
            if (p.dotr) {
                const V gc = gq * w;
                for (int x = 0; x < 3; ++x) {
                    const V u = simd::load(s.unit + x * room + k);
                    T* to = s.gunit + x * room + k;
                    u_sum[x] = simd::fma(gc, u, u_sum[x]);
                    simd::store(to, simd::fma(gc, V(s.unit[x * room + j]), simd::load(to)));
                }
            }
            const V inner = gp * w * c;
            simd::store(g + k, inner);
            dot = simd::fma(q, inner, dot);
        }
        const V all = simd::sum(dot);
        for (int k = 0; k < n; k += V::width) {
            const auto live = simd::first_n<T>(n - k);
            V gl = simd::keep(live, simd::load(weights + k) * (simd::load(g + k) - all));
            if (p.smooth) {
                const V a = gl * (simd::load(logits + k) + shift);
                const V kept = simd::keep(live, a);
                w_sum = simd::fma(kept, simd::load(s.w + k), w_sum);
                simd::store(s.gw + k, simd::fma(kept, V(s.w[j]), simd::load(s.gw + k)));
                gl = gl * gate.switches(j, k);
            }
            gl = gl * scale;
            T lanes[V::width];
            simd::store(lanes, gl);
            simd::store(g + k, gl);
            for (int v = 0; v < V::width && k + v < n; ++v)
                s.other[(k + v) * std::int64_t(room) + j] = lanes[v];
        }
        s.gw[j] += simd::sum(w_sum);
        for (int x = 0; x < 3; ++x) s.gunit[x * room + j] += simd::sum(u_sum[x]);
    }
    back(0, s.square, tape.projected[1]);
    add(0);
    back(1, s.other, tape.projected[0]);
    add(1);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
