// Lennard-Jones over full lists. Per listed pair: one row of 32 bytes loaded and transposed, about
// 30 floating-point operations, one division; see docs/performance.md for the count and the
// measured distance to it.
#include "forces/pair_loop.hpp"
#include "forces/pair_rows.hpp"
#include "potentials/lennard_jones.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

template <class T, LjStyle kStyle, bool kMixed> struct LjPair {
    using V = simd::Vec<T>;
    using M = simd::Mask<T>;

    const T* rows;
    PairRows<T, kMixed> pairs;

    struct Centre {
        typename PairRows<T, kMixed>::Centre row;
        V six_b;
    };
    Centre begin(std::int64_t, T w) const {
        Centre c{pairs.begin(w), {}};
        c.six_b = V(T(6)) * c.row.c[1];
        return c;
    }
    static double own_energy(std::int64_t) { return 0.0; }

    M operator()(const Centre& centre, V w, V r2, V& e, V& g) const {
        V c[8];
        if constexpr (kStyle == LjStyle::plain)
            pairs.load_four(centre.row, w, c);
        else
            pairs.load(centre.row, w, c);
        const V q = V(T(1)) / r2, q3 = q * q * q;
        const V aq = c[0] * q3;
        e = simd::fma(aq - c[1], q3, c[3]);
        const V six_b = kMixed ? V(T(6)) * c[1] : centre.six_b;
        g = simd::fma(V(T(-12)), aq, six_b) * (q3 * q);
        if constexpr (kStyle == LjStyle::force_shift) {  // e0 already holds -phi(rc) + rc slope
            const V r = simd::sqrt(r2);
            e = simd::fnma(c[4], r, e);
            g = g - c[4] / r;
        }
        if constexpr (kStyle == LjStyle::smooth) {
            // s = (rc2 - r2)^2 (rc2 + 2 r2 - 3 ro2) / (rc2 - ro2)^3; ds/dr / r = 12 (rc2 - r2) (ro2
            // - r2) / (rc2 - ro2)^3
            const V gap = c[2] - r2;
            const M on = r2 >= c[4];
            const V s = simd::select(on, gap * gap * (c[2] + V(T(2)) * r2 - V(T(3)) * c[4]) * c[5],
                                     V(T(1)));
            const V ds = simd::keep(on, V(T(12)) * gap * (c[4] - r2) * c[5]);
            g = simd::fma(g, s, e * ds);
            e = e * s;
        }
        return r2 < c[2];
    }
};

template <class T, LjStyle kStyle>
void run(const LjParams& p, const T* rows, const T* table, const System& s, const Neighbors& list,
         int n_threads, const Outputs& out) {
    if (p.n_species == 1)
        pair_loop<T>(s, list, out, n_threads, LjPair<T, kStyle, false>{rows, {table, 1}});
    else
        pair_loop<T>(s, list, out, n_threads, LjPair<T, kStyle, true>{rows, {table, p.n_species}});
}

template <class T>
void run_style(const LjParams& p, const T* rows, const T* table, const System& s,
               const Neighbors& list, int n_threads, const Outputs& out) {
    if (p.style == LjStyle::plain)
        run<T, LjStyle::plain>(p, rows, table, s, list, n_threads, out);
    else if (p.style == LjStyle::force_shift)
        run<T, LjStyle::force_shift>(p, rows, table, s, list, n_threads, out);
    else
        run<T, LjStyle::smooth>(p, rows, table, s, list, n_threads, out);
}

}  // namespace

void lennard_jones_compute(const LjParams& p, const System& s, const Neighbors& list,
                           float* scratch, int n_threads, const Outputs& out) {
    if (!p.single_precision) {
        run_style<double>(p, s.rows, p.table, s, list, n_threads, out);
        return;
    }
    // Behind the rows: the table.
    const std::int64_t n = 4 * s.n_total, m = 8 * std::int64_t(p.n_species) * p.n_species;
    // Relative to a row in the middle of the space order: floats resolve distances best near zero,
    // wherever the atoms are.
    const double* origin = s.rows + 4 * (s.n_real / 2);
    parallel_for(s.n_total, n_threads, 0, [&](std::int64_t r) {
        for (int c = 0; c < 3; ++c) scratch[4 * r + c] = float(s.rows[4 * r + c] - origin[c]);
        scratch[4 * r + 3] = float(s.rows[4 * r + 3]);
    });
    for (std::int64_t k = 0; k < m; ++k) scratch[n + k] = float(p.table[k]);
    run_style<float>(p, scratch, scratch + n, s, list, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
