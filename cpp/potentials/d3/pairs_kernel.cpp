// Energies and forces of pairs, with sums S_q = sum_j W_q(j) g over the neighbors of each species, from
// which E_i and D_i = dE/dCN_i follow without more per pair:
//   V_q = sum_p W_p(i) C6_pq,  E_i = -1/2 V . S,  C6_ij = sum_q V_q W_q(j)
//   U_q = sum_p dW_p(i)/dCN_i C6_pq,  D_i = -U . S
#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

constexpr std::int64_t kRows = 16;  // per part of a thread's work

template <int kValue> struct Number {
    static constexpr int value = kValue;
};

// g and h = (dg/dr) / r of a vector of pairs.
template <D3Damping kDamping> struct Damped;

template <> struct Damped<D3Damping::bj> {
    V six, eight, s6, s8, minus_6s6, minus_8s8;
    Damped(const D3Params& p, const double* pair)
        : six(pair[0]),
          eight(pair[1]),
          s6(p.s6),
          s8(pair[2]),
          minus_6s6(-6.0 * p.s6),
          minus_8s8(-8.0 * pair[2]) {}
    void operator()(V r2, V& g, V& h) const {
        const V r4 = r2 * r2, r6 = r4 * r2;
        const V a = r6 + six, b = simd::fma(r4, r4, eight);
        const V both = V(1.0) / (a * b);
        const V inverse_a = b * both, inverse_b = a * both;  // one division for the two
        const V u = s6 * inverse_a, v = s8 * inverse_b;
        g = u + v;
        h = simd::fma(V(-6.0) * r4 * u, inverse_a, V(-8.0) * r6 * v * inverse_b);
    }
};

template <> struct Damped<D3Damping::zero> {
    V scale6, scale8, s6, s8;
    Damped(const D3Params& p, const double* pair)
        : scale6(1.0 / (pair[0] * pair[0])),
          scale8(1.0 / (pair[1] * pair[1])),
          s6(p.s6),
          s8(pair[2]) {}
    void operator()(V r2, V& g, V& h) const {
        const V q = V(1.0) / r2, q3 = q * q * q;
        const V y6 = scale6 * q, y8 = scale8 * q;
        const V a2 = y6 * y6, a4 = a2 * a2, b2 = y8 * y8, b4 = b2 * b2;
        const V u = V(6.0) * a4 * a2 * y6, v = V(6.0) * b4 * b4;
        const V a = V(1.0) + u, b = V(1.0) + v, both = V(1.0) / (a * b);
        const V f6 = b * both, f8 = a * both;
        const V g6 = s6 * f6 * q3, g8 = s8 * f8 * (q3 * q);
        g = g6 + g8;
        h = q * simd::fma(g6, simd::fma(V(14.0) * u, f6, V(-6.0)),
                          g8 * simd::fma(V(16.0) * v, f8, V(-8.0)));
    }
};

template <> struct Damped<D3Damping::general> {
    V slope6, slope8, offset, s6, s8, alp6, alp8;
    Damped(const D3Params& p, const double* pair)
        : slope6(pair[0]),
          slope8(pair[1]),
          offset(pair[3]),
          s6(p.s6),
          s8(pair[2]),
          alp6(p.alp),
          alp8(p.alp + 2.0) {}
    void operator()(V r2, V& g, V& h) const {
        const V r = simd::sqrt(r2), q = V(1.0) / r2, q3 = q * q * q;
        const V y6 = simd::fma(r, slope6, offset), y8 = simd::fma(r, slope8, offset);
        const V u = V(6.0) * math::exp(-alp6 * math::log(y6)),
                v = V(6.0) * math::exp(-alp8 * math::log(y8));
        const V f6 = V(1.0) / (V(1.0) + u), f8 = V(1.0) / (V(1.0) + v);
        const V g6 = s6 * f6 * q3, g8 = s8 * f8 * (q3 * q);
        g = g6 + g8;
        h = g6 * (u * f6 * alp6 * slope6 / (y6 * r) - V(6.0) * q) +
            g8 * (v * f8 * alp8 * slope8 / (y8 * r) - V(8.0) * q);
    }
};

struct Centre {
    const double* at;  // x, y, z, species
    double force[3], virial[6];
    double energy, slope;  // energy and D
};

// The neighbors of one species.
template <D3Damping kDamping, bool kSmooth, bool kTotals, int kReferences>
void add_species(const D3Params& p, const Places& places, const D3Scratch& work, const Columns& c,
                 const Run* runs, int n_runs, const double* weights, const double* slopes,
                 Centre& centre) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    const std::int64_t a = std::int64_t(centre.at[3]);
    const Damped<kDamping> damped(p, p.pair + 8 * (a * p.n_species + c.species));
    const Smooth smooth(p.cutoff, p.width);
    const int n_own = p.first[a + 1] - p.first[a], n = p.first[c.species + 1] - p.first[c.species];
    double value[kReferences] = {}, by_cn[kReferences] = {};
    for (int r = 0; r < n_own; ++r) {
        const double* c6 =
            p.c6 + std::int64_t(p.first[a] + r) * p.n_references + p.first[c.species];
        for (int q = 0; q < n; ++q) {
            value[q] += weights[r] * c6[q];
            by_cn[q] += slopes[r] * c6[q];
        }
    }
    const V xi = centre.at[0], yi = centre.at[1], zi = centre.at[2], limit2 = p.cutoff * p.cutoff;
    V fx = 0.0, fy = 0.0, fz = 0.0, xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0, xy = 0.0;
    V sum[kReferences];
    for (V& one : sum) one = 0.0;
    for (int k = 0; k < n_runs; ++k)
        for (std::int32_t j = runs[k].begin; j < runs[k].end; j += V::width) {
            const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                    dz = simd::load(z + j) - zi;
            const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            const M within = (r2 <= limit2) & simd::first_n<double>(runs[k].end - j);
            V g, h;
            damped(r2, g, h);
            if constexpr (kSmooth) {
                V s, ds;
                smooth(simd::sqrt(r2), s, ds);
                h = simd::fma(h, s, g * ds);
                g = g * s;
            }
            g = simd::keep(within, g);
            V c6 = 0.0;
            for (int q = 0; q < kReferences; ++q) {
                const V w = simd::load(work.weights + q * work.stride + j);
                c6 = simd::fma(V(value[q]), w, c6);
                sum[q] = simd::fma(g, w, sum[q]);
            }
            const V f = simd::keep(within, c6 * h);
            fx = simd::fma(f, dx, fx);
            fy = simd::fma(f, dy, fy);
            fz = simd::fma(f, dz, fz);
            if constexpr (kTotals) {
                const V tx = f * dx, ty = f * dy;
                xx = simd::fma(tx, dx, xx);
                yy = simd::fma(ty, dy, yy);
                zz = simd::fma(f * dz, dz, zz);
                yz = simd::fma(ty, dz, yz);
                xz = simd::fma(tx, dz, xz);
                xy = simd::fma(tx, dy, xy);
            }
        }
    for (int q = 0; q < n; ++q) {
        const double s = simd::sum(sum[q]);
        centre.energy -= 0.5 * value[q] * s;
        centre.slope -= by_cn[q] * s;
    }
    double sums[12];
    simd::store_sums4(sums, fx, fy, fz, fz);
    for (int d = 0; d < 3; ++d) centre.force[d] -= sums[d];
    if constexpr (kTotals) {
        simd::store_sums4(sums + 4, xx, yy, zz, yz);
        simd::store_sums4(sums + 8, xz, xy, xy, xy);
        for (int d = 0; d < 6; ++d) centre.virial[d] -= 0.5 * sums[4 + d];
    }
}

template <D3Damping kDamping, bool kSmooth, bool kTotals>
void add_species(const D3Params& p, const Places& places, const D3Scratch& work, const Columns& c,
                 const Run* runs, int n_runs, const double* weights, const double* slopes,
                 Centre& centre) {
    const int n = p.first[c.species + 1] - p.first[c.species];
    const auto pick = [&](auto references) {
        add_species<kDamping, kSmooth, kTotals, decltype(references)::value>(
            p, places, work, c, runs, n_runs, weights, slopes, centre);
    };
    // Of the numbers in between, the last weights are zero.
    if (n <= 2)
        pick(Number<2>());
    else if (n == 3)
        pick(Number<3>());
    else if (n <= 5)
        pick(Number<5>());
    else
        pick(Number<7>());
}

template <D3Damping kDamping, bool kSmooth, bool kTotals>
void pair_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
               int n_threads) {
    const std::int64_t parts = (s.n_real + kRows - 1) / kRows;
    parallel_for_thread(parts, n_threads, 0, [&](std::int64_t part, int thread) {
        Run* runs = reinterpret_cast<Run*>(work.runs) + thread * work.n_runs;
        const std::int64_t end = (part + 1) * kRows < s.n_real ? (part + 1) * kRows : s.n_real;
        for (std::int64_t i = part * kRows; i < end; ++i) {
            Centre centre{s.rows + 4 * i, {}, {}, 0.0, 0.0};
            const std::int64_t a = std::int64_t(centre.at[3]), own = places.place[i];
            const int n = p.first[a + 1] - p.first[a];
            double weights[kMostReferences], slopes[kMostReferences], mean = 0.0;
            for (int r = 0; r < n; ++r) {
                weights[r] = work.weights[r * work.stride + own];
                mean += weights[r] * p.ref_cn[p.first[a] + r];
            }
            for (int r = 0; r < n; ++r)
                slopes[r] = 8.0 * weights[r] * (p.ref_cn[p.first[a] + r] - mean);
            for (int k = 0; k < places.n_columns; ++k) {
                const Columns& c = places.columns[k];
                const int n_runs =
                    find_runs(c, centre.at, p.cutoff, places.margin, std::int32_t(own), runs);
                if (n_runs > 0)
                    add_species<kDamping, kSmooth, kTotals>(p, places, work, c, runs, n_runs,
                                                            weights, slopes, centre);
            }
            double* row = work.rows + kD3Row * i;
            for (int d = 0; d < 3; ++d) row[d] = centre.force[d];
            row[3] = centre.energy;
            for (int d = 0; d < 6; ++d) row[4 + d] = centre.virial[d];
            work.by_cn[i] = centre.slope;
        }
    });
}

template <D3Damping kDamping>
void damped_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                 bool totals, int n_threads) {
    if (p.width > 0.0)  // rare: one instance serves both
        pair_rows<kDamping, true, true>(p, s, places, work, n_threads);
    else if (totals)
        pair_rows<kDamping, false, true>(p, s, places, work, n_threads);
    else
        pair_rows<kDamping, false, false>(p, s, places, work, n_threads);
}

}  // namespace

void d3_pairs_compute(const D3Params& p, const System& s, const Places& places,
                      const D3Scratch& work, bool totals, int n_threads) {
    if (p.damping == D3Damping::bj)
        damped_rows<D3Damping::bj>(p, s, places, work, totals, n_threads);
    else if (p.damping == D3Damping::zero)
        damped_rows<D3Damping::zero>(p, s, places, work, totals, n_threads);
    else
        damped_rows<D3Damping::general>(p, s, places, work, totals, n_threads);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
