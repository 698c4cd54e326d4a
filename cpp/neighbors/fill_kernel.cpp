// Output arrays of neighbor_list, and the refresh of image coordinates between rebuilds.
//
// Fill: 72 bytes written per pair for ijdDS, in the order of the output, by full vectors; 48 bytes
// read (cached). The floor is the write bandwidth. An ordinary store fetches its cache line first,
// so that memory moves twice; output that exceeds the caches anyway is made in a tile in L1 and
// written by lines past the caches.
#include "neighbors/search.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

// Where pairs go; null: not wanted.
struct Target {
    std::int64_t *i, *j, *S;
    double *d, *D;
    Target at(std::int64_t pair) const {
        return {i ? i + pair : i, j ? j + pair : j, S ? S + 3 * pair : S, d ? d + pair : d,
                D ? D + 3 * pair : D};
    }
};

// The atoms that pairs begin at: position, S of the row and caller's index.
struct Centre {
    V x, y, z;
    I s0, s1, s2, owner;
};

// Pairs of the centres with rows j. `live`: lanes to write.
inline void write_pairs(const FillTask& t, const Target& to, std::int64_t o, const Centre& at, I j,
                        int live) {
    if (to.i) simd::store_int64(to.i + o, at.owner, live);
    I sx, sy, sz, owner;
    simd::load_rows_int(t.exact.shift, j, sx, sy, sz, owner);
    if (to.j) simd::store_int64(to.j + o, owner, live);
    sx = sx - at.s0;
    sy = sy - at.s1;
    sz = sz - at.s2;
    if (to.S) simd::store_interleaved3_int64(to.S + 3 * o, sx, sy, sz, live);
    if (!(to.d || to.D)) return;
    const double* c = t.exact.cell;
    const V a0 = simd::to_vec<double>(sx), a1 = simd::to_vec<double>(sy),
            a2 = simd::to_vec<double>(sz);
    V xj, yj, zj, unused;
    simd::load_rows(t.exact.position, j, xj, yj, zj, unused);
    // Not fused: the same expression, rounded as in the definition.
    const V dx = (xj - at.x) + ((a0 * V(c[0]) + a1 * V(c[3])) + a2 * V(c[6]));
    const V dy = (yj - at.y) + ((a0 * V(c[1]) + a1 * V(c[4])) + a2 * V(c[7]));
    const V dz = (zj - at.z) + ((a0 * V(c[2]) + a1 * V(c[5])) + a2 * V(c[8]));
    if (to.D) simd::store_interleaved3(to.D + 3 * o, dx, dy, dz, live);
    if (to.d) {
        const V d = simd::sqrt((dx * dx + dy * dy) + dz * dz);
        simd::store(to.d + o, d, simd::first_n<double>(live));
    }
}

// Pairs [begin, end) of atom a. kWhole: up to a vector may be written behind the last one.
template <bool kWhole> inline void fill_row(const FillTask& t, std::int64_t a, std::int64_t begin,
                                            std::int64_t end, const Target& to) {
    if (!(to.j || to.S || to.d || to.D)) {  // i alone
        for (std::int64_t k = 0; k < end - begin; ++k) to.i[k] = a;
        return;
    }
    const std::int64_t row = t.rank[a];
    const double* p = t.exact.position + 4 * row;
    const std::int32_t* s = t.exact.shift + 4 * row;
    const std::int32_t* index = t.list.index + t.list.first[row];
    const Centre at = {p[0],
                       p[1],
                       p[2],
                       simd::set_int<double>(s[0]),
                       simd::set_int<double>(s[1]),
                       simd::set_int<double>(s[2]),
                       simd::set_int<double>(std::int32_t(a))};
    for (std::int64_t k = begin, o = 0; k < end; k += V::width, o += V::width) {
        const int rest = end - k < V::width ? int(end - k) : V::width;
        const I j = simd::load_int<double>(index + k, simd::first_n<double>(rest));
        write_pairs(t, to, o, at, j, kWhole ? V::width : rest);
    }
}

// Atoms [begin, end) with few neighbors each: their pairs side by side, then whole vectors of
// pairs.
void fill_sparse(const FillTask& t, const Target& out, std::int64_t begin, std::int64_t end) {
    constexpr int kRoom = 256;
    std::int32_t centre[kRoom + V::width], neighbor[kRoom + V::width];
    std::int64_t first = t.offset[begin];
    int used = 0;
    auto flush = [&] {
        const Target to = out.at(first);
        for (int k = 0; k < used; k += V::width) {
            const auto live = simd::first_n<double>(used - k);
            const I i = simd::load_int<double>(centre + k, live);
            Centre at;
            V unused;
            simd::load_rows_int(t.exact.shift, i, at.s0, at.s1, at.s2, at.owner);
            simd::load_rows(t.exact.position, i, at.x, at.y, at.z, unused);
            write_pairs(t, to, k, at, simd::load_int<double>(neighbor + k, live),
                        used - k < V::width ? used - k : V::width);
        }
        first += used;
        used = 0;
    };
    for (std::int64_t a = begin; a < end; ++a) {
        const std::int64_t n = t.offset[a + 1] - t.offset[a];
        const std::int32_t row = t.rank[a];
        const std::int32_t* index = t.list.index + t.list.first[row];
        // Most have none or one: no branch for that. (A list has room behind its last row.)
        centre[used] = row;
        neighbor[used] = index[0];
        used += n > 0;
        for (std::int64_t k = 1; k < n; ++k) {
            if (used >= kRoom) flush();
            centre[used] = row;
            neighbor[used++] = index[k];
        }
        if (used >= kRoom) flush();
    }
    flush();
}

constexpr std::int64_t kSparse = 3;  // pairs per atom below which rows are too short for vectors
constexpr std::int64_t kLine = 8;    // values of 8 bytes
constexpr std::int64_t kTile = 256;  // pairs: 18 kB

// Pairs on their way out.
struct alignas(64) Tile {
    std::int64_t i[kTile + kLine], j[kTile + kLine], S[3 * (kTile + kLine)];
    double d[kTile + kLine], D[3 * (kTile + kLine)];
};

// Values [begin, end) of a tile's array: whole lines past the caches, the ends by stores.
template <class T> inline void write_out(T* to, const T* from, std::int64_t begin,
                                         std::int64_t end) {
    if (!to) return;
    std::int64_t k = begin;
    for (; k < end && k % kLine != 0; ++k) to[k] = from[k];
    for (; k + kLine <= end; k += kLine) simd::stream_line(to + k, from + k);
    for (; k < end; ++k) to[k] = from[k];
}
inline void write_out(const Target& to, const Tile& from, std::int64_t begin, std::int64_t end) {
    write_out(to.i, from.i, begin, end);
    write_out(to.j, from.j, begin, end);
    write_out(to.S, from.S, 3 * begin, 3 * end);
    write_out(to.d, from.d, begin, end);
    write_out(to.D, from.D, 3 * begin, 3 * end);
}

// Atoms [begin, end) through a tile, which begins at a multiple of eight pairs: where an output
// line begins, the tile's does.
void stream_rows(const FillTask& t, const Target& out, std::int64_t begin, std::int64_t end) {
    Tile tile;
    const Target whole = {out.i ? tile.i : nullptr, out.j ? tile.j : nullptr,
                          out.S ? tile.S : nullptr, out.d ? tile.d : nullptr,
                          out.D ? tile.D : nullptr};
    std::int64_t first = t.offset[begin] / kLine * kLine;  // pair at the tile's beginning
    std::int64_t used = t.offset[begin] - first, done = used;
    for (std::int64_t a = begin; a < end; ++a) {
        const std::int64_t n = t.offset[a + 1] - t.offset[a];
        for (std::int64_t k = 0; k < n;) {
            const std::int64_t stop = n - k < kTile - used ? n : k + kTile - used;
            fill_row<true>(t, a, k, stop, whole.at(used));
            used += stop - k;
            k = stop;
            if (used < kTile) continue;
            write_out(out.at(first), tile, done, kTile);
            first += kTile;
            used = done = 0;
        }
    }
    write_out(out.at(first), tile, done, used);
    simd::stream_fence();
}

inline bool on_line(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

}  // namespace

void neighbor_fill_compute(const FillTask& t, int n_threads) {
    const Target out = {t.i, t.j, t.S, t.d, t.D};
    if (t.stream && on_line(t.i) && on_line(t.j) && on_line(t.S) && on_line(t.d) && on_line(t.D)) {
        const std::int64_t parts = n_threads == 1 ? 1 : 8 * n_threads;
        parallel_for(parts, n_threads, 1, [&](std::int64_t k) {
            stream_rows(t, out, t.n * k / parts, t.n * (k + 1) / parts);
        });
        return;
    }
    if (t.list.n_pairs < kSparse * t.n && (t.j || t.S || t.d || t.D)) {
        parallel_for(n_threads, n_threads, 1, [&](std::int64_t k) {
            fill_sparse(t, out, t.n * k / n_threads, t.n * (k + 1) / n_threads);
        });
        return;
    }
    parallel_for(t.n, n_threads, 0, [&](std::int64_t a) {
        const std::int64_t begin = t.offset[a], n = t.offset[a + 1] - begin;
        if (n > 0) fill_row<false>(t, a, 0, n, out.at(begin));
    });
}

void neighbor_sum_compute(const OffsetTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t b) {
        std::int64_t sum = 0;
        for (std::int64_t a = t.n * b / t.n_blocks; a < t.n * (b + 1) / t.n_blocks; ++a)
            sum += t.count[t.rank[a]];
        t.sums[b] = sum;
    });
}

void neighbor_offset_compute(const OffsetTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t b) {
        std::int64_t sum = t.sums[b];
        for (std::int64_t a = t.n * b / t.n_blocks; a < t.n * (b + 1) / t.n_blocks; ++a) {
            sum += t.count[t.rank[a]];
            t.offset[a + 1] = sum;
        }
    });
}

namespace {

// A row as one vector, whatever the lanes of the instruction set: the compiler does not make one of a loop over three
// numbers.
typedef double Row __attribute__((vector_size(32)));

// Images [begin, end) whose position nobody asks for: most rows of a small cell.
void refresh_images(const RefreshTask& t, std::int64_t begin, std::int64_t end) {
    const double *c = t.cell, *positions = t.positions;
    const Row a = {c[0], c[1], c[2], 0.0}, b = {c[3], c[4], c[5], 0.0}, d = {c[6], c[7], c[8], 0.0};
    const std::int32_t* shift = t.shift;
    double* rows = t.rows;
    for (std::int64_t r = begin; r < end; ++r) {
        const std::int32_t* s = shift + 4 * r;
        const double* p = positions + 3 * std::int64_t(s[3]);
        double* q = rows + 4 * r;
        const double s0 = s[0], s1 = s[1], s2 = s[2];
        const Row at = {p[0], p[1], p[2], q[3]};
        const Row to = at + ((s0 * a + s1 * b) + s2 * d);
        __builtin_memcpy(q, &to, sizeof to);
    }
}

}  // namespace

void neighbor_refresh_compute(const RefreshTask& t, int n_threads) {
    const double *c = t.cell, *f = t.strain;
    const std::int64_t n_blocks = (t.n_total + t.block - 1) / t.block;
    parallel_for(n_blocks, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * t.block < t.n_total ? (b + 1) * t.block : t.n_total;
        double most = 0.0, next = 0.0;
        std::int64_t stop = end;
        if (!t.position && end > t.n_real) {
            stop = b * t.block > t.n_real ? b * t.block : t.n_real;
            refresh_images(t, stop, end);
        }
        for (std::int64_t r = b * t.block; r < stop; ++r) {
            const std::int32_t* s = t.shift + 4 * r;
            const double* p = t.positions + 3 * std::int64_t(s[3]);
            double* q = t.rows + 4 * r;
            const double s0 = s[0], s1 = s[1], s2 = s[2];
            for (int k = 0; k < 3; ++k) q[k] = p[k] + ((s0 * c[k] + s1 * c[3 + k]) + s2 * c[6 + k]);
            if (t.position) {
                for (int k = 0; k < 3; ++k) t.position[4 * r + k] = p[k];
                t.position[4 * r + 3] = 0.0;
            }
            if (!t.built || r >= t.n_real) continue;
            const double* o = t.built + 4 * r;
            double u2 = 0.0;
            for (int k = 0; k < 3; ++k) {
                const double u = q[k] - ((o[0] * f[k] + o[1] * f[3 + k]) + o[2] * f[6 + k]);
                u2 += u * u;
            }
            if (!(u2 <
                  1e300)) {  // also NaN: sticks, so that the table rebuilds and finds the culprit
                most = next = 1e300;
            } else if (u2 > most) {
                next = most;
                most = u2;
            } else if (u2 > next) {
                next = u2;
            }
        }
        if (t.largest) {
            t.largest[2 * b] = most;
            t.largest[2 * b + 1] = next;
        }
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
