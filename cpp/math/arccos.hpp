// The angle of a cosine. Include from kernels only.
#pragma once

#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace math {

// acos(c) for -1 <= c <= 1. With t = |c| up to 1/2 it is pi/2 - asin(c); above, 2 asin of the sine of
// half the angle, sqrt((1 - t) / 2), which keeps its relative accuracy near 0. The polynomial is that
// of (asin(x) / x - 1) / x^2 in x^2 <= 1/4, by the Remez exchange of tools/minimax.py, within 1.5e-17.
[[gnu::always_inline]] inline Vec<double> arccos(Vec<double> c) {
    using V = Vec<double>;
    const V t = simd::abs(c);
    const auto large = V(0.5) < t;
    const V half = simd::max(V(0.0), V(0.5) * (V(1.0) - t));
    const V x = simd::select(large, simd::sqrt(half), t);
    const V z = simd::select(large, half, t * t);
    const V p = detail::horner(z, 0.16666666666665408, 0.07500000000337158, 0.04464285682819845,
                               0.030381959142704678, 0.02237175790515393, 0.017359707052296263,
                               0.013885212037012429, 0.012169370080090273, 0.0065272726036611165,
                               0.019530230663074275, -0.016227397220100005, 0.03191446278420759);
    const V asin = simd::fma(x * z, p, x);
    const V pi = 3.14159265358979324, half_pi = 1.57079632679489662;
    const V of_small = half_pi - simd::copysign(asin, c), twice = asin + asin;
    return simd::select(large, simd::select(c < V(0.0), pi - twice, twice), of_small);
}

}  // namespace math
}  // namespace MDKERN_ISA
}  // namespace mdkern
