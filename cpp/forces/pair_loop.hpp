// The one place where energies, forces and virials of pairs are assembled. Include from kernels
// only.
//
// The result has the same bits for every number of threads. With full lists every real row gathers
// its own force, so no two threads write the same value; with half lists tiles that share a row
// follow each other in a fixed order. Totals are summed over fixed blocks of rows, or tiles, in
// their order.
//
//   F_i = sum_j g_ij (r_j - r_i)
//   W_i = -1/2 sum_j g_ij (r_j - r_i) (x) (r_j - r_i)
//
// where g is (dE/dr) / r of the energy that the pair has from both of its directions together. Of virials
// of nine components (kNine in core/types.hpp) atom i has instead
//
//   W_i = -sum_j h_ij (r_j - r_i) (x) (r_j - r_i)
//
// with h of the part of the energy that belongs to j: half of g, unless the Pair says otherwise.
//
// pair_loop reads full lists and evaluates a vector of neighbors from row to force in one go: best
// for short formulas. tile_loop reads half lists: each pair is evaluated once and added to both of
// its rows, which pays where the evaluation costs more than the scattered additions (table
// look-ups). It lays the pairs of several rows side by side in the L1 cache first and then
// evaluates them in one long loop: the core has several chains of dependent operations in flight,
// and no vector is left half empty at the end of a row.
#pragma once

#include "core/types.hpp"
#include "forces/near.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

// Sums over pairs, one per lane. A local variable of the loops, so that it stays in registers.
template <class T> struct PairSums {
    using V = simd::Vec<T>;
    V e = T(0), fx = T(0), fy = T(0), fz = T(0);
    V wxx = T(0), wyy = T(0), wzz = T(0), wyz = T(0), wxz = T(0), wxy = T(0);

    void add_force(V g, V dx, V dy, V dz) {
        fx = simd::fma(g, dx, fx);
        fy = simd::fma(g, dy, fy);
        fz = simd::fma(g, dz, fz);
    }
    void add(V pair_energy, V g, V dx, V dy, V dz) {
        e = e + pair_energy;
        const V gx = g * dx, gy = g * dy, gz = g * dz;
        fx = simd::fma(g, dx, fx);
        fy = simd::fma(g, dy, fy);
        fz = simd::fma(g, dz, fz);
        wxx = simd::fma(gx, dx, wxx);
        wyy = simd::fma(gy, dy, wyy);
        wzz = simd::fma(gz, dz, wzz);
        wyz = simd::fma(gy, dz, wyz);
        wxz = simd::fma(gx, dz, wxz);
        wxy = simd::fma(gx, dy, wxy);
    }
    // The virial so far; starts it anew.
    void take_virial(double* w) {
        T sums[8];
        simd::store_sums4(sums, wxx, wyy, wzz, wyz);
        simd::store_sums4(sums + 4, wxz, wxy, wxy, wxy);
        for (int k = 0; k < 6; ++k) w[k] = -0.5 * double(sums[k]);
        wxx = wyy = wzz = wyz = wxz = wxy = T(0);
    }
};

// Sums over the pairs of a row, of h d (x) d: beside PairSums, so that those have the same bits with them.
template <class T> struct RowVirial {
    using V = simd::Vec<T>;
    V xx = T(0), yy = T(0), zz = T(0), yz = T(0), xz = T(0), xy = T(0);

    void add(V h, V dx, V dy, V dz) {
        const V x = h * dx, y = h * dy, z = h * dz;
        xx = simd::fma(x, dx, xx);
        yy = simd::fma(y, dy, yy);
        zz = simd::fma(z, dz, zz);
        yz = simd::fma(y, dz, yz);
        xz = simd::fma(x, dz, xz);
        xy = simd::fma(x, dy, xy);
    }
    // To the results of an atom; starts anew.
    void take(const Outputs& out, std::int64_t atom) {
        T sums[8];
        simd::store_sums4(sums, xx, yy, zz, yz);
        simd::store_sums4(sums + 4, xz, xy, xy, xy);
        double w[6];
        for (int k = 0; k < 6; ++k) w[k] = -double(sums[k]);
        put_virial(out, atom, w);
        *this = {};
    }
};

// What a block of rows adds up to, and the output of its rows.
// kTotals: energies and virials too, where they are wanted; kHeat: virials are not those of PairSums.
template <bool kTotals, bool kHeat> class BlockTotals {
public:
    BlockTotals(const System& s, const Outputs& out, std::int64_t block)
        : system(s),
          result(out),
          totals(out.block_totals ? out.block_totals + 7 * block : nullptr) {}

    // Row i is complete: writes its results and starts the next. own: its energy beside half of its
    // pair energies.
    template <class T> void finish_row(PairSums<T>& sums, std::int64_t i, double own) {
        T row[4];
        simd::store_sums4(row, sums.e, sums.fx, sums.fy, sums.fz);
        sums.e = sums.fx = sums.fy = sums.fz = T(0);
        const std::int64_t o = system.order ? system.order[i] : i;
        if (result.forces)
            for (int c = 0; c < 3; ++c) result.forces[3 * o + c] = double(row[1 + c]);
        if constexpr (!kTotals) return;
        own += 0.5 * double(row[0]);
        energy += own;
        if (result.energies) result.energies[o] = own;
        if (!kHeat && result.virials) {
            double w[6];
            sums.take_virial(w);
            for (int c = 0; c < 6; ++c) {
                result.virials[6 * o + c] = w[c];
                virial[c] += w[c];
            }
        }
    }
    template <class T> void finish_block(PairSums<T>& sums) {
        if (!totals) return;
        if (kHeat || !result.virials) sums.take_virial(virial);
        totals[0] = energy;
        for (int c = 0; c < 6; ++c) totals[1 + c] = virial[c];
    }

private:
    const System& system;
    const Outputs& result;
    double* totals;
    double energy = 0.0, virial[6] = {0, 0, 0, 0, 0, 0};
};

template <bool kTotals, class T, class V>
inline void add_pairs(PairSums<T>& sums, simd::Mask<T> within, V e, V g, V dx, V dy, V dz) {
    if constexpr (kTotals)
        sums.add(simd::keep(within, e), simd::keep(within, g), dx, dy, dz);
    else
        sums.add_force(simd::keep(within, g), dx, dy, dz);
}

// A Pair has
//   rows                                  x, y, z, w per row
//   Centre begin(i, w)                    constants of row i
//   Mask operator()(Centre, w, r2, e, g)  which pairs are within the cutoff; sets the pair energy e
//                                         and g, to anything in the other lanes
//   double own_energy(i)                  energy of row i beside that of pairs
// and, where the ends of a pair do not have half of its energy each, kSplit = true and
//   Mask operator()(Centre, w, r2, e, g, h)
// kTotals: energies and virials too, otherwise forces alone. kHeat: virials of nine components.
template <class Pair, class = void> struct Splits {
    static constexpr bool value = false;
};
template <class Pair> struct Splits<Pair, decltype(void(Pair::kSplit))> {
    static constexpr bool value = Pair::kSplit;
};
template <class T, bool kTotals, bool kHeat, class Pair>
void pair_rows(const System& s, const Neighbors& list, const Outputs& out, int n_threads,
               const Pair& pair) {
    using V = simd::Vec<T>;
    const T* rows = pair.rows;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) __attribute__((flatten)) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        BlockTotals<kTotals, kHeat> totals(s, out, b);
        PairSums<T> sums;
        [[maybe_unused]] RowVirial<T> of_row;
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const auto centre = pair.begin(i, rows[4 * i + 3]);
            const std::int32_t* begin = list.index + list.first[i];
            for_listed(rows, i, begin, begin + list.count[i],
                       [&](const Listed<T>& v, auto live, const std::int32_t*) MDKERN_BODY {
                           V e, g;
                           if constexpr (kHeat && Splits<Pair>::value) {
                               V h;
                               const auto within = pair(centre, v.w, v.r2, e, g, h) & live;
                               add_pairs<kTotals>(sums, within, e, g, v.dx, v.dy, v.dz);
                               of_row.add(simd::keep(within, h), v.dx, v.dy, v.dz);
                           } else {
                               const auto within = pair(centre, v.w, v.r2, e, g) & live;
                               add_pairs<kTotals>(sums, within, e, g, v.dx, v.dy, v.dz);
                               if constexpr (kHeat)
                                   of_row.add(V(T(0.5)) * simd::keep(within, g), v.dx, v.dy, v.dz);
                           }
                       });
            totals.finish_row(sums, i, kTotals ? pair.own_energy(i) : 0.0);
            if constexpr (kHeat) of_row.take(out, s.order ? s.order[i] : i);
        }
        totals.finish_block(sums);
    });
}
template <class T, class Pair>
void pair_loop(const System& s, const Neighbors& list, const Outputs& out, int n_threads,
               const Pair& pair) {
    if (out.block_totals && out.nine())
        pair_rows<T, true, true>(s, list, out, n_threads, pair);
    else if (out.block_totals)
        pair_rows<T, true, false>(s, list, out, n_threads, pair);
    else
        pair_rows<T, false, false>(s, list, out, n_threads, pair);
}

// --- half lists

// body(tile) for all tiles.
template <class Body> void for_tiles(const HalfList& half, int n_threads, const Body& body) {
    parallel_ordered(half.n_tiles, n_threads, half.before_first, half.before, half.done, body);
}
// body(row) for the real rows of a tile.
template <class Body>
inline void for_rows(const HalfList& half, std::int64_t tile, const Body& body) {
    for (std::int32_t r = half.tile[tile]; r < half.tile[tile + 1]; ++r)
        for (std::int64_t i = half.range[2 * r]; i < half.range[2 * r + 1]; ++i) body(i);
}

// What pairs add up to, per row of the System, and per tile.
struct HalfSums {
    double* rows = nullptr;     // (n_total, 4) force and energy
    double* virials = nullptr;  // (n_total, 6), null: not wanted
    double* tiles = nullptr;    // (n_tiles, 6) virial of the tile's pairs
    bool nine = false;          // whether virials are those of nine components, symmetric here
};

static inline void clear(double* p, std::int64_t n, int n_threads) {
    constexpr std::int64_t kPiece = 8192;
    parallel_for((n + kPiece - 1) / kPiece, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPiece < n ? (b + 1) * kPiece : n;
        for (std::int64_t k = b * kPiece; k < end; ++k) p[k] = 0.0;
    });
}

// Pairs side by side. own: what the formula keeps of a pair until it is evaluated; after that
// own[0] is the energy e and own[1] is g.
struct alignas(64) Tile {
    static constexpr int capacity = 256;
    double dx[capacity + 16], dy[capacity + 16], dz[capacity + 16], own[4][capacity + 16];
    std::int32_t row[capacity + 16], tag[2][capacity + 16];
};

// Lays the pairs of a tile side by side in the L1 cache, evaluates them in one long loop and adds
// them to the sums of either row. A Pair has
//   rows                                   x, y, z, w per row
//   prepare(i, j, w_i, w_j, r2, Tile&, k)  fills own and tag of a vector of pairs at place k
//   evaluate(Tile, k, e, g)                sets the pair energy e and g of such a vector
//   evaluate_split(Tile, k, e, g, h)       the same, and for virials of nine components the part h of g that
//                                          belongs to the energy of j
// Slow operations whose result says what to load belong into prepare(), where they overlap with the
// loads of rows. All pairs of the list are within the cutoff. kTotals: energies and virials too, otherwise forces
// alone.
template <bool kTotals, bool kHeat, class Pair> class TileLoop {
    using V = simd::Vec<double>;
    struct Segment {
        std::int64_t row;
        int begin, end;
    };

public:
    // ghosts: the first row of another process; of a pair with one, half of the virial is that process's.
    TileLoop(const Neighbors& neighbors, const HalfSums& out, const Pair& p, std::int64_t ghosts)
        : list(neighbors), sums(out), pair(p), first_ghost(double(ghosts)) {}

    void run(const HalfList& half, std::int64_t t) {
        n = n_segments = 0;
        for (V& w : virial) w = 0.0;
        for_rows(half, t, [&](std::int64_t i) { add(i); });
        flush();
        if constexpr (!kTotals) return;
        double total[8];
        simd::store_sums4(total, virial[0], virial[1], virial[2], virial[3]);
        simd::store_sums4(total + 4, virial[4], virial[5], virial[5], virial[5]);
        for (int c = 0; c < 6; ++c) sums.tiles[6 * t + c] = -total[c];
    }

private:
    void add(std::int64_t i) {
        const V w_i = pair.rows[4 * i + 3];
        const std::int32_t* index = list.index + list.first[i];
        std::int32_t left = list.count[i];
        while (left > 0) {
            const int piece = left < Tile::capacity ? left : Tile::capacity;
            if (n + piece > Tile::capacity || n_segments == kSegments) flush();
            // Whole vectors: what lies behind the piece is overwritten by the next one, or never
            // added to a sum.
            for_listed(pair.rows, i, index, index + piece,
                       [&](const Listed<double>& v, auto, const std::int32_t* first) MDKERN_BODY {
                           const int at = n + int(first - index);
                           simd::store(tile.dx + at, v.dx);
                           simd::store(tile.dy + at, v.dy);
                           simd::store(tile.dz + at, v.dz);
                           simd::store_int(tile.row + at, v.j);
                           pair.prepare(i, v.j, w_i, v.w, v.r2, tile, at);
                       });
            left -= piece;
            index += piece;
            segments[n_segments++] = {i, n, n + piece};
            n += piece;
        }
    }

    void flush() {
        // The last vector may reach beyond the last pair: to places that hold anything in range.
        for (auto& own : tile.own) simd::store(own + n, V(1.0));
        for (auto& tag : tile.tag) simd::store_int(tag + n, simd::set_int<double>(0));
        V wxx = virial[0], wyy = virial[1], wzz = virial[2], wyz = virial[3], wxz = virial[4],
          wxy = virial[5];
        for (int k = 0; k < n; k += V::width) {
            V e, g;
            if constexpr (kHeat) {
                V h;
                pair.evaluate_split(tile, k, e, g, h);
                simd::store(tile.own[2] + k, h);
            } else {
                pair.evaluate(tile, k, e, g);
            }
            if constexpr (kTotals) simd::store(tile.own[0] + k, e);
            simd::store(tile.own[1] + k, g);
            const auto live = simd::first_n<double>(n - k);
            const V dx = simd::keep(live, simd::load(tile.dx + k)),
                    dy = simd::keep(live, simd::load(tile.dy + k)),
                    dz = simd::keep(live, simd::load(tile.dz + k));
            const V gx = g * dx, gy = g * dy, gz = g * dz;
            if constexpr (kTotals) {
                const V row = simd::to_vec<double>(simd::load_int<double>(tile.row + k));
                const V share = simd::select(row >= first_ghost, V(0.5), V(1.0));
                const V sx = share * gx, sy = share * gy, sz = share * gz;
                wxx = simd::fma(sx, dx, wxx);
                wyy = simd::fma(sy, dy, wyy);
                wzz = simd::fma(sz, dz, wzz);
                wyz = simd::fma(sy, dz, wyz);
                wxz = simd::fma(sx, dz, wxz);
                wxy = simd::fma(sx, dy, wxy);
            }
            const V half = kTotals ? V(0.5) * e : V(0.0);
            simd::add_rows(sums.rows, simd::load_int<double>(tile.row + k), -gx, -gy, -gz, half,
                           n - k);
        }
        virial[0] = wxx;
        virial[1] = wyy;
        virial[2] = wzz;
        virial[3] = wyz;
        virial[4] = wxz;
        virial[5] = wxy;
        for (int q = 0; q < n_segments; ++q) finish(segments[q]);
        n = n_segments = 0;
    }

    // What the pairs of a segment add to its own row.
    void finish(const Segment& s) {
        V e = 0.0, fx = 0.0, fy = 0.0, fz = 0.0;
        for (int k = s.begin; k < s.end; k += V::width) {
            const auto live = simd::first_n<double>(s.end - k);
            // Whole vectors, as above: not every backend has masked loads.
            const auto load = [&](const double* p) { return simd::keep(live, simd::load(p + k)); };
            const V g = load(tile.own[1]);
            if constexpr (kTotals) e = e + load(tile.own[0]);
            fx = simd::fma(g, load(tile.dx), fx);
            fy = simd::fma(g, load(tile.dy), fy);
            fz = simd::fma(g, load(tile.dz), fz);
        }
        double row[4];
        simd::store_sums4(row, fx, fy, fz, V(0.5) * e);
        for (int c = 0; c < 4; ++c) sums.rows[4 * s.row + c] += row[c];
        if (!sums.virials) return;
        double* own = sums.virials + 6 * s.row;
        if constexpr (kHeat) return finish_nine(s);
        for (int k = s.begin; k < s.end; ++k) {  // half of the pair's virial to either row
            const double half_g = -0.5 * tile.own[1][k], x = tile.dx[k], y = tile.dy[k],
                         z = tile.dz[k];
            const double w[6] = {half_g * x * x, half_g * y * y, half_g * z * z,
                                 half_g * y * z, half_g * x * z, half_g * x * y};
            double* other = sums.virials + 6 * std::int64_t(tile.row[k]);
            for (int c = 0; c < 6; ++c) {
                own[c] += w[c];
                other[c] += w[c];
            }
        }
    }

    // To the segment's row what belongs to the energies of its neighbors, to those the rest.
    void finish_nine(const Segment& s) {
        double* own = sums.virials + 6 * s.row;
        for (int k = s.begin; k < s.end; ++k) {
            const double h = tile.own[2][k], rest = tile.own[1][k] - h, x = tile.dx[k],
                         y = tile.dy[k], z = tile.dz[k];
            const double w[6] = {-x * x, -y * y, -z * z, -y * z, -x * z, -x * y};
            double* other = sums.virials + 6 * std::int64_t(tile.row[k]);
            for (int c = 0; c < 6; ++c) {
                own[c] += h * w[c];
                other[c] += rest * w[c];
            }
        }
    }

    static constexpr int kSegments = 64;
    Tile tile;
    Segment segments[kSegments];
    V virial[6];
    int n = 0, n_segments = 0;
    const Neighbors list;
    const HalfSums sums;
    const Pair pair;
    const V first_ghost;
};

template <bool kTotals, bool kHeat, class Pair>
void tile_rows(const System& s, const HalfList& half, const HalfSums& sums, int n_threads,
               const Pair& pair) {
    const std::int64_t ghosts = half.image_first ? s.n_total : s.n_real;
    for_tiles(half, n_threads, [&](std::int64_t t) {
        TileLoop<kTotals, kHeat, Pair> loop(half.list, sums, pair, ghosts);
        loop.run(half, t);
    });
}
// All pairs of a half list. sums: cleared here; totals: whether energies and virials are wanted.
template <class Pair> void tile_loop(const System& s, const HalfList& half, const HalfSums& sums,
                                     bool totals, int n_threads, const Pair& pair) {
    clear(sums.rows, 4 * s.n_total, n_threads);
    if (sums.virials) clear(sums.virials, 6 * s.n_total, n_threads);
    if (totals && sums.nine)
        tile_rows<true, true>(s, half, sums, n_threads, pair);
    else if (totals)
        tile_rows<true, false>(s, half, sums, n_threads, pair);
    else
        tile_rows<false, false>(s, half, sums, n_threads, pair);
}

// Adds the sums of its images to each atom, and writes the results. own: energies of the atoms
// beside those of pairs.
static inline void finish_half(const System& s, const HalfList& half, const HalfSums& sums,
                               const double* own, int n_threads, const Outputs& out) {
    parallel_for(n_blocks(s.n_real), n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        double total = 0.0;
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const std::int32_t first = half.image_first ? half.image_first[i] : 0,
                               last = half.image_first ? half.image_first[i + 1] : 0;
            double f[4], w[6];
            for (int c = 0; c < 4; ++c) f[c] = sums.rows[4 * i + c];
            for (std::int32_t k = first; k < last; ++k)
                for (int c = 0; c < 4; ++c) f[c] += sums.rows[4 * std::int64_t(half.image[k]) + c];
            const std::int64_t o = s.order ? s.order[i] : i;
            const double energy = own[i] + f[3];
            total += energy;
            if (out.energies) out.energies[o] = energy;
            if (out.forces)
                for (int c = 0; c < 3; ++c) out.forces[3 * o + c] = f[c];
            if (!out.virials) continue;
            for (int c = 0; c < 6; ++c) w[c] = sums.virials[6 * i + c];
            for (std::int32_t k = first; k < last; ++k)
                for (int c = 0; c < 6; ++c)
                    w[c] += sums.virials[6 * std::int64_t(half.image[k]) + c];
            put_virial(out, o, w);
        }
        if (!out.block_totals) return;
        double* t = out.block_totals + 7 * b;
        t[0] = total;
        for (int c = 0; c < 6; ++c) t[1 + c] = 0.0;
    });
    if (!out.block_totals) return;
    for (std::int64_t t = 0; t < half.n_tiles; ++t)  // there is a block where there is a tile
        for (int c = 0; c < 6; ++c) out.block_totals[1 + c] += sums.tiles[6 * t + c];
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
