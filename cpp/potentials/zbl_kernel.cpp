// ZBL over full lists: four exponentials, one square root and one division per listed pair.
#include "forces/pair_loop.hpp"
#include "forces/pair_rows.hpp"
#include "potentials/zbl.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

template <bool kMixed> struct ZblPair {
    const double* rows;
    const ZblParams& p;
    PairRows<double, kMixed> pairs{p.table, p.n_species};

    using Centre = typename PairRows<double, kMixed>::Centre;
    Centre begin(std::int64_t, double species) const { return pairs.begin(species); }
    static double own_energy(std::int64_t) { return 0.0; }

    M operator()(const Centre& centre, V species, V r2, V& e, V& g) const {
        V c[8];
        pairs.load(centre, species, c);
        const V r = simd::sqrt(r2), q = V(1.0) / r, x = r * c[1];
        V screen = 0.0, slope = 0.0;  // the screening function, and minus its derivative by x
        for (int m = 0; m < 4; ++m) {
            const V term = V(kZblWeight[m]) * math::exp(-(x * V(kZblDecay[m])));
            screen = screen + term;
            slope = simd::fma(V(kZblDecay[m]), term, slope);
        }
        const V bare = c[0] * q;
        const V t = simd::max(V(0.0), r - V(p.inner)), t2 = t * t;
        const V inner = simd::fma(V(0.25) * c[3], t, V(1.0 / 3.0) * c[2]);
        e = simd::fma(bare, screen, simd::fma(t2 * t, inner, c[4]));
        const V smooth = t2 * simd::fma(c[3], t, c[2]);
        g = q * simd::fnma(bare, simd::fma(slope, c[1], screen * q), smooth);
        return r2 < V(p.outer * p.outer);
    }
};

}  // namespace

void zbl_compute(const ZblParams& p, const System& s, const Neighbors& list, int n_threads,
                 const Outputs& out) {
    if (p.n_species == 1)
        pair_loop<double>(s, list, out, n_threads, ZblPair<false>{s.rows, p});
    else
        pair_loop<double>(s, list, out, n_threads, ZblPair<true>{s.rows, p});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
