// Distance tests: for every centre, the columns of bins within reach, as runs of adjacent points, eight (AVX-512) at a time.
//
// Cost per centre: about 8 runs of 1.8 r_cut x column area x density points; 3.4 candidates are tested per pair kept when the columns
// are as wide as the cutoff (the run in a column is trimmed to the sphere). A candidate costs 3 loads, 3 subtractions, 3 multiply-adds,
// a comparison and its share of one compress-store of row numbers.
#include "neighbors/search.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

inline double larger(double a, double b) { return a > b ? a : b; }
inline int clamp_bin(double b, int n) { return b < 0.0 ? 0 : b >= n ? n - 1 : int(b); }

inline double root(double x) {
    double r;
    simd::Vec<double> v = simd::sqrt(V(x));
    simd::store(&r, v, simd::first_n<double>(1));
    return r;
}

inline double pair_cutoff(const CutoffRule& rule, std::int64_t i, std::int64_t j) {
    if (rule.kind == CutoffKind::radii) return rule.radius[i] + rule.radius[j];
    if (rule.kind == CutoffKind::types) return rule.table[rule.type[i] * rule.n_types + rule.type[j]];
    return rule.cutoff;
}

// The one definition of whether rows i and j are neighbors where rounding decides.
inline bool exactly_within(const Exact& e, const CutoffRule& rule, std::int64_t i, std::int64_t j) {
    const double *pi = e.position + 4 * i, *pj = e.position + 4 * j;
    const std::int32_t *si = e.shift + 4 * i, *sj = e.shift + 4 * j;
    const double s0 = double(sj[0] - si[0]), s1 = double(sj[1] - si[1]), s2 = double(sj[2] - si[2]);
    double d[3];
    for (int c = 0; c < 3; ++c)
        d[c] = (pj[c] - pi[c]) + ((s0 * e.cell[c] + s1 * e.cell[3 + c]) + s2 * e.cell[6 + c]);
    return root((d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]) < pair_cutoff(rule, i, j);
}

// Of the two directions of a pair a half list keeps the one with i < j, or with the first non-zero S positive for i == j.
inline bool in_half(const Exact& e, std::int64_t i, std::int64_t j) {
    const std::int32_t *si = e.shift + 4 * i, *sj = e.shift + 4 * j;
    if (si[3] != sj[3]) return si[3] < sj[3];
    for (int c = 0; c < 3; ++c)
        if (sj[c] != si[c]) return sj[c] > si[c];
    return true;
}

struct Run { std::int32_t begin, end; };

// A centre and the squared cutoff that its candidates must stay below.
template <CutoffKind kKind> struct Centre {
    V x, y, z;
    double own;               // squared cutoff (uniform) or radius of the centre (radii)
    const double* table_row;  // cutoffs of the centre's type (types)
    const Bins* bins;
    V limit2(std::int64_t k) const {
        if constexpr (kKind == CutoffKind::radii) {
            const V r = V(own) + simd::load(bins->radius + k);
            return r * r;
        } else if constexpr (kKind == CutoffKind::types) {
            const V r = simd::gather(table_row, simd::load_int<double>(bins->type + k));
            return r * r;
        } else {
            return V(own);
        }
    }
};

// Candidates [begin, end): the rows of those within reach go to out, side by side. Where the caller cares (band > 0), those whose squared distance
// lies within the band around the cutoff are decided exactly.
template <CutoffKind kKind>
inline int test_run(const SearchTask& t, const Centre<kKind>& c, std::int64_t i, Run run, std::int32_t* out) {
    const Bins& b = t.bins;
    const V band = t.exact.band;
    int n = 0;
    for (std::int64_t k = run.begin; k < run.end; k += V::width) {
        const V dx = simd::load(b.x + k) - c.x, dy = simd::load(b.y + k) - c.y, dz = simd::load(b.z + k) - c.z;
        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
        const V limit = c.limit2(k) + band;
        M m = (r2 < limit) & simd::first_n<double>(run.end - k);
        const M doubtful = m & (r2 >= limit - (band + band)) & (V(0.0) < band);
        if (__builtin_expect(simd::any(doubtful), 0)) {
            unsigned kept = simd::bits(m);
            const unsigned check = simd::bits(doubtful);
            for (int lane = 0; lane < V::width; ++lane)
                if ((kept >> lane & 1u) && (!(check >> lane & 1u) || exactly_within(t.exact, t.rule, i, b.row[k + lane])))
                    out[n++] = b.row[k + lane];
        } else {
            n += simd::compress_store(out + n, simd::load_int<double>(b.row + k), m);
        }
    }
    return n;
}

// The runs of candidates of row i; returns how many, at most n[0] n[1] + 1 of its columns.
inline int find_runs(const SearchTask& t, std::int64_t i, int bx, int by0, int by1, double reach, Run* runs,
                     std::int64_t& candidates) {
    const Bins& b = t.bins;
    const double* r = t.system.rows + 4 * i;
    const std::int32_t self = t.self_interaction ? -1 : t.point[i];
    const double x0 = b.low[0] + bx * b.width[0];
    const double dx = larger(0.0, larger(x0 - r[0], r[0] - (x0 + b.width[0])) - b.margin);
    const double rest = reach * reach - dx * dx;
    int n = 0;
    if (rest < 0.0) return 0;
    for (int by = by0; by <= by1; ++by) {
        const double y0 = b.low[1] + by * b.width[1];
        const double dy = larger(0.0, larger(y0 - r[1], r[1] - (y0 + b.width[1])) - b.margin);
        const double h2 = rest - dy * dy;
        if (h2 < 0.0) continue;
        const double h = root(h2) + b.margin, z = r[2] - b.low[2];
        const std::int32_t* column = b.start + (std::int64_t(bx) * b.n[1] + by) * b.n[2];
        const std::int32_t begin = column[clamp_bin((z - h) * b.inverse_width[2], b.n[2])];
        const std::int32_t end = column[clamp_bin((z + h) * b.inverse_width[2], b.n[2]) + 1];
        if (begin <= self && self < end) {  // leave the centre itself out
            runs[n++] = {begin, self};
            runs[n++] = {self + 1, end};
        } else {
            runs[n++] = {begin, end};
        }
        candidates += end - begin;
    }
    return n;
}

constexpr int kRuns = 66;

template <CutoffKind kKind> void search_chunk(const SearchTask& t, Chunk& chunk) {
    const Bins& b = t.bins;
    const double reach = t.rule.cutoff + b.margin;
    std::int64_t at = chunk.offset, found = 0, candidates = 0;
    const std::int64_t room_end = chunk.offset + chunk.room;
    std::int32_t waste[16];
    for (std::int64_t i = chunk.begin; i < chunk.end; i += chunk.step) {
        const double* r = t.system.rows + 4 * i;
        Centre<kKind> c{r[0], r[1], r[2], t.rule.cutoff * t.rule.cutoff, nullptr, &b};
        if (kKind == CutoffKind::radii) c.own = t.rule.radius[i];
        if (kKind == CutoffKind::types) c.table_row = t.rule.table + std::int64_t(t.rule.type[i]) * t.rule.n_types;
        const int bx0 = clamp_bin((r[0] - reach - b.low[0]) * b.inverse_width[0], b.n[0]);
        const int bx1 = clamp_bin((r[0] + reach - b.low[0]) * b.inverse_width[0], b.n[0]);
        const int by0 = clamp_bin((r[1] - reach - b.low[1]) * b.inverse_width[1], b.n[1]);
        const int by1 = clamp_bin((r[1] + reach - b.low[1]) * b.inverse_width[1], b.n[1]);
        std::int64_t n_row = 0;
        for (int bx = bx0; bx <= bx1; ++bx)
            for (int by = by0; by <= by1; by += kRuns - 2) {
                Run runs[kRuns];
                const int last = by + kRuns - 3 < by1 ? by + kRuns - 3 : by1;
                const int n_runs = find_runs(t, i, bx, by, last, reach, runs, candidates);
                for (int k = 0; k < n_runs; ++k) {
                    const std::int64_t length = runs[k].end - runs[k].begin;
                    if (__builtin_expect(at + n_row + length + V::width <= room_end, 1)) {
                        n_row += test_run<kKind>(t, c, i, runs[k], t.index + at + n_row);
                    } else {  // no room: only count, a bit at a time
                        chunk.overflow = true;
                        for (std::int64_t s = runs[k].begin; s < runs[k].end; s += V::width) {
                            const std::int64_t e = s + V::width < runs[k].end ? s + V::width : runs[k].end;
                            n_row += test_run<kKind>(t, c, i, {std::int32_t(s), std::int32_t(e)}, waste);
                        }
                    }
                }
            }
        if (t.half && !chunk.overflow) {
            std::int64_t kept = 0;
            for (std::int64_t k = 0; k < n_row; ++k)
                if (in_half(t.exact, i, t.index[at + k])) t.index[at + kept++] = t.index[at + k];
            n_row = kept;
        }
        t.first[i] = at;
        t.count[i] = std::int32_t(n_row);
        if (!chunk.overflow) at += n_row;
        found += n_row;
    }
    chunk.found = found;
    chunk.candidates = candidates;
}

}  // namespace

void neighbor_search_compute(const SearchTask& t, int n_threads) {
#pragma omp parallel for num_threads(n_threads) schedule(dynamic, 1) if (n_threads > 1)
    for (int c = 0; c < t.n_chunks; ++c) {
        if (t.rule.kind == CutoffKind::uniform)
            search_chunk<CutoffKind::uniform>(t, t.chunks[c]);
        else if (t.rule.kind == CutoffKind::radii)
            search_chunk<CutoffKind::radii>(t, t.chunks[c]);
        else
            search_chunk<CutoffKind::types>(t, t.chunks[c]);
    }
}

void neighbor_prune_compute(const PruneTask& t, int n_threads) {
    const System& s = t.system;
#pragma omp parallel for num_threads(n_threads) schedule(static) if (n_threads > 1)
    for (std::int64_t i = 0; i < s.n_real; ++i) {
        const double* r = s.rows + 4 * i;
        const V x = r[0], y = r[1], z = r[2];
        const std::int64_t begin = t.first[i], end = begin + t.list.count[i];
        std::int32_t* out = t.index + begin;
        int n = 0;
        for (std::int64_t k = begin; k < end; k += V::width) {
            const M live = simd::first_n<double>(end - k);
            const I j = simd::load_int<double>(t.list.index + k, live);
            V xj, yj, zj, w;
            simd::load_rows(s.rows, j, xj, yj, zj, w);
            const V dx = xj - x, dy = yj - y, dz = zj - z;
            const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            // Everything near or below the largest cutoff is decided exactly: this runs once per change of the atoms, not per step.
            const M m = (r2 < V(t.rule.cutoff * t.rule.cutoff + t.exact.band)) & live;
            const unsigned kept = simd::bits(m);
            for (int lane = 0; lane < V::width; ++lane)
                if ((kept >> lane & 1u) && exactly_within(t.exact, t.rule, i, t.list.index[k + lane]))
                    out[n++] = t.list.index[k + lane];
        }
        t.count[i] = n;
    }
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
