// Pair tables over full lists; formulas in pair_tab.hpp. A pair costs a root, a division and one row
// of four numbers; blending adds an exponential and the data of the neighbor, in one more pass.
#include "forces/near.hpp"
#include "forces/pair_loop.hpp"
#include "math/cutoffs.hpp"
#include "potentials/deepmd/pair_tab.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

namespace {

// phi and phi' of pairs of types: NaN below r_min, anything finite at or beyond r_end.
struct Lookup {
    const double* table;
    V r_min, inverse_step, last;
    I n_steps;

    explicit Lookup(const PairTab& p)
        : table(p.table),
          r_min(p.r_min),
          inverse_step(p.inverse_step),
          last(double(p.n_steps - 1)),
          n_steps(simd::set_int<double>(p.n_steps)) {}

    void operator()(I types, V r, V& phi, V& slope) const {
        const V u = (r - r_min) * inverse_step;
        const V k = simd::floor(simd::max(V(0.0), simd::min(u, last)));
        const V f = simd::select(u < V(0.0), V(__builtin_nan("")), u - k);
        V c3, c2, c1, c0;
        simd::load_rows(table, types * n_steps + simd::to_int(k), c3, c2, c1, c0);
        phi = simd::fma(simd::fma(simd::fma(c3, f, c2), f, c1), f, c0);
        slope = inverse_step * simd::fma(simd::fma(V(3.0) * c3, f, V(2.0) * c2), f, c1);
    }
};

// Whether pairs are within the limits of rows.
inline V within_limit(const double* limit, I row, V r2) {
    return simd::keep(r2 <= simd::gather(limit, row), V(1.0));
}

// kKeep: some atoms have no energy. kLimit: some neighbors are left out; the last number of a row is
// then its own.
template <bool kKeep, bool kLimit> struct TablePair {
    const double *rows, *system_rows;
    const PairTab& p;
    const Lookup look_up;

    TablePair(const PairTab& table, const System& s)
        : rows(kLimit ? table.numbered : s.rows), system_rows(s.rows), p(table), look_up(table) {}

    struct Centre {
        I types;
        V keep, limit;
    };
    Centre begin(std::int64_t i, double) const {
        const int species = species_of(i);
        return {simd::set_int<double>(species * p.n_types), kKeep ? V(p.keep[species]) : V(1.0),
                kLimit ? V(p.limit[i]) : V(0.0)};
    }
    double own_energy(std::int64_t i) const { return p.bias[species_of(i)]; }

    static constexpr bool kSplit = kKeep || kLimit;
    M operator()(const Centre& centre, V last, V r2, V& e, V& g) const {
        V h;
        return (*this)(centre, last, r2, e, g, h);
    }
    M operator()(const Centre& centre, V last, V r2, V& e, V& g, V& h) const {
        const V r = simd::sqrt(r2);
        I species = simd::to_int(last);
        V own = centre.keep, other = 1.0, slope;
        if constexpr (kLimit) {
            const I row = species, twice = row + row;
            species = simd::to_int(simd::gather(system_rows + 3, twice + twice));
            own = simd::keep(r2 <= centre.limit, own);
            other = within_limit(p.limit, row, r2);
        }
        if constexpr (kKeep) other = other * simd::gather(p.keep, species);
        look_up(centre.types + species, r, e, slope);
        g = slope / r;
        if constexpr (kKeep || kLimit) {
            e = e * own;
            h = V(0.5) * other * g;
            g = V(0.5) * (own + other) * g;
        }
        return r < V(p.r_end);
    }

private:
    int species_of(std::int64_t i) const { return int(system_rows[4 * i + 3]); }
};

// The last pass of blending: dE/dr of a pair, both ends,
//   1/2 (c_i + c_j) phi' + e^(-r/a) (h_i (1 + (sigma_i - r) / a) + h_j (1 + (sigma_j - r) / a)),
//   h = (E^table - E^net) (dc/dsigma) / sum e^(-r/a)
// Whether pairs of types count in sigma.
inline V presence(const PairBlend& blend, I types) {
    return blend.present ? simd::gather(blend.present, types) : V(1.0);
}

struct BlendPair {
    const double* rows;   // x, y, z, number of the row
    const double* atoms;  // c, h, sigma, species
    const double* energies;
    const std::int32_t* order;
    const PairTab& p;
    const PairBlend& blend;
    const Lookup look_up;
    const V inverse_length, r_cut;

    struct Centre {
        V c, h, sigma;
        I types;
        std::int64_t row;
    };
    Centre begin(std::int64_t i, double) const {
        const double* a = atoms + 4 * i;
        return {a[0], a[1], a[2], simd::set_int<double>(std::int32_t(a[3]) * p.n_types), i};
    }
    double own_energy(std::int64_t i) const { return energies[order ? order[i] : i]; }

    static constexpr bool kSplit = true;
    M operator()(const Centre& centre, V row, V r2, V& e, V& g) const {
        V of_j;
        return (*this)(centre, row, r2, e, g, of_j);
    }
    M operator()(const Centre& centre, V row, V r2, V& e, V& g, V& of_j) const {
        V c, h, sigma, species;
        simd::load_rows(atoms, simd::to_int(row), c, h, sigma, species);
        const V r = simd::sqrt(r2), one = 1.0;
        V phi, slope;
        const I types = centre.types + simd::to_int(species);
        look_up(types, r, phi, slope);
        const M near = r < r_cut, covered = r < V(p.r_end);
        V own = centre.h * simd::fma(centre.sigma - r, inverse_length, one),
          other = h * simd::fma(sigma - r, inverse_length, one), own_c = centre.c;
        if (p.limit) {
            own_c = simd::keep(r2 <= V(p.limit[centre.row]), own_c);
            c = c * within_limit(p.limit, simd::to_int(row), r2);
        }
        if (blend.limit) {
            own = simd::keep(r2 <= V(blend.limit[centre.row]), own);
            other = other * within_limit(blend.limit, simd::to_int(row), r2);
        }
        const V weight = presence(blend, types) * math::exp(-(r * inverse_length));
        const V moved = weight * (own + other);
        of_j = (simd::keep(covered, V(0.5) * c * slope) + simd::keep(near, weight * other)) / r;
        e = 0.0;
        g = (simd::keep(covered, V(0.5) * (own_c + c) * slope) + simd::keep(near, moved)) / r;
        return near | covered;
    }
};

}  // namespace

void pair_tab_compute(const PairTab& p, const System& s, const Neighbors& list, int n_threads,
                      const Outputs& out) {
    if (p.keep && p.limit)
        pair_loop<double>(s, list, out, n_threads, TablePair<true, true>(p, s));
    else if (p.keep)
        pair_loop<double>(s, list, out, n_threads, TablePair<true, false>(p, s));
    else if (p.limit)
        pair_loop<double>(s, list, out, n_threads, TablePair<false, true>(p, s));
    else
        pair_loop<double>(s, list, out, n_threads, TablePair<false, false>(p, s));
}

void pair_blend_weights_compute(const PairTab& p, const PairBlend& blend, const System& s,
                                const Neighbors& list, int n_threads, double* atoms,
                                double* energies) {
    const TablePair<false, false> pair(p, s);
    const V r_cut2 = blend.r_cut * blend.r_cut, inverse_length = 1.0 / blend.length;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const double* x = s.rows + 4 * i;
            const auto centre = pair.begin(i, x[3]);
            const std::int32_t* begin = list.index + list.first[i];
            const V limit = p.limit ? p.limit[i] : __builtin_inf(),
                    sum_limit = blend.limit ? blend.limit[i] : __builtin_inf();
            V energy = 0.0, weights = 0.0, distances = 0.0;
            for_listed(s.rows, i, begin, begin + list.count[i],
                       [&](const Listed<double>& v, auto live, const std::int32_t*) MDKERN_BODY {
                           V e, g;
                           const V r = simd::sqrt(v.r2);
                           const M covered = pair(centre, v.w, v.r2, e, g) & (v.r2 <= limit) & live;
                           energy = energy + simd::keep(covered, e);
                           const V w = simd::keep((v.r2 < r_cut2) & (v.r2 <= sum_limit) & live,
                                                  math::exp(-(r * inverse_length))) *
                                       presence(blend, centre.types + simd::to_int(v.w));
                           weights = weights + w;
                           distances = simd::fma(w, r, distances);
                       });
            double sums[4];
            simd::store_sums4(sums, energy, weights, distances, distances);
            // Nothing near: the net alone, as in DeePMD-kit.
            const bool alone = !(sums[1] > 1e-200);
            const double total = alone ? 1.0 : sums[1], sigma = sums[2] / total,
                         width = blend.outer - blend.inner,
                         u = alone ? 1.0 : (sigma - blend.inner) / width;
            double c[V::width], dc[V::width];
            const auto w = math::quintic_switch(V(u));
            simd::store(c, w.value);
            simd::store(dc, w.derivative);
            const double keep = p.keep ? p.keep[int(x[3])] : 1.0;
            atoms[4 * i] = keep * c[0];
            atoms[4 * i + 1] = keep * dc[0] / (width * total);
            atoms[4 * i + 2] = sigma;
            atoms[4 * i + 3] = x[3];
            energies[s.order ? s.order[i] : i] = 0.5 * sums[0] + pair.own_energy(i);
        }
    });
}

void pair_blend_terms_compute(const System& s, int n_threads, const double* table,
                              const double* net, double* atoms, double* energies) {
    parallel_for(s.n_real, n_threads, 0, [&](std::int64_t i) {
        const std::int64_t o = s.order ? s.order[i] : i;
        const double c = atoms[4 * i], difference = table[o] - net[o];
        energies[o] = net[o] + c * difference;
        atoms[4 * i + 1] *= difference;
    });
}

void pair_blend_compute(const PairTab& p, const PairBlend& blend, const System& s,
                        const Neighbors& list, int n_threads, const double* atoms, double* rows,
                        const double* energies, const Outputs& out) {
    parallel_for(s.n_total, n_threads, 0, [&](std::int64_t i) {
        for (int c = 0; c < 3; ++c) rows[4 * i + c] = s.rows[4 * i + c];
        rows[4 * i + 3] = double(i);
    });
    pair_loop<double>(s, list, out, n_threads,
                      BlendPair{rows, atoms, energies, s.order, p, blend, Lookup(p),
                                V(1.0 / blend.length), V(blend.r_cut)});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
