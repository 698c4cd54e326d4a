// Damping of pairs, and what belongs to their first row: formulas in pairs_kernel.cpp. Include from kernels
// only.
#pragma once

#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

// g and h = (dg/dr) / r, over `factor`, of a vector of pairs.
template <D3Damping kDamping> struct Damped;

template <> struct Damped<D3Damping::bj> {
    V six, eight, s6, s8;
    Damped(const D3Params& p, const double* pair)
        : six(pair[0]), eight(pair[1]), s6(p.s6), s8(pair[2]) {}
    // h / -6 = r^4 (s6 / a^2 + 4/3 r^2 s8 / b^2)
    static constexpr double factor = -6.0;
    void operator()(V r2, V& g, V& h) const {
        const V r4 = r2 * r2;
        const V a = simd::fma(r4, r2, six), b = simd::fma(r4, r4, eight);
        const V both = V(1.0) / (a * b);  // one division for the two
        const V inverse_a = b * both, inverse_b = a * both;
        const V u = s6 * inverse_a, v = s8 * inverse_b;
        g = u + v;
        h = r4 * simd::fma(V(4.0 / 3.0) * r2, v * inverse_b, u * inverse_a);
    }
};

template <> struct Damped<D3Damping::zero> {
    V scale6, scale8, s6, s8;
    Damped(const D3Params& p, const double* pair)
        : scale6(pair[6]), scale8(pair[7]), s6(p.s6), s8(pair[2]) {}
    static constexpr double factor = 1.0;
    void operator()(V r2, V& g, V& h) const {
        const V q = V(1.0) / r2, q3 = q * q * q;
        const V y6 = scale6 * q, y8 = scale8 * q;
        const V a2 = y6 * y6, a4 = a2 * a2, b2 = y8 * y8, b4 = b2 * b2;
        const V u = V(6.0) * a4 * a2 * y6, v = V(6.0) * b4 * b4;
        const V a = V(1.0) + u, b = V(1.0) + v, both = V(1.0) / (a * b);
        const V f6 = b * both, f8 = a * both;
        const V g6 = s6 * f6 * q3, g8 = s8 * f8 * (q3 * q);
        g = g6 + g8;
        h = q * simd::fma(g6, simd::fma(V(14.0) * u, f6, V(-6.0)),
                          g8 * simd::fma(V(16.0) * v, f8, V(-8.0)));
    }
};

template <> struct Damped<D3Damping::general> {
    V slope6, slope8, offset, s6, s8, alp6, alp8;
    Damped(const D3Params& p, const double* pair)
        : slope6(pair[0]),
          slope8(pair[1]),
          offset(pair[3]),
          s6(p.s6),
          s8(pair[2]),
          alp6(p.alp),
          alp8(p.alp + 2.0) {}
    static constexpr double factor = 1.0;
    void operator()(V r2, V& g, V& h) const {
        const V r = simd::sqrt(r2), q = V(1.0) / r2, q3 = q * q * q;
        const V y6 = simd::fma(r, slope6, offset), y8 = simd::fma(r, slope8, offset);
        const V u = V(6.0) * math::exp(-alp6 * math::log(y6)),
                v = V(6.0) * math::exp(-alp8 * math::log(y8));
        const V f6 = V(1.0) / (V(1.0) + u), f8 = V(1.0) / (V(1.0) + v);
        const V g6 = s6 * f6 * q3, g8 = s8 * f8 * (q3 * q);
        g = g6 + g8;
        h = g6 * (u * f6 * alp6 * slope6 / (y6 * r) - V(6.0) * q) +
            g8 * (v * f8 * alp8 * slope8 / (y8 * r) - V(8.0) * q);
    }
};

// A row, and what its neighbors of all species add up to.
struct Centre {
    double weights[kMostReferences], slopes[kMostReferences];  // W and dW/dCN
    double value[kMostReferences], by_cn[kMostReferences];     // V and U of one species
    double energy = 0.0, slope = 0.0;                          // E and D
    double sums[9] = {};

    void begin(const D3Params& p, const D3Scratch& work, int a, std::int32_t place) {
        const int n = p.first[a + 1] - p.first[a];
        const double* ref = p.ref_cn + p.first[a];
        double mean = 0.0;
        for (int r = 0; r < n; ++r) {
            weights[r] = work.weights[r * work.stride + place];
            mean += weights[r] * ref[r];
        }
        for (int r = 0; r < n; ++r) slopes[r] = 8.0 * weights[r] * (ref[r] - mean);
    }
    void meet(const D3Params& p, int a, int b) {
        const int n_own = p.first[a + 1] - p.first[a], n = p.first[b + 1] - p.first[b];
        for (int q = 0; q < kMostReferences; ++q) value[q] = by_cn[q] = 0.0;
        for (int r = 0; r < n_own; ++r) {
            const double* c6 = p.c6 + std::int64_t(p.first[a] + r) * p.n_references + p.first[b];
            for (int q = 0; q < n; ++q) {
                value[q] += weights[r] * c6[q];
                by_cn[q] += slopes[r] * c6[q];
            }
        }
    }
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
