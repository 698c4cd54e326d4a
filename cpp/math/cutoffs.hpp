// Functions that are zero from the cutoff on, with their derivatives. Largest error in ULP that
// test_math.cpp measures on any ISA, relative and with a cutoff of 1, and in brackets the bound that it
// asserts:
//
//   function                       double      float       range
//   cosine_cutoff                  3.8 [5]     4.2 [5]     up to the cutoff
//     derivative                   3.6 [5]     4.0 [5]
//   tanh3_cutoff                   7.1 [8]     6.9 [8]     the same
//     derivative                   4.3 [5]     4.0 [5]
//   quintic_switch                 5.1 [6]     5.1 [6]     the same
//     derivative                   4.3 [5]     4.3 [5]
#pragma once

#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace math {

// 0.5 (1 + cos(pi u)), u = r / r_cut, r >= 0. With the angle pi u / 2 this is cos^2, its derivative
// -pi sin cos / r_cut: both go to zero without cancellation.
template <class T>
[[gnu::always_inline]] inline WithDerivative<T> cosine_cutoff(Vec<T> r, Vec<T> inv_r_cut) {
    using V = Vec<T>;
    const V u = min(V(T(1)), r * inv_r_cut);
    // The angle is reflected into [0, pi/4], where sine and cosine change places.
    const auto reflect = V(T(0.5)) < u;
    const V v = select(reflect, V(T(1)) - u, u);
    const auto k = detail::sincos_kernel(v * V(T(1.57079632679489662)), V(T(0)));
    const V c = select(reflect, k.sin, k.cos);
    return {c * c, V(T(-3.14159265358979324)) * inv_r_cut * (k.sin * k.cos)};
}

// tanh^3(1 - r / r_cut), r >= 0
template <class T>
[[gnu::always_inline]] inline WithDerivative<T> tanh3_cutoff(Vec<T> r, Vec<T> inv_r_cut) {
    using V = Vec<T>;
    const auto t = tanh_with_derivative(V(T(1)) - min(V(T(1)), r * inv_r_cut));
    const V square = t.value * t.value;
    return {square * t.value, V(T(-3)) * inv_r_cut * square * t.derivative};
}

// S(x) = 1 - 10 x^3 + 15 x^4 - 6 x^5 on [0, 1], 1 below and 0 above; dS/dx = -30 x^2 (1 - x)^2.
// Written (1 - x)^3 (1 + 3 x + 6 x^2), which goes to zero without cancellation.
template <class T>
[[gnu::always_inline]] inline WithDerivative<T> quintic_switch(Vec<T> x) {
    using V = Vec<T>;
    const V u = min(V(T(1)), max(V(T(0)), x)), v = V(T(1)) - u, v2 = v * v;
    return {v2 * v * fma(u, fma(u, V(T(6)), V(T(3))), V(T(1))), V(T(-30)) * v2 * u * u};
}

}  // namespace math
}  // namespace MDKERN_ISA
}  // namespace mdkern
