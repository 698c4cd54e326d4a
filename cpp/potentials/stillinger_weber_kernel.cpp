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
        const V r = simd::sqrt(at.r2);
        // Next to the end the root may be a sigma itself.
        const auto within = (at.r2 < c[0]) & (r < c[1]);
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
        if constexpr (kMixed) {
            at.a = at.gx = at.gy = at.gz = at.turn = V(0.0);
            if (reach.by_index) {
                const auto own = at.own_entry > V(0.5);
                load_pair(simd::select(own, species, at.species),
                          simd::select(own, at.species, species), c);
                const auto ends = (at.r2 < c[0]) & (r < c[1]);
                const V u = V(1.0) / simd::select(ends, r - c[1], V(-1.0));
                return phi(c, inverse_r, u, ends, at);
            }
        }
        phi(c, inverse_r, inverse, within, at);
    }
    // Beyond the cutoff, where a pair without parameters (sigma = 0) always is, powers may be anything.
    void phi(const V* c, V inverse_r, V inverse, simd::Mask<double> within, Slot& at) const {
        const V x = c[3] * inverse_r;
        const V repulsion = c[5] * power(x, p.whole_p, c[6]),
                attraction = c[4] * power(x, p.whole_q, c[7]);
        const V half = V(0.5) * math::exp(c[3] * inverse), bracket = repulsion - attraction;
        const V d_bracket = simd::fnma(c[6], repulsion, c[7] * attraction) * inverse_r;
        at.phi = simd::keep(within, half * bracket);
        at.slope =
            simd::keep(within, half * simd::fnma(bracket * c[3], inverse * inverse, d_bracket));
    }

    // With one set of parameters the triplets need not be met one by one: with M0 = sum h, M1 = sum h n and
    // M2 = sum h n n^T of a centre
    //   sum_{j<k} (c_jk - c0)^2 h_j h_k = 1/2 [M2:M2 - 2 c0 M1.M1 + c0^2 M0^2 - (1 - c0)^2 sum h^2]
    // The terms cancel in a crystal, where the sum is zero, to the last digits of L, no more.
    void moments(Slot* slot, int n, V& own, V& total) const {
        const V strength = p.strength[0], c0 = p.cos0[0], self = (V(1.0) - c0) * (V(1.0) - c0);
        V m0 = 0.0, mx = 0.0, my = 0.0, mz = 0.0;
        V xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0, xy = 0.0;
        for (int j = 0; j < n; ++j) {
            const Slot& J = slot[j];
            const V h = J.h, hx = h * J.nx, hy = h * J.ny, hz = h * J.nz;
            m0 = m0 + h;
            mx = mx + hx;
            my = my + hy;
            mz = mz + hz;
            xx = simd::fma(hx, J.nx, xx);
            yy = simd::fma(hy, J.ny, yy);
            zz = simd::fma(hz, J.nz, zz);
            yz = simd::fma(hy, J.nz, yz);
            xz = simd::fma(hx, J.nz, xz);
            xy = simd::fma(hx, J.ny, xy);
        }
        mx = c0 * mx;
        my = c0 * my;
        mz = c0 * mz;
        m0 = c0 * c0 * m0;
        for (int j = 0; j < n; ++j) {
            Slot& J = slot[j];
            const V nx = J.nx, ny = J.ny, nz = J.nz, h = J.h;
            // M2 n - c0 M1; times 2 L h it is the derivative by n.
            const V vx = simd::fma(xx, nx, simd::fma(xy, ny, simd::fma(xz, nz, -mx)));
            const V vy = simd::fma(xy, nx, simd::fma(yy, ny, simd::fma(yz, nz, -my)));
            const V vz = simd::fma(xz, nx, simd::fma(yz, ny, simd::fma(zz, nz, -mz)));
            const V along = simd::fma(vx, nx, simd::fma(vy, ny, vz * nz));
            const V m1 = simd::fma(mx, nx, simd::fma(my, ny, mz * nz));
            const V a = strength * ((along - m1) + simd::fnma(self, h, m0));
            const V turn = (strength + strength) * h * J.inverse_r;
            const V radial = simd::fnma(turn, along, simd::fma(J.dh, a, J.slope));
            J.px = simd::fma(radial, nx, turn * vx);
            J.py = simd::fma(radial, ny, turn * vy);
            J.pz = simd::fma(radial, nz, turn * vz);
            add_energy(J, h * a, own, total);
        }
    }
    // angles: of every triplet of the neighbor; half of the sum over neighbors is the energy.
    static void add_energy(Slot& at, V angles, V& own, V& total) {
        at.share = V(1.0 / 3.0) * angles;
        own = own + simd::fma(V(1.0 / 6.0), angles, at.phi);
        total = total + simd::fma(V(0.5), angles, at.phi);
    }

    // A third of a triplet's energy is found at each of its atoms; that of a pair, whose other half is
    // the neighbor's as a centre, at the centre.
    void energy_centres(int type, const Slot* slot, int n, LaneCentres* to, char*) const {
        const V species = double(type);
        V strength = p.strength[0], cos0 = p.cos0[0];
        for (int j = 0; j < n; ++j)
            for (int k = j + 1; k < n; ++k) {
                const Slot &J = slot[j], &K = slot[k];
                if constexpr (kMixed) {
                    const I at = row(species, J.species) * simd::set_int<double>(reach.n_species) +
                                 simd::to_int(K.species);
                    strength = simd::gather(p.strength, at);
                    cos0 = simd::gather(p.cos0, at);
                }
                const V nj[3] = {J.nx, J.ny, J.nz}, nk[3] = {K.nx, K.ny, K.nz};
                const V third = 1.0 / 3.0;
                const V r0[3] = {third * (J.dx + K.dx), third * (J.dy + K.dy),
                                 third * (J.dz + K.dz)};
                const V c = simd::fma(nj[0], nk[0], simd::fma(nj[1], nk[1], nj[2] * nk[2]));
                const V off = c - cos0, push = strength * off, e = push * off;
                const V by_cos = (push + push) * (J.h * K.h), by_j = e * K.h * J.dh,
                        by_k = e * J.h * K.dh;
                V pj[3], pk[3];
                for (int x = 0; x < 3; ++x) {
                    pj[x] =
                        simd::fma(by_j, nj[x], by_cos * J.inverse_r * simd::fnma(c, nj[x], nk[x]));
                    pk[x] =
                        simd::fma(by_k, nk[x], by_cos * K.inverse_r * simd::fnma(c, nk[x], nj[x]));
                }
                to[j].add(r0, pj);
                to[k].add(r0, pk);
            }
    }

    void evaluate(int type, Slot* slot, int n, V& own, V& total, char*) const {
        const V species = double(type);
        for (int j = 0; j < n; ++j) pair(species, slot[j]);
        if constexpr (!kMixed) return moments(slot, n, own, total);
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
            add_energy(J, h * a, own, total);
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
