// Harmonics on the unit sphere without their norms. Include from kernels only.
#pragma once

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Q_lm = d^m P_l / dz^m at l (l + 1) / 2 + m, and a_m + i b_m = (x + i y)^m; Q_lm a_m and Q_lm b_m are harmonics where
// x^2 + y^2 + z^2 = 1. As polynomials they have the gradient
//   (m Q a_(m-1), -m Q b_(m-1), Q_l(m+1) a_m) and (m Q b_(m-1), m Q a_(m-1), Q_l(m+1) b_m),
// of which the part along the sphere is that of the harmonics.
template <class V, int kMostL> struct SphereParts {
    V q[(kMostL + 1) * (kMostL + 2) / 2 + 1], a[kMostL + 1], b[kMostL + 1];
};

// P_l by its recursion, the derivatives by P'_(l+1) = P'_(l-1) + (2 l + 1) P_l: one multiply-add each.
template <class V, int kMostL>
[[gnu::always_inline]] inline void sphere_parts(int l_max, V x, V y, V z,
                                                SphereParts<V, kMostL>& o) {
    o.a[0] = 1.0;
    o.b[0] = 0.0;
#pragma GCC unroll 8
    for (int m = 1; m <= l_max; ++m) {
        o.a[m] = simd::fnma(y, o.b[m - 1], x * o.a[m - 1]);
        o.b[m] = simd::fma(x, o.b[m - 1], y * o.a[m - 1]);
    }
    o.q[0] = 1.0;
#pragma GCC unroll 8
    for (int l = 1; l <= l_max; ++l) {
        V* now = o.q + l * (l + 1) / 2;
        const V *up = now - l, *upper = up - l + 1;  // of l - 1 and l - 2
        const V odd = double(2 * l - 1);
        now[0] =
            l == 1 ? z : simd::fnma(V((l - 1.0) / l), upper[0], V((2.0 * l - 1.0) / l) * z * up[0]);
#pragma GCC unroll 8
        for (int m = 1; m <= l; ++m)
            now[m] = m + 1 < l ? simd::fma(odd, up[m - 1], upper[m]) : odd * up[m - 1];
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
