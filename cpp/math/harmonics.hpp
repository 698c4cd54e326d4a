// Real solid harmonics by recursion. Include from kernels only.
#pragma once

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// S_lm = q_lm a_m for m >= 0, and q_lm b_m for its sine, where a_m + i b_m = (x + i y)^m; q_lm at
// l (l + 1) / 2 + m.
template <class V, int kMostL> struct HarmonicParts {
    V q[(kMostL + 1) * (kMostL + 2) / 2], a[kMostL + 1], b[kMostL + 1];
};

// Those of (x, y, z) up to l_max, all times `first`, with
//   q_mm = a q_(m-1)(m-1), q_lm = a z q_(l-1)m - b r^2 q_(l-2)m
// where a and b are the first two of the four numbers that `table` has for each lm.
template <class V, int kMostL>
inline void harmonic_parts(int l_max, const double* table, V x, V y, V z, V first,
                           HarmonicParts<V, kMostL>& o) {
    const V r2 = simd::fma(x, x, simd::fma(y, y, z * z));
    o.a[0] = 1.0;
    o.b[0] = 0.0;
    for (int m = 1; m <= l_max; ++m) {
        o.a[m] = simd::fnma(y, o.b[m - 1], x * o.a[m - 1]);
        o.b[m] = simd::fma(x, o.b[m - 1], y * o.a[m - 1]);
    }
    o.q[0] = V(table[0]) * first;
    for (int l = 1; l <= l_max; ++l) {
        const int at = l * (l + 1) / 2, up = at - l, upper = up - l + 1;
        const double* h = table + 4 * at;
        for (int m = 0; m < l - 1; ++m)
            o.q[at + m] =
                simd::fnma(V(h[4 * m + 1]) * r2, o.q[upper + m], V(h[4 * m]) * z * o.q[up + m]);
        o.q[at + l - 1] = V(h[4 * (l - 1)]) * z * o.q[up + l - 1];
        o.q[at + l] = V(h[4 * l]) * o.q[up + l - 1];
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
