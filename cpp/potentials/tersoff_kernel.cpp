#include "forces/lane_block.hpp"
#include "potentials/tersoff.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;

namespace {

// Beyond it the exponential of the triplets is a constant, as in LAMMPS: 1e30, or 0 below the negative.
constexpr double kClip = 69.0776, kMost = 1e30;

struct TersoffSlot : LaneSlot {
    V nx, ny, nz, r, inverse_r;  // unit vector
    V cut, d_cut;                // fC of the neighbor as the third atom, where it is one
    V repulsion, d_repulsion;    // of the bond, half of it
    V attraction, d_attraction;  // the same, without b
    V zeta;                      // then dE/dzeta
    V radial, gx, gy, gz, turn;  // dE/dr by triplets; sums of dE/dcos n_k and dE/dcos cos
};
static_assert(sizeof(TersoffSlot) <= kTersoffSlot, "room of a slot");

// One order of a pair of neighbors: j makes the bond, k is the third.
struct Side {
    V g, d_g;      // by the cosine
    V ex, d_ex;    // by r_ij
    V cut, d_cut;  // of k
};
struct Corner {
    V cos;
    Side side[2];
};
static_assert(sizeof(Corner) <= kTersoffCorner, "room of a pair of neighbors");

struct Curve {
    V value, slope;
};

template <bool kMod> inline Curve cutoff(V r, V R, V inverse_D) {
    const V x = simd::min(simd::max((r - R) * inverse_D, V(-1.0)), V(1.0));
    const auto between = (x > V(-1.0)) & (x < V(1.0));
    Curve c{simd::keep(x < V(0.0), V(1.0)), V(0.0)};
    if (!simd::any(between)) return c;
    constexpr double kQuarter = 0.78539816339744831;  // pi / 4
    const auto u = math::sincos(x * V(2.0 * kQuarter));
    V value, slope;
    if constexpr (kMod) {
        // 1/2 - 9/16 sin u - 1/16 sin 3u
        const V cube = u.sin * u.sin * u.sin;
        value = simd::fma(V(0.25), cube, simd::fnma(V(0.75), u.sin, V(0.5)));
        slope = V(-1.5 * kQuarter) * (u.cos * u.cos * u.cos);
    } else {
        value = simd::fnma(V(0.5), u.sin, V(0.5));
        slope = V(-kQuarter) * u.cos;
    }
    c.value = simd::select(between, value, c.value);
    c.slope = simd::keep(between, slope * inverse_D);
    return c;
}

// g, c as in the rows of triplets.
template <bool kMod> inline Curve angle(const V* c, V cos) {
    const V off = c[3] - cos, y = off * off, inverse = V(1.0) / (c[2] + y);
    const V most = c[1] * inverse, part = most * y;
    if constexpr (!kMod) {
        return {c[0] + part, V(-2.0) * off * (most * (c[2] * inverse))};
    } else {
        const V decay = c[4] * math::exp(-(c[5] * y)), factor = V(1.0) + decay;
        const V slope = simd::fnma(part * c[5], decay, most * (c[2] * inverse) * factor);
        return {simd::fma(part, factor, c[0]), V(-2.0) * off * slope};
    }
}

// exp((lam3 distance)^m) and its derivative by the distance; and both of the opposite distance, where
// the exponential is one over this one.
struct Decay {
    Curve there, back;
};
inline Decay decay(V lam3, V cubic, V distance) {
    const V x = lam3 * distance, square = x * x;
    const auto cube = cubic > V(0.5);
    const V t = simd::select(cube, square * x, x);
    const V e = math::exp(simd::min(simd::max(t, V(-kClip)), V(kClip))), inverse = V(1.0) / e;
    const V slope = lam3 * simd::select(cube, V(3.0) * square, V(1.0));
    Decay d{{e, slope * e}, {inverse, slope * inverse}};
    const auto above = t > V(kClip), below = t < V(-kClip);
    if (simd::any(above | below)) {
        const auto inside = simd::not_(above | below);
        d.there = {simd::select(above, V(kMost), simd::keep(inside, e)),
                   simd::keep(inside, d.there.slope)};
        d.back = {simd::select(below, V(kMost), simd::keep(inside, inverse)),
                  simd::keep(inside, d.back.slope)};
    }
    return d;
}

// b = (1 + t^eta)^-q with t = beta zeta, and db/dzeta; c: beta, eta, q, least t that counts. By the
// logarithm L of t^eta, as t^eta has any size: log(1 + e^L) = max(L, 0) + log(1 + e^-|L|).
inline Curve order(const V* c, V zeta) {
    const V t = c[0] * zeta;
    const auto counts = t > c[3];
    const V l = c[1] * math::log(simd::select(counts, t, V(1.0)));
    const V small = math::exp(-simd::abs(l)), sum = V(1.0) + small;
    const V b = math::exp(-(c[2] * (simd::max(l, V(0.0)) + math::log(sum))));
    const V numerator = simd::select(l < V(0.0), small, V(1.0));
    const V slope = -(c[2] * c[1] * b * numerator) / (sum * simd::select(counts, zeta, V(1.0)));
    return {simd::select(counts, b, V(1.0)), simd::keep(counts, slope)};
}

// 1 / (1 + exp(-zscale (r - zcut))); c: as of ZBL in the rows of pairs.
inline Curve switched(const V* c, V r) {
    // As far as its inverse is a number.
    const V small = math::exp(simd::min(c[3] * (c[2] - r), V(600.0))),
            on = V(1.0) / (V(1.0) + small);
    return {on, c[3] * on * (small * on)};
}

// Repulsion of two screened nuclei; c: Z Z e^2 / (4 pi e0), 1 / length.
inline Curve screened(const V* c, V r, V inverse_r) {
    const V x = r * c[1], bare = c[0] * inverse_r;
    const V e1 = V(0.1818) * math::exp(V(-3.2) * x), e2 = V(0.5099) * math::exp(V(-0.9423) * x),
            e3 = V(0.2802) * math::exp(V(-0.4029) * x), e4 = V(0.02817) * math::exp(V(-0.2016) * x);
    const V phi = (e1 + e2) + (e3 + e4);
    const V slope =
        simd::fma(V(3.2), e1, V(0.9423) * e2) + simd::fma(V(0.4029), e3, V(0.2016) * e4);
    return {bare * phi, -(bare * simd::fma(phi, inverse_r, c[1] * slope))};
}

template <bool kMod, bool kSeveral> struct TersoffModel {
    static constexpr bool kMixed = kSeveral;
    static constexpr std::size_t kMemory = kTersoffCorners;
    using Slot = TersoffSlot;
    TersoffParams p;
    Reach reach;

    I number(V a, V b) const {
        return simd::to_int(a) * simd::set_int<double>(reach.n_species) + simd::to_int(b);
    }
    // Numbers 8 part to 8 part + 7 of the row of a pair, and of a triplet.
    void load_pair(V a, V b, int part, V* c) const {
        if constexpr (kMixed) {
            const I k = number(a, b);
            simd::load_rows8(p.pair, k + k + k + simd::set_int<double>(part), c);
        } else {
            for (int q = 0; q < 8; ++q) c[q] = p.pair[8 * part + q];
        }
    }
    void load_triplet(I pair, V third, int part, V* c) const {
        if constexpr (kMixed) {
            const I k = pair * simd::set_int<double>(reach.n_species) + simd::to_int(third);
            simd::load_rows8(p.triplet, k + k + simd::set_int<double>(part), c);
        } else {
            for (int q = 0; q < 8; ++q) c[q] = p.triplet[8 * part + q];
        }
    }

    // Functions of two atoms. c: numbers 0 to 7 of the row of the pair.
    void pair(V species, Slot& at) const {
        V c[8];
        load_pair(species, at.species, 0, c);
        const auto bond = at.r2 < c[0];
        const V r = simd::sqrt(at.r2), inverse_r = V(1.0) / r;
        const Curve cut = cutoff<kMod>(r, c[1], c[2]);
        at.r = r;
        at.inverse_r = inverse_r;
        at.nx = at.dx * inverse_r;
        at.ny = at.dy * inverse_r;
        at.nz = at.dz * inverse_r;
        at.zeta = at.radial = at.gx = at.gy = at.gz = at.turn = V(0.0);
        at.cut = cut.value;
        at.d_cut = cut.slope;
        const V half = simd::keep(bond, V(0.5));
        const V bare = -(c[5] * math::exp(-(c[6] * r)));
        V attraction = cut.value * bare,
          d_attraction = bare * simd::fnma(c[6], cut.value, cut.slope);
        V first = species, second = at.species;
        if constexpr (kMixed) {
            if (reach.by_index) {
                const auto own = at.own_entry > V(0.5);
                first = simd::select(own, species, at.species);
                second = simd::select(own, at.species, species);
            }
        }
        Curve on{V(1.0), V(0.0)}, near{V(0.0), V(0.0)};
        if (p.zbl) {
            V z[8];
            load_pair(species, at.species, 2, z);
            on = switched(z, r);
            d_attraction = simd::fma(on.value, d_attraction, on.slope * attraction);
            attraction = on.value * attraction;
            load_pair(first, second, 2, z);
            on = switched(z, r);
            near = screened(z, r, inverse_r);
        }
        at.attraction = half * attraction;
        at.d_attraction = half * d_attraction;
        if constexpr (kMixed) {
            if (reach.by_index) {
                load_pair(first, second, 0, c);
                const auto ends = at.r2 < c[0];
                return repel(c, r, cutoff<kMod>(r, c[1], c[2]), on, near, simd::keep(ends, V(0.5)),
                             at);
            }
        }
        repel(c, r, cut, on, near, half, at);
    }
    void repel(const V* c, V r, Curve cut, Curve on, Curve near, V half, Slot& at) const {
        const V decay = c[3] * math::exp(-(c[4] * r)), bare = decay + c[7];
        V value = cut.value * bare;
        V slope = simd::fma(cut.slope, bare, -(cut.value * c[4] * decay));
        if (p.zbl) {
            slope = simd::fma(V(1.0) - on.value, near.slope, on.value * slope) +
                    on.slope * (value - near.value);
            value = simd::fma(V(1.0) - on.value, near.value, on.value * value);
        }
        at.repulsion = half * value;
        at.d_repulsion = half * slope;
    }

    // What k is for the bond of j.
    void third(V species, const Slot& j, const Slot& k, Side& to) const {
        if (p.one_cutoff) {
            to.cut = k.cut;
            to.d_cut = k.d_cut;
        } else {
            V c[8];
            load_triplet(number(species, j.species), k.species, 1, c);
            const Curve cut = cutoff<kMod>(k.r, c[0], c[1]);
            to.cut = cut.value;
            to.d_cut = cut.slope;
        }
    }
    void side(V species, const Slot& j, const Slot& k, V cos, Side& to) const {
        V c[8];
        load_triplet(number(species, j.species), k.species, 0, c);
        const Curve g = angle<kMod>(c, cos);
        to.g = g.value;
        to.d_g = g.slope;
        to.ex = V(1.0);
        to.d_ex = V(0.0);
        if (p.decays) {
            const Curve e = decay(c[6], c[7], j.r - k.r).there;
            to.ex = e.value;
            to.d_ex = e.slope;
        }
        third(species, j, k, to);
    }
    // row: that of the first triplet of the centre's species.
    void corner(V species, const double* row, const Slot& j, const Slot& k, Corner& to) const {
        const V cos = simd::fma(j.nx, k.nx, simd::fma(j.ny, k.ny, j.nz * k.nz));
        to.cos = cos;
        if (kMixed && !p.one_angle) {
            side(species, j, k, cos, to.side[0]);
            side(species, k, j, cos, to.side[1]);
            return;
        }
        // One set of parameters: both orders have one g, and exponentials of opposite distances.
        V c[8];
        for (int q = 0; q < 8; ++q) c[q] = row[q];
        const Curve g = angle<kMod>(c, cos);
        Decay e{{V(1.0), V(0.0)}, {V(1.0), V(0.0)}};
        if (p.decays) e = decay(c[6], c[7], j.r - k.r);
        to.side[0] = {g.value, g.slope, e.there.value, e.there.slope, V(0.0), V(0.0)};
        to.side[1] = {g.value, g.slope, e.back.value, e.back.slope, V(0.0), V(0.0)};
        third(species, j, k, to.side[0]);
        third(species, k, j, to.side[1]);
    }

    // Of the few centres whose corners are not kept; apart, so that the first pass stays in one piece.
    [[gnu::noinline]] void corner_again(V species, const double* row, const Slot& j, const Slot& k,
                                        Corner& to) const {
        corner(species, row, j, k, to);
    }

    void add_zeta(const Side& s, V& zeta) const { zeta = simd::fma(s.cut * s.g, s.ex, zeta); }
    // Derivatives of zeta of j's bond by r_ij, r_ik and the cosine, times w.
    void add_slopes(const Side& s, V w, V& by_j, V& by_k, V& by_cos) const {
        const V wg = w * s.g;
        const V stretch = wg * s.cut * s.d_ex;
        by_j = by_j + stretch;
        by_k = by_k + simd::fma(wg * s.d_cut, s.ex, -stretch);
        by_cos = simd::fma(w * s.cut, s.d_g * s.ex, by_cos);
    }

    // Half of a bond's energy is found at either of its ends. So of the sums of a neighbor those parts
    // that come from its own bond would have r0 = d / 2; here they are taken of all of its p, and for the
    // bonds in which it is the third, that of j to k, the difference (d_j - d_k) / 2 is added.
    void energy_centres(int type, const Slot* slot, int n, LaneCentres* to, char* memory) const {
        const V species = double(type), half = 0.5;
        const double* own_row =
            p.triplet + 16 * std::int64_t(type) * reach.n_species * reach.n_species;
        Corner* corners = reinterpret_cast<Corner*>(memory);
        const bool kept = n <= kKeptSlots;
        int at = 0;
        const auto add = [&](const Side& s, const Slot& j, const Slot& k, V cos,
                             LaneCentres& of_k) {
            V by_j = V(0.0), by_k = V(0.0), by_cos = V(0.0);
            add_slopes(s, j.zeta, by_j, by_k, by_cos);
            const V turn = by_cos * k.inverse_r;
            const V pk[3] = {simd::fma(by_k, k.nx, turn * simd::fnma(cos, k.nx, j.nx)),
                             simd::fma(by_k, k.ny, turn * simd::fnma(cos, k.ny, j.ny)),
                             simd::fma(by_k, k.nz, turn * simd::fnma(cos, k.nz, j.nz))};
            const V r0[3] = {half * (j.dx - k.dx), half * (j.dy - k.dy), half * (j.dz - k.dz)};
            of_k.add(r0, pk);
        };
        for (int j = 0; j < n; ++j) {
            const Slot& J = slot[j];
            const V r0[3] = {half * J.dx, half * J.dy, half * J.dz}, p_j[3] = {J.px, J.py, J.pz};
            to[j].add(r0, p_j);
            for (int k = j + 1; k < n; ++k) {
                const Slot& K = slot[k];
                Corner& c = corners[kept ? at++ : 0];
                if (!kept) corner_again(species, own_row, J, K, c);
                add(c.side[0], J, K, c.cos, to[k]);
                add(c.side[1], K, J, c.cos, to[j]);
            }
        }
    }

    [[gnu::flatten]] void evaluate(int type, Slot* slot, int n, V& own, V& total,
                                   char* memory) const {
        const V species = double(type);
        for (int j = 0; j < n; ++j) pair(species, slot[j]);
        const double* own_row =
            p.triplet + 16 * std::int64_t(type) * reach.n_species * reach.n_species;
        Corner* corners = reinterpret_cast<Corner*>(memory);
        const bool kept = n <= kKeptSlots;
        int at = 0;
        for (int j = 0; j < n; ++j)
            for (int k = j + 1; k < n; ++k) {
                Corner& c = corners[kept ? at++ : 0];
                corner(species, own_row, slot[j], slot[k], c);
                add_zeta(c.side[0], slot[j].zeta);
                add_zeta(c.side[1], slot[k].zeta);
            }
        for (int j = 0; j < n; ++j) {
            Slot& J = slot[j];
            V c[8];
            load_pair(species, J.species, 1, c);
            const Curve b = order(c, J.zeta);
            const V e = simd::fma(b.value, J.attraction, J.repulsion);
            J.radial = simd::fma(b.value, J.d_attraction, J.d_repulsion);
            J.zeta = J.attraction * b.slope;
            J.share = V(0.5) * e;
            own = own + J.share;
            total = total + e;
        }
        at = 0;
        for (int j = 0; j < n; ++j) {
            Slot& J = slot[j];
            const V nx = J.nx, ny = J.ny, nz = J.nz, w = J.zeta;
            V radial = J.radial, gx = J.gx, gy = J.gy, gz = J.gz, turn = J.turn;
            for (int k = j + 1; k < n; ++k) {
                Slot& K = slot[k];
                Corner& c = corners[kept ? at++ : 0];
                if (!kept) corner_again(species, own_row, J, K, c);
                V by_cos = V(0.0);
                add_slopes(c.side[0], w, radial, K.radial, by_cos);
                add_slopes(c.side[1], K.zeta, K.radial, radial, by_cos);
                gx = simd::fma(by_cos, K.nx, gx);
                gy = simd::fma(by_cos, K.ny, gy);
                gz = simd::fma(by_cos, K.nz, gz);
                K.gx = simd::fma(by_cos, nx, K.gx);
                K.gy = simd::fma(by_cos, ny, K.gy);
                K.gz = simd::fma(by_cos, nz, K.gz);
                turn = simd::fma(by_cos, c.cos, turn);
                K.turn = simd::fma(by_cos, c.cos, K.turn);
            }
            const V inverse_r = J.inverse_r;
            J.px = simd::fma(radial, nx, inverse_r * simd::fnma(turn, nx, gx));
            J.py = simd::fma(radial, ny, inverse_r * simd::fnma(turn, ny, gy));
            J.pz = simd::fma(radial, nz, inverse_r * simd::fnma(turn, nz, gz));
        }
    }
};

template <bool kMod> void run(const TersoffParams& p, const System& s, const Neighbors& list,
                              const ForceBlocks& plan, const ForceBlockWork& work, double* energies,
                              int n_threads, const Outputs& out) {
    if (p.reach.n_species == 1)
        run_lane_blocks(TersoffModel<kMod, false>{p, p.reach}, s, list, plan, work, energies,
                        n_threads, out);
    else
        run_lane_blocks(TersoffModel<kMod, true>{p, p.reach}, s, list, plan, work, energies,
                        n_threads, out);
}

}  // namespace

void tersoff_compute(const TersoffParams& p, const System& s, const Neighbors& list,
                     const ForceBlocks& plan, const ForceBlockWork& work, double* energies,
                     int n_threads, const Outputs& out) {
    if (p.mod)
        run<true>(p, s, list, plan, work, energies, n_threads, out);
    else
        run<false>(p, s, list, plan, work, energies, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
