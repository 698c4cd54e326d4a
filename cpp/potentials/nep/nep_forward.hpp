// Forward half of the NEP kernel's passes over neighbors: from their distances to the radial
// descriptors and the sums S_nb of one centre. Include from kernels only.
#pragma once

#include "math/chebyshev.hpp"
#include "math/monomials.hpp"
#include "potentials/nep/nep_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Radial descriptors, lane l of q: sums of f_k = fc T_k over the neighbors of one species, then
// contracted. K is the number of f_k, 0: known at run time only.
template <class T, int K> void radial_sums(const NepJob<T>& job, NepScratch<T>& scratch, int l) {
    using V = simd::Vec<T>;
    constexpr int kMost = K ? (K + 3) / 4 * 4 : kNepMaxBasis;
    const NepLane<T>& lane = scratch.lane[l];
    const int type = int(job.s.rows[4 * lane.row + 3]), n_radial = job.p.n_radial;
    const int n_k = K ? K : job.p.k_radial, n_padded = padded(n_radial);
    T q[kNepMaxRadial + kPadLanes] = {};
    for (int r = 0, begin = 0; r < lane.n_runs; begin = lane.end[r++]) {
        const int end = lane.end[r];
        V sum[kMost];
#pragma GCC unroll 32
        for (int m = 0; m < kMost; ++m) sum[m] = T(0);
        for (int k = begin / V::width * V::width; k < end; k += V::width) {
            V fc = simd::load(scratch.fc + k);
            if (k < begin || k + V::width > end) fc = simd::keep(in_run<T>(k, begin, end), fc);
            const V x = simd::load(lane.x + k);
            chebyshev(n_k, x, fc, fc * x, [&](int m, V f) MDKERN_BODY { sum[m] = sum[m] + f; });
        }
        T phi[kMost];
#pragma GCC unroll 8
        for (int m = 0; m < kMost; m += 4)
            simd::store_sums4(phi + m, sum[m], sum[m + 1], sum[m + 2], sum[m + 3]);
        const T* c =
            job.t.radial_kn + std::int64_t(type * job.p.n_types + lane.species[r]) * n_k * n_padded;
        for (int n = 0; n < n_radial; n += V::width) {
            V total = simd::load(q + n);
            for (int m = 0; m < n_k; ++m)
                total = simd::fma(V(phi[m]), simd::load(c + m * n_padded + n), total);
            simd::store(q + n, total);
        }
    }
    for (int n = 0; n < n_radial; ++n) scratch.q[n * V::width + l] = q[n];
}

// g_n and g_n' of one vector of neighbors, those in [begin, end), which are of one species with
// these coefficients.
template <class T> [[gnu::always_inline]] inline void angular_functions(const NepLane<T>& lane,
                                                                        const Switch<T>& f,
                                                                        const T* table,
                                                                        int n_angular, int n_k,
                                                                        int k, int begin, int end) {
    using V = simd::Vec<T>;
    V t[kNepMaxBasis];
    chebyshev(n_k, f.x, V(T(1)), f.x, [&](int m, V t_m) MDKERN_BODY { t[m] = t_m; });
    const bool whole = k >= begin && k + V::width <= end;
    const auto mask = in_run<T>(k, begin, end);
    in_parts<kParts<T>>(n_angular, [&](auto size, int n0) {
        constexpr int N = decltype(size)::value;
        const T* c = table + std::int64_t(n0) * n_k * 2;
        V value[N], slope[N];
#pragma GCC unroll 6
        for (int q = 0; q < N; ++q) value[q] = slope[q] = T(0);
        for (int m = 0; m < n_k; ++m)
#pragma GCC unroll 6
            for (int q = 0; q < N; ++q) {
                value[q] = simd::fma(V(c[2 * (q * n_k + m)]), t[m], value[q]);
                slope[q] = simd::fma(V(c[2 * (q * n_k + m) + 1]), t[m], slope[q]);
            }
#pragma GCC unroll 6
        for (int q = 0; q < N; ++q) {
            T *g = lane.g + (n0 + q) * lane.stride + k, *dg = lane.dg + (n0 + q) * lane.stride + k;
            V v = f.fc * value[q], dv = simd::fma(f.dfc, value[q], f.slope * slope[q]);
            if (!whole) {  // the run that begins the vector writes it, the others add
                v = simd::keep(mask, v);
                dv = simd::keep(mask, dv);
                if (begin > k) {
                    v = v + simd::load(g);
                    dv = dv + simd::load(dg);
                }
            }
            simd::store(g, v);
            simd::store(dg, dv);
        }
    });
}

// S_nb of one centre: sums over neighbors of g_n b(u).
template <class T> void angular_sums(const NepJob<T>& job, NepScratch<T>& scratch, int l,
                                     int n_functions) {
    using V = simd::Vec<T>;
    const NepLane<T>& lane = scratch.lane[l];
    const int stride = lane.stride, n_basis = job.p.n_basis();
    in_parts<kParts<T>>(job.p.n_angular, [&](auto size, int n0) {
        constexpr int N = decltype(size)::value;
        const T* g = lane.g + n0 * stride;
        T* out = scratch.sums + n0 * n_basis * V::width + l;
        for (int b = 0; b < n_functions; b += 4) {
            const T* y = scratch.basis + b * stride;
            V sum[N][4];
#pragma GCC unroll 6
            for (int q = 0; q < N; ++q)
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) sum[q][c] = T(0);
            for (int k = 0; k < stride; k += V::width) {
                V f[4];
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) f[c] = simd::load(y + c * stride + k);
#pragma GCC unroll 6
                for (int q = 0; q < N; ++q) {
                    const V value = simd::load(g + q * stride + k);
#pragma GCC unroll 4
                    for (int c = 0; c < 4; ++c) sum[q][c] = simd::fma(value, f[c], sum[q][c]);
                }
            }
#pragma GCC unroll 6
            for (int q = 0; q < N; ++q) {
                T s[4];
                simd::store_sums4(s, sum[q][0], sum[q][1], sum[q][2], sum[q][3]);
                for (int c = 0; c < 4; ++c) out[(q * n_basis + 1 + b + c) * V::width] = s[c];
            }
        }
    });
    for (int n = 0; n < job.p.n_angular; ++n) {
        V sum = T(0);
        for (int k = 0; k < stride; k += V::width) sum = sum + simd::load(lane.g + n * stride + k);
        scratch.sums[n * n_basis * V::width + l] = simd::sum(sum);
    }
}

template <class T, int L> void angular_forward(const NepJob<T>& job, NepScratch<T>& scratch,
                                               int l) {
    using V = simd::Vec<T>;
    NepLane<T>& lane = scratch.lane[l];
    const NepParams& p = job.p;
    const int type = int(job.s.rows[4 * lane.row + 3]), stride = lane.stride, n_k = p.k_angular;
    const T* inverse_rc = job.t.inverse_rc_angular + type * p.n_types;
    for (int r = 0, begin = 0; r < lane.n_runs; begin = lane.a_end[r++]) {
        // Behind the last run lie lanes without a neighbor, whose functions are zero.
        const int end = r + 1 < lane.n_runs ? lane.a_end[r] : stride, of = lane.species[r];
        const V scale = p.uniform_cutoff ? inverse_rc[0] : inverse_rc[of];
        const T* table =
            job.t.angular + std::int64_t(type * p.n_types + of) * p.n_angular * n_k * 2;
        for (int k = begin / V::width * V::width; k < end; k += V::width)
            angular_functions(lane, switch_at<T>(simd::load(lane.d + k), scale), table, p.n_angular,
                              n_k, k, begin, end);
    }
    for (int k = 0; k < stride; k += V::width) {
        monomials<L>(simd::load(lane.ux + k), simd::load(lane.uy + k), simd::load(lane.uz + k),
                     [&](int b, V v) { simd::store(scratch.basis + b * stride + k, v); });
        for (int b = Monomials<L>::n; b < Monomials<L>::padded; ++b)
            simd::store(scratch.basis + b * stride + k, V(T(0)));
    }
    angular_sums(job, scratch, l, Monomials<L>::padded);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
