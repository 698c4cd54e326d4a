// Sums over the neighbors of one centre, one path and chunk of channels after the other, and their
// gradients: where nearly all time goes. Include from kernels only.
//
// Operations per neighbor and channel of a path with n1 components of u and n3 of A, one FMA each:
//   forward   5 (table) + n1 + n1 n3
//   backward  9 (table) + 4 n1 + 2 n1 n3, and sums of n1 n3 + 1 vectors over their lanes per chunk
// (one and two less in single precision) and six numbers of the table, or five, which come from the L2
// cache: a path and chunk at a time.
#pragma once

#include "potentials/mace/mace_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Value of a vector of polynomials, and their derivative.
template <class T> [[gnu::always_inline]] inline simd::Vec<T> table_value(const T* c,
                                                                          simd::Vec<T> t) {
    simd::Vec<T> value = simd::load(c + (kMaceTerms<T> - 1) * kLine<T>);
#pragma GCC unroll 6
    for (int q = kMaceTerms<T> - 2; q >= 0; --q)
        value = simd::fma(value, t, simd::load(c + q * kLine<T>));
    return value;
}
template <class T> [[gnu::always_inline]] inline void table_jet(const T* c, simd::Vec<T> t,
                                                                simd::Vec<T>& value,
                                                                simd::Vec<T>& slope) {
    value = simd::load(c + (kMaceTerms<T> - 1) * kLine<T>);
    simd::in_register(value);
    slope = value;
    value = simd::fma(value, t, simd::load(c + (kMaceTerms<T> - 2) * kLine<T>));
#pragma GCC unroll 6
    for (int q = kMaceTerms<T> - 3; q >= 0; --q) {
        slope = simd::fma(slope, t, value);
        value = simd::fma(value, t, simd::load(c + q * kLine<T>));
    }
}
// Of a chunk's coefficients those of the vector of channels at v.
template <class T> [[gnu::always_inline]] inline const T* channels_at(const T* c, int v) {
    return c + v / kLine<T> * kMaceTerms<T> * kLine<T> + v % kLine<T>;
}

// What the loops of one path and chunk read.
template <class T> struct MaceConvolution {
    const MaceCentre<T>& c;
    const MaceLayer<T>& l;
    const MacePath& path;
    const T* u;  // rows of up.n_components k_up, from the first channel and component on
    const std::int64_t u_row;
    const int first, width;      // channels of the chunk
    const T* rows[kMaxSpecies];  // of each group: the table

    MaceConvolution(const MaceJob<T>& job, const MaceLayer<T>& layer, const MaceCentre<T>& centre,
                    int q, int chunk, const T* all_u, const T* exact_rows)
        : c(centre),
          l(layer),
          path(layer.paths[q]),
          u(all_u + std::int64_t(path.up) * layer.k_up + chunk),
          u_row(std::int64_t(layer.up.n_components) * layer.k_up),
          first(chunk),
          width(layer.k_up - chunk < mace_chunk<T>(layer.k_up) ? layer.k_up - chunk
                                                               : mace_chunk<T>(layer.k_up)) {
        for (int g = 0; g < centre.n_groups; ++g) {
            const MaceRadialTable<T>* table = job.model->exact ? nullptr : centre.table[g];
            const std::int64_t n = table ? table->n : centre.n;
            rows[g] = (table ? table->rows : exact_rows) +
                      mace_table_place<T>(layer.k_up, n, q, 0, chunk);
        }
    }
    // T, or dE/dT, of a pair: entries are kLine apart.
    [[gnu::always_inline]] const T* angular(int k) const { return c.t + entry(k); }
    [[gnu::always_inline]] T* slopes(int k) const { return c.s + entry(k); }
    [[gnu::always_inline]] const T* coefficients(int g, int k) const {
        return rows[g] + kMaceTerms<T> * std::int64_t(c.interval[k]) * width;
    }

private:
    [[gnu::always_inline]] std::int64_t entry(int k) const {
        return (k / kLine<T> * l.n_entries + path.entry) * kLine<T> + k % kLine<T>;
    }
};

// a[m3 step + channel] += what kPairs neighbors give, from k on.
template <class T, int N1, int N3, int kPairs>
[[gnu::always_inline]] inline void convolve_pairs(const MaceConvolution<T>& o, int group, int k,
                                                  T* __restrict a, std::int64_t step) {
    using V = simd::Vec<T>;
    const T *coefficients[kPairs], *u[kPairs], *t[kPairs];
    V x[kPairs];
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
        coefficients[p] = o.coefficients(group, k + p);
        u[p] = o.u + o.c.source[k + p] * o.u_row;
        t[p] = o.angular(k + p);
        x[p] = o.c.frac[k + p];
    }
    const std::int64_t k_up = o.l.k_up;
    const int width = o.width;
    for (int v = 0; v < width; v += V::width) {
        V w[kPairs][N1];
#pragma GCC unroll 4
        for (int p = 0; p < kPairs; ++p) {
            const V r = table_value<T>(channels_at(coefficients[p], v), x[p]);
#pragma GCC unroll 13
            for (int m1 = 0; m1 < N1; ++m1) w[p][m1] = r * simd::load(u[p] + m1 * k_up + v);
        }
#pragma GCC unroll 13
        for (int m3 = 0; m3 < N3; ++m3) {
            T* to = a + m3 * step + v;
            V sum = simd::load(to);
#pragma GCC unroll 4
            for (int p = 0; p < kPairs; ++p)
#pragma GCC unroll 13
                for (int m1 = 0; m1 < N1; ++m1)
                    sum = simd::fma(V(t[p][(m1 * N3 + m3) * kLine<T>]), w[p][m1], sum);
            simd::store(to, sum);
        }
    }
}

// a[m3 step + channel] = the sum over all neighbors. N1, N3: n1 and n3. Several neighbors at a time, as
// sums lie in the L1 cache.
template <class T, int N1, int N3>
void convolve(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    using V = simd::Vec<T>;
    constexpr int kPairs = N1 == 1 ? 4 : 2;
    const MaceCentre<T>& c = o.c;
    for (int m3 = 0; m3 < N3; ++m3)
        for (int v = 0; v < o.width; v += V::width) simd::store(a + m3 * step + v, V(T(0)));
    for (int g = 0; g < c.n_groups; ++g) {
        int k = c.begin[g];
        for (; k + kPairs <= c.begin[g + 1]; k += kPairs)
            convolve_pairs<T, N1, N3, kPairs>(o, g, k, a, step);
        for (; k < c.begin[g + 1]; ++k) convolve_pairs<T, N1, N3, 1>(o, g, k, a, step);
    }
}

// The same where T is a number times the identity.
template <class T, int N>
void convolve_constant(const MaceConvolution<T>& o, T* __restrict a, std::int64_t step) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const std::int64_t k_up = o.l.k_up;
    const int width = o.width;
    const V factor = T(o.path.factor);
    for (int v = 0; v < width; v += V::width) {
        V sum[N];
        for (V& x : sum) x = T(0);
        for (int g = 0; g < c.n_groups; ++g)
            for (int k = c.begin[g]; k < c.begin[g + 1]; ++k) {
                const V r = table_value<T>(channels_at(o.coefficients(g, k), v), V(c.frac[k]));
                const T* u = o.u + c.source[k] * o.u_row + v;
#pragma GCC unroll 5
                for (int m = 0; m < N; ++m) sum[m] = simd::fma(r, simd::load(u + m * k_up), sum[m]);
            }
        for (int m = 0; m < N; ++m) simd::store(a + m * step + v, factor * sum[m]);
    }
}

// Sums over the lanes of N vectors to places kLine apart, added to what is there or not; returns that of
// one more.
template <class T, int N>
[[gnu::always_inline]] inline T add_sums(T* to, const simd::Vec<T>* v, bool add) {
    T sums[N + 4];
    const simd::Vec<T> zero = T(0);
#pragma GCC unroll 10
    for (int k = 0; k < N + 1; k += 4)
        simd::store_sums4(sums + k, v[k], k + 1 <= N ? v[k + 1] : zero,
                          k + 2 <= N ? v[k + 2] : zero, k + 3 <= N ? v[k + 3] : zero);
#pragma GCC unroll 40
    for (int e = 0; e < N; ++e) {
        T& x = to[e * kLine<T>];
        x = add ? x + sums[e] : sums[e];
    }
    return sums[N];
}

// From g[m3 step + channel] = dE/dA: dE/dT and dE/dr of each pair, and its message, which is added to
// rows of `messages` by slot; null: none.
template <class T, int N1, int N3, bool kMessages>
void convolve_back(const MaceConvolution<T>& o, const T* g, std::int64_t step, T* messages) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const std::int64_t k_up = o.l.k_up;
    const int width = o.width;
    for (int group = 0; group < c.n_groups; ++group) {
        for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
            const T *coefficients = o.coefficients(group, k), *t = o.angular(k);
            const T* u = o.u + c.source[k] * o.u_row;
            T* __restrict message = kMessages ? messages + c.slot[k] * o.u_row : nullptr;
            const V x = c.frac[k];
            // As many of T as registers are there for; the others come as they are needed.
            constexpr int kHeld = N1 * N3 <= 7 ? N1 * N3 : 0;
            V held[kHeld + 1];
#pragma GCC unroll 8
            for (int e = 0; e < kHeld; ++e) held[e] = t[e * kLine<T>];
            // The last one of these is dE/dr.
            constexpr int kSlope = N1 * N3;
            V dt[kSlope + 1];
#pragma GCC unroll 40
            for (int e = 0; e <= kSlope; ++e) dt[e] = T(0);
            for (int v = 0; v < width; v += V::width) {
                V value, slope, h[N1], w[N1];
                table_jet<T>(channels_at(coefficients, v), x, value, slope);
#pragma GCC unroll 13
                for (int m1 = 0; m1 < N1; ++m1) {
                    h[m1] = T(0);
                    w[m1] = value * simd::load(u + m1 * k_up + v);
                }
#pragma GCC unroll 13
                for (int m3 = 0; m3 < N3; ++m3) {
                    V y = simd::load(g + m3 * step + v);
                    simd::in_register(y);
#pragma GCC unroll 13
                    for (int m1 = 0; m1 < N1; ++m1) {
                        constexpr bool kHold = kHeld > 0;
                        const int e = m1 * N3 + m3;
                        const V factor = kHold ? held[e * kHold] : V(t[e * kLine<T>]);
                        h[m1] = m3 == 0 ? factor * y : simd::fma(factor, y, h[m1]);
                        dt[e] = simd::fma(w[m1], y, dt[e]);
                    }
                }
                V along = h[0] * simd::load(u + v);
#pragma GCC unroll 13
                for (int m1 = 1; m1 < N1; ++m1)
                    along = simd::fma(h[m1], simd::load(u + m1 * k_up + v), along);
                dt[kSlope] = simd::fma(slope, along, dt[kSlope]);
                if constexpr (kMessages) {
#pragma GCC unroll 13
                    for (int m1 = 0; m1 < N1; ++m1) {
                        T* to = message + m1 * k_up + v;
                        simd::store(to, simd::fma(value, h[m1], simd::load(to)));
                    }
                }
            }
            c.radial[k] += c.rate[k] * add_sums<T, kSlope>(o.slopes(k), dt, o.first > 0);
        }
    }
}

// The same where T is a number times the identity: it does not change with the direction.
template <class T, int N, bool kMessages>
void convolve_back_constant(const MaceConvolution<T>& o, const T* g, std::int64_t step,
                            T* messages) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const std::int64_t k_up = o.l.k_up;
    const int width = o.width;
    const V factor = T(o.path.factor);
    for (int group = 0; group < c.n_groups; ++group)
        for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
            const T *coefficients = o.coefficients(group, k), *u = o.u + c.source[k] * o.u_row;
            T* __restrict message = kMessages ? messages + c.slot[k] * o.u_row : nullptr;
            const V x = c.frac[k];
            V slope_sum = T(0);
            for (int v = 0; v < width; v += V::width) {
                V value, slope, along = T(0);
                table_jet<T>(channels_at(coefficients, v), x, value, slope);
                value = factor * value;
#pragma GCC unroll 5
                for (int m = 0; m < N; ++m) {
                    V y = simd::load(g + m * step + v);
                    simd::in_register(y);
                    along = simd::fma(y, simd::load(u + m * k_up + v), along);
                    if constexpr (kMessages) {
                        T* to = message + m * k_up + v;
                        simd::store(to, simd::fma(value, y, simd::load(to)));
                    }
                }
                slope_sum = simd::fma(slope, along, slope_sum);
            }
            c.radial[k] += c.rate[k] * T(o.path.factor) * simd::sum(slope_sum);
        }
}

// The same for any n1 and n3, slowly.
template <class T> void convolve_any(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    using V = simd::Vec<T>;
    const MaceCentre<T>& c = o.c;
    const int k_up = o.l.k_up, n1 = o.path.n1, n3 = o.path.n3;
    for (int m3 = 0; m3 < n3; ++m3)
        for (int v = 0; v < o.width; v += V::width) {
            V sum = T(0);
            for (int group = 0; group < c.n_groups; ++group)
                for (int k = c.begin[group]; k < c.begin[group + 1]; ++k) {
                    const V r =
                        table_value<T>(channels_at(o.coefficients(group, k), v), V(c.frac[k]));
                    const T *u = o.u + c.source[k] * o.u_row + v, *t = o.angular(k);
                    for (int m1 = 0; m1 < n1; ++m1)
                        sum = simd::fma(V(t[(m1 * n3 + m3) * kLine<T>]) * r,
                                        simd::load(u + m1 * k_up), sum);
                }
            simd::store(a + m3 * step + v, sum);
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
                    for (int v = 0; v < o.width; v += V::width) {
                        V value, slope;
                        table_jet<T>(channels_at(o.coefficients(group, k), v), V(c.frac[k]), value,
                                     slope);
                        const V y = simd::load(g + m3 * step + v),
                                w = simd::load(u + m1 * k_up + v);
                        sum = simd::fma(value * w, y, sum);
                        slope_sum = simd::fma(slope * factor, w * y, slope_sum);
                        if (!messages) continue;
                        T* to = messages + c.slot[k] * o.u_row + m1 * k_up + v;
                        simd::store(to, simd::fma(value * factor, y, simd::load(to)));
                    }
                    T& dt = o.slopes(k)[(m1 * n3 + m3) * kLine<T>];
                    dt = o.first > 0 ? dt + simd::sum(sum) : simd::sum(sum);
                }
            c.radial[k] += c.rate[k] * simd::sum(slope_sum);
        }
}

// The common sizes, whose loops are unrolled.
#define MDKERN_MACE_SIZES(use)                                                                \
    use(1, 1) use(1, 3) use(1, 5) use(1, 7) use(3, 1) use(3, 3) use(3, 5) use(3, 7) use(5, 1) \
        use(5, 3) use(5, 5) use(5, 7)

// A of one centre for one path and chunk.
template <class T> void convolve_path(const MaceConvolution<T>& o, T* a, std::int64_t step) {
    if (o.path.factor != 0) {
        if (o.path.n1 == 1) return convolve_constant<T, 1>(o, a, step);
        if (o.path.n1 == 3) return convolve_constant<T, 3>(o, a, step);
        if (o.path.n1 == 5) return convolve_constant<T, 5>(o, a, step);
    }
#define MDKERN_MACE_USE(n1, n3) \
    case n1 * 16 + n3:          \
        return convolve<T, n1, n3>(o, a, step);
    switch (o.path.n1 * 16 + o.path.n3) {
        MDKERN_MACE_SIZES(MDKERN_MACE_USE)
        default:
            return convolve_any(o, a, step);
    }
#undef MDKERN_MACE_USE
}
// messages: those of the block, (slot, up.n_components, k_up), or null in the first layer, whose u are
// scalars that depend on nothing.
template <class T> void convolve_back_path(const MaceConvolution<T>& o, const T* g,
                                           std::int64_t step, T* messages) {
    if (!messages) {
        if (o.path.factor != 0) return convolve_back_constant<T, 1, false>(o, g, step, nullptr);
#define MDKERN_MACE_USE(n3) \
    case n3:                \
        return convolve_back<T, 1, n3, false>(o, g, step, nullptr);
        switch (o.path.n3) {
            MDKERN_MACE_USE(1)
            MDKERN_MACE_USE(3)
            MDKERN_MACE_USE(5)
            MDKERN_MACE_USE(7)
            default:
                return convolve_back_any<T>(o, g, step, nullptr);
        }
#undef MDKERN_MACE_USE
    }
    T* own = messages + std::int64_t(o.path.up) * o.l.k_up + o.first;
    if (o.path.factor != 0) {
        if (o.path.n1 == 1) return convolve_back_constant<T, 1, true>(o, g, step, own);
        if (o.path.n1 == 3) return convolve_back_constant<T, 3, true>(o, g, step, own);
        if (o.path.n1 == 5) return convolve_back_constant<T, 5, true>(o, g, step, own);
    }
#define MDKERN_MACE_USE(n1, n3) \
    case n1 * 16 + n3:          \
        return convolve_back<T, n1, n3, true>(o, g, step, own);
    switch (o.path.n1 * 16 + o.path.n3) {
        MDKERN_MACE_SIZES(MDKERN_MACE_USE)
        default:
            return convolve_back_any(o, g, step, own);
    }
#undef MDKERN_MACE_USE
}
#undef MDKERN_MACE_SIZES

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
