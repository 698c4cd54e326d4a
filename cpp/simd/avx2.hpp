// AVX2 backend (AVX2, FMA, BMI2): 4 doubles or 8 floats per vector. Operations as documented in
// simd.hpp.
#pragma once

// GCC 12 writes _mm256_undefined_pd() as "__m256d y = y" and then warns of it wherever it is
// inlined (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstdint>

namespace mdkern {
namespace MDKERN_ISA {
namespace simd {

template <class T> struct Vec;
template <class T> struct Mask;
template <class T> struct Int;

template <> struct Vec<double> {
    static constexpr int width = 4;
    __m256d v;
    Vec() = default;
    Vec(__m256d x) : v(x) {}
    Vec(double x) : v(_mm256_set1_pd(x)) {}
};
template <> struct Vec<float> {
    static constexpr int width = 8;
    __m256 v;
    Vec() = default;
    Vec(__m256 x) : v(x) {}
    Vec(float x) : v(_mm256_set1_ps(x)) {}
};
template <> struct Mask<double> {
    __m256d m;
};
template <> struct Mask<float> {
    __m256 m;
};
template <> struct Int<double> {
    __m128i v;
};
template <> struct Int<float> {
    __m256i v;
};

using VecD = Vec<double>;
using VecF = Vec<float>;
using IntD = Int<double>;
using IntF = Int<float>;
using MaskD = Mask<double>;
using MaskF = Mask<float>;

// --- masks
template <class T> inline Mask<T> first_n(std::int64_t n);
template <> inline MaskD first_n<double>(std::int64_t n) {
    return {_mm256_castsi256_pd(
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)))};
}
template <> inline MaskF first_n<float>(std::int64_t n) {
    const int k = n > 8 ? 8 : n < 0 ? 0 : int(n);
    return {_mm256_castsi256_ps(
        _mm256_cmpgt_epi32(_mm256_set1_epi32(k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))};
}
template <class T> inline Mask<T> from_bits(unsigned b);
template <> inline MaskD from_bits<double>(unsigned b) {
    const __m256i lane = _mm256_setr_epi64x(1, 2, 4, 8);
    const __m256i has = _mm256_and_si256(_mm256_set1_epi64x(std::int64_t(b)), lane);
    return {_mm256_castsi256_pd(_mm256_cmpeq_epi64(has, lane))};
}
template <> inline MaskF from_bits<float>(unsigned b) {
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i has = _mm256_and_si256(_mm256_set1_epi32(int(b)), lane);
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(has, lane))};
}
inline MaskD operator&(MaskD a, MaskD b) { return {_mm256_and_pd(a.m, b.m)}; }
inline MaskF operator&(MaskF a, MaskF b) { return {_mm256_and_ps(a.m, b.m)}; }
inline MaskD operator|(MaskD a, MaskD b) { return {_mm256_or_pd(a.m, b.m)}; }
inline MaskF operator|(MaskF a, MaskF b) { return {_mm256_or_ps(a.m, b.m)}; }
inline MaskD not_(MaskD a) {
    return {_mm256_xor_pd(a.m, _mm256_castsi256_pd(_mm256_set1_epi32(-1)))};
}
inline MaskF not_(MaskF a) {
    return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
inline unsigned bits(MaskD a) { return unsigned(_mm256_movemask_pd(a.m)); }
inline unsigned bits(MaskF a) { return unsigned(_mm256_movemask_ps(a.m)); }
template <class T> inline bool any(Mask<T> a) { return bits(a) != 0; }
template <class T> inline bool all(Mask<T> a) { return bits(a) == (1u << Vec<T>::width) - 1u; }
template <class T> inline int count(Mask<T> a) { return _mm_popcnt_u32(bits(a)); }

// A double mask as four int32 lanes.
inline __m128i narrow(MaskD m) {
    const __m256 f = _mm256_castpd_ps(m.m);
    return _mm_castps_si128(
        _mm_shuffle_ps(_mm256_castps256_ps128(f), _mm256_extractf128_ps(f, 1), 0x88));
}

// --- memory
inline VecD load(const double* p) { return _mm256_loadu_pd(p); }
inline VecF load(const float* p) { return _mm256_loadu_ps(p); }
inline VecD load(const double* p, MaskD m) {
    return _mm256_maskload_pd(p, _mm256_castpd_si256(m.m));
}
inline VecF load(const float* p, MaskF m) {
    return _mm256_maskload_ps(p, _mm256_castps_si256(m.m));
}
inline void store(double* p, VecD a) { _mm256_storeu_pd(p, a.v); }
inline void store(float* p, VecF a) { _mm256_storeu_ps(p, a.v); }
inline void store(double* p, VecD a, MaskD m) {
    _mm256_maskstore_pd(p, _mm256_castpd_si256(m.m), a.v);
}
inline void store(float* p, VecF a, MaskF m) {
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.m), a.v);
}

template <class T> inline Int<T> load_int(const std::int32_t* p);
template <class T> inline Int<T> load_int(const std::int32_t* p, Mask<T> m);
template <class T> inline Int<T> set_int(std::int32_t k);
template <> inline IntD load_int<double>(const std::int32_t* p) {
    return {_mm_loadu_si128((const __m128i*)p)};
}
template <> inline IntF load_int<float>(const std::int32_t* p) {
    return {_mm256_loadu_si256((const __m256i*)p)};
}
template <> inline IntD load_int<double>(const std::int32_t* p, MaskD m) {
    return {_mm_maskload_epi32(p, narrow(m))};
}
template <> inline IntF load_int<float>(const std::int32_t* p, MaskF m) {
    return {_mm256_maskload_epi32(p, _mm256_castps_si256(m.m))};
}
template <> inline IntD set_int<double>(std::int32_t k) { return {_mm_set1_epi32(k)}; }
template <> inline IntF set_int<float>(std::int32_t k) { return {_mm256_set1_epi32(k)}; }
inline void store_int(std::int32_t* p, IntD a) { _mm_storeu_si128((__m128i*)p, a.v); }
inline void store_int(std::int32_t* p, IntF a) { _mm256_storeu_si256((__m256i*)p, a.v); }

inline void transpose4(__m256d r0, __m256d r1, __m256d r2, __m256d r3, VecD& x, VecD& y, VecD& z,
                       VecD& w) {
    const __m256d a = _mm256_unpacklo_pd(r0, r1), b = _mm256_unpackhi_pd(r0, r1);
    const __m256d c = _mm256_unpacklo_pd(r2, r3), d = _mm256_unpackhi_pd(r2, r3);
    x.v = _mm256_permute2f128_pd(a, c, 0x20);
    y.v = _mm256_permute2f128_pd(b, d, 0x20);
    z.v = _mm256_permute2f128_pd(a, c, 0x31);
    w.v = _mm256_permute2f128_pd(b, d, 0x31);
}

// Four rows of `stride` doubles, the first four columns, transposed.
inline void load_rows_strided(const double* p, IntD idx, int stride, VecD& x, VecD& y, VecD& z,
                              VecD& w) {
    const std::int64_t i0 = _mm_cvtsi128_si32(idx.v), i1 = _mm_extract_epi32(idx.v, 1);
    const std::int64_t i2 = _mm_extract_epi32(idx.v, 2), i3 = _mm_extract_epi32(idx.v, 3);
    transpose4(_mm256_loadu_pd(p + stride * i0), _mm256_loadu_pd(p + stride * i1),
               _mm256_loadu_pd(p + stride * i2), _mm256_loadu_pd(p + stride * i3), x, y, z, w);
}
inline void load_rows(const double* p, IntD i, VecD& x, VecD& y, VecD& z, VecD& w) {
    load_rows_strided(p, i, 4, x, y, z, w);
}
template <int kStride = 4> inline void load_rows(const double* p, const std::int32_t* i, VecD& x,
                                                 VecD& y, VecD& z, VecD& w) {
    auto row = [&](int l) { return _mm256_loadu_pd(p + kStride * std::int64_t(i[l])); };
    transpose4(row(0), row(1), row(2), row(3), x, y, z, w);
}
inline void load_rows8(const double* p, IntD i, VecD* c) {
    load_rows_strided(p, i, 8, c[0], c[1], c[2], c[3]);
    load_rows_strided(p + 4, i, 8, c[4], c[5], c[6], c[7]);
}

// Eight rows of four floats: rows l and l + 4 share a register, then a 4 x 4 transpose in each
// 128-bit lane.
template <int kStride = 4>
inline void load_rows(const float* p, const std::int32_t* i, VecF& x, VecF& y, VecF& z, VecF& w) {
    auto row = [&](int k) {
        return _mm256_insertf128_ps(
            _mm256_castps128_ps256(_mm_loadu_ps(p + kStride * std::int64_t(i[k]))),
            _mm_loadu_ps(p + kStride * std::int64_t(i[k + 4])), 1);
    };
    const __m256 r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const __m256 a = _mm256_unpacklo_ps(r0, r1), b = _mm256_unpackhi_ps(r0, r1);
    const __m256 c = _mm256_unpacklo_ps(r2, r3), d = _mm256_unpackhi_ps(r2, r3);
    x.v = _mm256_shuffle_ps(a, c, 0x44);
    y.v = _mm256_shuffle_ps(a, c, 0xee);
    z.v = _mm256_shuffle_ps(b, d, 0x44);
    w.v = _mm256_shuffle_ps(b, d, 0xee);
}
inline void load_rows(const float* p, IntF idx, VecF& x, VecF& y, VecF& z, VecF& w) {
    alignas(32) std::int32_t i[8];
    _mm256_store_si256((__m256i*)i, idx.v);
    load_rows<4>(p, i, x, y, z, w);
}
template <class T> inline void load_rows8(const T* p, const std::int32_t* i, Vec<T>* c) {
    load_rows<8>(p, i, c[0], c[1], c[2], c[3]);
    load_rows<8>(p + 4, i, c[4], c[5], c[6], c[7]);
}
inline void load_rows8(const float* p, IntF idx, VecF* c) {
    const IntF i2 = {_mm256_slli_epi32(idx.v, 1)};
    load_rows(p, i2, c[0], c[1], c[2], c[3]);
    load_rows(p + 4, i2, c[4], c[5], c[6], c[7]);
}

inline void load_rows_int(const std::int32_t* p, IntD idx, IntD& x, IntD& y, IntD& z, IntD& w) {
    auto row = [&](std::int32_t k) {
        return _mm_loadu_si128((const __m128i*)(p + 4 * std::int64_t(k)));
    };
    const __m128i r0 = row(_mm_cvtsi128_si32(idx.v)), r1 = row(_mm_extract_epi32(idx.v, 1));
    const __m128i r2 = row(_mm_extract_epi32(idx.v, 2)), r3 = row(_mm_extract_epi32(idx.v, 3));
    const __m128i a = _mm_unpacklo_epi32(r0, r1), b = _mm_unpackhi_epi32(r0, r1);
    const __m128i c = _mm_unpacklo_epi32(r2, r3), d = _mm_unpackhi_epi32(r2, r3);
    x.v = _mm_unpacklo_epi64(a, c);
    y.v = _mm_unpackhi_epi64(a, c);
    z.v = _mm_unpacklo_epi64(b, d);
    w.v = _mm_unpackhi_epi64(b, d);
}

inline void add_rows(double* p, IntD idx, VecD x, VecD y, VecD z, VecD w, std::int64_t n) {
    VecD r[4];
    transpose4(x.v, y.v, z.v, w.v, r[0], r[1], r[2], r[3]);
    auto add = [&](std::int64_t i, VecD a) {
        double* q = p + 4 * i;
        _mm256_storeu_pd(q, _mm256_add_pd(_mm256_loadu_pd(q), a.v));
    };
    add(_mm_cvtsi128_si32(idx.v), r[0]);
    if (n > 1) add(_mm_extract_epi32(idx.v, 1), r[1]);
    if (n > 2) add(_mm_extract_epi32(idx.v, 2), r[2]);
    if (n > 3) add(_mm_extract_epi32(idx.v, 3), r[3]);
}

inline VecD gather(const double* p, IntD i) { return _mm256_i32gather_pd(p, i.v, 8); }
inline VecF gather(const float* p, IntF i) { return _mm256_i32gather_ps(p, i.v, 4); }

template <class T> inline Vec<T> load_as(const double* p);
template <> inline VecD load_as<double>(const double* p) { return _mm256_loadu_pd(p); }
template <> inline VecF load_as<float>(const double* p) {
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)),
                           _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
}

inline void subtract_rows(double* p, const std::int32_t* i, VecD x, VecD y, VecD z) {
    VecD r[4];
    transpose4(x.v, y.v, z.v, _mm256_setzero_pd(), r[0], r[1], r[2], r[3]);
    for (int l = 0; l < 4; ++l) {
        double* row = p + 4 * std::int64_t(i[l]);
        _mm256_storeu_pd(row, _mm256_sub_pd(_mm256_loadu_pd(row), r[l].v));
    }
}
inline void subtract_rows(double* p, const std::int32_t* i, VecF x, VecF y, VecF z) {
    auto low = [](VecF a) { return VecD(_mm256_cvtps_pd(_mm256_castps256_ps128(a.v))); };
    auto high = [](VecF a) { return VecD(_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))); };
    subtract_rows(p, i, low(x), low(y), low(z));
    subtract_rows(p, i + 4, high(x), high(y), high(z));
}

// compress_store without vpcompress: pext packs the lane numbers of the live lanes (BMI2), which
// then steer a permute.
inline __m256i compress_order(unsigned live_bits) {
    const std::uint64_t lanes = _pdep_u64(live_bits, 0x0101010101010101ull) * 0xff;
    const std::uint64_t order = _pext_u64(0x0706050403020100ull, lanes);
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(std::int64_t(order)));
}
inline int compress_store(std::int32_t* p, IntF a, MaskF m) {
    _mm256_storeu_si256((__m256i*)p, _mm256_permutevar8x32_epi32(a.v, compress_order(bits(m))));
    return count(m);
}
inline int compress_store(float* p, VecF a, MaskF m) {
    _mm256_storeu_ps(p, _mm256_permutevar8x32_ps(a.v, compress_order(bits(m))));
    return count(m);
}
inline int compress_store(std::int32_t* p, IntD a, MaskD m) {
    const __m128i order = _mm256_castsi256_si128(compress_order(bits(m)));
    _mm_storeu_si128((__m128i*)p,
                     _mm_castps_si128(_mm_permutevar_ps(_mm_castsi128_ps(a.v), order)));
    return count(m);
}
inline int compress_store(double* p, VecD a, MaskD m) {
    unsigned b = _pdep_u32(bits(m), 0x55u) * 3u;  // every double is two int32 lanes
    const __m256i r = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(a.v), compress_order(b));
    _mm256_storeu_pd(p, _mm256_castsi256_pd(r));
    return count(m);
}

// The inverse of compress: pdep deals the numbers 0, 1, ... to the bytes of live lanes.
inline VecD expand_load(const double* p, MaskD m) {
    const unsigned b = _pdep_u32(bits(m), 0x55u) * 3u;
    const std::uint64_t lanes = _pdep_u64(b, 0x0101010101010101ull) * 0xff;
    const std::uint64_t order = _pdep_u64(0x0706050403020100ull, lanes);
    const __m256i from = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(std::int64_t(order)));
    const __m256i v = _mm256_castpd_si256(_mm256_loadu_pd(p));
    return _mm256_and_pd(m.m, _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(v, from)));
}

inline void store_first_n(double* p, __m256d a, std::int64_t n) {
    store(p, VecD(a), first_n<double>(n));
}
inline void store_interleaved3(double* p, VecD x, VecD y, VecD z, int n) {
    const __m256d xy = _mm256_shuffle_pd(x.v, y.v, 0x0);  // x0 y0 x2 y2
    const __m256d yz = _mm256_shuffle_pd(y.v, z.v, 0xf);  // y1 z1 y3 z3
    const __m256d zx = _mm256_shuffle_pd(z.v, x.v, 0xa);  // z0 x1 z2 x3
    const __m256d o0 = _mm256_permute2f128_pd(xy, zx, 0x20);
    const __m256d o1 = _mm256_permute2f128_pd(yz, xy, 0x30);
    const __m256d o2 = _mm256_permute2f128_pd(zx, yz, 0x31);
    if (n >= 4) {
        _mm256_storeu_pd(p, o0);
        _mm256_storeu_pd(p + 4, o1);
        _mm256_storeu_pd(p + 8, o2);
    } else {
        store_first_n(p, o0, 3 * n);
        store_first_n(p + 4, o1, 3 * n - 4);
        store_first_n(p + 8, o2, 3 * n - 8);
    }
}
inline void store_int64(std::int64_t* p, IntD a, int n) {
    store_first_n((double*)p, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(a.v)), n);
}
inline void store_interleaved3_int64(std::int64_t* p, IntD x, IntD y, IntD z, int n) {
    auto wide = [](IntD a) { return VecD(_mm256_castsi256_pd(_mm256_cvtepi32_epi64(a.v))); };
    store_interleaved3((double*)p, wide(x), wide(y), wide(z), n);
}
inline void stream_line(void* to, const void* from) {
    const __m256i a = _mm256_loadu_si256((const __m256i*)from);
    const __m256i b = _mm256_loadu_si256((const __m256i*)from + 1);
    _mm256_stream_si256((__m256i*)to, a);
    _mm256_stream_si256((__m256i*)to + 1, b);
}
inline void stream_fence() { _mm_sfence(); }

inline void in_register(VecD& a) { asm("" : "+x"(a.v)); }
inline void in_register(VecF& a) { asm("" : "+x"(a.v)); }

// --- arithmetic
inline VecD operator+(VecD a, VecD b) { return _mm256_add_pd(a.v, b.v); }
inline VecF operator+(VecF a, VecF b) { return _mm256_add_ps(a.v, b.v); }
inline VecD operator-(VecD a, VecD b) { return _mm256_sub_pd(a.v, b.v); }
inline VecF operator-(VecF a, VecF b) { return _mm256_sub_ps(a.v, b.v); }
inline VecD operator*(VecD a, VecD b) { return _mm256_mul_pd(a.v, b.v); }
inline VecF operator*(VecF a, VecF b) { return _mm256_mul_ps(a.v, b.v); }
inline VecD operator/(VecD a, VecD b) { return _mm256_div_pd(a.v, b.v); }
inline VecF operator/(VecF a, VecF b) { return _mm256_div_ps(a.v, b.v); }
inline VecD operator-(VecD a) { return _mm256_xor_pd(a.v, _mm256_set1_pd(-0.0)); }
inline VecF operator-(VecF a) { return _mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f)); }
inline VecD fma(VecD a, VecD b, VecD c) { return _mm256_fmadd_pd(a.v, b.v, c.v); }
inline VecF fma(VecF a, VecF b, VecF c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
inline VecD fnma(VecD a, VecD b, VecD c) { return _mm256_fnmadd_pd(a.v, b.v, c.v); }
inline VecF fnma(VecF a, VecF b, VecF c) { return _mm256_fnmadd_ps(a.v, b.v, c.v); }
inline VecD min(VecD a, VecD b) { return _mm256_min_pd(a.v, b.v); }
inline VecF min(VecF a, VecF b) { return _mm256_min_ps(a.v, b.v); }
inline VecD max(VecD a, VecD b) { return _mm256_max_pd(a.v, b.v); }
inline VecF max(VecF a, VecF b) { return _mm256_max_ps(a.v, b.v); }
inline VecD sqrt(VecD a) { return _mm256_sqrt_pd(a.v); }
inline VecF sqrt(VecF a) { return _mm256_sqrt_ps(a.v); }
inline VecD abs(VecD a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v); }
inline VecF abs(VecF a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
inline VecD copysign(VecD a, VecD s) {
    return _mm256_or_pd(abs(a).v, _mm256_and_pd(s.v, _mm256_set1_pd(-0.0)));
}
inline VecF copysign(VecF a, VecF s) {
    return _mm256_or_ps(abs(a).v, _mm256_and_ps(s.v, _mm256_set1_ps(-0.0f)));
}
inline VecD round(VecD a) {
    return _mm256_round_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline VecF round(VecF a) {
    return _mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline VecD floor(VecD a) { return _mm256_floor_pd(a.v); }
inline VecF floor(VecF a) { return _mm256_floor_ps(a.v); }
inline double sum(VecD a) {
    const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}
inline float sum(VecF a) {
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
// There is no rsqrt for doubles before AVX-512; the exact value is the estimate.
inline VecF rsqrt_estimate(VecF a) { return _mm256_rsqrt_ps(a.v); }
inline VecD rsqrt_estimate(VecD a) {
    return _mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sqrt_pd(a.v));
}

inline void store_sums4(double* p, VecD a, VecD b, VecD c, VecD d) {
    const __m256d ab = _mm256_hadd_pd(a.v, b.v), cd = _mm256_hadd_pd(c.v, d.v);
    const __m256d lo = _mm256_permute2f128_pd(ab, cd, 0x20),
                  hi = _mm256_permute2f128_pd(ab, cd, 0x31);
    _mm256_storeu_pd(p, _mm256_add_pd(lo, hi));
}
// A 4 x 4 transpose in both 128-bit lanes, then the lanes are added up.
inline void store_sums4(float* p, VecF a, VecF b, VecF c, VecF d) {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c.v, d.v), _mm256_unpackhi_ps(c.v, d.v));
    const __m256 t =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

// --- comparison and selection
inline MaskD operator<(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)}; }
inline MaskF operator<(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
inline MaskD operator<=(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LE_OQ)}; }
inline MaskF operator<=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
inline MaskD operator>(VecD a, VecD b) { return b < a; }
inline MaskF operator>(VecF a, VecF b) { return b < a; }
inline MaskD operator>=(VecD a, VecD b) { return b <= a; }
inline MaskF operator>=(VecF a, VecF b) { return b <= a; }
inline MaskD operator==(VecD a, VecD b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ)}; }
inline MaskF operator==(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
inline VecD select(MaskD m, VecD a, VecD b) { return _mm256_blendv_pd(b.v, a.v, m.m); }
inline VecF select(MaskF m, VecF a, VecF b) { return _mm256_blendv_ps(b.v, a.v, m.m); }
inline VecD keep(MaskD m, VecD a) { return _mm256_and_pd(m.m, a.v); }
inline VecF keep(MaskF m, VecF a) { return _mm256_and_ps(m.m, a.v); }

// --- integers and exponents
inline IntD to_int(VecD a) { return {_mm256_cvttpd_epi32(a.v)}; }
inline IntF to_int(VecF a) { return {_mm256_cvttps_epi32(a.v)}; }
template <class T> inline Vec<T> to_vec(Int<T> a);
template <> inline VecD to_vec<double>(IntD a) { return _mm256_cvtepi32_pd(a.v); }
template <> inline VecF to_vec<float>(IntF a) { return _mm256_cvtepi32_ps(a.v); }
inline IntD operator+(IntD a, IntD b) { return {_mm_add_epi32(a.v, b.v)}; }
inline IntF operator+(IntF a, IntF b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline IntD operator-(IntD a, IntD b) { return {_mm_sub_epi32(a.v, b.v)}; }
inline IntF operator-(IntF a, IntF b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline IntD operator*(IntD a, IntD b) { return {_mm_mullo_epi32(a.v, b.v)}; }
inline IntF operator*(IntF a, IntF b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
inline IntD min(IntD a, IntD b) { return {_mm_min_epi32(a.v, b.v)}; }
inline IntF min(IntF a, IntF b) { return {_mm256_min_epi32(a.v, b.v)}; }
inline IntD max(IntD a, IntD b) { return {_mm_max_epi32(a.v, b.v)}; }
inline IntF max(IntF a, IntF b) { return {_mm256_max_epi32(a.v, b.v)}; }

// An integral-valued n appears in the low bits of n + k for any integral k in [2^52, 2^53) (float:
// [2^23, 2^24)).
inline __m256i low_bits(VecD n, double k) {
    return _mm256_castpd_si256(_mm256_add_pd(n.v, _mm256_set1_pd(6755399441055744.0 + k)));
}
inline __m256i low_bits(VecF n, float k) {
    return _mm256_castps_si256(_mm256_add_ps(n.v, _mm256_set1_ps(12582912.0f + k)));
}
template <int K> inline MaskD has_bit(VecD n) {
    const __m256i top = _mm256_slli_epi64(low_bits(n, 0.0), 63 - K);
    return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_setzero_si256(), top))};
}
template <int K> inline MaskF has_bit(VecF n) {
    return {
        _mm256_castsi256_ps(_mm256_srai_epi32(_mm256_slli_epi32(low_bits(n, 0.0f), 31 - K), 31))};
}
inline VecD pow2(VecD n) { return _mm256_castsi256_pd(_mm256_slli_epi64(low_bits(n, 1023.0), 52)); }
inline VecF pow2(VecF n) { return _mm256_castsi256_ps(_mm256_slli_epi32(low_bits(n, 127.0f), 23)); }

// Denormals are scaled into the normal range first.
inline VecD exponent(VecD a) {
    const MaskD tiny = abs(a) < VecD(2.2250738585072014e-308);
    const __m256d s = abs(select(tiny, a * VecD(18014398509481984.0), a)).v;  // 2^54
    // The biased exponent in the low bits of 2^52 makes 2^52 + exponent.
    const __m256i e = _mm256_srli_epi64(_mm256_castpd_si256(s), 52);
    const __m256d f = _mm256_or_pd(_mm256_castsi256_pd(e), _mm256_set1_pd(4503599627370496.0));
    return VecD(f) - select(tiny, VecD(4503599627370496.0 + 1023.0 + 54.0),
                            VecD(4503599627370496.0 + 1023.0));
}
inline VecF exponent(VecF a) {
    const MaskF tiny = abs(a) < VecF(1.17549435e-38f);
    const __m256 s = abs(select(tiny, a * VecF(16777216.0f), a)).v;  // 2^24
    const __m256i e = _mm256_srli_epi32(_mm256_castps_si256(s), 23);
    return VecF(_mm256_cvtepi32_ps(e)) - select(tiny, VecF(127.0f + 24.0f), VecF(127.0f));
}
inline VecD mantissa(VecD a) {
    const MaskD tiny = abs(a) < VecD(2.2250738585072014e-308);
    const __m256d s = select(tiny, a * VecD(18014398509481984.0), a).v;
    const __m256d keep_bits =
        _mm256_castsi256_pd(_mm256_set1_epi64x(std::int64_t(0x800fffffffffffffull)));
    return _mm256_or_pd(_mm256_and_pd(s, keep_bits), _mm256_set1_pd(1.0));
}
inline VecF mantissa(VecF a) {
    const MaskF tiny = abs(a) < VecF(1.17549435e-38f);
    const __m256 s = select(tiny, a * VecF(16777216.0f), a).v;
    const __m256 keep_bits = _mm256_castsi256_ps(_mm256_set1_epi32(std::int32_t(0x807fffffu)));
    return _mm256_or_ps(_mm256_and_ps(s, keep_bits), _mm256_set1_ps(1.0f));
}

}  // namespace simd
}  // namespace MDKERN_ISA
}  // namespace mdkern

#include "simd/scale2.hpp"
