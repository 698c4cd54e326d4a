// Second half of the NEP kernel's pair passes: from dU/dq and dU/dS of one centre to the gradients
// p_ij of all its neighbors. Include from kernels only.
#pragma once

#include "forces/gradient_sink.hpp"
#include "math/chebyshev.hpp"
#include "math/monomials.hpp"
#include "potentials/nep/nep_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Screened nuclear repulsion of one vector of neighbors of one species: half of energy and slope.
template <class T> struct Repulsion {
    simd::Vec<T> energy, slope;
};
template <class T> Repulsion<T> repulsion(const NepParams& p, int pair, simd::Vec<T> d,
                                          simd::Vec<T> inverse) {
    using V = simd::Vec<T>;
    const double* c = p.zbl_phi + 8 * pair;
    const V length = T(p.zbl_inverse_length[pair]), x = d * length;
    V phi = T(0), dphi = T(0);
    for (int k = 0; k < 8; k += 2) {
        const V b = T(c[k + 1]), term = V(T(c[k])) * math::exp(-(b * x));
        phi = phi + term;
        dphi = simd::fnma(b, term, dphi);
    }
    const V scale = V(T(0.5 * p.zbl_charge[pair])) * inverse;
    const V v = scale * phi, dv = scale * simd::fma(dphi, length, -(phi * inverse));
    const T inner = T(p.zbl_inner[pair]), width = T(p.zbl_outer[pair]) - inner;
    const auto f = math::cosine_cutoff(simd::max(V(T(0)), d - V(inner)), V(T(1) / width));
    const auto flat = d < V(inner), live = (d < V(T(p.zbl_outer[pair]))) & (d < V(T(p.zbl_range)));
    const V value = simd::select(flat, V(T(1)), f.value);
    const V slope = simd::select(flat, V(T(0)), f.derivative);
    return {simd::keep(live, v * value), simd::keep(live, simd::fma(dv, value, v * slope))};
}

// Half the repulsion by the neighbors of one vector, added to energy and slope.
template <class T> [[gnu::noinline]] void repel(const NepJob<T>& job, const NepLane<T>& lane,
                                                int type, int k, simd::Vec<T>& energy,
                                                simd::Vec<T>& slope) {
    using V = simd::Vec<T>;
    const V dx = simd::load(lane.dx + k), dy = simd::load(lane.dy + k),
            dz = simd::load(lane.dz + k), inverse = simd::load(lane.inverse + k);
    const V d = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz)) * inverse;
    for (int r = 0, begin = 0; r < lane.n_runs; begin = lane.end[r++]) {
        if (lane.end[r] <= k || begin >= k + V::width) continue;
        const auto f = repulsion<T>(job.p, type * job.p.n_types + lane.species[r], d, inverse);
        const auto mask = in_run<T>(k, begin, lane.end[r]);
        energy = energy + simd::keep(mask, f.energy);
        slope = slope + simd::keep(mask, f.slope);
    }
}

// Coefficients of sum_n B_n g_n for one pair of types: P and dP/dx.
template <class T> struct RadialSeries {
    T p[kNepMaxBasis + kPadLanes], d[kNepMaxBasis + kPadLanes];

    RadialSeries(const NepJob<T>& job, const NepScratch<T>& scratch, int l, int type, int of) {
        using V = simd::Vec<T>;
        const int n_padded = padded(job.p.k_radial), n_radial = job.p.n_radial;
        const T* c =
            job.t.radial_nk + std::int64_t(type * job.p.n_types + of) * n_radial * 2 * n_padded;
        for (int k = 0; k < job.p.k_radial; k += V::width) {
            V value = T(0), slope = T(0);
            for (int n = 0; n < n_radial; ++n) {
                const V b = scratch.slope_q[n * V::width + l];
                value = simd::fma(b, simd::load(c + (2 * n) * n_padded + k), value);
                slope = simd::fma(b, simd::load(c + (2 * n + 1) * n_padded + k), slope);
            }
            simd::store(p + k, value);
            simd::store(d + k, slope);
        }
    }
};

// Slopes s of the radial part, p_ij = s u, of all neighbors into scratch.fc.
template <class T, int K> void radial_slopes(const NepJob<T>& job, NepScratch<T>& scratch, int l,
                                             int type) {
    using V = simd::Vec<T>;
    const NepLane<T>& lane = scratch.lane[l];
    const int n_k = K ? K : job.p.k_radial;
    for (int r = 0, begin = 0; r < lane.n_runs; begin = lane.end[r++]) {
        const int end = r + 1 < lane.n_runs ? lane.end[r] : lane.n + V::width;
        const RadialSeries<T> series(job, scratch, l, type, lane.species[r]);
        for (int k = begin / V::width * V::width; k < end && k < lane.n; k += V::width) {
            const V x = simd::load(lane.x + k);
            V value = series.p[0], slope = series.d[0];
            chebyshev(n_k, x, V(T(1)), x, [&](int m, V t) MDKERN_BODY {
                if (m == 0) return;
                value = simd::fma(V(series.p[m]), t, value);
                slope = simd::fma(V(series.d[m]), t, slope);
            });
            V s = simd::fma(simd::load(lane.dfc + k), value, simd::load(lane.slope + k) * slope);
            if (k < begin || k + V::width > end) {
                s = simd::keep(in_run<T>(k, begin, end), s);
                if (begin > k) s = s + simd::load(scratch.fc + k);
            }
            simd::store(scratch.fc + k, s);
        }
    }
}

template <class T, int K> void radial_backward(const NepJob<T>& job, NepScratch<T>& scratch, int l,
                                               GradientSink<T>& sink) {
    using V = simd::Vec<T>;
    NepLane<T>& lane = scratch.lane[l];
    const NepParams& p = job.p;
    const int type = int(job.s.rows[4 * lane.row + 3]);
    radial_slopes<T, K>(job, scratch, l, type);
    const bool repels = p.zbl_phi && job.task == CentreTask::energy;
    const V near = repels ? V(T(1.0 / p.zbl_range)) : V(T(0));
    V energy = T(0);
    for (int k = 0; k < lane.n; k += V::width) {
        const V inverse = simd::load(lane.inverse + k);
        V s = simd::load(scratch.fc + k);
        if (repels && simd::any(inverse > near)) repel(job, lane, type, k, energy, s);
        const V c = s * inverse;
        const V dx = simd::load(lane.dx + k), dy = simd::load(lane.dy + k),
                dz = simd::load(lane.dz + k);
        sink.add(lane.index + k, dx, dy, dz, c * dx, c * dy, c * dz);
    }
    lane.energy = double(simd::sum(energy));
}

// w_b = sum_n U_nb g_n of kGroup basis functions from `q` on, and sum_nb U_nb g_n' b added to s.
template <int kGroup, class T> [[gnu::always_inline]] inline void adjoint_group(
    const NepLane<T>& lane, const T* adjoint, int n_angular, int n_basis, int k, int q,
    const simd::Vec<T>* b, simd::Vec<T>* w, simd::Vec<T> (&s)[4]) {
    using V = simd::Vec<T>;
    V wq[kGroup], dq[kGroup];
#pragma GCC unroll 8
    for (int c = 0; c < kGroup; ++c) wq[c] = dq[c] = T(0);
    const T *g_row = lane.g + k, *dg_row = lane.dg + k, *u = adjoint + (1 + q) * V::width;
    for (int n = 0; n < n_angular; ++n) {
        const V g = simd::load(g_row), dg = simd::load(dg_row);
#pragma GCC unroll 8
        for (int c = 0; c < kGroup; ++c) {
            const V a = u[c * V::width];
            wq[c] = simd::fma(a, g, wq[c]);
            dq[c] = simd::fma(a, dg, dq[c]);
        }
        g_row += lane.stride;
        dg_row += lane.stride;
        u += n_basis * V::width;
    }
#pragma GCC unroll 8
    for (int c = 0; c < kGroup; ++c) {
        w[q + c] = wq[c];
        s[c % 4] = simd::fma(dq[c], b[q + c], s[c % 4]);
    }
}

template <class T, int L> void angular_backward(const NepJob<T>& job, NepScratch<T>& scratch, int l,
                                                GradientSink<T>& sink) {
    using V = simd::Vec<T>;
    NepLane<T>& lane = scratch.lane[l];
    const int stride = lane.stride, n_angular = job.p.n_angular, n_basis = job.p.n_basis();
    const T* adjoint = scratch.adjoint + l;
    for (int k = 0; k < stride; k += V::width) {
        const V ux = simd::load(lane.ux + k), uy = simd::load(lane.uy + k),
                uz = simd::load(lane.uz + k);
        V b[Monomials<L>::padded], w[Monomials<L>::padded];
        for (int i = Monomials<L>::n; i < Monomials<L>::padded; ++i) b[i] = T(0);
        monomials<L>(ux, uy, uz, [&](int i, V v) { b[i] = v; });
        // The constant has no gradient: it only counts in s.
        V s4[4] = {T(0), T(0), T(0), T(0)};
        for (int n = 0; n < n_angular; ++n)
            s4[0] = simd::fma(V(adjoint[n * n_basis * V::width]),
                              simd::load(lane.dg + n * stride + k), s4[0]);
        // Sixteen accumulators where there are registers for them.
        constexpr int kGroup = sizeof(V) >= 64 ? 8 : 4;
        int q = 0;
        for (; q + kGroup <= Monomials<L>::padded; q += kGroup)
            adjoint_group<kGroup>(lane, adjoint, n_angular, n_basis, k, q, b, w, s4);
        if (q < Monomials<L>::padded)
            adjoint_group<4>(lane, adjoint, n_angular, n_basis, k, q, b, w, s4);
        const V s = (s4[0] + s4[1]) + (s4[2] + s4[3]);
        V vx, vy, vz;
        monomials_gradient<L, T>(w, b, vx, vy, vz);
        // p = u s + (v - u (u v)) / d
        const V inverse = simd::load(lane.a_inverse + k), d = simd::load(lane.d + k);
        const V along = simd::fma(ux, vx, simd::fma(uy, vy, uz * vz));
        const V radial = simd::fnma(along, inverse, s);
        sink.add(lane.a_index + k, d * ux, d * uy, d * uz, simd::fma(radial, ux, vx * inverse),
                 simd::fma(radial, uy, vy * inverse), simd::fma(radial, uz, vz * inverse));
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
