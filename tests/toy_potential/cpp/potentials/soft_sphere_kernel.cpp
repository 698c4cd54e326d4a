// Soft spheres over full lists: one square root and one division per listed pair.
#include "forces/pair_loop.hpp"
#include "potentials/soft_sphere.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

struct SoftSpherePair {
    const double* rows;
    double k, r_cut;

    struct Centre {};
    Centre begin(std::int64_t, double) const { return {}; }
    static double own_energy(std::int64_t) { return 0.0; }

    M operator()(const Centre&, V, V r2, V& e, V& g) const {
        const V r = simd::sqrt(r2), overlap = V(r_cut) - r;
        e = V(0.5 * k) * (overlap * overlap);
        g = V(-k) * (overlap / r);
        return r2 < V(r_cut * r_cut);
    }
};

}  // namespace

void soft_sphere_compute(const SoftSphereParams& p, const System& s, const Neighbors& list,
                         int n_threads, const Outputs& out) {
    pair_loop<double>(s, list, out, n_threads, SoftSpherePair{s.rows, p.k, p.r_cut});
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
