// Vector math, written once over simd.hpp for Vec<double> and Vec<float>: the only place of
// transcendental functions. Polynomials and split constants come from tools/minimax.py.
//
// Namespace mdkern::MDKERN_ISA::math; call as math::exp(v). Largest error in ULP that test_math.cpp
// measures on any ISA, and in brackets the bound that it asserts:
//
//   function                       double      float       range
//   exp                            0.89 [1]    0.88 [1]    all, denormal results included
//   log                            0.80 [1]    0.81 [1]    all, denormal arguments included
//   tanh, tanh_with_derivative     1.43 [2]    1.41 [2]    all
//     derivative, relative         2.38 [3]    2.68 [3]    |x| <= 353.5, float 43
//   sincos                         0.79 [1]    0.78 [1]    |x| <= 1e5; NaN beyond
//   rsqrt (AVX-512)                0.99 [1.5]  0.99 [1.5]  all, denormal arguments included
//   rsqrt (AVX2, scalar)           1.49 [1.5]  1.49 [1.5]  the same: 1 / sqrt(x)
//   pow_int, exponent N            N - 1       N - 1       0.75 (N - 1) measured
//   erfc_with_derivative           4.1 [6]     3.9 [6]     0 <= x <= 3.3; scalar 10.6 [16]
//
// AVX2 and AVX-512 give the same bits, rsqrt excepted; scalar has no fma and may differ by an ULP.
// NaN in gives NaN out everywhere, except x^0 = 1. Lanes do not influence each other.
#pragma once

#include "simd/simd.hpp"

// Inlined without exception: constants are then hoisted out of the caller's loop, and no per-ISA
// symbol is left for the linker.
#define MDKERN_MATH [[gnu::always_inline]] inline

namespace mdkern {
namespace MDKERN_ISA {
namespace math {

using simd::Vec;

template <class T>
struct SinCos {
    Vec<T> sin, cos;
};
template <class T>
struct WithDerivative {
    Vec<T> value, derivative;
};

namespace detail {

template <class T>
constexpr T kInf = T(__builtin_inf());
template <class T>
constexpr T kNan = T(__builtin_nan(""));

// c0 + c1 z + c2 z^2 + ...
template <class T>
MDKERN_MATH Vec<T> horner(Vec<T>, T c0) {
    return Vec<T>(c0);
}
template <class T, class... C>
MDKERN_MATH Vec<T> horner(Vec<T> z, T c0, C... c) {
    return simd::fma(z, horner(z, c...), Vec<T>(c0));
}

// (cosh r - 1) / z and (sinh r - r) / (r z), z = r^2, |r| <= ln(2) / 2
MDKERN_MATH Vec<double> exp_even(Vec<double> z) {
    return horner(z, 0.50000000000000133, 0.04166666666651047, 0.0013888888948355254,
                  2.4801488507074079e-5, 2.7631809755286604e-7);
}
MDKERN_MATH Vec<double> exp_odd(Vec<double> z) {
    return horner(z, 0.16666666666666685, 0.0083333333333157223, 0.00019841269899601027,
                  2.7557231675000442e-6, 2.5113139411199677e-8);
}
MDKERN_MATH Vec<float> exp_even(Vec<float> z) {
    return horner(z, 0.5f, 0.0416664593f, 0.00139354263f);
}
MDKERN_MATH Vec<float> exp_odd(Vec<float> z) {
    return horner(z, 0.166666672f, 0.00833318848f, 0.000199618371f);
}

// (2 atanh(s) / s - 2) / z, z = s^2, |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
MDKERN_MATH Vec<double> log_poly(Vec<double> z) {
    return horner(z, 0.6666666666666734, 0.39999999999416624, 0.28571428742033445,
                  0.22222198604419122, 0.18183562887602686, 0.15314083853976992,
                  0.1479564365394965);
}
MDKERN_MATH Vec<float> log_poly(Vec<float> z) {
    return horner(z, 0.666667759f, 0.399775833f, 0.298707962f);
}

// (tanh(x) / x - 1) / z, z = x^2, |x| <= 0.55
MDKERN_MATH Vec<double> tanh_poly(Vec<double> z) {
    return horner(z, -0.33333333333332349, 0.13333333333173381, -0.053968253878193796,
                  0.021869486021733404, -0.008863195093394706, 0.0035917241667278604,
                  -0.001453237636075819, 0.00057919578519713248, -0.00021039379503387472,
                  5.1081797918483932e-5);
}
MDKERN_MATH Vec<float> tanh_poly(Vec<float> z) {
    return horner(z, -0.333333194f, 0.133326367f, -0.0538568422f, 0.0210882332f, -0.00629547611f);
}

// (sin(r) / r - 1) / z and (cos(r) - 1 + z / 2) / z^2, z = r^2, |r| <= pi / 4
MDKERN_MATH Vec<double> sin_poly(Vec<double> z) {
    return horner(z, -0.16666666666666632, 0.0083333333333224895, -0.00019841269829857784,
                  2.7557313706988685e-6, -2.5050760237356294e-8, 1.5896908851407924e-10);
}
MDKERN_MATH Vec<double> cos_poly(Vec<double> z) {
    return horner(z, 0.041666666666666602, -0.0013888888888874474, 2.4801587289671527e-5,
                  -2.7557314401022644e-7, 2.087572927934265e-9, -1.1359934102282157e-11);
}
MDKERN_MATH Vec<float> sin_poly(Vec<float> z) {
    return horner(z, -0.166666552f, 0.00833219197f, -0.000195187909f);
}
MDKERN_MATH Vec<float> cos_poly(Vec<float> z) {
    return horner(z, 0.0416666456f, -0.00138873013f, 2.44306702e-5f);
}

// e^(x^2) erfc(x) (1 + x), z = x / (x + 2), 0 <= x <= 3.3
MDKERN_MATH Vec<double> erfc_poly(Vec<double> z) {
    return horner(z, 0.99999999999999989, -0.25675833419089122, -0.77027500259605897,
                  0.69818610606778531, 0.11258048462265094, -0.1919705787433891,
                  -0.1002064356873848, 0.021462079297088016, 0.047743961851392958,
                  0.028208729892511372, -0.024766832156841456, 0.048217264822653046,
                  -0.13694285422371089, 0.1987846487903886, -0.21759527894455943,
                  0.16120609025606192, -0.062503248052597798, 0.0088080590508876899);
}
MDKERN_MATH Vec<float> erfc_poly(Vec<float> z) {
    return horner(z, 1.0f, -0.256756604f, -0.77035898f, 0.699574351f, 0.101599596f, -0.145005018f,
                  -0.211749539f, 0.158080503f, -0.00939745083f);
}

// Constants per type. ln 2 and pi / 2 are sums of parts; see tools/minimax.py for their lengths.
template <class T>
struct Constants;
template <>
struct Constants<double> {
    static constexpr double ln2_hi = 0.69314718055989033, ln2_lo = 5.4979230187083712e-14;
    static constexpr double half_pi[4] = {1.5707963267341256, 6.077100506303966e-11,
                                          2.0222662487111665e-21, 8.4784276603688996e-32};
    static constexpr double exp_lo = -746.0, exp_hi = 710.0;  // beyond: 0 and infinity
    static constexpr double exp_finite = 709.0;  // exp and its power of two are finite up to here
};
template <>
struct Constants<float> {
    static constexpr float ln2_hi = 0.693145752f, ln2_lo = 1.42860677e-6f;
    static constexpr float half_pi[4] = {1.57079637f, -4.37113883e-8f, -1.71512451e-15f, 0.0f};
    static constexpr float exp_lo = -104.0f, exp_hi = 89.0f;
    static constexpr float exp_finite = 88.0f;
};

// x = n ln 2 + r + lost, |r| <= ln(2) / 2; exp(x) = 2^n (1 + p). n ln2_hi and its difference from x
// are exact.
template <class T>
struct ExpReduced {
    Vec<T> n, p;
};
template <class T>
MDKERN_MATH ExpReduced<T> exp_reduce(Vec<T> x) {
    using V = Vec<T>;
    using K = Constants<T>;
    const V n = round(x * V(T(1.44269504088896341)));
    const V d = fnma(n, V(K::ln2_hi), x), r = fnma(n, V(K::ln2_lo), d);
    const V lost = fnma(n, V(K::ln2_lo), d - r), z = r * r;
    return {n, r + fma(z, fma(r, exp_odd(z), exp_even(z)), lost)};
}

// r - n p; what the rounding of this difference drops is added to `lost`.
template <class T>
MDKERN_MATH Vec<T> subtract_multiple(Vec<T> r, Vec<T> n, Vec<T> p, Vec<T>& lost) {
    if constexpr (sizeof(T) == 8) {  // p has 33 bits: n p is exact
        const Vec<T> d = fnma(n, p, r);
        lost = lost + fnma(n, p, r - d);
        return d;
    } else {  // n p = h - fnma(n, p, h), by the fma that every backend has that comes here
        const Vec<T> h = n * p, d = r - h;
        lost = lost + ((r - d - h) + fnma(n, p, h));
        return d;
    }
}

// sin and cos of r + lo, |r| <= pi / 4, where lo is what r lost in rounding.
template <class T>
MDKERN_MATH SinCos<T> sincos_kernel(Vec<T> r, Vec<T> lo) {
    using V = Vec<T>;
    const V z = r * r, half_z = V(T(0.5)) * z, c = V(T(1)) - half_z;
    const V s = r + fma(r * z, sin_poly(z), lo * c);
    // c lost (1 - c) - z/2 in rounding.
    return {s, c + ((V(T(1)) - c - half_z) + fma(z * z, cos_poly(z), -(r * lo)))};
}

}  // namespace detail

// e^x. Infinity above 709.78 (float: 88.72), denormal below -708.40 (-87.34), zero below -745.13
// (-103.97), each as std::exp.
template <class T>
MDKERN_MATH Vec<T> exp(Vec<T> x) {
    using V = Vec<T>;
    using K = detail::Constants<T>;
    // In this order of arguments min and max let NaN through.
    const auto e = detail::exp_reduce(max(V(K::exp_lo), min(V(K::exp_hi), x)));
    return scale2_unit(V(T(1)) + e.p, e.n);
}

// Natural logarithm. log(0) = -inf, log(x < 0) = NaN, log(inf) = inf; denormals are exact arguments
// like any other.
template <class T>
MDKERN_MATH Vec<T> log(Vec<T> x) {
    using V = Vec<T>;
    using K = detail::Constants<T>;
    // x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); s = f / (2 + f); log(1 + f) = 2 atanh(s)
    // = 2 s + s R(s^2). As s f = f^2/2 (1 - s), 2 s = f - s f, this is f - (f^2/2 - s (f^2/2 + R)),
    // where the leading f is exact.
    const V m = mantissa(x);
    const auto big = V(T(1.41421356237309515)) < m;
    const V f = select(big, V(T(0.5)) * m, m) - V(T(1));
    const V e = select(big, exponent(x) + V(T(1)), exponent(x));
    const V s = f / (V(T(2)) + f), z = s * s, half_f2 = V(T(0.5)) * f * f;
    const V tail = fma(s, fma(z, detail::log_poly(z), half_f2), e * V(K::ln2_lo));
    const V y = fma(e, V(K::ln2_hi), f - (half_f2 - tail));
    const V at_end = select(x == V(T(0)), V(-detail::kInf<T>),
                            select(x == V(detail::kInf<T>), x, V(detail::kNan<T>)));
    return select((V(T(0)) < x) & (x < V(detail::kInf<T>)), y, at_end);
}

// tanh and its derivative 1 - tanh^2, which keeps its relative accuracy where tanh rounds to 1 and
// is 0 for |x| > 354.5 (float: 44). Below |x| = 0.55 a polynomial; above, tanh = 1 - w and the
// derivative is w (2 - w) with w = 2 / (1 + e^(2|x|)).
template <class T>
MDKERN_MATH WithDerivative<T> tanh_with_derivative(Vec<T> x) {
    using V = Vec<T>;
    using K = detail::Constants<T>;
    const V a = abs(x), z = a * a, two_a = a + a;
    const V small = fma(a * z, detail::tanh_poly(z), a);
    const auto e = detail::exp_reduce(min(V(K::exp_finite), two_a));
    const V power = pow2(e.n), w = V(T(2)) / (V(T(1)) + fma(power, e.p, power));
    const auto is_small = a < V(T(0.55));
    const V large_derivative = select(V(K::exp_finite) < two_a, V(T(0)), w * (V(T(2)) - w));
    return {copysign(select(is_small, small, V(T(1)) - w), x),
            select(is_small, fnma(small, small, V(T(1))), large_derivative)};
}

// The same value alone.
template <class T>
MDKERN_MATH Vec<T> tanh(Vec<T> x) {
    return tanh_with_derivative(x).value;
}

// erfc(x) and its derivative -2 / sqrt(pi) e^(-x^2) for 0 <= x <= 3.3; not beyond.
template <class T>
MDKERN_MATH WithDerivative<T> erfc_with_derivative(Vec<T> x) {
    using V = Vec<T>;
    // e^-(x^2) with what rounding x^2 drops, where fma is fused.
    const V square = x * x, lost = fma(x, x, -square);
    const V e = exp(-square), gauss = fnma(e, lost, e);
    return {gauss * detail::erfc_poly(x / (x + V(T(2)))) / (V(T(1)) + x),
            V(T(-1.12837916709551257)) * gauss};
}

// sin and cos for |x| <= 1e5. Beyond that both are NaN, so that a lost argument cannot pass for an
// angle.
template <class T>
MDKERN_MATH SinCos<T> sincos(Vec<T> x) {
    using V = Vec<T>;
    using K = detail::Constants<T>;
    if constexpr (V::width == 1 && sizeof(T) == 4) {
        // Without fma the products of the reduction are not exact in float: go through double.
        const auto wide = sincos(Vec<double>(double(x.v)));
        return {V(T(wide.sin.v)), V(T(wide.cos.v))};
    } else {
        // r = x - n pi/2 (Cody and Waite 1980): each difference is exact or its rounding is kept.
        const V n = round(x * V(T(0.636619772367581343)));
        V lost = T(0);
        V d = fnma(n, V(K::half_pi[0]), x);
        d = detail::subtract_multiple(d, n, V(K::half_pi[1]), lost);
        d = detail::subtract_multiple(d, n, V(K::half_pi[2]), lost);
        lost = fnma(n, V(K::half_pi[3]), lost);
        const V r = d + lost;
        const auto k = detail::sincos_kernel(r, (d - r) + lost);
        // Quadrants: sin, cos, -sin, -cos and cos, -sin, -cos, sin.
        const auto odd = simd::has_bit<0>(n);
        const V s = select(odd, k.cos, k.sin), c = select(odd, k.sin, k.cos);
        const auto inside = abs(x) <= V(T(1e5));
        const V sine = select(simd::has_bit<1>(n), -s, s);
        const V cosine = select(simd::has_bit<1>(n + V(T(1))), -c, c);
        return {select(x == V(T(0)), x, select(inside, sine, V(detail::kNan<T>))),
                select(inside, cosine, V(detail::kNan<T>))};
    }
}

// 1 / sqrt(x). As with std::sqrt, 0 gives inf (with the sign of the zero), inf gives 0, x < 0 gives
// NaN, and denormals are exact arguments like any other.
template <class T>
MDKERN_MATH Vec<T> rsqrt(Vec<T> x) {
    using V = Vec<T>;
    if constexpr (sizeof(V) < 64) {
        // There is no estimate for double before AVX-512, and that for float takes denormals for 0.
        return V(T(1)) / sqrt(x);
    } else {
        // With e = 1 - x y^2: 1 / sqrt(x) = y (1 - e)^(-1/2) = y (1 + e/2 + 3 e^2/8 + ...). From an
        // estimate of 14 bits two orders give more than a float, one more Newton step a double.
        const V estimate = rsqrt_estimate(x);
        V y = estimate;
        V e = fnma(x * y, y, V(T(1)));
        y = fma(y * e, fma(e, V(T(0.375)), V(T(0.5))), y);
        if constexpr (sizeof(T) == 8) {
            e = fnma(x * y, y, V(T(1)));
            y = fma(y * e, V(T(0.5)), y);
        }
        return select((V(T(0)) < x) & (x < V(detail::kInf<T>)), y, estimate);
    }
}

// x^N by squaring, N >= 0; x^0 = 1 for every x, as std::pow. The roundings add up to at most
// N - 1 ULP.
template <int N, class T>
MDKERN_MATH Vec<T> pow_int(Vec<T> x) {
    static_assert(N >= 0, "pow_int: the exponent must not be negative");
    if constexpr (N == 0) {
        return Vec<T>(T(1));
    } else if constexpr (N == 1) {
        return x;
    } else {
        const Vec<T> half = pow_int<N / 2>(x);
        if constexpr (N % 2 == 0)
            return half * half;
        else
            return half * half * x;
    }
}

// The same for an exponent n >= 0 known at run time, one for all lanes.
template <class T>
MDKERN_MATH Vec<T> pow_int(Vec<T> x, int n) {
    Vec<T> result = T(1);
    for (; n > 0; n >>= 1) {
        if (n & 1) result = result * x;
        x = x * x;
    }
    return result;
}

}  // namespace math
}  // namespace MDKERN_ISA
}  // namespace mdkern

#undef MDKERN_MATH
