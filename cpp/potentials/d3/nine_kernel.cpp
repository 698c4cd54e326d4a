// Virials of nine components. Half of a pair's energy is found at either end, and a third of a triangle's at
// each corner. They depend on the coordination numbers of these atoms, and so on atoms k beyond their own
// neighbors: with D_j = dE/dCN_j and its moment M_j = sum r0 dE/dCN_j, where r0 is the middle of the energy
// relative to j,
//   W_k += sum_j ((r_j - r_k) D_j + M_j + M_k) (x) (r_k - r_j) (dCN/dr) / r
#include "potentials/d3/counting.hpp"
#include "potentials/d3/pair_terms.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

// Moments of pairs with the neighbors of one species.
template <D3Damping kDamping>
void add_moments(const D3Params& p, const Places& places, const D3Scratch& work, const Columns& c,
                 const Block& block, const Centre* centres, Run* memory, V (*sums)[3]) {
    const Smooth smooth(p.cutoff, p.width);
    const int n_references = p.first[c.species + 1] - p.first[c.species];
    const Tiles tiles(c, p.cutoff, places.margin, memory);
    tiles.run(block, [&](int m, const Run* runs, int n) {
        const double* at = block.at[m];
        const Damped<kDamping> damped(p, pair_of(p, at[3], c.species));
        const V limit2 = p.cutoff * p.cutoff;
        for (int k = 0; k < n; ++k) {
            const std::int32_t j = runs[k].begin;
            V d[3];
            for (int x = 0; x < 3; ++x) d[x] = simd::load(places.at[x] + j) - V(at[x]);
            const V r2 = simd::fma(d[0], d[0], simd::fma(d[1], d[1], d[2] * d[2]));
            const M within = (r2 <= limit2) & simd::from_bits<double>(runs[k].live);
            V g, h;
            damped(r2, g, h);
            if (p.width > 0.0) {
                V f, df;
                smooth(simd::sqrt(r2), f, df);
                g = g * f;
            }
            V by_cn = 0.0;
            for (int q = 0; q < n_references; ++q)
                by_cn = simd::fma(V(centres[m].by_cn[q]),
                                  simd::load(work.weights + q * work.stride + j), by_cn);
            const V slope = V(-0.5) * simd::keep(within, g * by_cn);
            for (int x = 0; x < 3; ++x) sums[m][x] = simd::fma(slope, d[x], sums[m][x]);
        }
    });
}

template <D3Damping kDamping>
void moment_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                 int n_threads) {
    parallel_for_thread(blocks_of(s), n_threads, 0, [&](std::int64_t part, int thread) {
        const Block block(s, places, part);
        Centre centres[Block::most];
        V sums[Block::most][3];
        for (int m = 0; m < block.n; ++m) {
            centres[m].begin(p, work, int(block.at[m][3]), block.place[m]);
            for (V& sum : sums[m]) sum = 0.0;
        }
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            for (int m = 0; m < block.n; ++m) centres[m].meet(p, int(block.at[m][3]), c.species);
            add_moments<kDamping>(p, places, work, c, block, centres, runs_of(work, thread), sums);
        }
        for (int m = 0; m < block.n; ++m) {
            const std::int64_t i = block.row[m];
            for (int x = 0; x < 3; ++x) work.moments[3 * i + x] = simd::sum(sums[m][x]);
            const double* so_far = work.rows + kD3Row * i + 4;
            for (int c = 0; c < 9; ++c) work.nine[9 * i + c] = -so_far[kNineOfSix[c]];
        }
    });
}

// What the coordination numbers of a row and its neighbors carry.
template <bool kSmooth>
void nine_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
               int n_threads, const Outputs& out) {
    parallel_for_thread(blocks_of(s), n_threads, 0, [&](std::int64_t part, int thread) {
        const Block block(s, places, part);
        const Counting<kSmooth> counting(p);
        V sums[Block::most][9];
        for (auto& row : sums)
            for (V& sum : row) sum = 0.0;
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            const Tiles tiles(c, p.cn_cutoff, places.margin, runs_of(work, thread));
            tiles.run(block, [&](int m, const Run* runs, int n) {
                const double *at = block.at[m], *own = work.moments + 3 * block.row[m];
                const V radius = radius_of(p, at[3]);
                for (int q = 0; q < n; q += 2) {
                    Two d[3], r2, radii;
                    M within[2];
                    for (int l = 0; l < 2; ++l) {
                        const std::int32_t j = runs[q + l].begin;
                        for (int x = 0; x < 3; ++x)
                            d[x].v[l] = simd::load(places.at[x] + j) - V(at[x]);
                        r2.v[l] = simd::fma(d[0].v[l], d[0].v[l],
                                            simd::fma(d[1].v[l], d[1].v[l], d[2].v[l] * d[2].v[l]));
                        radii.v[l] = radius + simd::load(work.radius + j);
                        within[l] = (r2.v[l] <= counting.limit2) &
                                    simd::from_bits<double>(runs[q + l].live);
                    }
                    const Two g = counting.slope(r2, radii, within);
                    for (int l = 0; l < 2; ++l) {
                        const std::int32_t j = runs[q + l].begin;
                        double moment[3][V::width];
                        for (int a = 0; a < V::width; ++a) {
                            const bool live = runs[q + l].live >> unsigned(a) & 1U;
                            const double* of_j =
                                work.moments + 3 * std::int64_t(live ? places.row[j + a] : 0);
                            for (int x = 0; x < 3; ++x) moment[x][a] = of_j[x];
                        }
                        // ln(2) D_j, and minus (dCN/dr) / r.
                        const V by_cn = simd::load(work.slope + j);
                        const V c_r = V(kLn2) * simd::keep(within[l], g.v[l]);
                        V arm[3];
                        for (int x = 0; x < 3; ++x)
                            arm[x] = simd::fma(V(kLog2e) * by_cn, d[x].v[l],
                                               simd::load(moment[x]) + V(own[x]));
                        for (int c9 = 0; c9 < 9; ++c9)
                            sums[m][c9] = simd::fma(arm[kNine[c9][0]] * c_r, d[kNine[c9][1]].v[l],
                                                    sums[m][c9]);
                    }
                }
            });
        }
        for (int m = 0; m < block.n; ++m) {
            const std::int64_t i = block.row[m], o = s.order ? s.order[i] : i;
            for (int c = 0; c < 9; ++c)
                out.virials[9 * o + c] = work.nine[9 * i + c] + simd::sum(sums[m][c]);
        }
    });
}

}  // namespace

void d3_moments_compute(const D3Params& p, const System& s, const Places& places,
                        const D3Scratch& work, int n_threads) {
    if (p.damping == D3Damping::bj)
        moment_rows<D3Damping::bj>(p, s, places, work, n_threads);
    else if (p.damping == D3Damping::zero)
        moment_rows<D3Damping::zero>(p, s, places, work, n_threads);
    else
        moment_rows<D3Damping::general>(p, s, places, work, n_threads);
}

void d3_nine_compute(const D3Params& p, const System& s, const Places& places,
                     const D3Scratch& work, int n_threads, const Outputs& out) {
    if (p.cn_width > 0.0)
        nine_rows<true>(p, s, places, work, n_threads, out);
    else
        nine_rows<false>(p, s, places, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
