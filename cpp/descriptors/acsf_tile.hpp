// Pieces that the ACSF kernels share: radial functions, and tiles of triplets.
//
// Triplets of a pair of species are taken row by row, j fixed and k in vectors; those that count
// (G4: the third side within the cutoff, about half of all) are compressed into a tile. On the tile
// every function of the distances and every function of the angle is computed once; a feature is
// one multiply-add per triplet. Operations per triplet: 25 to find it, 40 for the third side, 37
// per eta, 2 log2(zeta) per angle, 2 per feature. Include from kernels only.
#pragma once

#include "descriptors/acsf_scratch.hpp"
#include "descriptors/near.hpp"
#include "math/cutoffs.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace acsf {

using V = simd::Vec<double>;
constexpr int W = V::width;

using Work = AcsfWork;
using Segment = AcsfSegment;

inline void take_work(const AcsfParams& p, const AcsfTask& task, int thread, bool jacobian,
                      Work& k) {
    Arena arena{reinterpret_cast<char*>(task.scratch + thread * task.scratch_stride)};
    k.take(arena, p, task.centers.longest, jacobian);
}

inline void gather(const AcsfParams& p, const System& s, const Neighbors& list, std::int64_t row,
                   Work& k) {
    pack(s, list, row, p.cutoff, p.group, p.n_species, false, k);
    const V inverse_cutoff = 1.0 / p.cutoff;
    for (int j = 0; j < k.n; j += W) {
        const auto live = simd::first_n<double>(k.n - j);
        const V x = simd::load(k.x + j, live), y = simd::load(k.y + j, live),
                z = simd::load(k.z + j, live);
        const V r = simd::sqrt(simd::fma(x, x, simd::fma(y, y, z * z)));
        const auto f = math::cosine_cutoff(r, inverse_cutoff);
        simd::store(k.r + j, r);
        simd::store(k.inverse_r + j, select(r == V(0.0), V(0.0), V(1.0) / r));
        // Lanes beyond the last neighbor have no weight.
        simd::store(k.f + j, simd::keep(live, f.value));
        simd::store(k.df + j, simd::keep(live, f.derivative));
    }
    // Vectors that begin with any neighbor read zeros behind the last one.
    for (double* v : {k.x, k.y, k.z, k.r, k.inverse_r, k.f, k.df}) simd::store(v + k.n, V(0.0));
}

// One radial function and its slope; k = 0 is G1, then G2, then G3.
inline void radial_function(const AcsfParams& p, int k, V r, V f, V df, V& g, V& dg) {
    if (k == 0) {
        g = f;
        dg = df;
    } else if (k <= p.n2) {
        const double eta = p.g2[2 * (k - 1)];
        const V d = r - V(p.g2[2 * (k - 1) + 1]);
        const V e = math::exp(V(-eta) * d * d);
        g = e * f;
        dg = e * simd::fnma(V(2.0 * eta) * d, f, df);
    } else {
        const V kappa = p.g3[k - 1 - p.n2];
        const auto t = math::sincos(kappa * r);
        g = t.cos * f;
        dg = simd::fnma(kappa * t.sin, f, t.cos * df);
    }
}

// to[t] = from[t]^K
template <int K> inline void raise(const double* from, int n, double* to) {
    for (int t = 0; t < n; t += W) simd::store(to + t, math::pow_int<K>(simd::load(from + t)));
}
inline void raise(const double* from, int exponent, int n, double* to) {
    switch (exponent) {
        case 1:
            return raise<1>(from, n, to);
        case 2:
            return raise<2>(from, n, to);
        case 3:
            return raise<3>(from, n, to);
        case 4:
            return raise<4>(from, n, to);
        case 6:
            return raise<6>(from, n, to);
        case 8:
            return raise<8>(from, n, to);
        case 16:
            return raise<16>(from, n, to);
    }
    for (int t = 0; t < n; t += W)
        simd::store(to + t, math::pow_int(simd::load(from + t), exponent));
}

// s, and the product of the cutoff functions, of every triplet of the tile.
template <bool kClosed, bool kSlope> inline void tile_sides(const AcsfParams& p, Work& k) {
    const V inverse_cutoff = 1.0 / p.cutoff;
    for (int t = 0; t < k.n_tile; t += W) {
        if constexpr (kClosed) {
            const V side2 = simd::load(k.side + t), side = simd::sqrt(side2),
                    cut = simd::load(k.cut + t);
            const auto f = math::cosine_cutoff(side, inverse_cutoff);
            simd::store(k.squares + t, simd::load(k.squares + t) + side2);
            simd::store(k.cut + t, cut * f.value);
            if constexpr (kSlope) {
                simd::store(k.full + t, f.value);
                simd::store(k.slope_cut + t, cut * f.derivative);
                simd::store(k.inverse_side + t, select(side == V(0.0), V(0.0), V(1.0) / side));
            }
        } else if constexpr (kSlope) {
            simd::store(k.full + t, V(1.0));
        }
    }
}

// Functions of the distances and of the angle on the tile; with kSlope slopes by the cosine.
template <bool kClosed, bool kSlope>
inline void tile_functions(const AcsfParams& p, const AcsfAngular& set, Work& k) {
    const int n = k.n_tile;
    // The last vector is filled up with triplets that have no weight.
    simd::store(k.cosine + n, V(0.0));
    simd::store(k.squares + n, V(0.0));
    simd::store(k.side + n, V(1.0));
    simd::store(k.cut + n, V(0.0));
    tile_sides<kClosed, kSlope>(p, k);
    for (int i = 0; i < set.n_eta; ++i) {
        double* to = k.a + i * kAcsfTile;
        if (set.eta_power[2 * i] >= 0) {
            raise(k.a + set.eta_power[2 * i] * kAcsfTile, set.eta_power[2 * i + 1], n, to);
        } else {
            const V eta = -set.eta[i];
            for (int t = 0; t < n; t += W)
                simd::store(to + t, math::exp(eta * simd::load(k.squares + t)));
        }
    }
    for (int i = 0; i < set.n_lambda; ++i) {
        const V lambda = set.lambda[i];
        // Rounding must not make the base negative: zeta need not be an integer. A lambda beyond
        // +-1 does, and has integers for zeta.
        const double size = set.lambda[i];
        const V least = size < -1.0 || size > 1.0 ? -__builtin_inf() : 0.0;
        double* to = k.base + i * kAcsfTile;
        for (int t = 0; t < n; t += W)
            simd::store(to + t,
                        simd::max(simd::fma(lambda, simd::load(k.cosine + t), V(1.0)), least));
    }
    for (int i = 0; i < set.n_angle; ++i) {
        const double* base = k.base + set.lambda_of[i] * kAcsfTile;
        double* to = k.b + i * kAcsfTile;
        const int from = set.zeta_power[2 * i], exponent = set.zeta_power[2 * i + 1];
        if (exponent > 0) {
            raise(from >= 0 ? k.b + from * kAcsfTile : base, exponent, n, to);
        } else {
            const V zeta = set.zeta[i];
            for (int t = 0; t < n; t += W) {
                const V x = simd::load(base + t);
                simd::store(to + t, simd::keep(V(0.0) < x, math::exp(math::log(x) * zeta)));
            }
        }
        if constexpr (kSlope) {
            // zeta lambda base^zeta / base; without the division where zeta is 1, as base may be 0.
            const V factor = set.zeta[i] * set.lambda[set.lambda_of[i]];
            double* slope = k.db + i * kAcsfTile;
            for (int t = 0; t < n; t += W) {
                const V x = simd::load(base + t);
                simd::store(slope + t,
                            set.zeta[i] == 1.0
                                ? factor
                                : simd::keep(V(0.0) < x * x, factor * simd::load(to + t) / x));
            }
        }
    }
}

// Fills the tile with the triplets of groups a and b, and calls flush() where it is full, and at
// the end. j from group a, k from group b; within one group k > j.
template <bool kClosed, bool kSegments, class Flush>
inline void triplets(const AcsfParams& p, int a, int b, Work& k, const Flush& flush) {
    const V reach = p.cutoff * p.cutoff;
    k.n_tile = k.n_segments = 0;
    for (int j = k.start[a]; j < k.start[a + 1]; ++j) {
        const V x = k.x[j], y = k.y[j], z = k.z[j], r2 = k.r[j] * k.r[j];
        const V inverse = k.inverse_r[j], f = k.f[j];
        const int end = k.start[b + 1];
        for (int i = a == b ? j + 1 : k.start[b]; i < end; i += W) {
            auto live = simd::first_n<double>(end - i);
            const V xk = simd::load(k.x + i), yk = simd::load(k.y + i), zk = simd::load(k.z + i);
            V side2 = V(0.0);
            if constexpr (kClosed) {
                const V dx = xk - x, dy = yk - y, dz = zk - z;
                side2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                live = live & (side2 <= reach);
                if (!simd::any(live)) continue;
            }
            if (k.n_tile + W > kAcsfTile) {
                flush();
                k.n_tile = k.n_segments = 0;
            }
            const V dot = simd::fma(x, xk, simd::fma(y, yk, z * zk));
            const V rk = simd::load(k.r + i);
            const int at = k.n_tile;
            simd::compress_store(k.cosine + at, dot * (inverse * simd::load(k.inverse_r + i)),
                                 live);
            simd::compress_store(k.squares + at, simd::fma(rk, rk, r2), live);
            if constexpr (kClosed) simd::compress_store(k.side + at, side2, live);
            k.n_tile += simd::compress_store(k.cut + at, f * simd::load(k.f + i), live);
            if constexpr (kSegments) k.segments[k.n_segments++] = {j, i, at, simd::bits(live)};
        }
    }
    if (k.n_tile) flush();
}

}  // namespace acsf
}  // namespace MDKERN_ISA
}  // namespace mdkern
