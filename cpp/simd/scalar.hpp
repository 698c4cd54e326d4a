// Scalar backend: one lane, plain C++. The semantic reference of the layer (see simd.hpp for the
// operations).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace mdkern {
namespace MDKERN_ISA {
namespace simd {

template <class T> struct Vec {
    static constexpr int width = 1;
    T v;
    Vec() = default;
    Vec(T x) : v(x) {}
};
template <class T> struct Mask {
    bool m;
};
template <class T> struct Int {
    std::int32_t v;
};

template <class T> inline Vec<T> load(const T* p) { return *p; }
template <class T> inline Vec<T> load(const T* p, Mask<T> m) { return m.m ? *p : T(0); }
template <class T> inline void store(T* p, Vec<T> a) { *p = a.v; }
template <class T> inline void store(T* p, Vec<T> a, Mask<T> m) {
    if (m.m) *p = a.v;
}
template <class T> inline void in_register(Vec<T>&) {}
template <class T> inline Int<T> load_int(const std::int32_t* p) { return {*p}; }
template <class T> inline Int<T> load_int(const std::int32_t* p, Mask<T> m) {
    return {m.m ? *p : 0};
}
template <class T> inline void store_int(std::int32_t* p, Int<T> a) { *p = a.v; }
template <class T> inline Int<T> set_int(std::int32_t k) { return {k}; }

template <class T> inline void load_rows(const T* p, Int<T> i, Vec<T>& x, Vec<T>& y, Vec<T>& z,
                                         Vec<T>& w) {
    const T* r = p + 4 * std::int64_t(i.v);
    x = r[0];
    y = r[1];
    z = r[2];
    w = r[3];
}
template <int kStride = 4, class T>
inline void load_rows(const T* p, const std::int32_t* i, Vec<T>& x, Vec<T>& y, Vec<T>& z,
                      Vec<T>& w) {
    load_rows(p, Int<T>{kStride / 4 * *i}, x, y, z, w);
}
template <class T> inline void load_rows8(const T* p, Int<T> i, Vec<T>* c) {
    const T* r = p + 8 * std::int64_t(i.v);
    for (int k = 0; k < 8; ++k) c[k] = r[k];
}
template <class T> inline void load_rows8(const T* p, const std::int32_t* i, Vec<T>* c) {
    load_rows8(p, Int<T>{*i}, c);
}
template <class T>
inline void load_rows_int(const std::int32_t* p, Int<T> i, Int<T>& x, Int<T>& y, Int<T>& z,
                          Int<T>& w) {
    const std::int32_t* r = p + 4 * std::int64_t(i.v);
    x.v = r[0];
    y.v = r[1];
    z.v = r[2];
    w.v = r[3];
}
template <class T> inline void add_rows(T* p, Int<T> i, Vec<T> x, Vec<T> y, Vec<T> z, Vec<T> w,
                                        std::int64_t n) {
    T* r = p + 4 * std::int64_t(i.v);
    if (n < 1) return;
    r[0] += x.v;
    r[1] += y.v;
    r[2] += z.v;
    r[3] += w.v;
}
template <class T> inline Vec<T> gather(const T* p, Int<T> i) { return p[i.v]; }
template <class T> inline Vec<T> load_as(const double* p) { return T(*p); }
template <class T> inline void subtract_rows(double* p, const std::int32_t* i, Vec<T> x, Vec<T> y,
                                             Vec<T> z) {
    double* r = p + 4 * std::int64_t(*i);
    r[0] -= double(x.v);
    r[1] -= double(y.v);
    r[2] -= double(z.v);
}
template <class T> inline int compress_store(std::int32_t* p, Int<T> a, Mask<T> m) {
    *p = a.v;
    return m.m;
}
template <class T> inline int compress_store(T* p, Vec<T> a, Mask<T> m) {
    *p = a.v;
    return m.m;
}
template <class T> inline Vec<T> expand_load(const T* p, Mask<T> m) { return m.m ? *p : T(0); }
template <class T> inline void store_interleaved3(T* p, Vec<T> x, Vec<T> y, Vec<T> z, int n) {
    if (n > 0) {
        p[0] = x.v;
        p[1] = y.v;
        p[2] = z.v;
    }
}
template <class T> inline void store_int64(std::int64_t* p, Int<T> a, int n) {
    if (n > 0) *p = a.v;
}
template <class T> inline void store_interleaved3_int64(std::int64_t* p, Int<T> x, Int<T> y,
                                                        Int<T> z, int n) {
    if (n > 0) {
        p[0] = x.v;
        p[1] = y.v;
        p[2] = z.v;
    }
}
inline void stream_line(void* to, const void* from) { std::memcpy(to, from, 64); }
inline void stream_fence() {}
template <class T> inline void store_sums4(T* p, Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d) {
    p[0] = a.v;
    p[1] = b.v;
    p[2] = c.v;
    p[3] = d.v;
}

template <class T> inline Vec<T> operator+(Vec<T> a, Vec<T> b) { return a.v + b.v; }
template <class T> inline Vec<T> operator-(Vec<T> a, Vec<T> b) { return a.v - b.v; }
template <class T> inline Vec<T> operator*(Vec<T> a, Vec<T> b) { return a.v * b.v; }
template <class T> inline Vec<T> operator/(Vec<T> a, Vec<T> b) { return a.v / b.v; }
template <class T> inline Vec<T> operator-(Vec<T> a) { return -a.v; }
template <class T> inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return a.v * b.v + c.v; }
template <class T> inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) { return c.v - a.v * b.v; }
template <class T> inline Vec<T> min(Vec<T> a, Vec<T> b) { return a.v < b.v ? a.v : b.v; }
template <class T> inline Vec<T> max(Vec<T> a, Vec<T> b) { return a.v > b.v ? a.v : b.v; }
template <class T> inline Vec<T> sqrt(Vec<T> a) { return std::sqrt(a.v); }
template <class T> inline Vec<T> abs(Vec<T> a) { return std::fabs(a.v); }
template <class T> inline Vec<T> copysign(Vec<T> a, Vec<T> s) { return std::copysign(a.v, s.v); }
// Adding and subtracting 2^52 (2^23) rounds to nearest even: baseline x86-64 has no instruction for
// it and libm's is a call.
template <class T> inline Vec<T> round(Vec<T> a) {
    const T big = T(1) / std::numeric_limits<T>::epsilon();
    const T c = std::copysign(big, a.v);
    return std::fabs(a.v) < big ? std::copysign((a.v + c) - c, a.v) : a.v;
}
template <class T> inline Vec<T> floor(Vec<T> a) {
    const T r = round(a).v;
    return r > a.v ? r - T(1) : r;
}
template <class T> inline T sum(Vec<T> a) { return a.v; }
template <class T> inline Vec<T> rsqrt_estimate(Vec<T> a) { return T(1) / std::sqrt(a.v); }

template <class T> inline Mask<T> operator<(Vec<T> a, Vec<T> b) { return {a.v < b.v}; }
template <class T> inline Mask<T> operator<=(Vec<T> a, Vec<T> b) { return {a.v <= b.v}; }
template <class T> inline Mask<T> operator>(Vec<T> a, Vec<T> b) { return {a.v > b.v}; }
template <class T> inline Mask<T> operator>=(Vec<T> a, Vec<T> b) { return {a.v >= b.v}; }
template <class T> inline Mask<T> operator==(Vec<T> a, Vec<T> b) { return {a.v == b.v}; }
template <class T> inline Mask<T> operator&(Mask<T> a, Mask<T> b) { return {a.m && b.m}; }
template <class T> inline Mask<T> operator|(Mask<T> a, Mask<T> b) { return {a.m || b.m}; }
template <class T> inline Mask<T> not_(Mask<T> a) { return {!a.m}; }
template <class T> inline bool any(Mask<T> a) { return a.m; }
template <class T> inline bool all(Mask<T> a) { return a.m; }
template <class T> inline int count(Mask<T> a) { return a.m; }
template <class T> inline unsigned bits(Mask<T> a) { return a.m; }
template <class T> inline Mask<T> from_bits(unsigned b) { return {(b & 1u) != 0}; }
template <class T> inline Mask<T> first_n(std::int64_t n) { return {n > 0}; }
template <class T> inline Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) { return m.m ? a : b; }
template <class T> inline Vec<T> keep(Mask<T> m, Vec<T> a) { return m.m ? a.v : T(0); }

template <class T> inline Int<T> to_int(Vec<T> a) { return {std::int32_t(a.v)}; }
template <class T> inline Vec<T> to_vec(Int<T> a) { return T(a.v); }
template <class T> inline Int<T> operator+(Int<T> a, Int<T> b) { return {a.v + b.v}; }
template <class T> inline Int<T> operator-(Int<T> a, Int<T> b) { return {a.v - b.v}; }
template <class T> inline Int<T> operator*(Int<T> a, Int<T> b) { return {a.v * b.v}; }
template <class T> inline Int<T> min(Int<T> a, Int<T> b) { return a.v < b.v ? a : b; }
template <class T> inline Int<T> max(Int<T> a, Int<T> b) { return a.v > b.v ? a : b; }

// IEEE 754 fields of T.
template <class T> struct Format {
    using U = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
    static constexpr int mantissa_bits = std::numeric_limits<T>::digits - 1;
    static constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
    static constexpr U mantissa_mask = (U(1) << mantissa_bits) - 1;
    static constexpr U sign = U(1) << (8 * sizeof(T) - 1);
    static U get(T x) {
        U u;
        std::memcpy(&u, &x, sizeof u);
        return u;
    }
    static T make(U u) {
        T x;
        std::memcpy(&x, &u, sizeof x);
        return x;
    }
    // An integral-valued n appears in the low bits of n + k for any integral k in [2^52, 2^53)
    // (float: [2^23, 2^24)).
    static U low_bits(T n, int k) {
        return get(n + (T(1.5) / std::numeric_limits<T>::epsilon() + T(k)));
    }
};
template <int K, class T> inline Mask<T> has_bit(Vec<T> n) {
    return {((Format<T>::low_bits(n.v, 0) >> K) & 1) != 0};
}
template <class T> inline Vec<T> pow2(Vec<T> n) {
    using F = Format<T>;
    return F::make(typename F::U(F::low_bits(n.v, F::bias) << F::mantissa_bits));
}
// Denormals are scaled into the normal range first.
template <class T> inline Vec<T> exponent(Vec<T> a) {
    using F = Format<T>;
    const bool tiny = std::fabs(a.v) < std::numeric_limits<T>::min();
    const T s = tiny ? a.v * (T(2) / std::numeric_limits<T>::epsilon()) : a.v;
    return T(int((F::get(s) & ~F::sign) >> F::mantissa_bits) - F::bias -
             (tiny ? F::mantissa_bits + 1 : 0));
}
template <class T> inline Vec<T> mantissa(Vec<T> a) {
    using F = Format<T>;
    const bool tiny = std::fabs(a.v) < std::numeric_limits<T>::min();
    const T s = tiny ? a.v * (T(2) / std::numeric_limits<T>::epsilon()) : a.v;
    return F::make((F::get(s) & (F::mantissa_mask | F::sign)) | F::get(T(1)));
}

}  // namespace simd
}  // namespace MDKERN_ISA
}  // namespace mdkern

#include "simd/scale2.hpp"
