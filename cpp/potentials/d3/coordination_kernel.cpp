// Coordination numbers, weights, and the forces that follow from them.
#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

constexpr std::int64_t kRows = 16;  // per part of a thread's work

// What a pair adds to CN, and its derivative over r.
template <bool kSmooth> struct Counting {
    V radius, limit2;
    Smooth smooth;

    Counting(const D3Params& p, const double* pair)
        : radius(pair[4]), limit2(p.cn_cutoff * p.cn_cutoff), smooth(p.cn_cutoff, p.cn_width) {}

    V value(V r2) const {
        const V inverse = math::rsqrt(r2);
        const V f = V(1.0) / (V(1.0) + math::exp(simd::fnma(radius * V(16.0), inverse, V(16.0))));
        if constexpr (!kSmooth) return f;
        V s, ds;
        smooth(simd::sqrt(r2), s, ds);
        return f * s;
    }
    V slope(V r2) const {
        const V inverse = math::rsqrt(r2);
        const V e = math::exp(simd::fnma(radius * V(16.0), inverse, V(16.0)));
        const V f = V(1.0) / (V(1.0) + e);
        const V g = V(-16.0) * radius * (inverse * inverse * inverse) * e * (f * f);
        if constexpr (!kSmooth) return g;
        V s, ds;
        smooth(simd::sqrt(r2), s, ds);
        return simd::fma(g, s, f * ds);
    }
};

template <bool kSmooth>
void count_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                int n_threads) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    const std::int64_t parts = (s.n_real + kRows - 1) / kRows;
    parallel_for_thread(parts, n_threads, 0, [&](std::int64_t part, int thread) {
        Run* runs = reinterpret_cast<Run*>(work.runs) + thread * work.n_runs;
        const std::int64_t end = (part + 1) * kRows < s.n_real ? (part + 1) * kRows : s.n_real;
        for (std::int64_t i = part * kRows; i < end; ++i) {
            const double* at = s.rows + 4 * i;
            const V xi = at[0], yi = at[1], zi = at[2];
            V sum = 0.0;
            for (int k = 0; k < places.n_columns; ++k) {
                const Columns& c = places.columns[k];
                const Counting<kSmooth> counting(
                    p, p.pair + 8 * (std::int64_t(at[3]) * p.n_species + c.species));
                const int n = find_runs(c, at, p.cn_cutoff, places.margin, places.place[i], runs);
                for (int q = 0; q < n; ++q)
                    for (std::int32_t j = runs[q].begin; j < runs[q].end; j += V::width) {
                        const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                                dz = simd::load(z + j) - zi;
                        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                        const M within =
                            (r2 <= counting.limit2) & simd::first_n<double>(runs[q].end - j);
                        sum = sum + simd::keep(within, counting.value(r2));
                    }
            }
            work.cn[i] = simd::sum(sum);
        }
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

template <bool kSmooth, bool kTotals>
void finish_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                 int n_threads, const Outputs& out) {
    const double *x = places.at[0], *y = places.at[1], *z = places.at[2];
    parallel_for_thread(n_blocks(s.n_real), n_threads, 1, [&](std::int64_t b, int thread) {
        Run* runs = reinterpret_cast<Run*>(work.runs) + thread * work.n_runs;
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        double totals[7] = {};
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const double* at = s.rows + 4 * i;
            const V xi = at[0], yi = at[1], zi = at[2], own = work.by_cn[i];
            V fx = 0.0, fy = 0.0, fz = 0.0, xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0,
              xy = 0.0;
            for (int k = 0; k < places.n_columns; ++k) {
                const Columns& c = places.columns[k];
                const Counting<kSmooth> counting(
                    p, p.pair + 8 * (std::int64_t(at[3]) * p.n_species + c.species));
                const int n = find_runs(c, at, p.cn_cutoff, places.margin, places.place[i], runs);
                for (int q = 0; q < n; ++q)
                    for (std::int32_t j = runs[q].begin; j < runs[q].end; j += V::width) {
                        const V dx = simd::load(x + j) - xi, dy = simd::load(y + j) - yi,
                                dz = simd::load(z + j) - zi;
                        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                        const M within =
                            (r2 <= counting.limit2) & simd::first_n<double>(runs[q].end - j);
                        const V g = simd::keep(
                            within, (own + simd::load(work.slope + j)) * counting.slope(r2));
                        fx = simd::fma(g, dx, fx);
                        fy = simd::fma(g, dy, fy);
                        fz = simd::fma(g, dz, fz);
                        if constexpr (kTotals) {
                            const V gx = g * dx, gy = g * dy;
                            xx = simd::fma(gx, dx, xx);
                            yy = simd::fma(gy, dy, yy);
                            zz = simd::fma(g * dz, dz, zz);
                            yz = simd::fma(gy, dz, yz);
                            xz = simd::fma(gx, dz, xz);
                            xy = simd::fma(gx, dy, xy);
                        }
                    }
            }
            const double* row = work.rows + kD3Row * i;
            const std::int64_t o = s.order ? s.order[i] : i;
            double sums[12];
            simd::store_sums4(sums, fx, fy, fz, fz);
            if (out.forces)
                for (int d = 0; d < 3; ++d) out.forces[3 * o + d] = row[d] + sums[d];
            if constexpr (kTotals) {
                simd::store_sums4(sums + 4, xx, yy, zz, yz);
                simd::store_sums4(sums + 8, xz, xy, xy, xy);
                totals[0] += row[3];
                if (out.energies) out.energies[o] = row[3];
                for (int d = 0; d < 6; ++d) {
                    const double w = -(row[4 + d] + 0.5 * sums[4 + d]);
                    totals[1 + d] += w;
                    if (out.virials) out.virials[6 * o + d] = w;
                }
            }
        }
        if (kTotals && out.block_totals)
            for (int d = 0; d < 7; ++d) out.block_totals[7 * b + d] = totals[d];
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
        finish_rows<true, true>(p, s, places, work, n_threads, out);
    else if (totals)
        finish_rows<false, true>(p, s, places, work, n_threads, out);
    else if (smooth)
        finish_rows<true, false>(p, s, places, work, n_threads, out);
    else
        finish_rows<false, false>(p, s, places, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
