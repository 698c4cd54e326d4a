// Factors of symmetry functions: of distances, and of angles. What they are is the same for all lanes and
// for a whole row, so it is asked once per row. Include from kernels only.
#pragma once

#include "core/types.hpp"
#include "math/arccos.hpp"
#include "math/cutoffs.hpp"
#include "math/steps.hpp"
#include "potentials/behler_parrinello/symmetry_scratch.hpp"
#include "simd/math.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
constexpr int W = V::width;
using Slope = math::WithDerivative<double>;

// body(k) for the first of each vector of n numbers.
template <class Body> [[gnu::always_inline]] inline void for_vectors(int n, const Body& body) {
    for (int k = 0; k < n; k += W) body(k);
}

// fc and its derivative at the n distances r.
template <class Shape> [[gnu::noinline]] void cutoff_of(const SymmetryCutoff& c, const double* r,
                                                        int n, double* fc, double* dfc,
                                                        const Shape& shape) {
    const V scale = 1.0 / (c.rc - c.inner), inner = c.inner, rc = c.rc;
    for_vectors(n, [&](int k) MDKERN_BODY {
        const V d = simd::load(r + k), x = simd::max(V(0.0), d - inner);
        const Slope f = shape(x, scale);
        const auto live = d < rc, flat = d < inner;
        simd::store(fc + k, simd::keep(live, simd::select(flat, V(1.0), f.value)));
        simd::store(dfc + k, simd::keep(live, simd::select(flat, V(0.0), f.derivative)));
    });
}

inline void cutoff_row(const SymmetryCutoff& c, const double* r, int n, double* fc, double* dfc) {
    // A step of the distance behind `inner`, and of the inverse of its width.
    const auto step = [](const auto& of) {
        return [of](V x, V scale) MDKERN_BODY {
            const Slope f = of(simd::min(V(1.0), x * scale));
            return Slope{f.value, f.derivative * scale};
        };
    };
    switch (c.type) {
        case 0:
            return cutoff_of(c, r, n, fc, dfc,
                             [](V, V) MDKERN_BODY { return Slope{V(1.0), V(0.0)}; });
        case 1:
            return cutoff_of(c, r, n, fc, dfc, [](V x, V scale) MDKERN_BODY {
                return math::cosine_cutoff(x, scale);
            });
        case 2:
        case 3: {
            constexpr double kTanh1 = 0.76159415595576489;
            const V size = c.type == 2 ? 1.0 : 1.0 / (kTanh1 * kTanh1 * kTanh1);
            return cutoff_of(c, r, n, fc, dfc, step([size](V x) MDKERN_BODY {
                                 const Slope f = math::tanh3_step(x);
                                 return Slope{size * f.value, size * f.derivative};
                             }));
        }
        case 4:
            return cutoff_of(c, r, n, fc, dfc,
                             step([](V x) MDKERN_BODY { return math::bump_step(x); }));
        default: {
            const int p = c.type - 4;
            return cutoff_of(c, r, n, fc, dfc,
                             step([p](V x) MDKERN_BODY { return math::polynomial_step(p, x); }));
        }
    }
}

// A compact function of x, and its derivative.
template <class Shape>
[[gnu::always_inline]] inline Slope compact(V x, double middle, double half, bool asymmetric,
                                            const Shape& shape) {
    const V offset = x - V(middle), inverse = 1.0 / half;
    V a = simd::abs(offset) * inverse;
    const auto live = a < V(1.0);
    a = simd::min(V(1.0), a);
    V da = simd::copysign(inverse, offset);
    if (asymmetric) {
        da = da * (V(2.0) - (a + a));
        a = a * (V(2.0) - a);
    }
    const Slope f = shape(a);
    return {simd::keep(live, f.value), simd::keep(live, f.derivative * da)};
}
// run(shape), with the step that is meant.
template <class Run> [[gnu::always_inline]] inline void with_shape(int p, const Run& run) {
    if (p == 0)
        run([](V x) MDKERN_BODY { return math::bump_step(x); });
    else
        run([p](V x) MDKERN_BODY { return math::polynomial_step(p, x); });
}

// R, and R' times `scale`, at the n distances r, where fc and dfc are those of its cutoff function.
[[gnu::noinline]] static void radial_row(const RadialFactor& f, const double* r,
                                         const double* scale, int n, const double* fc,
                                         const double* dfc, double* value, double* slope) {
    if (f.compact) {
        with_shape(f.shape, [&](const auto& shape) {
            for_vectors(n, [&](int k) MDKERN_BODY {
                const Slope g = compact(simd::load(r + k), f.middle, f.half, f.asymmetric, shape);
                simd::store(value + k, g.value);
                simd::store(slope + k, g.derivative * simd::load(scale + k));
            });
        });
        return;
    }
    const V eta = f.eta, rs = f.rs, twice = -2.0 * f.eta;
    for_vectors(n, [&](int k) MDKERN_BODY {
        const V c = simd::load(fc + k), d = simd::load(r + k) - rs;
        const V e = math::exp(-(eta * d * d));
        simd::store(value + k, e * c);
        simd::store(slope + k,
                    e * simd::fma(twice * d, c, simd::load(dfc + k)) * simd::load(scale + k));
    });
}

// exp(-eta x) of n numbers.
[[gnu::noinline]] static void gaussian_row(double eta, const double* x, int n, double* to) {
    const V minus = -eta;
    for_vectors(
        n, [&](int t) MDKERN_BODY { simd::store(to + t, math::exp(minus * simd::load(x + t))); });
}

// A, and with kSlope A' by the cosine, at the n cosines; of a compact factor theta are the angles, and
// steep their slopes by the cosine, -1 / sin.
template <bool kSlope>
[[gnu::noinline]] static void angle_row(const AngleFactor& f, const double* cosine,
                                        const double* theta, const double* steep, int n,
                                        double* value, double* slope) {
    if (f.compact) {
        with_shape(f.shape, [&](const auto& shape) {
            for_vectors(n, [&](int t) MDKERN_BODY {
                const V c = simd::load(cosine + t);
                const Slope g = compact(simd::load(theta + t), f.middle, f.half, false, shape);
                // What is not a number stays so.
                const auto out = (c <= V(-1.0)) | (c >= V(1.0));
                simd::store(value + t, simd::select(out, V(0.0), g.value));
                if constexpr (!kSlope) return;
                simd::store(slope + t,
                            simd::select(out, V(0.0), g.derivative * simd::load(steep + t)));
            });
        });
        return;
    }
    const V lambda = f.lambda, factor = f.zeta * f.lambda, zero = 0.0;
    for_vectors(n, [&](int t) MDKERN_BODY {
        const V c = simd::load(cosine + t), base = simd::fma(lambda, c, V(1.0));
        const auto out = base <= zero;
        V v, d;
        if (f.power > 0) {
            d = math::pow_int(base, f.power - 1);
            v = d * base;
        } else if (f.power == 0) {
            v = V(1.0);
            d = zero;
        } else {
            v = math::exp(V(f.zeta) * math::log(base));
            d = v / base;
        }
        simd::store(value + t, simd::select(out, zero, v));
        if constexpr (kSlope) simd::store(slope + t, simd::select(out, zero, factor * d));
    });
}

static inline void theta_row(const double* cosine, int n, double* theta, double* steep) {
    for_vectors(n, [&](int t) MDKERN_BODY {
        const V c = simd::load(cosine + t);
        simd::store(theta + t, math::arccos(c));
        simd::store(steep + t, V(-1.0) / simd::sqrt((V(1.0) - c) * (V(1.0) + c)));
    });
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
