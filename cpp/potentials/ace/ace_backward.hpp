// Second pass of the ACE kernel over neighbors: from dE/dA of one center to the gradients p_ij of all its neighbors.
// Lanes are neighbors. Include from kernels only.
#pragma once

#include "forces/gradient_sink.hpp"
#include "potentials/ace/ace_products.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// dE/dA of lane l, real parts and imaginary ones of A, from the slopes of values: with the norms of harmonics into the
// weights of its center.
inline void take_weights(const AceJob& job, const AceCenter& center, const AceScratch& s, int l) {
    const AceParams& p = job.p;
    for (int g = 0; g < center.n_groups; ++g) {
        const AceGroup& group = center.groups[g];
        double* to = s.weights + group.weight;
        const double* from = s.slopes + std::int64_t(group.vector) * W + l;
        for (int k = 0; k <= p.l_max; ++k) {
            const int n = group.first[k + 1] - group.first[k];
            const double* norm = p.norms + k * (k + 1) / 2;
            for (int c = 0; c < n; ++c) {
                *to++ = norm[0] * *from;
                from += p.real ? W : 2 * W;
                for (int m = 1; m <= k; ++m, to += 2, from += 2 * W) {
                    to[0] = norm[m] * from[0];
                    to[1] = (p.real ? norm[m] : -norm[m]) * from[W];
                }
            }
        }
    }
}

// Sums over the channels of one l of weights times channels and their derivatives, for M rows m of `rows`.
template <int M> [[gnu::noinline]] void contract_rows(int n, int rows, const double* w,
                                                      const double* f, const double* df,
                                                      std::int64_t room, V* a, V* da) {
    // Few rows are summed by turns, so that a sum does not wait for the one before.
    constexpr int kTurns = M == 1 ? 4 : M <= 3 ? 2 : 1;
    V sum[M], slope[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[m] = slope[m] = 0.0;
    int c = 0;
    if constexpr (kTurns > 1) {
        V part[kTurns][M], part_slope[kTurns][M];
#pragma GCC unroll 8
        for (int q = 0; q < kTurns; ++q)
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) part[q][m] = part_slope[q][m] = 0.0;
        for (; c + kTurns <= n; c += kTurns)
#pragma GCC unroll 8
            for (int q = 0; q < kTurns; ++q, w += rows, f += room, df += room) {
                const V value = simd::load(f), derivative = simd::load(df);
#pragma GCC unroll 8
                for (int m = 0; m < M; ++m) {
                    const V x = w[m];
                    part[q][m] = simd::fma(x, value, part[q][m]);
                    part_slope[q][m] = simd::fma(x, derivative, part_slope[q][m]);
                }
            }
#pragma GCC unroll 8
        for (int q = 0; q < kTurns; ++q)
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) {
                sum[m] = sum[m] + part[q][m];
                slope[m] = slope[m] + part_slope[q][m];
            }
    }
    for (; c < n; ++c, w += rows, f += room, df += room) {
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

// The derivative by the distance, and the gradient of the polynomials, of sum_lm w_lm Q_lm (a, b)_m, where w are sums
// over channels, and dw those over their derivatives; rows of l at l^2: m = 0, then cosine and sine of 1, 2, ...
struct AceGradient {
    V radial, gx, gy, gz;
};
template <class Harmonics>
[[gnu::always_inline]] inline AceGradient gradient_of(int l_max, const Harmonics& y, const V* w,
                                                      const V* dw) {
    AceGradient g = {dw[0], V(0.0), V(0.0), V(0.0)};
#pragma GCC unroll 8
    for (int l = 1; l <= l_max; ++l) {
        const V* q = y.q + l * (l + 1) / 2;
        g.radial = simd::fma(q[0], dw[l * l], g.radial);
        g.gz = simd::fma(q[1], w[l * l], g.gz);
    }
#pragma GCC unroll 8
    for (int m = 1; m <= l_max; ++m) {
        // Sums over l; of c and d with the derivative of Q by z as well.
        V c = 0.0, d = 0.0, dc = 0.0, dd = 0.0, ec = 0.0, ed = 0.0;
#pragma GCC unroll 8
        for (int l = m; l <= l_max; ++l) {
            const V* q = y.q + l * (l + 1) / 2 + m;
            const int at = l * l + 2 * m - 1;
            const V of_c = w[at], of_d = w[at + 1];
            c = simd::fma(q[0], of_c, c);
            d = simd::fma(q[0], of_d, d);
            dc = simd::fma(q[0], dw[at], dc);
            dd = simd::fma(q[0], dw[at + 1], dd);
            if (m < l) {
                ec = simd::fma(q[1], of_c, ec);
                ed = simd::fma(q[1], of_d, ed);
            }
        }
        g.radial = simd::fma(dc, y.a[m], simd::fma(dd, y.b[m], g.radial));
        g.gz = simd::fma(ec, y.a[m], simd::fma(ed, y.b[m], g.gz));
        const V mc = V(double(m)) * c, md = V(double(m)) * d;
        g.gx = simd::fma(mc, y.a[m - 1], simd::fma(md, y.b[m - 1], g.gx));
        g.gy = simd::fnma(mc, y.b[m - 1], simd::fma(md, y.a[m - 1], g.gy));
    }
    return g;
}

// `nearest_slope`: what the gradient of the nearest neighbor has more along r.
template <int L>
[[gnu::noinline]] void pair_gradients(const AceJob& job, const AceCenter& center,
                                      const AceScratch& s, const AceLane& lane,
                                      double nearest_slope, GradientSink<double>& sink) {
    const AceParams& p = job.p;
    const int l_max = L < 0 ? p.l_max : L;
    AceHarmonics<L> y;
    constexpr int kRows = ((L < 0 ? kAceMaxL : L) + 1) * ((L < 0 ? kAceMaxL : L) + 1);
    V a[kRows], da[kRows];
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const AceGroup& g = center.groups[p.one_group ? 0 : run.species];
        for (int k = run.begin; k < run.end; k += W) {
            const V ux = simd::load(lane.ux + k), uy = simd::load(lane.uy + k),
                    uz = simd::load(lane.uz + k), r = simd::load(lane.r + k);
            sphere_parts(l_max, ux, uy, uz, y);
            const double* w = s.weights + g.weight;
            for (int l = 0; l <= l_max; ++l) {
                const int n = g.first[l + 1] - g.first[l], rows = 2 * l + 1;
                contract(n, rows, w, lane.f + g.first[l] * s.room + k,
                         lane.df + g.first[l] * s.room + k, s.room, a + l * l, da + l * l);
                w += n * rows;
            }
            // Of the gradient of the polynomials, the part along the sphere.
            const auto [of_radial, gx, gy, gz] = gradient_of(l_max, y, a, da);
            const V inverse = simd::load(lane.inverse + k);
            const V along = simd::fma(gx, ux, simd::fma(gy, uy, gz * uz));
            V radial = simd::fnma(along, inverse, of_radial);
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
