// Buckingham over full lists: one exponential, one square root and one division per listed pair.
#include "forces/pair_loop.hpp"
#include "forces/pair_rows.hpp"
#include "potentials/buckingham.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

template <bool kMixed> struct BuckinghamPair {
    const double* rows;
    const BuckinghamParams& p;
    PairRows<double, kMixed> pairs{p.table, p.n_species};

    using Centre = typename PairRows<double, kMixed>::Centre;
    Centre begin(std::int64_t, double species) const { return pairs.begin(species); }
    static double own_energy(std::int64_t) { return 0.0; }

    M operator()(const Centre& centre, V species, V r2, V& e, V& g) const {
        V c[8];
        pairs.load(centre, species, c);
        // phi' / r = 6 C / r^8 - A exp(-r / rho) / (rho r), with 1 / r = r / r^2: one division
        // serves all.
        const V r = simd::sqrt(r2), q = V(1.0) / r2;
        const V repulsion = c[0] * math::exp(-(r * c[1]));
        const V attraction = c[2] * (q * q * q);
        e = (repulsion - attraction) + c[3];
        g = simd::fnma(repulsion * c[1], r * q, V(6.0) * attraction * q);
        return r2 < c[4];
    }
};

}  // namespace

void buckingham_compute(const BuckinghamParams& p, const System& s, const Neighbors& list,
                        int n_threads, const Outputs& out) {
    if (p.n_species == 1)
        pair_loop<double>(s, list, out, n_threads, BuckinghamPair<false>{s.rows, p});
    else
        pair_loop<double>(s, list, out, n_threads, BuckinghamPair<true>{s.rows, p});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
