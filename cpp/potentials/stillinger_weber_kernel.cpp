#include "forces/lane_block.hpp"
#include "potentials/stillinger_weber.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;

namespace {

struct SwSlot : LaneSlot {
    V nx, ny, nz, inverse_r;  // unit vector
    V h, dh;                  // h and its derivative
    V slope, phi;             // phi'/2 and phi/2
    V a;                      // sum over k of L (cos - c0)^2 h_k
    V gx, gy, gz, turn;       // sums over k of dE/dcos n_k and dE/dcos cos
};
static_assert(sizeof(SwSlot) <= kStillingerWeberSlot, "room of a slot");

// x^n, or by the logarithm where n is none.
inline V power(V x, int n, V exponent) {
    if (n < 0) return math::exp(exponent * math::log(x));
    V result = 1.0;
    for (; n > 0; n >>= 1) {
        if (n & 1) result = result * x;
        x = x * x;
    }
    return result;
}

template <bool kSeveral> struct SwModel {
    static constexpr bool kMixed = kSeveral;
    static constexpr std::size_t kMemory = 0;
    using Slot = SwSlot;
    StillingerWeberParams p;
    Reach reach;

    I row(V a, V b) const {
        return simd::to_int(a) * simd::set_int<double>(reach.n_species) + simd::to_int(b);
    }

    void load_pair(V a, V b, V* c) const {
        if constexpr (kMixed) {
            const I k = row(a, b);
            simd::load_rows8(p.pair, k + k, c);
        } else {
            for (int k = 0; k < 8; ++k) c[k] = p.pair[k];
        }
    }

    // phi and h of two atoms.
    void pair(V species, Slot& at) const {
        V c[8];
        load_pair(species, at.species, c);
        const auto within = at.r2 < c[0];
        const V r = simd::sqrt(at.r2);
        const V below = simd::select(within, r - c[1], V(-1.0));
        const V both = V(1.0) / (r * below);
        const V inverse_r = below * both, inverse = r * both;
        const V square = inverse * inverse;
        const V h = simd::keep(within, math::exp(c[2] * inverse));
        at.h = h;
        at.dh = -(h * c[2] * square);
        at.inverse_r = inverse_r;
        at.nx = at.dx * inverse_r;
        at.ny = at.dy * inverse_r;
        at.nz = at.dz * inverse_r;
        at.a = at.gx = at.gy = at.gz = at.turn = V(0.0);
        if constexpr (kMixed) {
            if (reach.by_index) {
                const auto own = at.own_entry > V(0.5);
                load_pair(simd::select(own, species, at.species),
                          simd::select(own, at.species, species), c);
                const auto ends = at.r2 < c[0];
                const V u = V(1.0) / simd::select(ends, r - c[1], V(-1.0));
                return phi(c, inverse_r, u, simd::keep(ends, math::exp(c[3] * u)), at);
            }
        }
        phi(c, inverse_r, inverse, simd::keep(within, math::exp(c[3] * inverse)), at);
    }
    void phi(const V* c, V inverse_r, V inverse, V decay, Slot& at) const {
        const V x = c[3] * inverse_r;
        const V repulsion = c[5] * power(x, p.whole_p, c[6]),
                attraction = c[4] * power(x, p.whole_q, c[7]);
        const V half = V(0.5) * decay, bracket = repulsion - attraction;
        const V d_bracket = simd::fnma(c[6], repulsion, c[7] * attraction) * inverse_r;
        at.phi = half * bracket;
        at.slope = half * simd::fnma(bracket * c[3], inverse * inverse, d_bracket);
    }

    void evaluate(V species, Slot* slot, int n, V& own, V& total, char*) const {
        for (int j = 0; j < n; ++j) pair(species, slot[j]);
        V strength = p.strength[0], cos0 = p.cos0[0];
        for (int j = 0; j < n; ++j) {
            Slot& J = slot[j];
            const V nx = J.nx, ny = J.ny, nz = J.nz, h = J.h;
            V a = J.a, gx = J.gx, gy = J.gy, gz = J.gz, turn = J.turn;
            I begin;
            if constexpr (kMixed)
                begin = row(species, J.species) * simd::set_int<double>(reach.n_species);
            for (int k = j + 1; k < n; ++k) {
                Slot& K = slot[k];
                if constexpr (kMixed) {
                    const I at = begin + simd::to_int(K.species);
                    strength = simd::gather(p.strength, at);
                    cos0 = simd::gather(p.cos0, at);
                }
                const V c = simd::fma(nx, K.nx, simd::fma(ny, K.ny, nz * K.nz));
                const V off = c - cos0, push = strength * off, e = push * off;
                a = simd::fma(e, K.h, a);
                K.a = simd::fma(e, h, K.a);
                const V by_cos = (push + push) * (h * K.h);
                gx = simd::fma(by_cos, K.nx, gx);
                gy = simd::fma(by_cos, K.ny, gy);
                gz = simd::fma(by_cos, K.nz, gz);
                K.gx = simd::fma(by_cos, nx, K.gx);
                K.gy = simd::fma(by_cos, ny, K.gy);
                K.gz = simd::fma(by_cos, nz, K.gz);
                turn = simd::fma(by_cos, c, turn);
                K.turn = simd::fma(by_cos, c, K.turn);
            }
            // All of the neighbor's triplets have been met.
            const V radial = simd::fma(J.dh, a, J.slope), w = J.inverse_r;
            J.px = simd::fma(radial, nx, w * simd::fnma(turn, nx, gx));
            J.py = simd::fma(radial, ny, w * simd::fnma(turn, ny, gy));
            J.pz = simd::fma(radial, nz, w * simd::fnma(turn, nz, gz));
            const V angles = h * a;  // of every triplet of j: half of the sum over j is the energy
            J.share = V(1.0 / 3.0) * angles;
            own = own + simd::fma(V(1.0 / 6.0), angles, J.phi);
            total = total + simd::fma(V(0.5), angles, J.phi);
        }
    }
};

}  // namespace

void stillinger_weber_compute(const StillingerWeberParams& p, const System& s,
                              const Neighbors& list, const ForceBlocks& plan,
                              const ForceBlockWork& work, double* energies, int n_threads,
                              const Outputs& out) {
    if (p.reach.n_species == 1)
        run_lane_blocks(SwModel<false>{p, p.reach}, s, list, plan, work, energies, n_threads, out);
    else
        run_lane_blocks(SwModel<true>{p, p.reach}, s, list, plan, work, energies, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
