// Sums over the neighbors of one centre, one path after the other, and their gradients: where nearly all
// time goes. Include from kernels only.
//
// Operations per neighbor and channel of a path with n1 components of u and n3 of A, one FMA each:
//   forward   5 (table) + n1 + n1 n3
//   backward  9 (table) + 4 n1 + 2 n1 n3, and sums of n1 n3 + 1 vectors over their lanes per path
#pragma once

#include "potentials/mace/mace_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> [[gnu::always_inline]] inline simd::Vec<T> quintic_value(const T* c,
                                                                            simd::Vec<T> t) {
    simd::Vec<T> value = simd::load(c + 5 * kLine<T>);
#pragma GCC unroll 5
    for (int q = 4; q >= 0; --q) value = simd::fma(value, t, simd::load(c + q * kLine<T>));
    return value;
}

// What the loops of one path read.
template <class T> struct MaceConvolution {
    const MaceCentre<T>& c;
    const MaceLayer<T>& l;
    const MacePath& path;
    const T* u;  // rows of up.n_components k_up
    std::int64_t u_row;
    const T* rows[kMaxSpecies];  // of each group: the table of this path
    double scale[kMaxSpecies];   // of its argument

    MaceConvolution(const MaceJob<T>& job, const MaceLayer<T>& layer, const MaceCentre<T>& centre,
                    const MacePath& p, int q, const T* all_u, const T* exact_rows)
        : c(centre),
          l(layer),
          path(p),
          u(all_u + std::int64_t(p.up) * layer.k_up),
          u_row(std::int64_t(layer.up.n_components) * layer.k_up) {
        const std::int64_t line_rows = std::int64_t(layer.k_up) * 6;
        for (int g = 0; g < centre.n_groups; ++g) {
            rows[g] = job.model->exact ? exact_rows + std::int64_t(q) * centre.n * line_rows
                                       : centre.table[g]->rows +
                                             std::int64_t(q) * centre.table[g]->n * line_rows;
            scale[g] = job.model->exact ? 1.0 : centre.table[g]->scale;
        }
    }
    // T, or dE/dT, of a pair: entries are kLine apart.
    const T* angular(int k) const {
        return c.t + (k / kLine<T>)*l.n_entries * kLine<T> + k % kLine<T> + path.entry * kLine<T>;
    }
    T* slopes(int k) const {
        return c.s + (k / kLine<T>)*l.n_entries * kLine<T> + k % kLine<T> + path.entry * kLine<T>;
    }
};

template <int N> struct Count {
    static constexpr int value = N;
};

// Vectors of channels at a time in the forward sums.
template <class T> constexpr int kMaceVectors = sizeof(simd::Vec<T>) >= 64 ? 2 : 1;

// a[m3 step + channel] = the sum over all neighbors. N1, N3: n1 and n3.
template <class T, int N1, int N3>
void convolve(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    using V = simd::Vec<T>;
    constexpr int kVectors = kMaceVectors<T> * N3 > 14 ? 1 : kMaceVectors<T>;
    const MaceCentre<T>& c = o.c;
    const int k_up = o.l.k_up;
    int vectors = kVectors;
    for (int at = 0; at < k_up; at += vectors * V::width) {
        const auto run = [&](auto count) MDKERN_BODY {
            constexpr int kCount = decltype(count)::value;
            V sum[N3][kCount];
            for (int m3 = 0; m3 < N3; ++m3)
                for (int v = 0; v < kCount; ++v) sum[m3][v] = T(0);
            for (int g = 0; g < c.n_groups; ++g) {
                const T* rows = o.rows[g] + at / kLine<T> * 6 * kLine<T> + at % kLine<T>;
                for (int k = c.begin[g]; k < c.begin[g + 1]; ++k) {
                    const T* coefficients = rows + c.offset[k];
                    const T* u = o.u + c.source[k] * o.u_row + at;
                    const T* t = o.angular(k);
                    const V x = c.frac[k];
                    V w[N1][kCount];
#pragma GCC unroll 2
                    for (int v = 0; v < kCount; ++v) {
                        constexpr int kParts = kLine<T> / V::width;
                        const V r = quintic_value<T>(
                            coefficients + v / kParts * 6 * kLine<T> + v % kParts * V::width, x);
#pragma GCC unroll 13
                        for (int m1 = 0; m1 < N1; ++m1)
                            w[m1][v] = r * simd::load(u + m1 * k_up + v * V::width);
                    }
#pragma GCC unroll 13
                    for (int m1 = 0; m1 < N1; ++m1)
#pragma GCC unroll 13
                        for (int m3 = 0; m3 < N3; ++m3) {
                            const V factor = t[(m1 * N3 + m3) * kLine<T>];
#pragma GCC unroll 2
                            for (int v = 0; v < kCount; ++v)
                                sum[m3][v] = simd::fma(factor, w[m1][v], sum[m3][v]);
                        }
                }
            }
#pragma GCC unroll 13
            for (int m3 = 0; m3 < N3; ++m3)
#pragma GCC unroll 2
                for (int v = 0; v < kCount; ++v)
                    simd::store(a + m3 * step + at + v * V::width, sum[m3][v]);
        };
        if (kVectors == 2 && at + 2 * V::width <= k_up) {
            vectors = 2;
            run(Count<kVectors>());
        } else {
            vectors = 1;
            run(Count<1>());
        }
    }
}

// Sums over the lanes of n vectors, n <= N, to places kLine apart.
template <class T, int N> [[gnu::always_inline]] inline void store_sums(T* to,
                                                                        const simd::Vec<T>* v) {
#pragma GCC unroll 10
    for (int k = 0; k < N; k += 4) {
        T four[4];
        const simd::Vec<T> zero = T(0);
        simd::store_sums4(four, v[k], k + 1 < N ? v[k + 1] : zero, k + 2 < N ? v[k + 2] : zero,
                          k + 3 < N ? v[k + 3] : zero);
        for (int m = 0; m < 4 && k + m < N; ++m) to[(k + m) * kLine<T>] = four[m];
    }
}

// From g[m3 step + channel] = dE/dA: dE/dT and dE/dr of each pair, and its message, which is added to
// rows of `messages` by slot; null: none.
template <class T, int N1, int N3, bool kMessages>
void convolve_back(const MaceConvolution<T>& o, const T* g, std::int64_t step, T* messages) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const int k_up = o.l.k_up;
    for (int group = 0; group < c.n_groups; ++group) {
        const T scale = T(o.scale[group]);
        for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
            const T* rows = o.rows[group] + c.offset[k];
            const T* u = o.u + c.source[k] * o.u_row;
            const T* t = o.angular(k);
            T* message = kMessages ? messages + c.slot[k] * o.u_row : nullptr;
            const V x = c.frac[k];
            V slope_sum = T(0), dt[N1 * N3];
#pragma GCC unroll 40
            for (int e = 0; e < N1 * N3; ++e) dt[e] = T(0);
            for (int at = 0; at < k_up; at += V::width) {
                const T* coefficients = rows + at / kLine<T> * 6 * kLine<T> + at % kLine<T>;
                V value = simd::load(coefficients + 5 * kLine<T>), slope = value;
                value = simd::fma(value, x, simd::load(coefficients + 4 * kLine<T>));
#pragma GCC unroll 4
                for (int q = 3; q >= 0; --q) {
                    slope = simd::fma(slope, x, value);
                    value = simd::fma(value, x, simd::load(coefficients + q * kLine<T>));
                }
                V h[N1], w[N1];
#pragma GCC unroll 13
                for (int m1 = 0; m1 < N1; ++m1) {
                    h[m1] = T(0);
                    w[m1] = value * simd::load(u + m1 * k_up + at);
                }
#pragma GCC unroll 13
                for (int m3 = 0; m3 < N3; ++m3) {
                    const V y = simd::load(g + m3 * step + at);
#pragma GCC unroll 13
                    for (int m1 = 0; m1 < N1; ++m1) {
                        h[m1] = simd::fma(V(t[(m1 * N3 + m3) * kLine<T>]), y, h[m1]);
                        dt[m1 * N3 + m3] = simd::fma(w[m1], y, dt[m1 * N3 + m3]);
                    }
                }
                V along = h[0] * simd::load(u + at);
#pragma GCC unroll 13
                for (int m1 = 1; m1 < N1; ++m1)
                    along = simd::fma(h[m1], simd::load(u + m1 * k_up + at), along);
                slope_sum = simd::fma(slope, along, slope_sum);
                if constexpr (kMessages) {
#pragma GCC unroll 13
                    for (int m1 = 0; m1 < N1; ++m1) {
                        T* to = message + m1 * k_up + at;
                        simd::store(to, simd::fma(value, h[m1], simd::load(to)));
                    }
                }
            }
            store_sums<T, N1 * N3>(o.slopes(k), dt);
            c.radial[k] += scale * simd::sum(slope_sum);
        }
    }
}

// The same for any n1 and n3, slowly.
template <class T> void convolve_any(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const int k_up = o.l.k_up, n1 = o.path.n1, n3 = o.path.n3;
    for (int m3 = 0; m3 < n3; ++m3)
        for (int at = 0; at < k_up; at += V::width) {
            V sum = T(0);
            for (int group = 0; group < c.n_groups; ++group)
                for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
                    const V r = quintic_value<T>(
                        o.rows[group] + c.offset[k] + at / kLine<T> * 6 * kLine<T> + at % kLine<T>,
                        V(c.frac[k]));
                    const T *u = o.u + c.source[k] * o.u_row + at, *t = o.angular(k);
                    for (int m1 = 0; m1 < n1; ++m1)
                        sum = simd::fma(V(t[(m1 * n3 + m3) * kLine<T>]) * r,
                                        simd::load(u + m1 * k_up), sum);
                }
            simd::store(a + m3 * step + at, sum);
        }
}
template <class T> void convolve_back_any(const MaceConvolution<T>& o, const T* g,
                                          std::int64_t step, T* messages) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const int k_up = o.l.k_up, n1 = o.path.n1, n3 = o.path.n3;
    for (int group = 0; group < c.n_groups; ++group)
        for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
            const T *u = o.u + c.source[k] * o.u_row, *t = o.angular(k);
            V slope_sum = T(0);
            for (int m1 = 0; m1 < n1; ++m1)
                for (int m3 = 0; m3 < n3; ++m3) {
                    const V factor = t[(m1 * n3 + m3) * kLine<T>];
                    V sum = T(0);
                    for (int at = 0; at < k_up; at += V::width) {
                        V value, slope;
                        const T* coefficients = o.rows[group] + c.offset[k] +
                                                at / kLine<T> * 6 * kLine<T> + at % kLine<T>;
                        const V x = c.frac[k];
                        value = slope = simd::load(coefficients + 5 * kLine<T>);
                        value = simd::fma(value, x, simd::load(coefficients + 4 * kLine<T>));
                        for (int q = 3; q >= 0; --q) {
                            slope = simd::fma(slope, x, value);
                            value = simd::fma(value, x, simd::load(coefficients + q * kLine<T>));
                        }
                        const V y = simd::load(g + m3 * step + at),
                                w = simd::load(u + m1 * k_up + at);
                        sum = simd::fma(value * w, y, sum);
                        slope_sum = simd::fma(slope * factor, w * y, slope_sum);
                        if (!messages) continue;
                        T* to = messages + c.slot[k] * o.u_row + m1 * k_up + at;
                        simd::store(to, simd::fma(value * factor, y, simd::load(to)));
                    }
                    o.slopes(k)[(m1 * n3 + m3) * kLine<T>] = simd::sum(sum);
                }
            c.radial[k] += T(o.scale[group]) * simd::sum(slope_sum);
        }
}

// A of one centre for one path.
template <class T> void convolve_path(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    switch (o.path.n1 * 16 + o.path.n3) {
#define MDKERN_CASE(n1, n3) \
    case n1 * 16 + n3:      \
        return convolve<T, n1, n3>(o, a, step);
        MDKERN_CASE(1, 1)
        MDKERN_CASE(1, 3)
        MDKERN_CASE(1, 5)
        MDKERN_CASE(1, 7)
        MDKERN_CASE(3, 1)
        MDKERN_CASE(3, 3)
        MDKERN_CASE(3, 5)
        MDKERN_CASE(3, 7)
        MDKERN_CASE(5, 1)
        MDKERN_CASE(5, 3)
        MDKERN_CASE(5, 5)
        MDKERN_CASE(5, 7)
#undef MDKERN_CASE
        default:
            return convolve_any(o, a, step);
    }
}
template <class T> void convolve_back_path(const MaceConvolution<T>& o, const T* g,
                                           std::int64_t step, T* messages) {
    if (!messages) {
        switch (o.path.n1 * 16 + o.path.n3) {
#define MDKERN_CASE(n1, n3) \
    case n1 * 16 + n3:      \
        return convolve_back<T, n1, n3, false>(o, g, step, nullptr);
            MDKERN_CASE(1, 1)
            MDKERN_CASE(1, 3)
            MDKERN_CASE(1, 5)
            MDKERN_CASE(1, 7)
#undef MDKERN_CASE
            default:
                return convolve_back_any(o, g, step, messages);
        }
    }
    T* own = messages + std::int64_t(o.path.up) * o.l.k_up;
    switch (o.path.n1 * 16 + o.path.n3) {
#define MDKERN_CASE(n1, n3) \
    case n1 * 16 + n3:      \
        return convolve_back<T, n1, n3, true>(o, g, step, own);
        MDKERN_CASE(1, 1)
        MDKERN_CASE(1, 3)
        MDKERN_CASE(1, 5)
        MDKERN_CASE(1, 7)
        MDKERN_CASE(3, 1)
        MDKERN_CASE(3, 3)
        MDKERN_CASE(3, 5)
        MDKERN_CASE(3, 7)
        MDKERN_CASE(5, 1)
        MDKERN_CASE(5, 3)
        MDKERN_CASE(5, 5)
        MDKERN_CASE(5, 7)
#undef MDKERN_CASE
        default:
            return convolve_back_any(o, g, step, own);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
