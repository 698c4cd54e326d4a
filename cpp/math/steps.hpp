// Smooth steps from 1 at x = 0 to 0 at x = 1, with their derivatives. Include from kernels only.
#pragma once

#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace math {

// The polynomial of degree 2 p + 1 whose first p derivatives vanish at both ends, 1 <= p <= 4, for
// 0 <= x <= 1. Written (1 - x)^(p + 1) sum_k binomial(p + k, k) x^k, which goes to zero without
// cancellation; its derivative is -c (x (1 - x))^p.
[[gnu::always_inline]] inline WithDerivative<double> polynomial_step(int p, Vec<double> x) {
    using V = Vec<double>;
    const V v = V(1.0) - x, xv = x * v, v2 = v * v;
    switch (p) {
        case 1:
            return {v2 * simd::fma(x, V(2.0), V(1.0)), V(-6.0) * xv};
        case 2:
            return {v2 * v * detail::horner(x, 1.0, 3.0, 6.0), V(-30.0) * xv * xv};
        case 3:
            return {v2 * v2 * detail::horner(x, 1.0, 4.0, 10.0, 20.0), V(-140.0) * xv * xv * xv};
        default:
            return {v2 * v2 * v * detail::horner(x, 1.0, 5.0, 15.0, 35.0, 70.0),
                    V(-630.0) * (xv * xv) * (xv * xv)};
    }
}

// tanh^3(1 - x), 0 <= x <= 1. The polynomial is that of (tanh(t) / t - 1) / t^2 in t^2 <= 1, by the Remez
// exchange of tools/minimax.py, within 1.2e-17: a third of the operations of a tanh for all arguments.
[[gnu::always_inline]] inline WithDerivative<double> tanh3_step(Vec<double> x) {
    using V = Vec<double>;
    const V t = V(1.0) - x, z = t * t;
    const V p = detail::horner(
        z, -0.33333333333332943, 0.1333333333329269, -0.053968253953365436, 0.021869488258786964,
        -0.008863232441298772, 0.0035921055390643717, -0.0014557210308380898, 0.0005896177703467608,
        -0.00023804184107224354, 9.476496216795318e-5, -3.608300100940195e-5, 1.2338490880952253e-5,
        -3.4182111856380136e-6, 6.540446832830686e-7, -6.263099329974851e-8);
    const V tanh = simd::fma(t * z, p, t), square = tanh * tanh;
    return {square * tanh, V(-3.0) * square * (V(1.0) - square)};
}

// exp(1 - 1 / (1 - x^2)), 0 <= x <= 1; zero, where it is below 1e-300.
[[gnu::always_inline]] inline WithDerivative<double> bump_step(Vec<double> x) {
    using V = Vec<double>;
    const V y = V(1.0) - x * x;
    const auto live = V(1.0 / 690.0) < y;
    const V inverse = V(1.0) / simd::select(live, y, V(1.0));
    const V value = simd::keep(live, exp(V(1.0) - inverse));
    return {value, V(-2.0) * x * value * inverse * inverse};
}

}  // namespace math
}  // namespace MDKERN_ISA
}  // namespace mdkern
