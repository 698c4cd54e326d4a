// Neighbors in a thin gas, where looking into bins costs more than what is in them. Columns are so
// wide that a group of sixteen adjacent points has few runs of candidates, and every pair is found
// once: the candidates of a group are the points behind it, in its own column and in four of the
// eight around it. Candidates are broadcast to the group one by one, in single precision with a
// margin for its rounding; the few that come near are decided in double precision. Pairs are then
// counted and written to the rows of both.
//
// Per atom at 0.3 neighbors: about 2.5 candidates broadcast (3 loads and subtractions, 3 products
// and sums, a comparison, a mask to a register and a store without a branch), and 0.2 pairs decided.
#include "neighbors/decide.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using F = simd::Vec<float>;

namespace {

constexpr int kVectors = F::width >= 16 ? 1 : 2, kCentres = kVectors * F::width;
constexpr unsigned kAll = (1u << kCentres) - 1u;
constexpr int kHits = 1024;

// Points [begin, begin + size), adjacent in one column. Lanes beyond are nobody's neighbor.
struct Group {
    std::int32_t begin;
    int size;
    F x[kVectors], y[kVectors], z[kVectors];
    double z_low, z_high;
};

struct Hit {
    std::int32_t point;
    unsigned centres;  // bit l: point l of the group
};

inline Group make_group(const ThinTask& t, std::int32_t begin, std::int32_t end) {
    const Bins& b = t.bins;
    Group g;
    g.begin = begin;
    g.size = end - begin < kCentres ? int(end - begin) : kCentres;
    while (g.size > 1 && double(b.fz[begin + g.size - 1]) - double(b.fz[begin]) > b.group)
        g.size /= 2;
    float low = b.fz[begin], high = low;
    for (int l = 1; l < g.size; ++l) {
        const float z = b.fz[begin + l];
        low = z < low ? z : low;
        high = z > high ? z : high;
    }
    g.z_low = low;
    g.z_high = high;
    for (int v = 0; v < kVectors; ++v) {
        const std::int32_t k = begin + v * F::width;
        const auto live = simd::first_n<float>(g.size - v * F::width);
        g.x[v] = simd::select(live, simd::load(b.fx + k), F(1e30f));
        g.y[v] = simd::load(b.fy + k);
        g.z[v] = simd::load(b.fz + k);
    }
    return g;
}

// Candidates [k, end) near a point of the group, until `hits` is full; k moves on. kSame: k runs
// through the group's own column from its first point on, and only the points before k count (with
// `t.self_interaction` also k itself).
template <bool kSame> inline int find_hits(const ThinTask& t, const Group& g, std::int32_t& k,
                                           std::int32_t end, Hit* hits, int n) {
    const float *fx = t.bins.fx, *fy = t.bins.fy, *fz = t.bins.fz;
    const F limit = t.limit;
    std::int32_t at = k;
    const std::int32_t stop = end - at < kHits - n ? end : at + (kHits - n);
    for (; at < stop; ++at) {
        const F x = fx[at], y = fy[at], z = fz[at];
        unsigned centres = 0;
        for (int v = 0; v < kVectors; ++v) {
            const F dx = g.x[v] - x, dy = g.y[v] - y, dz = g.z[v] - z;
            const F r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            centres |= simd::bits(r2 < limit) << (v * F::width);
        }
        if (kSame) {
            const int own = int(at - g.begin) + (t.self_interaction ? 1 : 0);
            centres &= own < kCentres ? (1u << own) - 1u : kAll;
        }
        hits[n] = {at, centres};
        n += centres != 0u;
    }
    k = at;
    return n;
}

struct PairWriter {
    const ThinTask& t;
    ThinPart& part;

    void add(std::int32_t i, std::int32_t j) {
        if (part.found < part.room) {
            std::int32_t* to = t.pairs + 2 * (part.offset + part.found);
            to[0] = i;
            to[1] = j;
        }
        ++part.found;
    }
    // Decides the hits of a group.
    void take(const Group& g, const Hit* hits, int n) {
        const std::int64_t n_real = t.system.n_real;
        const std::int32_t* row = t.bins.row;
        for (int h = 0; h < n; ++h) {
            const std::int32_t q = hits[h].point, j = row ? row[q] : q;
            for (unsigned rest = hits[h].centres; rest != 0u; rest &= rest - 1u) {
                const std::int32_t p = g.begin + __builtin_ctz(rest), i = row ? row[p] : p;
                if ((i < n_real || j < n_real) && accept(t.rule, t.system, t.exact, i, j))
                    add(i, j);
            }
        }
    }
};

void find_pairs_of_group(const ThinTask& t, const Group& g, std::int64_t column, Hit* hits,
                         PairWriter& w) {
    const Bins& b = t.bins;
    const int nz = b.n[2], bx = int(column / b.n[1]), by = int(column % b.n[1]);
    const int z0 = clamp_bin((g.z_low - t.reach) * b.inverse_width[2], nz);
    const int z1 = clamp_bin((g.z_high + t.reach) * b.inverse_width[2], nz);
    int n = 0;
    const std::int32_t* own = b.start + column * nz;
    for (std::int32_t k = g.begin; k < own[z1 + 1];) {
        n = find_hits<true>(t, g, k, own[z1 + 1], hits, n);
        if (n < kHits) continue;
        w.take(g, hits, n);
        n = 0;
    }
    static constexpr int kStep[4][2] = {{0, 1}, {1, -1}, {1, 0}, {1, 1}};
    for (const int* step : kStep) {
        const int cx = bx + step[0], cy = by + step[1];
        if (cx >= b.n[0] || cy < 0 || cy >= b.n[1]) continue;
        const std::int32_t* start = b.start + (std::int64_t(cx) * b.n[1] + cy) * nz;
        for (std::int32_t k = start[z0]; k < start[z1 + 1];) {
            n = find_hits<false>(t, g, k, start[z1 + 1], hits, n);
            if (n < kHits) continue;
            w.take(g, hits, n);
            n = 0;
        }
    }
    w.take(g, hits, n);
}

// The pairs of the points of a part with the points behind them. For each row first those with
// points before it, in their order, then those with points behind it by column: the order does not
// depend on how points are divided into groups and parts.
void find_pairs(const ThinTask& task, ThinPart& part) {
    const ThinTask t = task;  // a copy that no store can change
    const Bins& b = t.bins;
    const std::int64_t nz = b.n[2], n_columns = std::int64_t(b.n[0]) * b.n[1];
    Hit hits[kHits + 1];
    part.found = 0;
    PairWriter w{t, part};
    std::int64_t column = 0, above = n_columns;
    while (above - column > 1) {  // the last column that begins at the part's first point or before
        const std::int64_t middle = (column + above) / 2;
        (b.start[middle * nz] <= part.begin ? column : above) = middle;
    }
    for (std::int32_t k = std::int32_t(part.begin); k < part.end;) {
        while (b.start[(column + 1) * nz] <= k) ++column;
        const std::int32_t stop = b.start[(column + 1) * nz];
        const Group g = make_group(t, k, stop < part.end ? stop : std::int32_t(part.end));
        find_pairs_of_group(t, g, column, hits, w);
        k += g.size;
    }
}

// use(i, j) for the rows that get pair (i, j).
template <class Use> inline void for_directions(const ThinTask& t, const std::int32_t* pair,
                                                Use use) {
    const std::int32_t i = pair[0], j = pair[1];
    const std::int64_t n_real = t.system.n_real;
    if (i < n_real && (!t.half || in_half(t.exact, i, j))) use(i, j);
    if (i != j && j < n_real && (!t.half || in_half(t.exact, j, i))) use(j, i);
}

}  // namespace

void neighbor_thin_find_compute(const ThinTask& t, int n_threads) {
    parallel_for(t.n_parts, n_threads, 1, [&](std::int64_t p) { find_pairs(t, t.parts[p]); });
}

void neighbor_thin_place_compute(const ThinTask& task, int) {
    const ThinTask t = task;
    const std::int64_t n_real = t.system.n_real;
    std::int32_t* count = t.count;
    for (std::int64_t r = 0; r < n_real; ++r) count[r] = 0;
    for (int p = 0; p < t.n_parts; ++p) {
        const std::int32_t* pair = t.pairs + 2 * t.parts[p].offset;
        for (std::int64_t k = 0; k < t.parts[p].found; ++k)
            for_directions(t, pair + 2 * k, [&](std::int32_t i, std::int32_t) { ++count[i]; });
    }
    // From behind, every row from its end.
    std::int64_t end = 0;
    for (std::int64_t r = 0; r < n_real; ++r) t.first[r] = end += count[r];
    for (int p = t.n_parts - 1; p >= 0; --p) {
        const std::int32_t* pair = t.pairs + 2 * t.parts[p].offset;
        for (std::int64_t k = t.parts[p].found - 1; k >= 0; --k)
            for_directions(t, pair + 2 * k,
                           [&](std::int32_t i, std::int32_t j) { t.index[--t.first[i]] = j; });
    }
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
