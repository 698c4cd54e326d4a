// The one place where energies, forces and virials of pairs are assembled. Include from kernels
// only.
//
// Every real row gathers its own force from its full list, so no two threads write the same value
// and the result has the same bits for every number of threads: per-row sums run over the list in
// order, totals over fixed blocks of rows, summed in block order.
//
//   F_i = sum_j g_ij (r_j - r_i),  W_i = -1/2 sum_j g_ij (r_j - r_i) (x) (r_j - r_i),  g = (dE/dr)
//   / r of the pair (both directions together)
//
// pair_loop evaluates a vector of neighbors from row to force in one go: best for short formulas.
// tile_loop lays the neighbors of several rows side by side in the L1 cache first and then
// evaluates them in one long loop: best for long chains of dependent operations (table look-ups,
// exponentials), of which the core then has several in flight, and no vector is left half empty at
// the end of a row.
#pragma once

#include "core/types.hpp"
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
        fx = fx + g * dx;
        fy = fy + g * dy;
        fz = fz + g * dz;
    }
    void add(V pair_energy, V g, V dx, V dy, V dz) {
        e = e + pair_energy;
        const V gx = g * dx, gy = g * dy, gz = g * dz;
        fx = fx + gx;
        fy = fy + gy;
        fz = fz + gz;
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

// What a block of rows adds up to, and the output of its rows.
class BlockTotals {
public:
    BlockTotals(const System& s, const Result& out, std::int64_t block)
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
        own += 0.5 * double(row[0]);
        energy += own;
        if (result.energies) result.energies[o] = own;
        if (result.forces)
            for (int c = 0; c < 3; ++c) result.forces[3 * o + c] = double(row[1 + c]);
        if (result.virials) {
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
        if (!result.virials) sums.take_virial(virial);
        totals[0] = energy;
        for (int c = 0; c < 6; ++c) totals[1 + c] = virial[c];
    }

private:
    const System& system;
    const Result& result;
    double* totals;
    double energy = 0.0, virial[6] = {0, 0, 0, 0, 0, 0};
};

// Pair has
//   rows                                     x, y, z, w per row
//   Centre begin(i, w)                       constants of row i
//   Mask operator()(Centre, w, r2, e, g)     pairs within the cutoff; sets the pair energy e and g
//   (anything in the other lanes) double own_energy(i)
// kTotals: energies and virials too, otherwise forces alone.
template <class T, bool kTotals, class Pair>
void pair_rows(const System& s, const Neighbors& list, const Result& out, int n_threads,
               const Pair& pair) {
    using V = simd::Vec<T>;
    const T* rows = pair.rows;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        BlockTotals totals(s, out, b);
        PairSums<T> sums;
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const T* p = rows + 4 * i;
            const V x = p[0], y = p[1], z = p[2];
            const auto centre = pair.begin(i, p[3]);
            const std::int32_t *k = list.index + list.first[i], *k_end = k + list.count[i];
            for (; k < k_end; k += V::width) {
                const auto live = simd::first_n<T>(k_end - k);
                V dx, dy, dz, w;
                simd::load_rows(rows, simd::load_int<T>(k, live), dx, dy, dz, w);
                dx = dx - x;
                dy = dy - y;
                dz = dz - z;
                const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                V e, g;
                const auto within = pair(centre, w, r2, e, g) & live;
                if constexpr (kTotals)
                    sums.add(simd::keep(within, e), simd::keep(within, g), dx, dy, dz);
                else
                    sums.add_force(simd::keep(within, g), dx, dy, dz);
            }
            totals.finish_row(sums, i, kTotals ? pair.own_energy(i) : 0.0);
        }
        totals.finish_block(sums);
    });
}
template <class T, class Pair>
void pair_loop(const System& s, const Neighbors& list, const Result& out, int n_threads,
               const Pair& pair) {
    if (out.block_totals)
        pair_rows<T, true>(s, list, out, n_threads, pair);
    else
        pair_rows<T, false>(s, list, out, n_threads, pair);
}

// Pairs side by side. u and v are the pair's own: before the evaluation r^2 and the fourth column
// of row j, after it e and g.
template <class T> struct alignas(64) Tile {
    static constexpr int capacity = 256;
    T dx[capacity + 16], dy[capacity + 16], dz[capacity + 16], u[capacity + 16], v[capacity + 16],
        centre[capacity + 16];
    std::int32_t tag[2][capacity + 16];
};

// Pair has
//   rows                            x, y, z, w per row
//   kTags, tags(i, j, t0, t1)       whether a pair needs more than w, and two integers made of rows
//   i and j void evaluate(Tile&, k)         pairs k, k + 1, ..., one vector: u = r^2, v = w of j,
//   centre = w of i, tags on entry; u = e, v = g on return double own_energy(i)
// All pairs of the list are within the cutoff.
template <class T, bool kTotals, class Pair>
void tile_rows(const System& s, const Neighbors& list, const Result& out, int n_threads,
               const Pair& pair) {
    using V = simd::Vec<T>;
    struct Segment {
        std::int64_t row;
        int begin, end;
        bool last;  // the row is complete behind it
    };
    const T* rows = pair.rows;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        BlockTotals totals(s, out, b);
        PairSums<T> sums;
        Tile<T> tile;
        Segment segments[kPairBlock + 1];
        int n = 0, n_segments = 0;
        auto flush = [&] {
            // The last vector may reach beyond the last pair.
            simd::store(tile.u + n, V(T(1)));
            simd::store(tile.v + n, V(T(0)));
            simd::store(tile.centre + n, V(T(0)));
            for (auto& tag : tile.tag) simd::store_int(tag + n, simd::set_int<T>(0));
            for (int k = 0; k < n; k += V::width) pair.evaluate(tile, k);
            for (int q = 0; q < n_segments; ++q) {
                const Segment& seg = segments[q];
                for (int k = seg.begin; k < seg.end; k += V::width) {
                    const auto live = simd::first_n<T>(seg.end - k);
                    const V g = simd::load(tile.v + k, live), dx = simd::load(tile.dx + k, live),
                            dy = simd::load(tile.dy + k, live), dz = simd::load(tile.dz + k, live);
                    if constexpr (kTotals)
                        sums.add(simd::load(tile.u + k, live), g, dx, dy, dz);
                    else
                        sums.add_force(g, dx, dy, dz);
                }
                const double own = kTotals ? pair.own_energy(seg.row) : 0.0;
                if (seg.last) totals.finish_row(sums, seg.row, own);
            }
            n = n_segments = 0;
        };
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const T* p = rows + 4 * i;
            const V x = p[0], y = p[1], z = p[2], w_i = p[3];
            const std::int32_t* index = list.index + list.first[i];
            std::int32_t left = list.count[i];
            do {
                const int piece = left < Tile<T>::capacity ? left : Tile<T>::capacity;
                if (n + piece > Tile<T>::capacity) flush();
                // Whole vectors: what lies behind the piece is overwritten by the next one, or
                // never added to a sum.
                for (int k = 0; k < piece; k += V::width) {
                    const auto j = simd::load_int<T>(index + k, simd::first_n<T>(piece - k));
                    V dx, dy, dz, w;
                    simd::load_rows(rows, j, dx, dy, dz, w);
                    dx = dx - x;
                    dy = dy - y;
                    dz = dz - z;
                    const int at = n + k;
                    simd::store(tile.dx + at, dx);
                    simd::store(tile.dy + at, dy);
                    simd::store(tile.dz + at, dz);
                    simd::store(tile.u + at, simd::fma(dx, dx, simd::fma(dy, dy, dz * dz)));
                    simd::store(tile.v + at, w);
                    simd::store(tile.centre + at, w_i);
                    if constexpr (Pair::kTags) {
                        simd::Int<T> t0, t1;
                        pair.tags(i, j, t0, t1);
                        simd::store_int(tile.tag[0] + at, t0);
                        simd::store_int(tile.tag[1] + at, t1);
                    }
                }
                left -= piece;
                index += piece;
                segments[n_segments++] = {i, n, n + piece, left == 0};
                n += piece;
            } while (left > 0);
        }
        flush();
        totals.finish_block(sums);
    });
}
template <class T, class Pair>
void tile_loop(const System& s, const Neighbors& list, const Result& out, int n_threads,
               const Pair& pair) {
    if (out.block_totals)
        tile_rows<T, true>(s, list, out, n_threads, pair);
    else
        tile_rows<T, false>(s, list, out, n_threads, pair);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
