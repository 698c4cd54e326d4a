// Energies and forces of pairs, with sums S_q = sum_j W_q(j) g over the neighbors of each species, from
// which E_i and D_i = dE/dCN_i follow without more per pair:
//   V_q = sum_p W_p(i) C6_pq,  E_i = -1/2 V . S,  C6_ij = sum_q V_q W_q(j)
//   U_q = sum_p dW_p(i)/dCN_i C6_pq,  D_i = -U . S
#include "potentials/d3/pair_terms.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

template <int kValue> struct Number {
    static constexpr int value = kValue;
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
            // Of the numbers in between, the last weights are zero. What few ask for has one loop for all.
            if constexpr (kSmooth || kDamping == D3Damping::general)
                add(Number<kMostReferences>());
            else if (n <= 2)
                add(Number<2>());
            else if (n == 3)
                add(Number<3>());
            else if (n <= 5)
                add(Number<5>());
            else
                add(Number<kMostReferences>());
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
    if (p.width > 0.0)  // rare, as the general damping is: one instance serves both
        pair_rows<kDamping, true, true>(p, s, places, work, n_threads);
    else if (totals || kDamping == D3Damping::general)
        pair_rows<kDamping, false, true>(p, s, places, work, n_threads);
    else if constexpr (kDamping != D3Damping::general)
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
