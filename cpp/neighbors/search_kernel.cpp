// Distance tests. Centres are taken in groups of up to eight that are adjacent in a column of bins;
// the candidates of the group's bounding box (runs of adjacent points, one per column within reach)
// are copied side by side once, and every centre of the group tests all of them in one long loop
// without branches: long loops beat few candidates.
//
// Cost per centre: about 7.2 candidates per pair kept when columns are as wide as the cutoff. A
// candidate costs 4 loads, 3 subtractions, 3 multiply-adds, 2 comparisons and one compress-store of
// row numbers, by vectors of 8 (AVX-512).
#include "neighbors/decide.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

constexpr int kGroup = 8;
constexpr int kRoom = 4096;  // candidates side by side: 100 kB, and far more than usual
constexpr int kRuns = 64;

// Candidates side by side, and behind them a vector of points that are nobody's neighbor.
struct View {
    const double *x, *y, *z, *radius;
    const std::int32_t *row, *type;
    int n;
};

// Memory for candidates that are copied.
struct alignas(64) Candidates {
    double x[kRoom + 16], y[kRoom + 16], z[kRoom + 16], radius[kRoom + 16];
    std::int32_t row[kRoom + 16], type[kRoom + 16];
    int n;
};

struct Run {
    std::int32_t begin, end;
};

struct Box {
    double low[3], high[3];
};

inline void copy(double* to, const double* from, int n) {
    for (int k = 0; k < n; k += V::width) simd::store(to + k, simd::load(from + k));
}
inline void copy(std::int32_t* to, const std::int32_t* from, int n) {
    for (int k = 0; k < n; k += V::width) simd::store_int(to + k, simd::load_int<double>(from + k));
}

// Adds points [run.begin, run.end). Whole vectors are copied: what lies behind is overwritten by
// the next run or by finish().
template <CutoffKind kKind> inline void add(Candidates& c, const Bins& b, Run run) {
    const int n = run.end - run.begin;
    copy(c.x + c.n, b.x + run.begin, n);
    copy(c.y + c.n, b.y + run.begin, n);
    copy(c.z + c.n, b.z + run.begin, n);
    copy(c.row + c.n, b.row + run.begin, n);
    if (kKind == CutoffKind::radii) copy(c.radius + c.n, b.radius + run.begin, n);
    if (kKind == CutoffKind::types) copy(c.type + c.n, b.type + run.begin, n);
    c.n += n;
}
// Fills up the last vector with points that are nobody's neighbor.
inline View finish(Candidates& c) {
    for (int k = 0; k < V::width; ++k) {
        c.x[c.n + k] = c.y[c.n + k] = c.z[c.n + k] = 1e150;
        c.radius[c.n + k] = 0.0;
        c.type[c.n + k] = c.row[c.n + k] = 0;
    }
    return {c.x, c.y, c.z, c.radius, c.row, c.type, c.n};
}

// Squared cutoffs of candidates k, k + 1, ... around one centre.
template <CutoffKind kKind> struct Limit {
    const View& c;
    double own;               // squared cutoff (uniform) or radius of the centre (radii)
    const double* table_row;  // cutoffs of the centre's type (types)
    V operator()(int k) const {
        if constexpr (kKind == CutoffKind::radii) {
            const V r = V(own) + simd::load(c.radius + k);
            return r * r;
        } else if constexpr (kKind == CutoffKind::types) {
            const V r = simd::gather(table_row, simd::load_int<double>(c.type + k));
            return r * r;
        } else {
            return V(own);
        }
    }
};

// Tests all candidates around row i, whose own place among them is `self` (negative: keep it), and
// writes the rows of those within reach to out. kExact: those whose squared distance lies within
// the band around the cutoff, where rounding could decide, are decided as the definition has it.
template <CutoffKind kKind, bool kExact>
inline int test(const SearchTask& t, const View& c, std::int64_t i, int self, std::int32_t* out) {
    const double* r = t.system.rows + 4 * i;
    const V x = r[0], y = r[1], z = r[2], band = t.exact.band;
    Limit<kKind> limit{c, t.rule.cutoff * t.rule.cutoff, nullptr};
    if (kKind == CutoffKind::radii) limit.own = t.rule.radius[i];
    if (kKind == CutoffKind::types)
        limit.table_row = t.rule.table + std::int64_t(t.rule.type[i]) * t.rule.n_types;
    int n = 0;
    M doubtful = simd::first_n<double>(0);
    auto step = [&](int k, M live) {
        const V dx = simd::load(c.x + k) - x, dy = simd::load(c.y + k) - y,
                dz = simd::load(c.z + k) - z;
        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
        const V most = limit(k);
        const M m = (r2 < most + band) & live;
        if constexpr (kExact) doubtful = doubtful | (m & (r2 >= most - band));
        n += simd::compress_store(out + n, simd::load_int<double>(c.row + k), m);
    };
    const M all = simd::first_n<double>(V::width);
    const int own = self < 0 ? c.n : self / V::width * V::width;
    int k = 0;
    for (; k < own; k += V::width) step(k, all);
    if (self >= 0) {
        step(k, simd::not_(simd::first_n<double>(self - k + 1)) | simd::first_n<double>(self - k));
        for (k += V::width; k < c.n; k += V::width) step(k, all);
    }
    if (!kExact || __builtin_expect(!simd::any(doubtful), 1)) return n;
    int kept = 0;
    for (k = 0; k < n; ++k)
        if (exactly_within(t.exact, t.rule, i, out[k])) out[kept++] = out[k];
    return kept;
}

// The runs of points within reach of a box, one per column; fewer than kRuns at a time: calls
// use(runs, n) for each lot.
template <class Use> inline void find_runs(const Bins& b, const Box& box, double reach, Use use) {
    const int bx0 = clamp_bin((box.low[0] - reach - b.low[0]) * b.inverse_width[0], b.n[0]);
    const int bx1 = clamp_bin((box.high[0] + reach - b.low[0]) * b.inverse_width[0], b.n[0]);
    const int by0 = clamp_bin((box.low[1] - reach - b.low[1]) * b.inverse_width[1], b.n[1]);
    const int by1 = clamp_bin((box.high[1] + reach - b.low[1]) * b.inverse_width[1], b.n[1]);
    const double z0 = box.low[2] - b.low[2], z1 = box.high[2] - b.low[2];
    Run runs[kRuns];
    int n = 0;
    for (int bx = bx0; bx <= bx1; ++bx) {
        const double x0 = b.low[0] + bx * b.width[0];
        const double dx =
            larger(0.0, larger(x0 - box.high[0], box.low[0] - (x0 + b.width[0])) - b.margin);
        for (int by = by0; by <= by1; ++by) {
            const double y0 = b.low[1] + by * b.width[1];
            const double dy =
                larger(0.0, larger(y0 - box.high[1], box.low[1] - (y0 + b.width[1])) - b.margin);
            const double h2 = reach * reach - dx * dx - dy * dy;
            if (h2 < 0.0) continue;
            const double h = root(h2) + b.margin;
            const std::int32_t* column = b.start + (std::int64_t(bx) * b.n[1] + by) * b.n[2];
            const Run run = {column[clamp_bin((z0 - h) * b.inverse_width[2], b.n[2])],
                             column[clamp_bin((z1 + h) * b.inverse_width[2], b.n[2]) + 1]};
            if (run.begin == run.end) continue;
            runs[n++] = run;
            if (n == kRuns) {
                use(runs, n);
                n = 0;
            }
        }
    }
    use(runs, n);
}

// Where in the list the rows of a chunk go. Out of room, everything is written to `waste` and only
// counted.
struct Writer {
    const SearchTask& t;
    Chunk& chunk;
    std::int64_t at;
    std::int32_t* waste;

    std::int32_t* place(std::int64_t row_so_far, std::int64_t most) {
        if (!chunk.overflow && at + row_so_far + most + V::width <= chunk.offset + chunk.room)
            return t.index + at + row_so_far;
        chunk.overflow = true;
        return waste;
    }
    void finish_row(std::int64_t i, std::int64_t n) {
        if (t.half && !chunk.overflow) {
            std::int64_t kept = 0;
            for (std::int64_t k = 0; k < n; ++k)
                if (in_half(t.exact, i, t.index[at + k])) t.index[at + kept++] = t.index[at + k];
            n = kept;
        }
        t.first[i] = at;
        t.count[i] = std::int32_t(n);
        if (!chunk.overflow) at += n;
        chunk.found += n;
    }
};

template <CutoffKind kKind> inline int test_any(const SearchTask& t, const View& c, std::int64_t i,
                                                int self, std::int32_t* out) {
    return t.exact.band > 0.0 ? test<kKind, true>(t, c, i, self, out)
                              : test<kKind, false>(t, c, i, self, out);
}

// A centre with more candidates than fit side by side: lot by lot.
template <CutoffKind kKind> void search_long(const SearchTask& t, std::int64_t i, double reach,
                                             Candidates& c, Writer& w) {
    const double* r = t.system.rows + 4 * i;
    const Box box = {{r[0], r[1], r[2]}, {r[0], r[1], r[2]}};
    const std::int32_t own = t.self_interaction ? -1 : t.point[i];
    std::int64_t n_row = 0;
    auto flush = [&](int self) {
        n_row += test_any<kKind>(t, finish(c), i, self, w.place(n_row, c.n));
        c.n = 0;
    };
    c.n = 0;
    find_runs(t.bins, box, reach, [&](const Run* runs, int n) {
        for (int k = 0; k < n; ++k)
            for (std::int32_t begin = runs[k].begin; begin < runs[k].end; begin += kRoom) {
                const std::int32_t end = runs[k].end - begin < kRoom ? runs[k].end : begin + kRoom;
                add<kKind>(c, t.bins, {begin, end});
                flush(begin <= own && own < end ? own - begin : -1);
            }
    });
    w.finish_row(i, n_row);
}

// One bin holds everything: its points are the candidates of all.
template <CutoffKind kKind> void search_one_bin(const SearchTask& t, Chunk& chunk) {
    const Bins& b = t.bins;
    const View all = {b.x, b.y, b.z, b.radius, b.row, b.type, int(t.system.n_total)};
    std::int32_t waste[kRoom + 16];
    Writer w{t, chunk, chunk.offset, waste};
    chunk.found = chunk.candidates = 0;
    for (std::int64_t i = chunk.begin; i < chunk.end; i += chunk.step) {
        const int self = t.self_interaction ? -1 : t.point[i];
        w.finish_row(i, test_any<kKind>(t, all, i, self, w.place(0, all.n)));
        chunk.candidates += all.n;
    }
}

template <CutoffKind kKind> void search_chunk(const SearchTask& t, Chunk& chunk) {
    if (t.bins.n[0] * t.bins.n[1] * t.bins.n[2] == 1 && t.system.n_total <= kRoom)
        return search_one_bin<kKind>(t, chunk);
    const Bins& b = t.bins;
    const double reach = t.rule.cutoff + b.margin;
    std::int32_t waste[kRoom + 16];
    Candidates c;
    Writer w{t, chunk, chunk.offset, waste};
    chunk.found = chunk.candidates = 0;
    for (std::int64_t i = chunk.begin; i < chunk.end;) {
        // The group: rows follow the bins, so the next ones are near until the column ends.
        const double* r = t.system.rows + 4 * i;
        Box box = {{r[0], r[1], r[2]}, {r[0], r[1], r[2]}};
        std::int64_t end = i + 1;
        for (; chunk.step == 1 && end < chunk.end && end < i + kGroup; ++end) {
            const double* q = t.system.rows + 4 * end;
            if (larger(q[0] - r[0], r[0] - q[0]) > b.width[0] ||
                larger(q[1] - r[1], r[1] - q[1]) > b.width[1] ||
                larger(q[2] - r[2], r[2] - q[2]) > b.group)
                break;
            for (int k = 0; k < 3; ++k) {
                box.low[k] = q[k] < box.low[k] ? q[k] : box.low[k];
                box.high[k] = q[k] > box.high[k] ? q[k] : box.high[k];
            }
        }
        int self[kGroup];
        for (int g = 0; g < kGroup; ++g) self[g] = -1;
        bool fits = true;
        std::int64_t candidates = 0;
        c.n = 0;
        find_runs(b, box, reach, [&](const Run* runs, int n) {
            for (int k = 0; k < n; ++k) {
                candidates += runs[k].end - runs[k].begin;
                fits = fits && candidates <= kRoom;
                if (!fits) continue;
                if (!t.self_interaction)
                    for (std::int64_t g = i; g < end; ++g)
                        if (runs[k].begin <= t.point[g] && t.point[g] < runs[k].end)
                            self[g - i] = c.n + t.point[g] - runs[k].begin;
                add<kKind>(c, b, runs[k]);
            }
        });
        chunk.candidates += candidates * (end - i);
        const View all = finish(c);
        for (std::int64_t g = i; g < end; ++g) {
            if (fits)
                w.finish_row(g, test_any<kKind>(t, all, g, self[g - i], w.place(0, c.n)));
            else
                search_long<kKind>(t, g, reach, c, w);
        }
        i = chunk.step == 1 ? end : i + chunk.step;
    }
}

}  // namespace

void neighbor_search_compute(const SearchTask& t, int n_threads) {
    parallel_for(t.n_chunks, n_threads, 1, [&](std::int64_t c) {
        if (t.rule.kind == CutoffKind::uniform)
            search_chunk<CutoffKind::uniform>(t, t.chunks[c]);
        else if (t.rule.kind == CutoffKind::radii)
            search_chunk<CutoffKind::radii>(t, t.chunks[c]);
        else
            search_chunk<CutoffKind::types>(t, t.chunks[c]);
    });
}

void neighbor_prune_compute(const PruneTask& t, int n_threads) {
    const System& s = t.system;
    parallel_for(s.n_real, n_threads, 0, [&](std::int64_t i) {
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
            // Everything near or below the largest cutoff is decided exactly: this runs once per
            // change of the atoms, not per step.
            const M m = (r2 < V(t.rule.cutoff * t.rule.cutoff + t.exact.band)) & live;
            const unsigned kept = simd::bits(m);
            for (int lane = 0; lane < V::width; ++lane)
                if ((kept >> lane & 1u) &&
                    exactly_within(t.exact, t.rule, i, t.list.index[k + lane]))
                    out[n++] = t.list.index[k + lane];
        }
        t.count[i] = n;
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
