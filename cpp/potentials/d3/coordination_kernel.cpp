// Coordination numbers, weights, and the forces that follow from them.
#include "potentials/d3/counting.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

template <bool kSmooth>
void count_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                int n_threads) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    parallel_for_thread(blocks_of(s), n_threads, 0, [&](std::int64_t part, int thread) {
        const Block block(s, places, part);
        const Counting<kSmooth> counting(p);
        V sums[Block::most];
        for (V& sum : sums) sum = 0.0;
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            const Tiles tiles(c, p.cn_cutoff, places.margin, runs_of(work, thread));
            tiles.run(block, [&](int m, const Run* runs, int n) {
                const double* at = block.at[m];
                const V xi = at[0], yi = at[1], zi = at[2], radius = radius_of(p, at[3]);
                V sum = sums[m];
                for (int q = 0; q < n; q += 2) {
                    const std::int32_t j[2] = {runs[q].begin, runs[q + 1].begin};
                    const Two dx = each([&](int l)
                                            MDKERN_BODY { return simd::load(x + j[l]) - xi; }),
                              dy = each([&](int l)
                                            MDKERN_BODY { return simd::load(y + j[l]) - yi; }),
                              dz = each([&](int l)
                                            MDKERN_BODY { return simd::load(z + j[l]) - zi; });
                    const Two r2 = each([&](int l) MDKERN_BODY {
                        return simd::fma(dx.v[l], dx.v[l],
                                         simd::fma(dy.v[l], dy.v[l], dz.v[l] * dz.v[l]));
                    });
                    const Two radii = each(
                        [&](int l) MDKERN_BODY { return radius + simd::load(work.radius + j[l]); });
                    const M within[2] = {
                        (r2.v[0] <= counting.limit2) & simd::from_bits<double>(runs[q].live),
                        (r2.v[1] <= counting.limit2) & simd::from_bits<double>(runs[q + 1].live)};
                    const Two f = counting.value(r2, radii, within);
                    sum = sum + simd::keep(within[0], f.v[0]);
                    sum = sum + simd::keep(within[1], f.v[1]);
                }
                sums[m] = sum;
            });
        }
        for (int m = 0; m < block.n; ++m) work.cn[block.row[m]] = simd::sum(sums[m]);
    });
}

// W_q = exp(-4 (CN - CN_q)^2) / sum. The largest exponent is taken from all: the nearest reference has 1
// before the division, however far it is.
void weigh(const D3Params& p, const Columns& c, const Places& places, const D3Scratch& work,
           std::int64_t begin, std::int64_t end) {
    const double* ref = p.ref_cn + p.first[c.species];
    const int n = p.first[c.species + 1] - p.first[c.species];
    double gathered[V::width];
    for (std::int64_t j = begin; j < end; j += V::width) {
        for (int l = 0; l < V::width; ++l)
            gathered[l] = work.cn[places.row[j + l < end ? j + l : end - 1]];
        const V cn = simd::load(gathered);
        V w[kMostReferences], most = V(-1e300), sum = 0.0;
        for (int q = 0; q < n; ++q) {
            const V d = cn - V(ref[q]);
            w[q] = V(-4.0) * d * d;
            most = simd::max(most, w[q]);
        }
        for (int q = 0; q < n; ++q) {
            w[q] = math::exp(w[q] - most);
            sum = sum + w[q];
        }
        const V scale = V(1.0) / sum;
        const M live = simd::first_n<double>(int(end - j));
        for (int q = 0; q < kMostReferences; ++q)
            simd::store(work.weights + q * work.stride + j, q < n ? w[q] * scale : V(0.0), live);
    }
}

// Adds the forces of pairs by the coordination numbers to those of each row.
template <bool kSmooth, bool kTotals>
void pull_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
               int n_threads) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    parallel_for_thread(blocks_of(s), n_threads, 0, [&](std::int64_t part, int thread) {
        const Block block(s, places, part);
        const Counting<kSmooth> counting(p);
        constexpr int n_sums = kTotals ? 9 : 3;
        V sums[Block::most][n_sums];
        for (auto& row : sums)
            for (V& sum : row) sum = 0.0;
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            const Tiles tiles(c, p.cn_cutoff, places.margin, runs_of(work, thread));
            tiles.run(block, [&](int m, const Run* runs, int n) {
                const double* at = block.at[m];
                const V xi = at[0], yi = at[1], zi = at[2], own = -kLn2 * work.by_cn[block.row[m]],
                        radius = radius_of(p, at[3]);
                V t[n_sums];
                for (int d = 0; d < n_sums; ++d) t[d] = sums[m][d];
                for (int q = 0; q < n; q += 2) {
                    const std::int32_t j[2] = {runs[q].begin, runs[q + 1].begin};
                    const Two dx = each([&](int l)
                                            MDKERN_BODY { return simd::load(x + j[l]) - xi; }),
                              dy = each([&](int l)
                                            MDKERN_BODY { return simd::load(y + j[l]) - yi; }),
                              dz = each([&](int l)
                                            MDKERN_BODY { return simd::load(z + j[l]) - zi; });
                    const Two r2 = each([&](int l) MDKERN_BODY {
                        return simd::fma(dx.v[l], dx.v[l],
                                         simd::fma(dy.v[l], dy.v[l], dz.v[l] * dz.v[l]));
                    });
                    const Two radii = each(
                        [&](int l) MDKERN_BODY { return radius + simd::load(work.radius + j[l]); });
                    const M within[2] = {
                        (r2.v[0] <= counting.limit2) & simd::from_bits<double>(runs[q].live),
                        (r2.v[1] <= counting.limit2) & simd::from_bits<double>(runs[q + 1].live)};
                    const Two g = counting.slope(r2, radii, within);
                    for (int l = 0; l < 2; ++l)
                        add_pull<kTotals>(
                            t,
                            simd::keep(within[l], (own - simd::load(work.slope + j[l])) * g.v[l]),
                            dx.v[l], dy.v[l], dz.v[l]);
                }
                for (int d = 0; d < n_sums; ++d) sums[m][d] = t[d];
            });
        }
        for (int m = 0; m < block.n; ++m) {
            double* row = work.rows + kD3Row * block.row[m];
            for (int d = 0; d < n_sums; ++d)
                row[d < 3 ? d : d + 1] += (d < 3 ? 1.0 : 0.5) * simd::sum(sums[m][d]);
        }
    });
}

void put_results(const System& s, const D3Scratch& work, int n_threads, const Outputs& out) {
    const bool six = out.virials && !out.nine();
    parallel_for(n_blocks(s.n_real), n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        double totals[7] = {};
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const double* row = work.rows + kD3Row * i;
            const std::int64_t o = s.order ? s.order[i] : i;
            totals[0] += row[3];
            for (int d = 0; d < 6; ++d) totals[1 + d] -= row[4 + d];
            if (out.energies) out.energies[o] = row[3];
            for (int d = 0; out.forces && d < 3; ++d) out.forces[3 * o + d] = row[d];
            for (int d = 0; six && d < 6; ++d) out.virials[6 * o + d] = -row[4 + d];
        }
        for (int d = 0; out.block_totals && d < 7; ++d) out.block_totals[7 * b + d] = totals[d];
    });
}

}  // namespace

void d3_count_compute(const D3Params& p, const System& s, const Places& places,
                      const D3Scratch& work, int n_threads) {
    if (p.cn_width > 0.0)
        count_rows<true>(p, s, places, work, n_threads);
    else
        count_rows<false>(p, s, places, work, n_threads);
}

void d3_radius_compute(const D3Params& p, const System& s, const Places& places,
                       const D3Scratch& work) {
    for (std::int64_t j = 0; j < places.n; ++j)
        work.radius[j] = radius_of(p, s.rows[4 * std::int64_t(places.row[j]) + 3]);
}

void d3_weigh_compute(const D3Params& p, const Places& places, const D3Scratch& work,
                      int n_threads) {
    constexpr std::int64_t kPart = 1024;
    for (int k = 0; k < places.n_columns; ++k) {
        const Columns& c = places.columns[k];
        const std::int64_t parts = (c.end - c.begin + kPart - 1) / kPart;
        parallel_for(parts, n_threads, 1, [&](std::int64_t part) {
            const std::int64_t begin = c.begin + part * kPart;
            weigh(p, c, places, work, begin, begin + kPart < c.end ? begin + kPart : c.end);
        });
    }
}

void d3_finish_compute(const D3Params& p, const System& s, const Places& places,
                       const D3Scratch& work, int n_threads, const Outputs& out) {
    constexpr std::int64_t kPart = 4096;
    parallel_for((places.n + kPart - 1) / kPart, n_threads, 1, [&](std::int64_t part) {
        const std::int64_t end = (part + 1) * kPart < places.n ? (part + 1) * kPart : places.n;
        for (std::int64_t j = part * kPart; j < end; ++j)
            work.slope[j] = kLn2 * work.by_cn[places.row[j]];
    });
    const bool totals = out.block_totals || out.energies || out.virials, smooth = p.cn_width > 0.0;
    if (totals && smooth)
        pull_rows<true, true>(p, s, places, work, n_threads);
    else if (totals)
        pull_rows<false, true>(p, s, places, work, n_threads);
    else if (smooth)
        pull_rows<true, false>(p, s, places, work, n_threads);
    else
        pull_rows<false, false>(p, s, places, work, n_threads);
    put_results(s, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
