// Activations of dense layers with their slopes. Include from kernels only.
#pragma once

#include "nn/dense.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// 1 / (1 + e^-x), without overflow: with e = e^-|x|, 1 / (1 + e) or e / (1 + e).
template <class T> [[gnu::always_inline]] inline simd::Vec<T> logistic(simd::Vec<T> x) {
    using V = simd::Vec<T>;
    const V e = math::exp(-simd::abs(x));
    return simd::select(x < V(T(0)), e, V(T(1))) / (V(T(1)) + e);
}

template <class T> [[gnu::always_inline]] inline math::WithDerivative<T> silu(simd::Vec<T> x) {
    using V = simd::Vec<T>;
    const V s = logistic<T>(x);
    return {x * s, s * simd::fma(x, V(T(1)) - s, V(T(1)))};
}

template <Activation kind, class T>
[[gnu::always_inline]] inline math::WithDerivative<T> activate(simd::Vec<T> x,
                                                               const Layer<T>& layer) {
    using V = simd::Vec<T>;
    const V zero = T(0), one = T(1);
    if constexpr (kind == Activation::tanh) {
        return math::tanh_with_derivative(x);
    } else if constexpr (kind == Activation::relu) {
        return {simd::max(x, zero), simd::keep(zero < x, one)};
    } else if constexpr (kind == Activation::relu6) {
        const V six = T(6);
        return {simd::min(simd::max(x, zero), six), simd::keep((zero < x) & (x < six), one)};
    } else if constexpr (kind == Activation::softplus) {
        // max(x, 0) + log(1 + e^-|x|)
        const V e = math::exp(-simd::abs(x));
        return {simd::max(x, zero) + math::log(one + e), logistic<T>(x)};
    } else if constexpr (kind == Activation::sigmoid) {
        const V s = logistic<T>(x);
        return {s, s * (one - s)};
    } else if constexpr (kind == Activation::silu) {
        return silu<T>(x);
    } else if constexpr (kind == Activation::gelu) {
        // x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3)
        const V a = T(0.79788456080286536), b = T(0.044715), half = T(0.5), x2 = x * x;
        const auto t = math::tanh_with_derivative(a * x * simd::fma(b, x2, one));
        const V du = a * simd::fma(V(T(3)) * b, x2, one);
        return {half * x * (one + t.value), half * simd::fma(x * t.derivative, du, one + t.value)};
    } else if constexpr (kind == Activation::silut) {
        const auto low = silu<T>(x);
        const V from = T(layer.threshold), slope = T(layer.slope), offset = T(layer.offset);
        const auto high = math::tanh_with_derivative(slope * (x - from));
        const auto above = from < x;
        return {simd::select(above, high.value + offset, low.value),
                simd::select(above, high.derivative * slope, low.derivative)};
    } else if constexpr (kind == Activation::gaussian) {
        const V e = math::exp(V(T(-0.5)) * x * x);
        return {e, -(x * e)};
    } else if constexpr (kind == Activation::cosine) {
        const auto k = math::sincos(x);
        return {k.cos, -k.sin};
    } else if constexpr (kind == Activation::decay) {
        const V e = math::exp(-x);
        return {e, -e};
    } else if constexpr (kind == Activation::square) {
        return {x * x, x + x};
    } else {
        return {x, one};
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
