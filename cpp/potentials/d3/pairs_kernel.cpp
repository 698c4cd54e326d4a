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

template <int kValue> struct Number {
    static constexpr int value = kValue;
};

// g and h = (dg/dr) / r, over `factor`, of a vector of pairs.
template <D3Damping kDamping> struct Damped;

template <> struct Damped<D3Damping::bj> {
    V six, eight, s6, s8;
    Damped(const D3Params& p, const double* pair)
        : six(pair[0]), eight(pair[1]), s6(p.s6), s8(pair[2]) {}
    // h / -6 = r^4 (s6 / a^2 + 4/3 r^2 s8 / b^2)
    static constexpr double factor = -6.0;
    void operator()(V r2, V& g, V& h) const {
        const V r4 = r2 * r2;
        const V a = simd::fma(r4, r2, six), b = simd::fma(r4, r4, eight);
        const V both = V(1.0) / (a * b);  // one division for the two
        const V inverse_a = b * both, inverse_b = a * both;
        const V u = s6 * inverse_a, v = s8 * inverse_b;
        g = u + v;
        h = r4 * simd::fma(V(4.0 / 3.0) * r2, v * inverse_b, u * inverse_a);
    }
};

template <> struct Damped<D3Damping::zero> {
    V scale6, scale8, s6, s8;
    Damped(const D3Params& p, const double* pair)
        : scale6(pair[6]), scale8(pair[7]), s6(p.s6), s8(pair[2]) {}
    static constexpr double factor = 1.0;
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
    static constexpr double factor = 1.0;
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

// A row, and what its neighbors of all species add up to.
struct Centre {
    double weights[kMostReferences], slopes[kMostReferences];  // W and dW/dCN
    double value[kMostReferences], by_cn[kMostReferences];     // V and U of one species
    double energy = 0.0, slope = 0.0;                          // E and D
    double sums[9] = {};

    void begin(const D3Params& p, const D3Scratch& work, int a, std::int32_t place) {
        const int n = p.first[a + 1] - p.first[a];
        const double* ref = p.ref_cn + p.first[a];
        double mean = 0.0;
        for (int r = 0; r < n; ++r) {
            weights[r] = work.weights[r * work.stride + place];
            mean += weights[r] * ref[r];
        }
        for (int r = 0; r < n; ++r) slopes[r] = 8.0 * weights[r] * (ref[r] - mean);
    }
    void meet(const D3Params& p, int a, int b) {
        const int n_own = p.first[a + 1] - p.first[a], n = p.first[b + 1] - p.first[b];
        for (int q = 0; q < kMostReferences; ++q) value[q] = by_cn[q] = 0.0;
        for (int r = 0; r < n_own; ++r) {
            const double* c6 = p.c6 + std::int64_t(p.first[a] + r) * p.n_references + p.first[b];
            for (int q = 0; q < n; ++q) {
                value[q] += weights[r] * c6[q];
                by_cn[q] += slopes[r] * c6[q];
            }
        }
    }
};

// The neighbors of one species.
template <D3Damping kDamping, bool kSmooth, bool kTotals, int kReferences>
void add_species(const D3Params& p, const Places& places, const D3Scratch& work, const Columns& c,
                 const Block& block, Centre* centres, Run* memory) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    const Smooth smooth(p.cutoff, p.width);
    constexpr int n_sums = kTotals ? 9 : 3;
    V sums[Block::most][n_sums + kReferences];
    for (auto& row : sums)
        for (V& sum : row) sum = 0.0;
    const Tiles tiles(c, p.cutoff, places.margin, memory);
    tiles.run(block, [&](int m, const Run* runs, int n) {
        const double* at = block.at[m];
        const Damped<kDamping> damped(p, pair_of(p, at[3], c.species));
        const V xi = at[0], yi = at[1], zi = at[2], limit2 = p.cutoff * p.cutoff;
        V t[n_sums], s[kReferences], value[kReferences];
        for (int d = 0; d < n_sums; ++d) t[d] = sums[m][d];
        for (int q = 0; q < kReferences; ++q) {
            s[q] = sums[m][n_sums + q];
            value[q] = centres[m].value[q];
        }
        for (int k = 0; k < n; ++k) {
            const std::int32_t j = runs[k].begin;
            const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                    dz = simd::load(z + j) - zi;
            const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            const M within = (r2 <= limit2) & simd::from_bits<double>(runs[k].live);
            V g, h;
            damped(r2, g, h);
            if constexpr (kSmooth) {
                V f, df;
                smooth(simd::sqrt(r2), f, df);
                h = simd::fma(h, f, g * (V(1.0 / Damped<kDamping>::factor) * df));
                g = g * f;
            }
            g = simd::keep(within, g);
            V c6 = 0.0;
            for (int q = 0; q < kReferences; ++q) {
                const V w = simd::load(work.weights + q * work.stride + j);
                c6 = simd::fma(value[q], w, c6);
                s[q] = simd::fma(g, w, s[q]);
            }
            add_pull<kTotals>(t, simd::keep(within, c6 * h), dx, dy, dz);
        }
        for (int d = 0; d < n_sums; ++d) sums[m][d] = t[d];
        for (int q = 0; q < kReferences; ++q) sums[m][n_sums + q] = s[q];
    });
    for (int m = 0; m < block.n; ++m) {
        Centre& centre = centres[m];
        for (int q = 0; q < kReferences; ++q) {
            const double s = simd::sum(sums[m][n_sums + q]);
            centre.energy -= 0.5 * centre.value[q] * s;
            centre.slope -= centre.by_cn[q] * s;
        }
        for (int d = 0; d < n_sums; ++d)
            centre.sums[d] -= Damped<kDamping>::factor * simd::sum(sums[m][d]);
    }
}

template <D3Damping kDamping, bool kSmooth, bool kTotals>
void pair_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
               int n_threads) {
    parallel_for_thread(blocks_of(s), n_threads, 0, [&](std::int64_t part, int thread) {
        const Block block(s, places, part);
        Centre centres[Block::most];
        for (int m = 0; m < block.n; ++m)
            centres[m].begin(p, work, int(block.at[m][3]), block.place[m]);
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            for (int m = 0; m < block.n; ++m) centres[m].meet(p, int(block.at[m][3]), c.species);
            const int n = p.first[c.species + 1] - p.first[c.species];
            const auto add = [&](auto references) {
                add_species<kDamping, kSmooth, kTotals, decltype(references)::value>(
                    p, places, work, c, block, centres, runs_of(work, thread));
            };
            // Of the numbers in between, the last weights are zero.
            if (n <= 2)
                add(Number<2>());
            else if (n == 3)
                add(Number<3>());
            else if (n <= 5)
                add(Number<5>());
            else
                add(Number<7>());
        }
        for (int m = 0; m < block.n; ++m) {
            const Centre& centre = centres[m];
            double* row = work.rows + kD3Row * block.row[m];
            for (int d = 0; d < 9; ++d)
                row[d < 3 ? d : d + 1] = (d < 3 ? 1.0 : 0.5) * centre.sums[d];
            row[3] = centre.energy;
            work.by_cn[block.row[m]] = centre.slope;
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
