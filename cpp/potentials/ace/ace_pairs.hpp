// First pass of the ACE kernel over neighbors: from the list to sums over neighbors A of one center. Lanes are
// neighbors. Include from kernels only.
#pragma once

#include "forces/near.hpp"
#include "math/sphere.hpp"
#include "potentials/ace/ace_scratch.hpp"
#include "simd/math.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
constexpr int W = V::width;
template <int N> struct Count {
    static constexpr int value = N;
};

struct AceJob {
    const AceParams& p;
    const System& s;
    const Neighbors& list;
    const ForceBlockWork& work;
    CentreTask task;
};

// Neighbors of one run from the staging arrays [from, from + n) to the places from `at` on; what fills up the
// last line is the center itself, at a distance where nothing acts.
inline void place_run(const AceScratch& s, AceLane& lane, int from, int n, int at) {
    const auto own = simd::set_int<double>(std::int32_t(lane.row));
    const int end = (n + kAceLine - 1) / kAceLine * kAceLine;
    for (int k = 0; k < end; k += W) {
        const auto live = simd::first_n<double>(n - k);
        const V r =
            simd::select(live, simd::sqrt(simd::load(s.staged[3] + from + k, live)), V(1.0));
        const V inverse = V(1.0) / r;
        simd::store(lane.r + at + k, r);
        simd::store(lane.inverse + at + k, inverse);
        simd::store(lane.ux + at + k, simd::load(s.staged[0] + from + k, live) * inverse);
        simd::store(lane.uy + at + k, simd::load(s.staged[1] + from + k, live) * inverse);
        simd::store(lane.uz + at + k, simd::load(s.staged[2] + from + k, live) * inverse);
        simd::store_int(lane.index + at + k, own);
    }
    for (int k = 0; k < n; ++k) lane.index[at + k] = s.staged_index[from + k];
}

// Neighbors within reach of the lane's row.
inline void gather(const AceJob& job, const AceCenter& center, AceScratch& s, AceLane& lane) {
    const std::int64_t i = lane.row;
    const std::int32_t* begin = job.list.index + job.list.first[i];
    double reach[kMaxSpecies];
    bool uniform = true;
    for (int t = 0; t < job.p.n_species; ++t) {
        reach[t] = center.tables[t].cutoff2;
        uniform = uniform && reach[t] == reach[0];
    }
    const int n = gather_near(
        job.s.rows, i, begin, begin + job.list.count[i],
        [&](const Listed<double>& v) MDKERN_BODY {
            return v.r2 < (uniform ? V(reach[0]) : simd::gather(reach, simd::to_int(v.w)));
        },
        [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t*, int at)
            MDKERN_BODY {
                v.keep_vectors(within, s.staged[0] + at, s.staged[1] + at, s.staged[2] + at);
                simd::compress_store(s.staged[3] + at, v.r2, within);
                simd::compress_store(s.staged[4] + at, v.w, within);
                simd::compress_store(s.staged_index + at, v.j, within);
            });
    // The list is grouped by species. With one group of neighbors one run has all of them.
    lane.n = lane.n_runs = 0;
    for (int k = 0; k < n;) {
        const double of = s.staged[4][k];
        int end = k + 1;
        if (job.p.one_group)
            end = n;
        else
            while (end < n && s.staged[4][end] == of) ++end;
        AceRun& run = lane.runs[lane.n_runs++];
        run.species = std::int32_t(of);
        run.begin = lane.n;
        run.end = lane.n + (end - k + kAceLine - 1) / kAceLine * kAceLine;
        place_run(s, lane, k, end - k, run.begin);
        lane.n = run.end;
        k = end;
    }
}

// Where in the tables the neighbors of a center are.
inline void locate(const AceJob& job, const AceCenter& center, AceLane& lane) {
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const AceTable& t = center.tables[run.species];
        for (int k = run.begin; k < run.end; ++k) {
            const double r = lane.r[k], bin = r * t.inverse_bin;
            // Padding has the index of the center, which is no neighbor of itself.
            const bool live = lane.index[k] != lane.row && bin < double(t.n_bins);
            const std::int32_t at = t.map[live ? int(bin) : t.n_bins];
            lane.interval[k] = at;
            lane.rate[k] = t.place[2 * at + 1];
            lane.x[k] = (r - t.place[2 * at]) * lane.rate[k];
            if (job.p.one_group)
                lane.species[k] = std::int32_t(job.s.rows[4 * std::int64_t(lane.index[k]) + 3]);
        }
    }
}

// Channels of the neighbors [at, at + kAceLine) and their derivatives.
// First lanes are channels, whose coefficients stand side by side; each square of eight by eight is
// turned on its way to the rows.
constexpr std::int32_t kPlaces[kAceLine] = {0, 1, 2, 3, 4, 5, 6, 7};
template <bool kScaled>
[[gnu::noinline]] void read_table(const AceTable* tables, const AceScratch& s, const AceLane& lane,
                                  int at) {
    constexpr int kParts = kAceLine / W, kSquare = kAceLine * kAceLine;
    const AceTable& t = tables[0];
    // In variables of their own, as stores could change what pointers lead to.
    const int n_blocks = t.n_blocks;
    const std::int64_t size = std::int64_t(n_blocks) * kAceTerms * kAceLine, room = s.room;
    double *const line = s.line, *const line_slope = s.line_slope;
    for (int j = 0; j < kAceLine; ++j) {
        const double* c = t.rows + lane.interval[at + j] * size;
        const double* scale = kScaled ? tables[lane.species[at + j]].scale : nullptr;
        const V u = lane.x[at + j], per_r = lane.rate[at + j];
        double *to = line + j * kAceLine, *to_slope = line_slope + j * kAceLine;
        for (int b = 0; b < n_blocks; ++b, c += kAceTerms * kAceLine) {
#pragma GCC unroll 8
            for (int q = 0; q < kParts; ++q) {
                V d = simd::load(c + 5 * kAceLine + q * W);
                V f = simd::fma(d, u, simd::load(c + 4 * kAceLine + q * W));
#pragma GCC unroll 3
                for (int k = 3; k > 0; --k) {
                    d = simd::fma(d, u, f);
                    f = simd::fma(f, u, simd::load(c + k * kAceLine + q * W));
                }
                d = simd::fma(d, u, f) * per_r;
                f = simd::fma(f, u, simd::load(c + q * W));
                if (kScaled) {
                    const V z = simd::load(scale + b * kAceLine + q * W);
                    f = f * z;
                    d = d * z;
                }
                simd::store(to + b * kSquare + q * W, f);
                simd::store(to_slope + b * kSquare + q * W, d);
            }
        }
    }
    const auto turn = [&](const double* from, double* rows) MDKERN_BODY {
        for (int b = 0; b < n_blocks; ++b, from += kSquare, rows += kAceLine * room) {
#pragma GCC unroll 8
            for (int j = 0; j < kAceLine; j += W) {
                V f[kAceLine];
                simd::load_rows8(from, kPlaces + j, f);
                double* row = rows + j;
#pragma GCC unroll 8
                for (int q = 0; q < kAceLine; ++q, row += room) simd::store(row, f[q]);
            }
        }
    };
    turn(line, lane.f + at);
    turn(line_slope, lane.df + at);
}
inline const AceTable* tables_of(const AceParams& p, const AceCenter& center, const AceRun& run) {
    return p.one_group ? center.tables : center.tables + run.species;
}

// Channels of all neighbors of a center.
inline void radial(const AceJob& job, const AceCenter& center, const AceScratch& s, AceLane& lane) {
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const AceTable* t = tables_of(job.p, center, run);
        for (int k = run.begin; k < run.end; k += kAceLine) {
            if (job.p.one_group)
                read_table<true>(t, s, lane, k);
            else
                read_table<false>(t, s, lane, k);
        }
    }
}

// body(Count<l_max>) for the largest l of a model, with which loops are known to the compiler; Count<-1>
// where it is not one of those.
template <class Body> [[gnu::always_inline]] inline void with_l_max(int l_max, const Body& body) {
    if (l_max == 3) return body(Count<3>());
    if (l_max == 4) return body(Count<4>());
    if (l_max == 5) return body(Count<5>());
    if (l_max == 6) return body(Count<6>());
    body(Count<-1>());
}
template <int L> using AceHarmonics = SphereParts<V, (L < 0 ? kAceMaxL : L)>;

// Harmonics of all neighbors of a center, without norms: rows lm, of m = 0, then cosine and sine of 1, 2, ...
template <int L>
[[gnu::noinline]] void harmonics(const AceParams& p, const AceScratch& s, const AceLane& lane) {
    const int l_max = L < 0 ? p.l_max : L, n = lane.n;
    const std::int64_t room = s.room;
    const double *const ux = lane.ux, *const uy = lane.uy, *const uz = lane.uz;
    double* const rows = s.harmonics;
    AceHarmonics<L> y;
    for (int k = 0; k < n; k += W) {
        sphere_parts(l_max, simd::load(ux + k), simd::load(uy + k), simd::load(uz + k), y);
        double* to = rows + k;
#pragma GCC unroll 8
        for (int l = 0; l <= l_max; ++l) {
            const V* q = y.q + l * (l + 1) / 2;
            simd::store(to, q[0]);
            to += room;
#pragma GCC unroll 8
            for (int m = 1; m <= l; ++m, to += 2 * room) {
                simd::store(to, q[m] * y.a[m]);
                simd::store(to + room, q[m] * y.b[m]);
            }
        }
    }
}

// Channels and values of m side by side that fill the registers.
constexpr int kAceRows = W >= 8 ? 3 : 2, kAceColumns = W >= 8 ? 7 : 4;

// put(c, m, sum over [begin, end) of f_c y_m) for N channels and M values of m.
template <int N, int M, class Put> [[gnu::always_inline]] inline void outer_tile(
    const double* f, const double* y, std::int64_t room, int begin, int end, const Put& put) {
    V sum[N][M];
#pragma GCC unroll 8
    for (int c = 0; c < N; ++c)
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) sum[c][m] = 0.0;
    for (int k = begin; k < end; k += W) {
        V a[N];
#pragma GCC unroll 8
        for (int c = 0; c < N; ++c) a[c] = simd::load(f + c * room + k);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const V b = simd::load(y + m * room + k);
#pragma GCC unroll 8
            for (int c = 0; c < N; ++c) sum[c][m] = simd::fma(a[c], b, sum[c][m]);
        }
    }
    constexpr int kSums = N * M, kPadded = (kSums + 3) / 4 * 4;
    double out[kPadded];
#pragma GCC unroll 8
    for (int q = 0; q < kPadded; q += 4) {
        const auto at = [&](int k) MDKERN_BODY { return k < kSums ? sum[k / M][k % M] : V(0.0); };
        simd::store_sums4(out + q, at(q), at(q + 1), at(q + 2), at(q + 3));
    }
    for (int c = 0; c < N; ++c)
        for (int m = 0; m < M; ++m) put(c, m, out[c * M + m]);
}
template <int N, class Put>
[[gnu::noinline]] void outer_rows(int columns, const double* f, const double* y, std::int64_t room,
                                  int begin, int end, const Put& put) {
    if constexpr (kAceColumns >= 7) {
        if (columns == 7) return outer_tile<N, 7>(f, y, room, begin, end, put);
        if (columns == 6) return outer_tile<N, 6>(f, y, room, begin, end, put);
        if (columns == 5) return outer_tile<N, 5>(f, y, room, begin, end, put);
    }
    if (columns == 4) return outer_tile<N, 4>(f, y, room, begin, end, put);
    if (columns == 3) return outer_tile<N, 3>(f, y, room, begin, end, put);
    if (columns == 2) return outer_tile<N, 2>(f, y, room, begin, end, put);
    outer_tile<N, 1>(f, y, room, begin, end, put);
}
// The same for any number of channels and values of m, as equal tiles as can be.
template <class Put> inline void outer(int rows, int columns, const double* f, const double* y,
                                       std::int64_t room, int begin, int end, const Put& put) {
    const int parts = (columns + kAceColumns - 1) / kAceColumns;
    for (int q = 0, m = 0; q < parts; ++q) {
        const int n = (columns - m + parts - q - 1) / (parts - q);
        for (int c = 0; c < rows;) {
            const auto put_at = [&](int dc, int dm, double x)
                                    MDKERN_BODY { put(c + dc, m + dm, x); };
            const double *fc = f + c * room, *ym = y + m * room;
            if (kAceRows >= 3 && rows - c >= 3) {
                outer_rows<kAceRows>(n, fc, ym, room, begin, end, put_at);
                c += kAceRows;
            } else if (rows - c >= 2) {
                outer_rows<2>(n, fc, ym, room, begin, end, put_at);
                c += 2;
            } else {
                outer_rows<1>(n, fc, ym, room, begin, end, put_at);
                c += 1;
            }
        }
        m += n;
    }
}

// A of lane l of the batch, into the values.
inline void sum_neighbors(const AceJob& job, const AceCenter& center, const AceScratch& s, int l) {
    const AceLane& lane = s.lane[l];
    const AceParams& p = job.p;
    for (int v = 0; v < center.n_vectors; ++v) s.values[v * W + l] = 0.0;
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const AceGroup& g = center.groups[p.one_group ? 0 : run.species];
        double* to = s.values + std::int64_t(g.vector) * W + l;
        for (int k = 0; k <= p.l_max; ++k) {
            const int n = g.first[k + 1] - g.first[k], width = p.real ? 2 * k + 1 : 2 * k + 2;
            // Complex values have an imaginary part of m = 0, which is zero.
            outer(n, 2 * k + 1, lane.f + g.first[k] * s.room, s.harmonics + k * k * s.room, s.room,
                  run.begin, run.end, [&](int c, int m, double x) MDKERN_BODY {
                      const double norm = p.norms[k * (k + 1) / 2 + (m + 1) / 2];
                      to[(c * width + m + (!p.real && m > 0)) * W] = norm * x;
                  });
            to += std::int64_t(n) * width * W;
        }
    }
}

// What F fades by where the nearest neighbor is near, in units of the inner cutoff of its pair.
inline void fade(const AceParams& p, int type, AceLane& lane) {
    lane.nearest = -1;
    lane.fade = 1.0;
    lane.fade_slope = 0.0;
    if (!p.near) return;
    double least = 0.0, width = 0.0;
    for (int q = 0; q < lane.n_runs; ++q) {
        const AceRun& run = lane.runs[q];
        const int pair = type * p.n_species + run.species;
        for (int k = run.begin; k < run.end && lane.index[k] != lane.row; ++k) {
            const double d = lane.r[k] - p.near[pair];
            if (lane.nearest >= 0 && !(d < least)) continue;
            lane.nearest = k;
            least = d;
            width = p.width[pair];
        }
    }
    if (lane.nearest < 0) return;
    // P(width - d; width, width): 0 for d <= 0, 1 for d >= width.
    if (least <= 0.0) {
        lane.fade = 0.0;
    } else if (least < width) {
        const double x = 2.0 * least / width - 1.0, x2 = x * x;
        lane.fade = 0.5 + 3.75 * x * (0.25 + x2 * (-1.0 / 6.0 + 0.05 * x2));
        lane.fade_slope = 2.0 / width * 3.75 * (0.25 - 0.5 * x2 + 0.25 * x2 * x2);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
