// EAM over half lists, two passes. Pass 1 tests the listed pairs, keeps those within the cutoff in
// a shorter list, and looks up f. Pass 2 walks the short list and looks up f and r phi, which share
// one cache line per cell. Every pair is evaluated once and added to both of its rows.
#include "forces/near.hpp"
#include "forces/pair_loop.hpp"
#include "potentials/eam.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

// The radial tables, with the constants of the lookup in registers.
struct Radial {
    const double* table;
    V inverse_dr, n_cells, last;
    std::int32_t cells;
    int n_species;

    explicit Radial(const EamParams& p)
        : table(p.radial),
          inverse_dr(p.inverse_dr),
          n_cells(double(p.n_cells)),
          last(double(p.n_cells - 1)),
          cells(std::int32_t(p.n_cells)),
          n_species(p.n_species) {}

    // Cell number and fraction of r; beyond the last cell the fraction stays at 1, as in LAMMPS.
    // NaN (r = 0) goes there too.
    I locate(V r, V& fraction) const {
        const V u = simd::min(r * inverse_dr, n_cells);
        const V cell = simd::min(simd::floor(u), last);
        fraction = u - cell;
        return simd::to_int(cell);
    }
    // Row of eight for a neighbor of species b (per lane) at a centre of species a.
    template <bool kMixed> I row(I cell, I a, I b) const {
        if constexpr (!kMixed) return cell;
        return (a * simd::set_int<double>(n_species) + b) * simd::set_int<double>(cells) + cell;
    }
};

// Species of the rows j.
inline I species_of(const System& s, I j) {
    const I j2 = j + j;
    return simd::to_int(simd::gather(s.rows + 3, j2 + j2));
}

inline V cubic(const V* c, V x) {
    return simd::fma(simd::fma(simd::fma(c[0], x, c[1]), x, c[2]), x, c[3]);
}
inline V cubic_slope(const V* c, V x) {
    return simd::fma(simd::fma(V(3.0) * c[0], x, V(2.0) * c[1]), x, c[2]);
}

// F and F' of V::width atoms of the given species.
inline void embed_table(const EamParams& p, I species, V rho, V& f, V& df) {
    // First cell extrapolates below, last slope above rho_max.
    const V u = rho * V(p.inverse_drho);
    const I last = simd::set_int<double>(std::int32_t(p.n_rho - 1));
    const V inside = simd::min(simd::max(u, V(0.0)), V(double(p.n_rho)));
    const I m = simd::min(simd::to_int(inside), last);
    const V x = simd::min(u - simd::to_vec<double>(m), V(1.0));
    V c[4];
    simd::load_rows(p.embed, species * simd::set_int<double>(std::int32_t(p.n_rho)) + m, c[0], c[1],
                    c[2], c[3]);
    f = cubic(c, x);
    df = cubic_slope(c, x) * V(p.inverse_drho);
    f = simd::fma(df, simd::keep(rho > V(p.rho_max), rho - V(p.rho_max)), f);
}

// Zhou, Johnson and Wadley 2004: cubics below rho_o, and from there on
//   F = Fe (1 - eta ln s) s^eta,  s = rho / rho_s
// The parameters of a species are rho_n, rho_e, rho_o, rho_s, Fn0 to Fn3, F0, F1, F2, F3 below and
// above rho_e, Fe and eta.
inline void embed_zhou2004(const EamParams& p, I species, V rho, V& f, V& df) {
    const I row = species * simd::set_int<double>(16);
    auto c = [&](int k) { return simd::gather(p.embed + k, row); };
    const V rho_n = c(0), rho_e = c(1), rho_o = c(2);
    const M low = rho < rho_n, high = rho >= rho_o;
    const V scale = V(1.0) / simd::select(low, rho_n, rho_e);
    const V x = simd::fma(rho, scale, V(-1.0));
    V a[4];
    a[3] = simd::select(low, c(4), c(8));
    a[2] = simd::select(low, c(5), c(9));
    a[1] = simd::select(low, c(6), c(10));
    a[0] = simd::select(low, c(7), simd::select(rho < rho_e, c(11), c(12)));
    f = cubic(a, x);
    df = cubic_slope(a, x) * scale;
    if (simd::any(high)) {
        const V eta = c(14), s = simd::max(rho, rho_o) / c(3), log_s = math::log(s);
        const V power = c(13) * math::exp(eta * log_s);
        f = simd::select(high, power * simd::fnma(eta, log_s, V(1.0)), f);
        df = simd::select(high, -(power * eta * eta * log_s) / (s * c(3)), df);
    }
}

// Neighbors within the cutoff of several rows, side by side, for one long loop of table look-ups
// (as in pair_loop.hpp).
struct alignas(64) DensityTile {
    static constexpr int capacity = 512;
    double u[capacity + 16];     // fraction of the cell, then the density that j contributes at i
    double back[capacity + 16];  // and i at j, with several species
    std::int32_t row[capacity + 16], tag[2][capacity + 16];  // j; table rows of either
    int n = 0;
};

// Tests the neighbors [k, k_end) of row i; those within the cutoff go to the tile and, their rows,
// to `kept`. Returns how many.
template <bool kMixed>
inline int keep_near(const Radial& radial, V cutoff2, const System& s, std::int64_t i,
                     const std::int32_t* k, const std::int32_t* k_end, DensityTile& tile,
                     std::int32_t* kept) {
    const I species = simd::set_int<double>(std::int32_t(s.rows[4 * i + 3]));
    return gather_near(
        s.rows, i, k, k_end, [&](const Listed<double>& v) MDKERN_BODY { return v.r2 < cutoff2; },
        [&](const Listed<double>& v, M within, const std::int32_t*, int n) MDKERN_BODY {
            // Before the pairs beyond the cutoff are dropped: the root overlaps with the loads.
            V fraction;
            const I cell = radial.locate(simd::sqrt(v.r2), fraction);
            const int at = tile.n + n;
            simd::compress_store(tile.u + at, fraction, within);
            simd::compress_store(tile.row + at, v.j, within);
            if constexpr (kMixed) {
                const I other = simd::to_int(v.w);
                simd::compress_store(tile.tag[0] + at, radial.row<true>(cell, species, other),
                                     within);
                simd::compress_store(tile.tag[1] + at, radial.row<true>(cell, other, species),
                                     within);
            } else {
                simd::compress_store(tile.tag[0] + at, cell, within);
            }
            simd::compress_store(kept + n, v.j, within);
        });
}

template <bool kMixed> inline void look_up(const Radial& radial, DensityTile& tile) {
    simd::store(tile.u + tile.n, V(0.0));  // the last vector may reach beyond the last pair
    for (auto& tag : tile.tag) simd::store_int(tag + tile.n, simd::set_int<double>(0));
    for (int k = 0; k < tile.n; k += V::width) {
        const V x = simd::load(tile.u + k);
        auto value = [&](const std::int32_t* tag) {
            V c[4];
            simd::load_rows<8>(radial.table, tag + k, c[0], c[1], c[2], c[3]);
            return cubic(c, x);
        };
        simd::store(tile.u + k, value(tile.tag[0]));
        if constexpr (kMixed) simd::store(tile.back + k, value(tile.tag[1]));
    }
}

// Adds the densities of the pairs of tile t to rho, and lists the neighbors within the cutoff.
template <bool kMixed>
void densities(const Radial& radial, V cutoff2, const System& s, const HalfList& half,
               std::int64_t t, const EamScratch& work) {
    struct Segment {
        std::int64_t row;
        int begin, end;
    };
    constexpr int kSegments = 64;
    Segment segments[kSegments];
    int n_segments = 0;
    DensityTile tile;
    double* rho = work.sums;
    auto flush = [&] {
        look_up<kMixed>(radial, tile);
        const double* back = kMixed ? tile.back : tile.u;
        for (int k = 0; k < tile.n; ++k) rho[tile.row[k]] += back[k];
        for (int q = 0; q < n_segments; ++q) {
            V own = 0.0;
            for (int k = segments[q].begin; k < segments[q].end; k += V::width)
                own = own + simd::keep(simd::first_n<double>(segments[q].end - k),
                                       simd::load(tile.u + k));
            rho[segments[q].row] += simd::sum(own);
        }
        tile.n = n_segments = 0;
    };
    for_rows(half, t, [&](std::int64_t i) {
        const std::int64_t first = half.list.first[i];
        const std::int32_t *k = half.list.index + first, *k_end = k + half.list.count[i];
        std::int32_t* kept = work.index + first;
        int n = 0;
        while (k < k_end) {  // in one go, but for very long rows
            const std::int32_t* stop =
                k_end - k > DensityTile::capacity ? k + DensityTile::capacity : k_end;
            if (tile.n + (stop - k) > DensityTile::capacity || n_segments == kSegments) flush();
            const int more = keep_near<kMixed>(radial, cutoff2, s, i, k, stop, tile, kept + n);
            segments[n_segments++] = {i, tile.n, tile.n + more};
            tile.n += more;
            n += more;
            k = stop;
        }
        work.count[i] = n;
    });
    flush();
}

// Density at row i, with that of its images.
inline double whole(const HalfList& half, const double* rho, std::int64_t i) {
    double sum = rho[i];
    if (half.image_first)
        for (std::int32_t k = half.image_first[i]; k < half.image_first[i + 1]; ++k)
            sum += rho[half.image[k]];
    return sum;
}

}  // namespace

void eam_density_compute(const EamParams& p, const System& s, const HalfList& half,
                         const EamScratch& work, int n_threads) {
    const Radial radial(p);
    const V cutoff2 = p.cutoff * p.cutoff;
    clear(work.sums, s.n_total, n_threads);
    for_tiles(half, n_threads, [&](std::int64_t t) {
        if (p.n_species > 1)
            densities<true>(radial, cutoff2, s, half, t, work);
        else
            densities<false>(radial, cutoff2, s, half, t, work);
    });
}

void eam_embed_compute(const EamParams& p, const System& s, const HalfList& half,
                       const EamScratch& work, int n_threads) {
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t begin = b * kPairBlock,
                           end = begin + kPairBlock < s.n_real ? begin + kPairBlock : s.n_real;
        for (std::int64_t i = begin; i < end; i += V::width) {
            const M live = simd::first_n<double>(end - i);
            std::int32_t lane_species[V::width];
            double lane_rho[V::width], slope[V::width];
            for (int l = 0; l < V::width; ++l) {
                lane_species[l] = i + l < end ? std::int32_t(s.rows[4 * (i + l) + 3]) : 0;
                lane_rho[l] = i + l < end ? whole(half, work.sums, i + l) : 0.0;
            }
            const I species = simd::load_int<double>(lane_species);
            V f, df;
            if (p.embedding == Embedding::zhou2004) {
                embed_zhou2004(p, species, simd::load(lane_rho), f, df);
            } else {
                embed_table(p, species, simd::load(lane_rho), f, df);
                if (simd::any(simd::load(lane_rho) > V(p.rho_max)))
                    __atomic_store_n(work.beyond, 1, __ATOMIC_RELAXED);
            }
            simd::store(work.energy + i, f, live);
            simd::store(slope, df);
            for (int l = 0; l < V::width && i + l < end; ++l) {
                for (int c = 0; c < 3; ++c) work.rows[4 * (i + l) + c] = s.rows[4 * (i + l) + c];
                work.rows[4 * (i + l) + 3] = slope[l];
            }
        }
    });
    parallel_for(s.n_total - s.n_real, n_threads, 0, [&](std::int64_t k) {
        const std::int64_t r = s.n_real + k;
        for (int c = 0; c < 3; ++c) work.rows[4 * r + c] = s.rows[4 * r + c];
    });
}

namespace {

template <bool kMixed> struct EamPair {
    const double* rows;  // x, y, z, F'
    Radial radial;
    System s;

    // own: fraction of the cell, F' of j, F' of i, 1 / r; tag: rows of the tables of j around i,
    // and of i around j.
    void prepare(std::int64_t i, I j, V slope_i, V slope_j, V r2, Tile& tile, int k) const {
        const V r = simd::sqrt(r2);
        V x;
        const I cell = radial.locate(r, x);
        simd::store(tile.own[0] + k, x);
        simd::store(tile.own[1] + k, slope_j);
        simd::store(tile.own[2] + k, slope_i);
        simd::store(tile.own[3] + k, V(1.0) / r);
        if constexpr (kMixed) {
            const I a = simd::set_int<double>(std::int32_t(s.rows[4 * i + 3])),
                    b = species_of(s, j);
            simd::store_int(tile.tag[0] + k, radial.row<true>(cell, a, b));
            simd::store_int(tile.tag[1] + k, radial.row<true>(cell, b, a));
        } else {
            simd::store_int(tile.tag[0] + k, cell);
        }
    }

    // The table has z = r phi, so that phi = z / r and phi' = (z' - phi) / r. With these
    //   g = (F_i' f_{j->i}' + F_j' f_{i->j}' + phi') / r
    // where slopes of the table, which are per cell, are times cells per length.
    void evaluate(const Tile& tile, int k, V& e, V& g) const {
        V slope_to_j, slope_to_i;
        evaluate(tile, k, e, g, slope_to_j, slope_to_i);
    }
    // h = (F_j' f_{i->j}' + phi' / 2) / r
    void evaluate_split(const Tile& tile, int k, V& e, V& g, V& h) const {
        V slope_to_j, slope_to_i;
        evaluate(tile, k, e, g, slope_to_j, slope_to_i);
        const V scale = V(0.5) * radial.inverse_dr * simd::load(tile.own[3] + k);
        const V difference =
            simd::load(tile.own[1] + k) * slope_to_j - simd::load(tile.own[2] + k) * slope_to_i;
        h = simd::fma(scale, difference, V(0.5) * g);
    }

private:
    [[gnu::always_inline]] void evaluate(const Tile& tile, int k, V& e, V& g, V& slope_to_j,
                                         V& slope_to_i) const {
        const V x = simd::load(tile.own[0] + k), inverse_r = simd::load(tile.own[3] + k);
        V c[8];
        simd::load_rows8(radial.table, tile.tag[0] + k, c);
        slope_to_i = slope_to_j = cubic_slope(c, x);
        if constexpr (kMixed) {
            V d[4];
            simd::load_rows<8>(radial.table, tile.tag[1] + k, d[0], d[1], d[2], d[3]);
            slope_to_j = cubic_slope(d, x);
        }
        e = cubic(c + 4, x) * inverse_r;
        const V embedding = simd::fma(simd::load(tile.own[2] + k), slope_to_i,
                                      simd::load(tile.own[1] + k) * slope_to_j);
        const V slope = simd::fma(cubic_slope(c + 4, x), inverse_r, embedding) * radial.inverse_dr;
        g = simd::fnma(e, inverse_r, slope) * inverse_r;
    }
};

}  // namespace

void eam_force_compute(const EamParams& p, const System& s, const HalfList& half,
                       const EamScratch& work, int n_threads, const Outputs& out) {
    HalfList kept = half;
    kept.list = {0, half.list.first, work.count, work.index};
    const HalfSums sums{work.sums, work.virials, work.tiles, out.nine()};
    if (p.n_species == 1)
        tile_loop(s, kept, sums, out.block_totals != nullptr, n_threads,
                  EamPair<false>{work.rows, Radial(p), s});
    else
        tile_loop(s, kept, sums, out.block_totals != nullptr, n_threads,
                  EamPair<true>{work.rows, Radial(p), s});
}

void eam_finish_compute(const System& s, const HalfList& half, const EamScratch& work,
                        int n_threads, const Outputs& out) {
    const HalfSums sums{work.sums, work.virials, work.tiles, out.nine()};
    finish_half(s, half, sums, work.energy, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
