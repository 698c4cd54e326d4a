// Coordination numbers, weights, and the forces that follow from them.
#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

// 1 / sqrt(x) to 40 bits from the estimate, which has 11 at least; infinite for 0.
inline V rsqrt_40(V x) {
    const V y = simd::rsqrt_estimate(x), e = simd::fnma(x * y, y, V(1.0));
    return simd::fma(y * e, simd::fma(e, V(0.375), V(0.5)), y);
}

// With f(u) = 1 / (1 + exp(16 - u)), for 0 <= u <= 5: f, and f (1 - f). The error is below 2e-14 + 2e-12
// (u / 5)^4: the farther, and the more, neighbors are, the smaller it is.
// In three steps instead of eleven that wait for each other: the CPU cannot look far enough ahead to fill
// the time with the next pairs.
inline V polynomial(V u, const double (&c)[12]) {
    const V u2 = u * u, u4 = u2 * u2;
    V q[3];
    for (int k = 0; k < 3; ++k)
        q[k] = simd::fma(simd::fma(V(c[4 * k + 3]), u, V(c[4 * k + 2])), u2,
                         simd::fma(V(c[4 * k + 1]), u, V(c[4 * k])));
    return simd::fma(simd::fma(q[2], u4, q[1]), u4, q[0]);
}
constexpr double kCount[12] = {
    1.1253515284585412e-07, 1.1253579469616004e-07,  5.626009681699999e-08,
    1.878941588046542e-08,  4.611897487712108e-09,   1.0405065933370754e-09,
    7.118316169639343e-11,  6.766643769038841e-11,   -1.2841467941461916e-11,
    3.721932830950993e-12,  -4.0818854988329384e-13, 3.013315916497867e-14};
constexpr double kSlope[12] = {
    1.1253514024080844e-07, 1.1253576531009935e-07,  5.626011743513533e-08,
    1.878919705267652e-08,  4.6123410985773475e-09,  1.0399174917440448e-09,
    7.165165886538278e-11,  6.742567197259897e-11,   -1.2762662334961721e-11,
    3.705800424314442e-12,  -4.0630998853558495e-13, 3.003446903998451e-14};
constexpr double kFar = 5.0;

// What a pair adds to CN, and its derivative over r. u = 16 rcov / r; nearly all pairs are far: they take a
// polynomial in u, and neither exp nor division.
template <bool kSmooth> struct Counting {
    V limit2;
    Smooth smooth;

    explicit Counting(const D3Params& p)
        : limit2(p.cn_cutoff * p.cn_cutoff), smooth(p.cn_cutoff, p.cn_width) {}

    V value(V r2, V radius) const {
        const V u = radius * rsqrt_40(r2);
        V f;
        if (simd::all(u <= V(kFar)))
            f = polynomial(u, kCount);
        else
            f = V(1.0) / (V(1.0) + math::exp(simd::fnma(radius, math::rsqrt(r2), V(16.0))));
        if constexpr (!kSmooth) return f;
        V s, ds;
        smooth(simd::sqrt(r2), s, ds);
        return f * s;
    }
    // f' / r = -u f (1 - f) / r^2, without the sign.
    V slope(V r2, V radius) const {
        V inverse = rsqrt_40(r2), u = radius * inverse, decay, f = 0.0;
        if (simd::all(u <= V(kFar))) {
            decay = polynomial(u, kSlope);
            if constexpr (kSmooth) f = polynomial(u, kCount);
        } else {
            inverse = math::rsqrt(r2);
            u = radius * inverse;
            const V e = math::exp(V(16.0) - u);
            f = V(1.0) / (V(1.0) + e);
            decay = e * (f * f);
        }
        const V g = decay * (u * (inverse * inverse));
        if constexpr (!kSmooth) return g;
        V s, ds;
        smooth(simd::sqrt(r2), s, ds);
        return simd::fnma(f, ds, g * s);
    }
};

// 16 rcov of a species.
inline double radius_of(const D3Params& p, double species) {
    return 8.0 * pair_of(p, species, int(species))[4];
}

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
                for (int q = 0; q < n; ++q) {
                    const std::int32_t j = runs[q].begin;
                    const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                            dz = simd::load(z + j) - zi;
                    const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                    const M within =
                        (r2 <= counting.limit2) & simd::from_bits<double>(runs[q].live);
                    sum = sum + simd::keep(within, counting.value(
                                                       r2, radius + simd::load(work.radius + j)));
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
                const V xi = at[0], yi = at[1], zi = at[2], own = -work.by_cn[block.row[m]],
                        radius = radius_of(p, at[3]);
                V t[n_sums];
                for (int d = 0; d < n_sums; ++d) t[d] = sums[m][d];
                for (int q = 0; q < n; ++q) {
                    const std::int32_t j = runs[q].begin;
                    const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                            dz = simd::load(z + j) - zi;
                    const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                    const M within =
                        (r2 <= counting.limit2) & simd::from_bits<double>(runs[q].live);
                    const V g = simd::keep(
                        within, (own - simd::load(work.slope + j)) *
                                    counting.slope(r2, radius + simd::load(work.radius + j)));
                    add_pull<kTotals>(t, g, dx, dy, dz);
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
            for (int d = 0; out.virials && d < 6; ++d) out.virials[6 * o + d] = -row[4 + d];
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
        for (std::int64_t j = part * kPart; j < end; ++j) work.slope[j] = work.by_cn[places.row[j]];
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
