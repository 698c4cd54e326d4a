// What pairs add to coordination numbers, and its derivative. Include from kernels only.
#pragma once

#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

// Two vectors at a time, step by step: what waits for the one has the other beside it.
struct Two {
    V v[2];
};
template <class Step> inline Two each(const Step& step) { return {{step(0), step(1)}}; }

// 1 / sqrt(x) to 40 bits from the estimate, which has 11 at least; infinite for 0.
inline Two rsqrt_40(const Two& x) {
    const Two y = each([&](int l) MDKERN_BODY { return simd::rsqrt_estimate(x.v[l]); });
    const Two xy = each([&](int l) MDKERN_BODY { return x.v[l] * y.v[l]; });
    const Two e = each([&](int l) MDKERN_BODY { return simd::fnma(xy.v[l], y.v[l], V(1.0)); });
    const Two ye = each([&](int l) MDKERN_BODY { return y.v[l] * e.v[l]; });
    const Two c = each([&](int l) MDKERN_BODY { return simd::fma(e.v[l], V(0.375), V(0.5)); });
    return each([&](int l) MDKERN_BODY { return simd::fma(ye.v[l], c.v[l], y.v[l]); });
}

constexpr double kLog2e = 1.4426950408889634, kLn2 = 0.6931471805599453;

// x = exp(-16) 2^u for any u of which 2^u is a normal number; the relative error is below 3e-9.
inline Two small_exp(const Two& u) {
    constexpr double c[7] = {1.1253517471925912e-07, 7.800344201246968e-08,  2.7033932187595365e-08,
                             6.246070442024034e-09,  1.0823696887775072e-09, 1.5080195262808814e-10,
                             1.7399563805656396e-11};
    const Two n = each([&](int l) MDKERN_BODY { return simd::round(u.v[l]); });
    const Two r = each([&](int l) MDKERN_BODY { return u.v[l] - n.v[l]; });
    const Two r2 = each([&](int l) MDKERN_BODY { return r.v[l] * r.v[l]; });
    Two odd = each([&](int l) MDKERN_BODY { return simd::fma(V(c[5]), r2.v[l], V(c[3])); });
    Two even = each([&](int l) MDKERN_BODY { return simd::fma(V(c[6]), r2.v[l], V(c[4])); });
    odd = each([&](int l) MDKERN_BODY { return simd::fma(odd.v[l], r2.v[l], V(c[1])); });
    even = each([&](int l) MDKERN_BODY { return simd::fma(even.v[l], r2.v[l], V(c[2])); });
    even = each([&](int l) MDKERN_BODY { return simd::fma(even.v[l], r2.v[l], V(c[0])); });
    const Two x = each([&](int l) MDKERN_BODY { return simd::fma(odd.v[l], r.v[l], even.v[l]); });
    return each([&](int l) MDKERN_BODY {
        if constexpr (V::width == 8)
            return simd::scale2(x.v[l], n.v[l]);  // one instruction there
        else
            return x.v[l] * simd::pow2(n.v[l]);
    });
}
// f = 1 / (1 + 1 / x) and f (1 - f) by the first powers of x <= exp(-10): errors below 2e-13, and below 4e-14
// for exp(-11). The farther, and the more, neighbors are, the smaller they are.
inline V small_count(V x) { return simd::fma(x * x, x - V(1.0), x); }
inline V small_slope(V x) { return simd::fma(x * x, simd::fma(V(3.0), x, V(-2.0)), x); }
constexpr double kFar = 6.0 * kLog2e;

// What a pair adds to CN, and its derivative over r. u = 16 rcov / r in powers of two, that is over ln 2; all pairs but bonds and the like are
// far: they take a polynomial, and neither exp nor division. Only lanes of `within` are asked for.
template <bool kSmooth> struct Counting {
    V limit2;
    Smooth smooth;

    explicit Counting(const D3Params& p)
        : limit2(p.cn_cutoff * p.cn_cutoff), smooth(p.cn_cutoff, p.cn_width) {}

    // What is not a number is not far.
    static M is_near(V u, M within) { return simd::not_(u <= V(kFar)) & within; }
    Two value(const Two& r2, const Two& radius, const M* within) const {
        const Two inverse = rsqrt_40(r2);
        const Two u = each([&](int l) MDKERN_BODY { return radius.v[l] * inverse.v[l]; });
        Two f;
        if (!simd::any(is_near(u.v[0], within[0]) | is_near(u.v[1], within[1]))) {
            const Two x = small_exp(u);
            f = each([&](int l) MDKERN_BODY { return small_count(x.v[l]); });
        } else {
            for (int k = 0; k < 2; ++k)
                f.v[k] = V(1.0) / (V(1.0) + math::exp(simd::fnma(V(kLn2) * radius.v[k],
                                                                 math::rsqrt(r2.v[k]), V(16.0))));
        }
        for (int k = 0; kSmooth && k < 2; ++k) {
            V s, ds;
            smooth(simd::sqrt(r2.v[k]), s, ds);
            f.v[k] = f.v[k] * s;
        }
        return f;
    }
    // f' / r = -ln(2) u f (1 - f) / r^2, without the sign and ln(2), which is with D.
    Two slope(const Two& r2, const Two& radius, const M* within) const {
        Two inverse = rsqrt_40(r2);
        Two u = each([&](int l) MDKERN_BODY { return radius.v[l] * inverse.v[l]; });
        Two decay, f;
        if (!simd::any(is_near(u.v[0], within[0]) | is_near(u.v[1], within[1]))) {
            const Two x = small_exp(u);
            decay = each([&](int l) MDKERN_BODY { return small_slope(x.v[l]); });
            if constexpr (kSmooth) f = each([&](int l) MDKERN_BODY { return small_count(x.v[l]); });
        } else {
            for (int k = 0; k < 2; ++k) {
                inverse.v[k] = math::rsqrt(r2.v[k]);
                u.v[k] = radius.v[k] * inverse.v[k];
                const V e = math::exp(simd::fnma(V(kLn2), u.v[k], V(16.0)));
                f.v[k] = V(1.0) / (V(1.0) + e);
                decay.v[k] = e * (f.v[k] * f.v[k]);
            }
        }
        Two g = each([&](int l) MDKERN_BODY {
            return decay.v[l] * (u.v[l] * (inverse.v[l] * inverse.v[l]));
        });
        for (int k = 0; kSmooth && k < 2; ++k) {
            V s, ds;
            smooth(simd::sqrt(r2.v[k]), s, ds);
            g.v[k] = simd::fnma(V(kLog2e) * f.v[k], ds, g.v[k] * s);
        }
        return g;
    }
};

// 16 rcov / ln 2 of a species.
inline double radius_of(const D3Params& p, double species) {
    return 8.0 * kLog2e * pair_of(p, species, int(species))[4];
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
