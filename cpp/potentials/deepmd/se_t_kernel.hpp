// The descriptor se_e3; formulas in se_t.hpp. Include from kernels only.
//
// Pairs (j, k) of neighbors go through the net of their types kDeepChunk at a time. Within one type
// (j, k) and (k, j) are the same: j < k counts twice. The net's work, quadratic in the neighbors, is
// all of the cost.
#pragma once

#include "potentials/deepmd/se_r_kernel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// body(net, n, scale) for chunks of n pairs in s.e, s.j and s.k; scale: their weight in x. Pairs
// j = k come in chunks of their own.
template <class T, class Body> void for_neighbor_pairs(const SeT<T>& p, const DeepBlock<T>&,
                                                       SeTScratch<T>& s, int k, const Body& body) {
    const int n_types = p.env.n_types;
    const T* x = s.env.x + 4 * (k * s.env.room);
    const DeepRun* runs = s.env.runs + k * std::int64_t(n_types);
    const auto fill = [&](const Net<T>& net, double scale, int first, int last,
                          const auto& others) {
        int n = 0;
        for (int a = first; a < last; ++a) {
            int begin, end;
            others(a, begin, end);
            for (int b = begin; b < end; ++b) {
                const T *u = x + 4 * a, *v = x + 4 * b;
                s.e[n] = u[1] * v[1] + u[2] * v[2] + u[3] * v[3];
                s.j[n] = a;
                s.k[n++] = b;
                if (n < kDeepChunk) continue;
                body(net, n, scale);
                n = 0;
            }
        }
        if (n > 0) body(net, n, scale);
    };
    for (int t = 0; t < n_types; ++t)
        for (int u = t; u < n_types; ++u) {
            const DeepRun &a = runs[t], &b = runs[u];
            const Net<T>& net = p.nets[t + u * n_types];
            if (a.begin == a.end || b.begin == b.end) continue;
            const double scale = 1.0 / (double(p.env.sel[t]) * double(p.env.sel[u]));
            if (t == u) {
                fill(net, scale, a.begin, a.end, [](int j, int& begin, int& end) {
                    begin = j;
                    end = j + 1;
                });
                fill(net, 2.0 * scale, a.begin, a.end, [&](int j, int& begin, int& end) {
                    begin = j + 1;
                    end = a.end;
                });
            } else {
                fill(net, scale, a.begin, a.end, [&](int, int& begin, int& end) {
                    begin = b.begin;
                    end = b.end;
                });
            }
        }
}

template <class T> void se_t_values(const SeT<T>& p, const DeepBlock<T>& block, SeTScratch<T>& s,
                                    int column) {
    const int n = p.n_channels, ld = padded(n);
    for (int k = 0; k < block.n; ++k) {
        environment(p.env, block, s.env, k);
        T* x = block.x.row(k) + column;
        for (int m = 0; m < n; ++m) x[m] = T(0);
        for_neighbor_pairs(p, block, s, k, [&](const Net<T>& net, int pairs, double scale) {
            net_forward(net, pairs, Matrix<const T>{s.e, 1}, s.tape);
            for (int i = 0; i < pairs; ++i)
                add_times(x, n, scale * double(s.e[i]),
                          s.tape.y[net.n_layers - 1] + i * std::int64_t(ld));
        });
    }
}

template <class T> void se_t_gradient(const SeT<T>& p, const DeepBlock<T>& block, SeTScratch<T>& s,
                                      int column) {
    using V = simd::Vec<T>;
    const int n = p.n_channels, ld = padded(n), n_types = p.env.n_types;
    const T one = T(1);
    for (int k = 0; k < block.n; ++k) {
        const T *g = block.x.row(k) + column, *x = s.env.x + 4 * (k * s.env.room);
        for (int l = 0; l < 4 * s.env.room; ++l) s.env.gx[l] = 0.0;
        for_neighbor_pairs(p, block, s, k, [&](const Net<T>& net, int pairs, double scale) {
            net_forward(net, pairs, Matrix<const T>{s.e, 1}, s.tape);
            const T* slopes =
                net_tangent(net, pairs, Matrix<const T>{&one, 0}, s.tape, block.zeros);
            for (int i = 0; i < pairs; ++i) {
                // d(e G)/de = G + e G'
                const T *value = s.tape.y[net.n_layers - 1] + i * std::int64_t(ld),
                        *slope = slopes + i * std::int64_t(ld);
                const V e = s.e[i];
                V sum = T(0);
                for (int m = 0; m < n; m += V::width) {
                    const auto live = simd::first_n<T>(n - m);
                    const V d =
                        simd::fma(e, simd::load(slope + m, live), simd::load(value + m, live));
                    sum = simd::fma(d, simd::load(g + m, live), sum);
                }
                const double ge = scale * double(simd::sum(sum));
                const int a = s.j[i], b = s.k[i];
                for (int c = 1; c < 4; ++c) {
                    s.env.gx[4 * a + c] += ge * double(x[4 * b + c]);
                    s.env.gx[4 * b + c] += ge * double(x[4 * a + c]);
                }
            }
        });
        const DeepRun* runs = s.env.runs + k * std::int64_t(n_types);
        for (int r = 0; r < n_types; ++r)
            add_gradients(p.env, block, s.env, k, runs[r].begin, runs[r].end);
        block.sink.finish_centre(block.row[k]);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
