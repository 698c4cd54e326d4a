// Pair passes of the NEP kernel: from the neighbor list to descriptors and sums of one centre, and
// back from their adjoints to the gradients p_ij. Lanes are neighbors. Include from kernels only.
//
// The list is grouped by species, so a vector of neighbors mostly has one of them and coefficients
// are broadcast; where it has several, each species is evaluated and masked (by_species).
#pragma once

#include "core/types.hpp"
#include "potentials/nep_basis.hpp"
#include "potentials/nep_scratch.hpp"
#include "simd/math.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> struct NepJob {
    const NepParams& p;
    const NepTables<T>& t;
    const System& s;
    const Neighbors& list;
    const NepWork& work;
    NepTask task;
};

constexpr int padded(int n) { return (n + kNepLanes - 1) / kNepLanes * kNepLanes; }

// body(species, mask) for each species among the lanes k, k + 1, ... of a grouped array. The mask
// is of all lanes where there is one species only.
template <class T, class Body> [[gnu::always_inline]] inline void by_species(const T* species,
                                                                             int k,
                                                                             const Body& body) {
    constexpr int kWidth = simd::Vec<T>::width;
    const auto all = simd::first_n<T>(kWidth);
    if (kWidth == 1 || species[k] == species[k + kWidth - 1]) {
        body(int(species[k]), all, true);
        return;
    }
    const simd::Vec<T> lanes = simd::load(species + k);
    for (int l = 0; l < kWidth;) {
        const auto mask = lanes == simd::Vec<T>(species[k + l]);
        body(int(species[k + l]), mask, false);
        l += simd::count(mask);
    }
}

// Calls body(Size<c>, start) with c <= kMost for parts that make up n, as equal as possible: loops
// over functions g_n with a number of accumulators that the compiler knows.
template <int N> struct Size {
    static constexpr int value = N;
};
template <int kMost, class Body> [[gnu::always_inline]] inline void in_parts(int n,
                                                                             const Body& body) {
    const int parts = (n + kMost - 1) / kMost;
    for (int q = 0, at = 0; q < parts; ++q) {
        const int size = (n - at + (parts - q) - 1) / (parts - q);
        if constexpr (kMost >= 6)
            if (size == 6) body(Size<6>(), at);
        if constexpr (kMost >= 5)
            if (size == 5) body(Size<5>(), at);
        if constexpr (kMost >= 4)
            if (size == 4) body(Size<4>(), at);
        if constexpr (kMost >= 3)
            if (size == 3) body(Size<3>(), at);
        if (size == 2) body(Size<2>(), at);
        if (size == 1) body(Size<1>(), at);
        at += size;
    }
}
// Functions g_n side by side: with four angular functions each these fill the registers.
template <class T> constexpr int kParts = sizeof(simd::Vec<T>) >= 64   ? 6
                                          : sizeof(simd::Vec<T>) >= 32 ? 3
                                                                       : 2;

// Chebyshev polynomials T_0 .. T_(n-1) of x.
template <class T> inline void chebyshev(simd::Vec<T> x, int n, simd::Vec<T>* t) {
    using V = simd::Vec<T>;
    const V two_x = x + x;
    t[0] = T(1);
    if (n > 1) t[1] = x;
    for (int k = 2; k < n; ++k) t[k] = simd::fma(two_x, t[k - 1], -t[k - 2]);
}

// Neighbors of row i that act on it, into the staging arrays; the end is filled up with neighbors
// beyond every cutoff, of the last one's species, and the centre's own row.
template <class T> [[gnu::noinline]] void gather(const NepJob<T>& job, NepScratch<T>& scratch, NepLane<T>& lane) {
    using V = simd::Vec<double>;
    const System& s = job.s;
    const std::int64_t i = lane.row;
    const double* p = s.rows + 4 * i;
    const V x = p[0], y = p[1], z = p[2];
    const double* keep = job.p.keep + std::int64_t(p[3]) * job.p.n_types;
    const std::int32_t *begin = job.list.index + job.list.first[i], *end = begin + job.list.count[i];
    double **out = scratch.staged, *species = scratch.staged_species;
    int n = 0;
    for (const std::int32_t* k = begin; k < end; k += V::width) {
        const auto live = simd::first_n<double>(end - k);
        const auto j = simd::load_int<double>(k, live);
        V dx, dy, dz, w;
        simd::load_rows(s.rows, j, dx, dy, dz, w);
        dx = dx - x;
        dy = dy - y;
        dz = dz - z;
        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
        const V limit =
            job.p.uniform_cutoff ? V(keep[0]) : simd::gather(keep, simd::to_int(w));
        const auto within = (r2 < limit) & live;
        simd::compress_store(out[0] + n, dx, within);
        simd::compress_store(out[1] + n, dy, within);
        simd::compress_store(out[2] + n, dz, within);
        simd::compress_store(out[3] + n, r2, within);
        simd::compress_store(species + n, w, within);
        n += simd::compress_store(lane.index + n, j, within);
    }
    lane.n = n;
    const double far = 4.0 * job.p.cutoff * job.p.cutoff, last = n > 0 ? species[n - 1] : 0.0;
    for (int k = n; k < n + kNepLanes; ++k) {
        out[0][k] = out[1][k] = out[2][k] = 0.0;
        out[3][k] = far;
        species[k] = last;
        lane.index[k] = std::int32_t(i);
    }
}

// Sums of f_k = fc T_k over the neighbors of one species, contracted to descriptors.
// K is their number, 0: known at run time only.
template <class T, int K> struct RadialSums {
    using V = simd::Vec<T>;
    const NepJob<T>& job;
    const int type, n_k;
    int species = -1;
    V sum[K ? (K + 3) / 4 * 4 : kNepMaxBasis];
    T q[kNepMaxRadial + kNepLanes];

    RadialSums(const NepJob<T>& j, int t) : job(j), type(t), n_k(K ? K : j.p.k_radial) {
        for (T& x : q) x = T(0);
    }
    [[gnu::always_inline]] void add(int of, V fc, V x) {
        if (of != species) {
            finish();
            species = of;
#pragma GCC unroll 17
            for (int k = 0; k < n_k; ++k) sum[k] = T(0);
        }
        V t0 = fc, t1 = fc * x;
        const V two_x = x + x;
        sum[0] = sum[0] + t0;
        if (n_k > 1) sum[1] = sum[1] + t1;
#pragma GCC unroll 17
        for (int k = 2; k < n_k; ++k) {
            const V t2 = simd::fma(two_x, t1, -t0);
            sum[k] = sum[k] + t2;
            t0 = t1;
            t1 = t2;
        }
    }
    void finish() {
        if (species < 0) return;
        T phi[kNepMaxBasis] = {};
        const int n_padded_k = (n_k + 3) / 4 * 4;
        for (int k = n_k; k < n_padded_k; ++k) sum[k] = T(0);
#pragma GCC unroll 8
        for (int k = 0; k < n_padded_k; k += 4)
            simd::store_sums4(phi + k, sum[k], sum[k + 1], sum[k + 2], sum[k + 3]);
        const int n_padded = padded(job.p.n_radial);
        const T* c = job.t.radial_kn +
                     std::int64_t(type * job.p.n_types + species) * n_k * n_padded;
        for (int n = 0; n < job.p.n_radial; n += V::width) {
            V total = simd::load(q + n);
            for (int k = 0; k < n_k; ++k)
                total = simd::fma(V(phi[k]), simd::load(c + k * n_padded + n), total);
            simd::store(q + n, total);
        }
    }
};

// From the staged neighbors to distances, radial descriptors (lane l of q) and the neighbors within
// the angular cutoff.
template <class T, int K> void radial_forward(const NepJob<T>& job, NepScratch<T>& scratch, int l) {
    using V = simd::Vec<T>;
    NepLane<T>& lane = scratch.lane[l];
    const NepParams& p = job.p;
    const int type = int(job.s.rows[4 * lane.row + 3]);
    const T *inverse_rc = job.t.inverse_rc_radial + type * p.n_types,
            *rc2_angular = job.t.rc2_angular + type * p.n_types;
    RadialSums<T, K> sums(job, type);
    int n_angular = 0;
    for (int k = 0; k < lane.n; k += V::width) {
        const V dx = simd::load_as<T>(scratch.staged[0] + k),
                dy = simd::load_as<T>(scratch.staged[1] + k),
                dz = simd::load_as<T>(scratch.staged[2] + k),
                r2 = simd::load_as<T>(scratch.staged[3] + k),
                w = simd::load_as<T>(scratch.staged_species + k);
        const V inverse = math::rsqrt(r2), d = r2 * inverse;
        const auto which = simd::to_int(w);
        const V scale = p.uniform_cutoff ? V(inverse_rc[0]) : simd::gather(inverse_rc, which);
        const auto fc = math::cosine_cutoff(d, scale);
        const V a = simd::min(V(T(1)), d * scale) - V(T(1)), x = simd::fma(a + a, a, V(T(-1)));
        simd::store(lane.dx + k, dx);
        simd::store(lane.dy + k, dy);
        simd::store(lane.dz + k, dz);
        simd::store(lane.inverse + k, inverse);
        simd::store(lane.dfc + k, fc.derivative);
        simd::store(lane.slope + k, V(T(4)) * a * scale * fc.value);
        simd::store(lane.x + k, x);
        simd::store(lane.species + k, w);
        by_species(lane.species, k, [&](int of, auto mask, bool one) {
            sums.add(of, one ? fc.value : simd::keep(mask, fc.value), x);
        });
        const V limit = p.uniform_cutoff ? V(rc2_angular[0]) : simd::gather(rc2_angular, which);
        const auto within = (r2 < limit) & simd::first_n<T>(lane.n - k);
        simd::compress_store(lane.ux + n_angular, dx * inverse, within);
        simd::compress_store(lane.uy + n_angular, dy * inverse, within);
        simd::compress_store(lane.uz + n_angular, dz * inverse, within);
        simd::compress_store(lane.d + n_angular, d, within);
        simd::compress_store(lane.a_inverse + n_angular, inverse, within);
        simd::compress_store(lane.a_species + n_angular, w, within);
        n_angular += simd::compress_store(lane.a_index + n_angular,
                                          simd::load_int<T>(lane.index + k), within);
    }
    sums.finish();
    for (int n = 0; n < p.n_radial; ++n) scratch.q[n * V::width + l] = sums.q[n];

    lane.n_angular = n_angular;
    lane.stride = (n_angular + V::width - 1) / V::width * V::width;
    const T last = n_angular > 0 ? lane.a_species[n_angular - 1] : T(0);
    for (int k = n_angular; k < lane.stride; ++k) {
        lane.ux[k] = lane.uy[k] = lane.uz[k] = T(0);
        lane.d[k] = T(2 * p.cutoff);
        lane.a_inverse[k] = T(1);
        lane.a_species[k] = last;
        lane.a_index[k] = std::int32_t(lane.row);
    }
}

// g_n and g_n' of one vector of neighbors.
template <class T> void angular_functions(const NepJob<T>& job, NepLane<T>& lane, int type, int k) {
    using V = simd::Vec<T>;
    const NepParams& p = job.p;
    const T* inverse_rc = job.t.inverse_rc_angular + type * p.n_types;
    const int n_k = p.k_angular;
    const V d = simd::load(lane.d + k);
    const V scale = p.uniform_cutoff
                        ? V(inverse_rc[0])
                        : simd::gather(inverse_rc, simd::to_int(simd::load(lane.a_species + k)));
    const auto fc = math::cosine_cutoff(d, scale);
    const V a = simd::min(V(T(1)), d * scale) - V(T(1));
    const V dx = V(T(4)) * a * scale * fc.value;
    V t[kNepMaxBasis];
    chebyshev<T>(simd::fma(a + a, a, V(T(-1))), n_k, t);
    bool first = true;
    by_species(lane.a_species, k, [&](int of, auto mask, bool one) {
        const T* table = job.t.angular + std::int64_t(type * p.n_types + of) * p.n_angular * n_k * 2;
        in_parts<kParts<T>>(p.n_angular, [&](auto size, int n0) {
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
                V v = fc.value * value[q];
                V dv = simd::fma(fc.derivative, value[q], dx * slope[q]);
                if (!one) {
                    v = simd::keep(mask, v);
                    dv = simd::keep(mask, dv);
                    if (!first) {
                        v = v + simd::load(g);
                        dv = dv + simd::load(dg);
                    }
                }
                simd::store(g, v);
                simd::store(dg, dv);
            }
        });
        first = false;
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
    const int type = int(job.s.rows[4 * lane.row + 3]), stride = lane.stride;
    for (int k = 0; k < stride; k += V::width) {
        angular_functions(job, lane, type, k);
        basis<L>(simd::load(lane.ux + k), simd::load(lane.uy + k), simd::load(lane.uz + k),
                 [&](int b, V v) { simd::store(scratch.basis + b * stride + k, v); });
        for (int b = Basis<L>::n; b < Basis<L>::padded; ++b)
            simd::store(scratch.basis + b * stride + k, V(T(0)));
    }
    angular_sums(job, scratch, l, Basis<L>::padded);
}

// What the gradients of one centre add up to.
template <class T> struct CentreSums {
    using V = simd::Vec<T>;
    V fx = T(0), fy = T(0), fz = T(0);
    V wxx = T(0), wyy = T(0), wzz = T(0), wyz = T(0), wxz = T(0), wxy = T(0);
};

// Where a vector of gradients goes: on the neighbors' entries, and into the sums of the centre.
template <class T> struct GradientSink {
    using V = simd::Vec<T>;
    const NepJob<T>& job;
    const std::int32_t* slots;
    double *entries, *virial_entries;
    CentreSums<T> sums;

    // Lanes without a neighbor hold the centre's row and zero gradients.
    [[gnu::always_inline]] void add(const std::int32_t* index, V dx, V dy, V dz, V px, V py, V pz) {
        std::int32_t slot[V::width];
#pragma GCC unroll 16
        for (int q = 0; q < V::width; ++q) slot[q] = slots[index[q]];
        simd::subtract_rows(entries, slot, px, py, pz);
        CentreSums<T>& a = sums;
        a.fx = a.fx + px;
        a.fy = a.fy + py;
        a.fz = a.fz + pz;
        if (job.p.dipole) {
            const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            a.wxx = simd::fma(r2, px, a.wxx);
            a.wyy = simd::fma(r2, py, a.wyy);
            a.wzz = simd::fma(r2, pz, a.wzz);
            return;
        }
        a.wxx = simd::fma(dx, px, a.wxx);
        a.wyy = simd::fma(dy, py, a.wyy);
        a.wzz = simd::fma(dz, pz, a.wzz);
        a.wyz = simd::fma(dy, pz, a.wyz);
        a.wxz = simd::fma(dx, pz, a.wxz);
        a.wxy = simd::fma(dx, py, a.wxy);
        if (virial_entries) add_virials(slot, dx, dy, dz, px, py, pz);
    }
    // Virial of the neighbor, symmetric part.
    [[gnu::noinline]] void add_virials(const std::int32_t* slot, V dx, V dy, V dz, V px, V py, V pz) {
        const V half = T(-0.5);
        const V w[6] = {-(dx * px),
                        -(dy * py),
                        -(dz * pz),
                        half * simd::fma(dy, pz, dz * py),
                        half * simd::fma(dx, pz, dz * px),
                        half * simd::fma(dx, py, dy * px)};
        for (int c = 0; c < 6; ++c) {
            T lanes[V::width];
            simd::store(lanes, w[c]);
            for (int q = 0; q < V::width; ++q)
                virial_entries[8 * std::int64_t(slot[q]) + c] += double(lanes[q]);
        }
    }
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
