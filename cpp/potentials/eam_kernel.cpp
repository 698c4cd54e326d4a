// EAM over full lists, two passes. Pass 1 tests the listed pairs, keeps those within the cutoff in
// a shorter list, and looks up f. Pass 2 walks the short list and looks up f and r phi, which share
// one cache line per cell.
#include "potentials/eam.hpp"
#include "potentials/pair_loop.hpp"
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

// Zhou, Johnson and Wadley 2004: two cubics below rho_o, Fe (1 - eta ln s) s^eta with s = rho /
// rho_s from there on. Columns of the parameters: rho_n rho_e rho_o rho_s Fn0..3 F0 F1 F2 F3- F3+
// Fe eta.
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

}  // namespace

namespace {

// Neighbors within the cutoff of several rows, side by side, for one long loop of table look-ups
// (as in pair_loop.hpp). u: r^2, then f.
struct alignas(64) DensityTile {
    static constexpr int capacity = 512;
    double u[capacity + 16];
    std::int32_t tag[capacity + 16];  // first table row of the pair, with several species
    int n = 0;
};

// Tests the neighbors [k, k_end) of row i; those within the cutoff go to the tile and, their rows,
// to `kept`. Returns how many.
template <bool kMixed>
inline int keep_near(const Radial& radial, V cutoff2, const System& s, std::int64_t i,
                     const std::int32_t* k, const std::int32_t* k_end, DensityTile& tile,
                     std::int32_t* kept) {
    const double* q = s.rows + 4 * i;
    const V x = q[0], y = q[1], z = q[2];
    const I species = simd::set_int<double>(std::int32_t(q[3])), zero = simd::set_int<double>(0);
    int n = 0;
    auto step = [&](M live, std::int32_t* out) {
        const I j = simd::load_int<double>(k, live);
        V dx, dy, dz, w;
        simd::load_rows(s.rows, j, dx, dy, dz, w);
        dx = dx - x;
        dy = dy - y;
        dz = dz - z;
        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
        const M within = live & (r2 < cutoff2);
        simd::compress_store(tile.u + tile.n + n, r2, within);
        if constexpr (kMixed)
            simd::compress_store(tile.tag + tile.n + n,
                                 radial.row<true>(zero, species, simd::to_int(w)), within);
        return simd::compress_store(out, j, within);
    };
    const M all = simd::first_n<double>(V::width);
    for (; k + V::width <= k_end; k += V::width) n += step(all, kept + n);
    if (k <
        k_end) {  // through a buffer: a whole-vector store could reach into another thread's row
        std::int32_t rest[V::width];
        const int more = step(simd::first_n<double>(k_end - k), rest);
        for (int m = 0; m < more; ++m) kept[n + m] = rest[m];
        n += more;
    }
    return n;
}

template <bool kMixed> inline void look_up(const Radial& radial, DensityTile& tile) {
    simd::store(tile.u + tile.n, V(1.0));  // the last vector may reach beyond the last pair
    simd::store_int(tile.tag + tile.n, simd::set_int<double>(0));
    for (int k = 0; k < tile.n; k += V::width) {
        V x, c[4];
        I row = radial.locate(simd::sqrt(simd::load(tile.u + k)), x);
        if constexpr (kMixed) row = row + simd::load_int<double>(tile.tag + k);
        simd::load_rows(radial.table, row + row, c[0], c[1], c[2], c[3]);
        simd::store(tile.u + k, cubic(c, x));
    }
}

// Densities of rows [begin, end), and the short list of their neighbors within the cutoff.
template <bool kMixed>
void densities(const Radial& radial, V cutoff2, const System& s, const Neighbors& list,
               std::int64_t begin, std::int64_t end, const EamScratch& work) {
    DensityTile tile;
    std::int64_t first_row = begin;  // of the tile
    int starts[kPairBlock + 1];
    V open = 0.0;                             // part of a row with more neighbors than a tile holds
    auto flush = [&](std::int64_t row_end) {  // rows [first_row, row_end) are complete
        look_up<kMixed>(radial, tile);
        starts[row_end - first_row] = tile.n;
        for (std::int64_t i = first_row; i < row_end; ++i) {
            V rho = open;
            open = 0.0;
            const int stop = starts[i - first_row + 1];
            for (int k = starts[i - first_row]; k < stop; k += V::width)
                rho = rho + simd::load(tile.u + k, simd::first_n<double>(stop - k));
            work.energy[i] = simd::sum(rho);
        }
        first_row = row_end;
        tile.n = 0;
        starts[0] = 0;
    };
    starts[0] = 0;
    for (std::int64_t i = begin; i < end; ++i) {
        const std::int32_t *k = list.index + list.first[i], *k_end = k + list.count[i];
        std::int32_t* kept = work.index + list.first[i];
        if (tile.n + (k_end - k) > DensityTile::capacity) flush(i);
        starts[i - first_row] = tile.n;
        int n = 0;
        while (k_end - k > DensityTile::capacity) {  // a very long row, piece by piece
            const int more = keep_near<kMixed>(radial, cutoff2, s, i, k, k + DensityTile::capacity,
                                               tile, kept + n);
            k += DensityTile::capacity;
            n += more;
            tile.n = more;
            look_up<kMixed>(radial, tile);
            for (int m = 0; m < more; m += V::width)
                open = open + simd::load(tile.u + m, simd::first_n<double>(more - m));
            tile.n = 0;
        }
        const int more = keep_near<kMixed>(radial, cutoff2, s, i, k, k_end, tile, kept + n);
        tile.n += more;
        work.count[i] = n + more;
    }
    flush(end);
}

}  // namespace

void eam_density_compute(const EamParams& p, const System& s, const Neighbors& list,
                         const EamScratch& work, int n_threads) {
    const Radial radial(p);
    const V cutoff2 = p.cutoff * p.cutoff;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t begin = b * kPairBlock,
                           end = begin + kPairBlock < s.n_real ? begin + kPairBlock : s.n_real;
        if (p.n_species > 1)
            densities<true>(radial, cutoff2, s, list, begin, end, work);
        else
            densities<false>(radial, cutoff2, s, list, begin, end, work);
        for (std::int64_t i = begin; i < end; i += V::width) {
            const M live = simd::first_n<double>(end - i);
            std::int32_t lane_species[V::width];
            for (int l = 0; l < V::width; ++l)
                lane_species[l] = i + l < end ? std::int32_t(s.rows[4 * (i + l) + 3]) : 0;
            const I species = simd::load_int<double>(lane_species);
            V f, df;
            if (p.embedding == Embedding::zhou2004)
                embed_zhou2004(p, species, simd::load(work.energy + i, live), f, df);
            else
                embed_table(p, species, simd::load(work.energy + i, live), f, df);
            simd::store(work.energy + i, f, live);
            double slope[V::width];
            simd::store(slope, df);
            for (int l = 0; l < V::width && i + l < end; ++l) {
                for (int c = 0; c < 3; ++c) work.rows[4 * (i + l) + c] = s.rows[4 * (i + l) + c];
                work.rows[4 * (i + l) + 3] = slope[l];
            }
        }
    });
}

void eam_spread_compute(const System& s, const EamScratch& work, int n_threads) {
    parallel_for(s.n_total - s.n_real, n_threads, 0, [&](std::int64_t k) {
        const std::int64_t r = s.n_real + k;
        for (int c = 0; c < 3; ++c) work.rows[4 * r + c] = s.rows[4 * r + c];
        work.rows[4 * r + 3] = work.rows[4 * std::int64_t(s.owner[r]) + 3];
    });
}

namespace {

template <bool kMixed> struct EamPair {
    static constexpr bool kTags = kMixed;
    const double* rows;  // x, y, z, F'
    Radial radial;
    System s;
    const double* f;  // embedding energies

    double own_energy(std::int64_t i) const { return f[i]; }
    // First rows of the tables of j around i, and of i around j.
    void tags(std::int64_t i, I j, I& to_i, I& to_j) const {
        const I a = simd::set_int<double>(std::int32_t(s.rows[4 * i + 3])), b = species_of(s, j),
                zero = simd::set_int<double>(0);
        to_i = radial.row<true>(zero, a, b);
        to_j = radial.row<true>(zero, b, a);
    }

    // r phi = z: phi = z / r, phi' = z' / r - phi / r. g = (F_i' f_{j->i}' + F_j' f_{i->j}' + phi')
    // / r; slopes are per cell of the table.
    void evaluate(Tile<double>& tile, int k) const {
        const V r = simd::sqrt(simd::load(tile.u + k)), inverse_r = V(1.0) / r;
        V x, c[8];
        const I cell = radial.locate(r, x);
        I row = cell;
        if constexpr (kMixed) row = cell + simd::load_int<double>(tile.tag[0] + k);
        simd::load_rows8(radial.table, row, c);
        const V slope_to_i = cubic_slope(c, x);
        V slope_to_j = slope_to_i;
        if constexpr (kMixed) {
            V d[4];
            const I back = cell + simd::load_int<double>(tile.tag[1] + k);
            simd::load_rows(radial.table, back + back, d[0], d[1], d[2], d[3]);
            slope_to_j = cubic_slope(d, x);
        }
        const V e = cubic(c + 4, x) * inverse_r;
        const V embedding =
            simd::fma(simd::load(tile.centre + k), slope_to_i, simd::load(tile.v + k) * slope_to_j);
        const V slope = simd::fma(cubic_slope(c + 4, x), inverse_r, embedding) * radial.inverse_dr;
        simd::store(tile.u + k, e);
        simd::store(tile.v + k, simd::fnma(e, inverse_r, slope) * inverse_r);
    }
};

}  // namespace

void eam_force_compute(const EamParams& p, const System& s, const Neighbors& list,
                       const EamScratch& work, int n_threads, const Result& out) {
    const Neighbors kept{0, list.first, work.count, work.index};
    if (p.n_species == 1)
        tile_loop<double>(s, kept, out, n_threads,
                          EamPair<false>{work.rows, Radial(p), s, work.energy});
    else
        tile_loop<double>(s, kept, out, n_threads,
                          EamPair<true>{work.rows, Radial(p), s, work.energy});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
