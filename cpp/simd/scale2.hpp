// Products with powers of two, a * 2^n, for backends without an instruction for them: the last thing that their
// headers include, since it is written in what they define.
#pragma once

namespace mdkern {
namespace MDKERN_ISA {
namespace simd {

// 1 <= |a| < 2. Two factors, the first product exact: one rounding on the way into the denormals.
template <class T> inline Vec<T> scale2_unit(Vec<T> a, Vec<T> n) {
    const Vec<T> half = round(n * Vec<T>(T(0.5)));
    return a * pow2(half) * pow2(n - half);
}

// From the mantissa, so that a result below the normal range is rounded once whatever a was. Zeros, infinities and NaN
// stay what they are. An exponent beyond `far` overflows or vanishes all the same, and both of its halves are exponents of
// normal numbers.
template <class T> inline Vec<T> scale2(Vec<T> a, Vec<T> n) {
    const Vec<T> far(T(sizeof(T) == 8 ? 1200 : 200));
    const Vec<T> e = min(max(exponent(a) + n, -far), far);
    const Mask<T> plain = (Vec<T>(T(0)) < abs(a)) & (abs(a) < Vec<T>(T(__builtin_inf())));
    return select(plain, scale2_unit(mantissa(a), e), a);
}

}  // namespace simd
}  // namespace MDKERN_ISA
}  // namespace mdkern
