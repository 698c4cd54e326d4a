// Morse over full lists: one exponential, one square root and one division per listed pair.
#include "forces/pair_loop.hpp"
#include "potentials/morse.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

template <bool kSmooth> struct MorsePair {
    const double* rows;
    const MorseParams& p;

    struct Centre {};
    static Centre begin(std::int64_t, double) { return {}; }
    static double own_energy(std::int64_t) { return 0.0; }

    M operator()(Centre, V, V r2, V& e, V& g) const {
        const V r = simd::sqrt(r2);
        const V x = math::exp(V(-p.alpha) * (r - V(p.r0)));
        e = simd::fma(V(p.D) * x, x - V(2.0), V(p.e0));
        V slope = V(-2.0 * p.alpha * p.D) * x * (x - V(1.0));
        if constexpr (kSmooth) {
            const V scale = 1.0 / (p.r_cut - p.r_on);
            const V s = simd::min(simd::max((V(p.r_cut) - r) * scale, V(0.0)), V(1.0));
            const V f = s * s * s * simd::fma(s, simd::fma(V(6.0), s, V(-15.0)), V(10.0));
            const V df = V(-30.0) * scale * s * s * (s - V(1.0)) * (s - V(1.0));
            slope = simd::fma(slope, f, e * df);
            e = e * f;
        }
        g = slope / r;
        return r2 < V(p.r_cut * p.r_cut);
    }
};

}  // namespace

void morse_compute(const MorseParams& p, const System& s, const Neighbors& list, int n_threads,
                   const Outputs& out) {
    if (p.smooth)
        pair_loop<double>(s, list, out, n_threads, MorsePair<true>{s.rows, p});
    else
        pair_loop<double>(s, list, out, n_threads, MorsePair<false>{s.rows, p});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
