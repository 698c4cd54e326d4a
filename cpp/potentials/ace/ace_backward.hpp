// Second pass of the ACE kernel over neighbors: from dE/dA of one center to the gradients p_ij of all its neighbors.
// Lanes are neighbors. Include from kernels only.
#pragma once

#include "forces/gradient_sink.hpp"
#include "potentials/ace/ace_products.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// dE/dA of lane l, real parts and imaginary ones of A, from the slopes of values: into the weights of its center.
inline void take_weights(const AceJob& job, const AceCenter& center, const AceScratch& s, int l) {
    const AceParams& p = job.p;
    for (int g = 0; g < center.n_groups; ++g) {
        const AceGroup& group = center.groups[g];
        double* to = s.weights + group.weight;
        const double* from = s.slopes + std::int64_t(group.vector) * W + l;
        for (int k = 0; k <= p.l_max; ++k) {
            const int n = group.first[k + 1] - group.first[k];
            for (int c = 0; c < n; ++c) {
                *to++ = *from;
                from += p.real ? W : 2 * W;
                for (int m = 1; m <= k; ++m, to += 2, from += 2 * W) {
                    to[0] = from[0];
                    to[1] = p.real ? from[W] : -from[W];
                }
            }
        }
    }
}

// Sums over the channels of one l of weights times channels and their derivatives, for M rows m of `rows`.
template <int M> [[gnu::noinline]] void contract_rows(int n, int rows, const double* w,
                                                      const double* f, const double* df,
                                                      std::int64_t room, V* a, V* da) {
    V sum[M], slope[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[m] = slope[m] = 0.0;
    for (int c = 0; c < n; ++c, w += rows, f += room, df += room) {
        const V value = simd::load(f), derivative = simd::load(df);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const V x = w[m];
            sum[m] = simd::fma(x, value, sum[m]);
            slope[m] = simd::fma(x, derivative, slope[m]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
        a[m] = sum[m];
        da[m] = slope[m];
    }
}
inline void contract(int n, int rows, const double* w, const double* f, const double* df,
                     std::int64_t room, V* a, V* da) {
    constexpr int kMost = W >= 8 ? 7 : 5;
    const int parts = (rows + kMost - 1) / kMost;
    for (int q = 0, m = 0; q < parts; ++q) {
        const int size = (rows - m + parts - q - 1) / (parts - q);
        const auto part = [&](auto rows_of) MDKERN_BODY {
            contract_rows<decltype(rows_of)::value>(n, rows, w + m, f, df, room, a + m, da + m);
        };
        if (size == 1)
            part(Count<1>());
        else if (size == 2)
            part(Count<2>());
        else if (size == 3)
            part(Count<3>());
        else if (size == 4)
            part(Count<4>());
        else if (size == 5)
            part(Count<5>());
        else if (kMost >= 6 && size == 6)
            part(Count<6>());
        else
            part(Count<kMost>());
        m += size;
    }
}

// Sums over l and m of the derivative by the distance, and of the gradient of harmonics as polynomials.
struct AceGradient {
    V radial = 0.0, h = 0.0, gx = 0.0, gy = 0.0, gz = 0.0;

    void add(int l, const double* table, const AceHarmonics& y, const V* w, const V* dw) {
        const int at = l * (l + 1) / 2, up = at - l;
        const double* t = table + 4 * at;
        radial = simd::fma(y.q[at], dw[0], radial);
        if (l > 0) gz = simd::fma(V(t[2]) * y.q[up], w[0], gz);
        if (l > 1) h = simd::fma(V(t[3]) * y.q[up + 1], w[0], h);
        for (int m = 1; m <= l; ++m) {
            const V c = w[2 * m - 1], d = w[2 * m], q = y.q[at + m];
            const V u = simd::fma(c, y.a[m], d * y.b[m]);
            radial = simd::fma(q, simd::fma(dw[2 * m - 1], y.a[m], dw[2 * m] * y.b[m]), radial);
            if (m < l) gz = simd::fma(V(t[4 * m + 2]) * y.q[up + m], u, gz);
            if (m + 1 < l) h = simd::fma(V(t[4 * m + 3]) * y.q[up + m + 1], u, h);
            const V mq = V(double(m)) * q;
            gx = simd::fma(mq, simd::fma(c, y.a[m - 1], d * y.b[m - 1]), gx);
            gy = simd::fma(mq, simd::fnma(c, y.b[m - 1], d * y.a[m - 1]), gy);
        }
    }
};

// `nearest_slope`: what the gradient of the nearest neighbor has more along r.
inline void pair_gradients(const AceJob& job, const AceCenter& center, const AceScratch& s,
                           const AceLane& lane, double nearest_slope, GradientSink<double>& sink) {
    const AceParams& p = job.p;
    AceHarmonics y;
    V a[2 * kAceMaxL + 1], da[2 * kAceMaxL + 1];
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const AceGroup& g = center.groups[p.one_group ? 0 : run.species];
        for (int k = run.begin; k < run.end; k += W) {
            const V ux = simd::load(lane.ux + k), uy = simd::load(lane.uy + k),
                    uz = simd::load(lane.uz + k), r = simd::load(lane.r + k);
            harmonic_parts(p.l_max, p.harmonics, ux, uy, uz, V(1.0), y);
            AceGradient sum;
            const double* w = s.weights + g.weight;
            for (int l = 0; l <= p.l_max; ++l) {
                const int n = g.first[l + 1] - g.first[l], rows = 2 * l + 1;
                if (n == 0) continue;
                contract(n, rows, w, lane.f + g.first[l] * s.room + k,
                         lane.df + g.first[l] * s.room + k, s.room, a, da);
                sum.add(l, p.harmonics, y, a, da);
                w += n * rows;
            }
            // Of the gradient of the polynomials, the part along the sphere.
            V gx = simd::fnma(ux, sum.h, sum.gx), gy = simd::fnma(uy, sum.h, sum.gy), gz = sum.gz;
            const V inverse = simd::load(lane.inverse + k);
            const V along = simd::fma(gx, ux, simd::fma(gy, uy, gz * uz));
            V radial = simd::fnma(along, inverse, sum.radial);
            if (lane.nearest >= k && lane.nearest < k + W) {
                double extra[W];
                for (int j = 0; j < W; ++j) extra[j] = k + j == lane.nearest ? nearest_slope : 0.0;
                radial = radial + simd::load(extra);
            }
            sink.add(lane.index + k, ux * r, uy * r, uz * r, simd::fma(gx, inverse, radial * ux),
                     simd::fma(gy, inverse, radial * uy), simd::fma(gz, inverse, radial * uz));
        }
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
