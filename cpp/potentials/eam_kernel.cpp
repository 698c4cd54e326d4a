// EAM over full lists, two passes. Pass 1 tests the listed pairs, keeps those within the cutoff in a shorter list, and looks up
// f. Pass 2 walks the short list and looks up f and r phi, which share one cache line per cell.
#include "potentials/eam.hpp"
#include "potentials/pair_loop.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

// Cell number and fraction of r in the radial tables; beyond the last cell the fraction stays at 1, as in LAMMPS.
inline I locate(const EamParams& p, V r, V& fraction) {
    const V u = simd::min(r * V(p.inverse_dr), V(double(p.n_cells)));
    const I cell = simd::min(simd::to_int(u), simd::set_int<double>(std::int32_t(p.n_cells - 1)));
    fraction = u - simd::to_vec<double>(cell);
    return cell;
}

inline V cubic(const V* c, V x) { return simd::fma(simd::fma(simd::fma(c[0], x, c[1]), x, c[2]), x, c[3]); }
inline V cubic_slope(const V* c, V x) {
    return simd::fma(simd::fma(V(3.0) * c[0], x, V(2.0) * c[1]), x, c[2]);
}

// Row of the radial table for neighbors of species w around a centre of species t.
inline I table_row(const EamParams& p, I cell, int t, V w) {
    if (p.n_species == 1) return cell;
    const I pair = simd::set_int<double>(t * p.n_species) + simd::to_int(w);
    return pair * simd::set_int<double>(std::int32_t(p.n_cells)) + cell;
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
    simd::load_rows(p.embed, species * simd::set_int<double>(std::int32_t(p.n_rho)) + m, c[0], c[1], c[2], c[3]);
    f = cubic(c, x);
    df = cubic_slope(c, x) * V(p.inverse_drho);
    f = simd::fma(df, simd::keep(rho > V(p.rho_max), rho - V(p.rho_max)), f);
}

// Zhou, Johnson and Wadley 2004: two cubics below rho_o, Fe (1 - eta ln s) s^eta with s = rho / rho_s from there on. Columns of the parameters:
// rho_n rho_e rho_o rho_s Fn0..3 F0 F1 F2 F3- F3+ Fe eta.
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

// Density of row i. Leaves the neighbors within the cutoff in `kept` and their number in n_kept.
inline double density(const EamParams& p, const System& s, const Neighbors& list, std::int64_t i, std::int32_t* kept,
                      std::int32_t& n_kept) {
    constexpr int kStretch = 512;
    const V cutoff2 = p.cutoff * p.cutoff;
    const double* q = s.rows + 4 * i;
    const V x = q[0], y = q[1], z = q[2];
    const int species = int(q[3]);
    const std::int32_t *k = list.index + list.first[i], *k_end = k + list.count[i];
    double r2_kept[kStretch + V::width];
    std::int32_t j_kept[kStretch + V::width];  // not straight to `kept`: a whole-vector store would reach into another thread's row
    V rho = 0.0;
    n_kept = 0;
    while (k < k_end) {
        // A stretch of pairs: test, keep, then look up the kept ones.
        const std::int32_t* stop = k_end - k > kStretch ? k + kStretch : k_end;
        int n = 0;
        for (; k < stop; k += V::width) {
            const M live = simd::first_n<double>(stop - k);
            const I j = simd::load_int<double>(k, live);
            V dx, dy, dz, w;
            simd::load_rows(s.rows, j, dx, dy, dz, w);
            dx = dx - x;
            dy = dy - y;
            dz = dz - z;
            const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            const M within = live & (r2 < cutoff2);
            simd::compress_store(r2_kept + n, r2, within);
            n += simd::compress_store(j_kept + n, j, within);
        }
        k = stop;
        for (int m = 0; m < n; m += V::width) {
            const M live = simd::first_n<double>(n - m);
            V fraction, c[4], w = 0.0;
            const I cell = locate(p, simd::sqrt(simd::load(r2_kept + m, live)), fraction);
            if (p.n_species > 1) {
                const I j = simd::load_int<double>(j_kept + m, live);
                w = simd::gather(s.rows + 3, j + j + j + j);
            }
            const I row = table_row(p, cell, species, w);
            simd::load_rows(p.radial, row + row, c[0], c[1], c[2], c[3]);
            rho = rho + simd::keep(live, cubic(c, fraction));
        }
        for (int m = 0; m < n; ++m) kept[n_kept + m] = j_kept[m];
        n_kept += n;
    }
    return simd::sum(rho);
}

}  // namespace

void eam_density_compute(const EamParams& p, const System& s, const Neighbors& list, const EamScratch& work, int n_threads) {
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t begin = b * kPairBlock, end = begin + kPairBlock < s.n_real ? begin + kPairBlock : s.n_real;
        for (std::int64_t i = begin; i < end; ++i)
            work.energy[i] = density(p, s, list, i, work.index + list.first[i], work.count[i]);
        for (std::int64_t i = begin; i < end; i += V::width) {
            const M live = simd::first_n<double>(end - i);
            std::int32_t lane_species[V::width];
            for (int l = 0; l < V::width; ++l) lane_species[l] = i + l < end ? std::int32_t(s.rows[4 * (i + l) + 3]) : 0;
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
    const double* rows;   // x, y, z, F'
    const EamParams& p;
    const System& s;
    const double* f;      // embedding energies

    struct Centre {
        int species;
        V df;
    };
    Centre begin(std::int64_t i, double df) const { return {int(s.rows[4 * i + 3]), df}; }
    double own_energy(std::int64_t i) const { return f[i]; }

    // r phi = z: phi = z / r, phi' = z' / r - phi / r. g = (F_i' f_{j->i}' + F_j' f_{i->j}' + phi') / r.
    M operator()(const Centre& centre, I j, V df, V r2, M live, V& e, V& g) const {
        const V r = simd::sqrt(r2), inverse_r = V(1.0) / r;
        V x, c[8], w = 0.0;
        const I cell = locate(p, r, x);
        if constexpr (kMixed) w = simd::gather(s.rows + 3, j + j + j + j);
        simd::load_rows8(p.radial, table_row(p, cell, centre.species, w), c);
        const V scale = p.inverse_dr;
        const V slope_to_i = cubic_slope(c, x);
        V slope_to_j = slope_to_i;
        if constexpr (kMixed) {
            V d[4];
            const I back = simd::to_int(w) * simd::set_int<double>(p.n_species) + simd::set_int<double>(centre.species);
            const I row = back * simd::set_int<double>(std::int32_t(p.n_cells)) + cell;
            simd::load_rows(p.radial, row + row, d[0], d[1], d[2], d[3]);
            slope_to_j = cubic_slope(d, x);
        }
        e = cubic(c + 4, x) * inverse_r;
        const V embedding = simd::fma(centre.df, slope_to_i, df * slope_to_j);
        g = (simd::fnma(e, inverse_r, (simd::fma(cubic_slope(c + 4, x), inverse_r, embedding)) * scale)) * inverse_r;
        // z' and the embedding slopes are per cell; phi is not.
        return live;
    }
};

}  // namespace

void eam_force_compute(const EamParams& p, const System& s, const Neighbors& list, const EamScratch& work, int n_threads,
                       const Result& out) {
    const Neighbors kept{0, list.first, work.count, work.index};
    if (p.n_species == 1)
        pair_loop<double>(s, kept, out, n_threads, EamPair<false>{work.rows, p, s, work.energy});
    else
        pair_loop<double>(s, kept, out, n_threads, EamPair<true>{work.rows, p, s, work.energy});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
