// AVX-512 backend (F, DQ, VL, BW): 8 doubles or 16 floats per vector. Operations as documented in
// simd.hpp.
#pragma once

// GCC 12 writes _mm512_undefined_pd() as "__m512d y = y" and then warns of it wherever it is
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
    static constexpr int width = 8;
    __m512d v;
    Vec() = default;
    Vec(__m512d x) : v(x) {}
    Vec(double x) : v(_mm512_set1_pd(x)) {}
};
template <> struct Vec<float> {
    static constexpr int width = 16;
    __m512 v;
    Vec() = default;
    Vec(__m512 x) : v(x) {}
    Vec(float x) : v(_mm512_set1_ps(x)) {}
};
template <> struct Mask<double> {
    __mmask8 m;
};
template <> struct Mask<float> {
    __mmask16 m;
};
template <> struct Int<double> {
    __m256i v;
};
template <> struct Int<float> {
    __m512i v;
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
    return {__mmask8(n >= 8 ? 0xff : n <= 0 ? 0 : _bzhi_u32(0xff, unsigned(n)))};
}
template <> inline MaskF first_n<float>(std::int64_t n) {
    return {__mmask16(n >= 16 ? 0xffff : n <= 0 ? 0 : _bzhi_u32(0xffff, unsigned(n)))};
}
template <class T> inline Mask<T> from_bits(unsigned b);
template <> inline MaskD from_bits<double>(unsigned b) { return {__mmask8(b)}; }
template <> inline MaskF from_bits<float>(unsigned b) { return {__mmask16(b)}; }
inline MaskD operator&(MaskD a, MaskD b) { return {_kand_mask8(a.m, b.m)}; }
inline MaskF operator&(MaskF a, MaskF b) { return {_kand_mask16(a.m, b.m)}; }
inline MaskD operator|(MaskD a, MaskD b) { return {_kor_mask8(a.m, b.m)}; }
inline MaskF operator|(MaskF a, MaskF b) { return {_kor_mask16(a.m, b.m)}; }
inline MaskD not_(MaskD a) { return {_knot_mask8(a.m)}; }
inline MaskF not_(MaskF a) { return {_knot_mask16(a.m)}; }
inline unsigned bits(MaskD a) { return a.m; }
inline unsigned bits(MaskF a) { return a.m; }
template <class T> inline bool any(Mask<T> a) { return a.m != 0; }
template <class T> inline bool all(Mask<T> a) { return bits(a) == (1u << Vec<T>::width) - 1u; }
template <class T> inline int count(Mask<T> a) { return _mm_popcnt_u32(bits(a)); }

// --- memory
inline VecD load(const double* p) { return _mm512_loadu_pd(p); }
inline VecF load(const float* p) { return _mm512_loadu_ps(p); }
inline VecD load(const double* p, MaskD m) { return _mm512_maskz_loadu_pd(m.m, p); }
inline VecF load(const float* p, MaskF m) { return _mm512_maskz_loadu_ps(m.m, p); }
inline void store(double* p, VecD a) { _mm512_storeu_pd(p, a.v); }
inline void store(float* p, VecF a) { _mm512_storeu_ps(p, a.v); }
inline void store(double* p, VecD a, MaskD m) { _mm512_mask_storeu_pd(p, m.m, a.v); }
inline void store(float* p, VecF a, MaskF m) { _mm512_mask_storeu_ps(p, m.m, a.v); }

template <class T> inline Int<T> load_int(const std::int32_t* p);
template <class T> inline Int<T> load_int(const std::int32_t* p, Mask<T> m);
template <class T> inline Int<T> set_int(std::int32_t k);
template <> inline IntD load_int<double>(const std::int32_t* p) {
    return {_mm256_loadu_si256((const __m256i*)p)};
}
template <> inline IntF load_int<float>(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
template <> inline IntD load_int<double>(const std::int32_t* p, MaskD m) {
    return {_mm256_maskz_loadu_epi32(m.m, p)};
}
template <> inline IntF load_int<float>(const std::int32_t* p, MaskF m) {
    return {_mm512_maskz_loadu_epi32(m.m, p)};
}
template <> inline IntD set_int<double>(std::int32_t k) { return {_mm256_set1_epi32(k)}; }
template <> inline IntF set_int<float>(std::int32_t k) { return {_mm512_set1_epi32(k)}; }
inline void store_int(std::int32_t* p, IntD a) { _mm256_storeu_si256((__m256i*)p, a.v); }
inline void store_int(std::int32_t* p, IntF a) { _mm512_storeu_si512(p, a.v); }

// Lane numbers as addresses: through memory, one store and a load each. Left alone, GCC takes the
// lanes out of the register one by one, in twice as many instructions; the empty assembly keeps it
// from doing so.
inline void spill(std::uint32_t (&i)[8], __m256i v) {
    _mm256_store_si256((__m256i*)i, v);
    asm volatile("" : "+m"(i));
}
inline void spill(std::uint32_t (&i)[16], __m512i v) {
    _mm512_store_si512(i, v);
    asm volatile("" : "+m"(i));
}

// Eight rows of four doubles, where at(l) begins: rows l and l + 4 share a register, then two rounds
// of shuffles transpose 4 x 4 in each half.
template <class At> inline void transpose_rows(At at, VecD& x, VecD& y, VecD& z, VecD& w) {
    auto row = [&](int a, int b) {
        return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(at(a))),
                                  _mm256_loadu_pd(at(b)), 1);
    };
    const __m512d r0 = row(0, 4), r1 = row(1, 5), r2 = row(2, 6), r3 = row(3, 7);
    const __m512d a = _mm512_unpacklo_pd(r0, r1),
                  b = _mm512_unpackhi_pd(r0, r1);  // x0 x1 z0 z1 | x4 x5 z4 z5
    const __m512d c = _mm512_unpacklo_pd(r2, r3), d = _mm512_unpackhi_pd(r2, r3);
    const __m512i lo = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                  hi = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    x.v = _mm512_permutex2var_pd(a, lo, c);
    y.v = _mm512_permutex2var_pd(b, lo, d);
    z.v = _mm512_permutex2var_pd(a, hi, c);
    w.v = _mm512_permutex2var_pd(b, hi, d);
}
inline void load_rows(const double* p, IntD idx, VecD& x, VecD& y, VecD& z, VecD& w) {
    alignas(32) std::uint32_t i[8];
    spill(i, _mm256_slli_epi32(idx.v, 2));
    transpose_rows([&](int l) { return p + i[l]; }, x, y, z, w);
}
template <int kStride = 4> inline void load_rows(const double* p, const std::int32_t* i, VecD& x,
                                                 VecD& y, VecD& z, VecD& w) {
    transpose_rows([&](int l) { return p + kStride * std::int64_t(i[l]); }, x, y, z, w);
}

// Sixteen rows of four floats: four rows to a register, then a 4 x 4 transpose in every 128-bit
// lane.
template <class At> inline void transpose_rows(At at, VecF& x, VecF& y, VecF& z, VecF& w) {
    auto row = [&](int a) {
        __m512 r = _mm512_castps128_ps512(_mm_loadu_ps(at(a)));
        r = _mm512_insertf32x4(r, _mm_loadu_ps(at(a + 4)), 1);
        r = _mm512_insertf32x4(r, _mm_loadu_ps(at(a + 8)), 2);
        return _mm512_insertf32x4(r, _mm_loadu_ps(at(a + 12)), 3);
    };
    const __m512 r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const __m512 a = _mm512_unpacklo_ps(r0, r1), b = _mm512_unpackhi_ps(r0, r1);
    const __m512 c = _mm512_unpacklo_ps(r2, r3), d = _mm512_unpackhi_ps(r2, r3);
    x.v = _mm512_shuffle_ps(a, c, 0x44);
    y.v = _mm512_shuffle_ps(a, c, 0xee);
    z.v = _mm512_shuffle_ps(b, d, 0x44);
    w.v = _mm512_shuffle_ps(b, d, 0xee);
}
inline void load_rows(const float* p, IntF idx, VecF& x, VecF& y, VecF& z, VecF& w) {
    alignas(64) std::uint32_t i[16];
    spill(i, _mm512_slli_epi32(idx.v, 2));
    transpose_rows([&](int l) { return p + i[l]; }, x, y, z, w);
}
template <int kStride = 4>
inline void load_rows(const float* p, const std::int32_t* i, VecF& x, VecF& y, VecF& z, VecF& w) {
    transpose_rows([&](int l) { return p + kStride * std::int64_t(i[l]); }, x, y, z, w);
}

// Eight rows of eight doubles, as two blocks of four columns: halves of rows are put together by
// loads, which costs a third less shuffles than a transpose of whole rows.
inline void load_rows8(const double* p, IntD idx, VecD* c) {
    alignas(32) std::uint32_t i[8];
    spill(i, _mm256_slli_epi32(idx.v, 3));
    transpose_rows([&](int l) { return p + i[l]; }, c[0], c[1], c[2], c[3]);
    transpose_rows([&](int l) { return p + 4 + i[l]; }, c[4], c[5], c[6], c[7]);
}
template <class T> inline void load_rows8(const T* p, const std::int32_t* i, Vec<T>* c) {
    load_rows<8>(p, i, c[0], c[1], c[2], c[3]);
    load_rows<8>(p + 4, i, c[4], c[5], c[6], c[7]);
}
inline void load_rows8(const float* p, IntF idx, VecF* c) {
    const IntF i2 = {_mm512_slli_epi32(idx.v, 1)};
    load_rows(p, i2, c[0], c[1], c[2], c[3]);
    load_rows(p + 4, i2, c[4], c[5], c[6], c[7]);
}

inline void load_rows_int(const std::int32_t* p, IntD idx, IntD& x, IntD& y, IntD& z, IntD& w) {
    alignas(32) std::uint32_t i[8];
    spill(i, _mm256_slli_epi32(idx.v, 2));
    auto row = [&](int k) {
        return _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)(p + i[k]))),
            _mm_loadu_si128((const __m128i*)(p + i[k + 4])), 1);
    };
    const __m256i r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const __m256i a = _mm256_unpacklo_epi32(r0, r1), b = _mm256_unpackhi_epi32(r0, r1);
    const __m256i c = _mm256_unpacklo_epi32(r2, r3), d = _mm256_unpackhi_epi32(r2, r3);
    x.v = _mm256_unpacklo_epi64(a, c);
    y.v = _mm256_unpackhi_epi64(a, c);
    z.v = _mm256_unpacklo_epi64(b, d);
    w.v = _mm256_unpackhi_epi64(b, d);
}

// The transpose of load_rows backwards; then row by row, since lanes may share a row.
inline void add_rows(double* p, IntD idx, VecD x, VecD y, VecD z, VecD w, std::int64_t n) {
    alignas(32) std::uint32_t i[8];
    spill(i, _mm256_slli_epi32(idx.v, 2));
    const __m512d a = _mm512_unpacklo_pd(x.v, y.v), b = _mm512_unpackhi_pd(x.v, y.v);
    const __m512d c = _mm512_unpacklo_pd(z.v, w.v), d = _mm512_unpackhi_pd(z.v, w.v);
    const __m512i lo = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                  hi = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    const __m512d r[4] = {_mm512_permutex2var_pd(a, lo, c), _mm512_permutex2var_pd(b, lo, d),
                          _mm512_permutex2var_pd(a, hi, c), _mm512_permutex2var_pd(b, hi, d)};
    auto add = [&](int l, __m256d row) {
        _mm256_storeu_pd(p + i[l], _mm256_add_pd(_mm256_loadu_pd(p + i[l]), row));
    };
    if (n >= 8) {
        for (int l = 0; l < 4; ++l) add(l, _mm512_castpd512_pd256(r[l]));
        for (int l = 0; l < 4; ++l) add(4 + l, _mm512_extractf64x4_pd(r[l], 1));
    } else {
        for (int l = 0; l < 4 && l < n; ++l) add(l, _mm512_castpd512_pd256(r[l]));
        for (int l = 0; l + 4 < n; ++l) add(4 + l, _mm512_extractf64x4_pd(r[l], 1));
    }
}

inline VecD gather(const double* p, IntD i) { return _mm512_i32gather_pd(i.v, p, 8); }
inline VecF gather(const float* p, IntF i) { return _mm512_i32gather_ps(i.v, p, 4); }

template <class T> inline Vec<T> load_as(const double* p);
template <> inline VecD load_as<double>(const double* p) { return _mm512_loadu_pd(p); }
template <> inline VecF load_as<float>(const double* p) {
    const __m256 lo = _mm512_cvtpd_ps(_mm512_loadu_pd(p)),
                 hi = _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8));
    return _mm512_insertf32x8(_mm512_castps256_ps512(lo), hi, 1);
}

// A 4 x 4 transpose in each 256-bit half: rows l and l + 4 share a register.
inline void subtract_rows(double* p, const std::int32_t* i, VecD x, VecD y, VecD z) {
    const __m512d zero = _mm512_setzero_pd();
    const __m512d a = _mm512_unpacklo_pd(x.v, y.v), b = _mm512_unpackhi_pd(x.v, y.v);
    const __m512d c = _mm512_unpacklo_pd(z.v, zero), d = _mm512_unpackhi_pd(z.v, zero);
    const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                  odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    const __m512d r[4] = {_mm512_permutex2var_pd(a, even, c), _mm512_permutex2var_pd(b, even, d),
                          _mm512_permutex2var_pd(a, odd, c), _mm512_permutex2var_pd(b, odd, d)};
    auto subtract = [&](int l, __m256d v) {
        double* row = p + 4 * std::int64_t(i[l]);
        _mm256_storeu_pd(row, _mm256_sub_pd(_mm256_loadu_pd(row), v));
    };
    for (int l = 0; l < 4; ++l) subtract(l, _mm512_castpd512_pd256(r[l]));
    for (int l = 0; l < 4; ++l) subtract(l + 4, _mm512_extractf64x4_pd(r[l], 1));
}
inline void subtract_rows(double* p, const std::int32_t* i, VecF x, VecF y, VecF z) {
    auto low = [](VecF a) { return VecD(_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))); };
    auto high = [](VecF a) { return VecD(_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))); };
    subtract_rows(p, i, low(x), low(y), low(z));
    subtract_rows(p, i + 8, high(x), high(y), high(z));
}

// Compress in a register and store whole: the memory form of vpcompress is microcoded on AMD.
inline int compress_store(std::int32_t* p, IntD a, MaskD m) {
    _mm256_storeu_si256((__m256i*)p, _mm256_maskz_compress_epi32(m.m, a.v));
    return count(m);
}
inline int compress_store(std::int32_t* p, IntF a, MaskF m) {
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.m, a.v));
    return count(m);
}
inline int compress_store(double* p, VecD a, MaskD m) {
    _mm512_storeu_pd(p, _mm512_maskz_compress_pd(m.m, a.v));
    return count(m);
}
inline int compress_store(float* p, VecF a, MaskF m) {
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps(m.m, a.v));
    return count(m);
}

inline VecD expand_load(const double* p, MaskD m) {
    return _mm512_maskz_expand_pd(m.m, _mm512_loadu_pd(p));
}

// x0..x7, y0..y7, z0..z7 -> x0 y0 z0 x1 y1 z1 ...: for each output register, first merge x and y,
// then put z in.
inline void store_interleaved3(double* p, VecD x, VecD y, VecD z, int n) {
    const __m512d a = _mm512_permutex2var_pd(x.v, _mm512_setr_epi64(0, 8, 0, 1, 9, 0, 2, 10), y.v);
    const __m512d b = _mm512_permutex2var_pd(x.v, _mm512_setr_epi64(0, 3, 11, 0, 4, 12, 0, 5), y.v);
    const __m512d c =
        _mm512_permutex2var_pd(x.v, _mm512_setr_epi64(13, 0, 6, 14, 0, 7, 15, 0), y.v);
    const __m512d o0 = _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 1, 8, 3, 4, 9, 6, 7), z.v);
    const __m512d o1 = _mm512_permutex2var_pd(b, _mm512_setr_epi64(10, 1, 2, 11, 4, 5, 12, 7), z.v);
    const __m512d o2 = _mm512_permutex2var_pd(c, _mm512_setr_epi64(0, 13, 2, 3, 14, 5, 6, 15), z.v);
    if (n >= 8) {
        _mm512_storeu_pd(p, o0);
        _mm512_storeu_pd(p + 8, o1);
        _mm512_storeu_pd(p + 16, o2);
    } else {
        _mm512_mask_storeu_pd(p, first_n<double>(3 * n).m, o0);
        _mm512_mask_storeu_pd(p + 8, first_n<double>(3 * n - 8).m, o1);
        _mm512_mask_storeu_pd(p + 16, first_n<double>(3 * n - 16).m, o2);
    }
}
inline void store_int64(std::int64_t* p, IntD a, int n) {
    _mm512_mask_storeu_epi64(p, first_n<double>(n).m, _mm512_cvtepi32_epi64(a.v));
}
inline void store_interleaved3_int64(std::int64_t* p, IntD x, IntD y, IntD z, int n) {
    auto wide = [](IntD a) { return VecD(_mm512_castsi512_pd(_mm512_cvtepi32_epi64(a.v))); };
    store_interleaved3((double*)p, wide(x), wide(y), wide(z), n);
}
inline void stream_line(void* to, const void* from) {
    _mm512_stream_si512((__m512i*)to, _mm512_loadu_si512(from));
}
inline void stream_fence() { _mm_sfence(); }

inline void in_register(VecD& a) { asm("" : "+v"(a.v)); }
inline void in_register(VecF& a) { asm("" : "+v"(a.v)); }

// --- arithmetic
inline VecD operator+(VecD a, VecD b) { return _mm512_add_pd(a.v, b.v); }
inline VecF operator+(VecF a, VecF b) { return _mm512_add_ps(a.v, b.v); }
inline VecD operator-(VecD a, VecD b) { return _mm512_sub_pd(a.v, b.v); }
inline VecF operator-(VecF a, VecF b) { return _mm512_sub_ps(a.v, b.v); }
inline VecD operator*(VecD a, VecD b) { return _mm512_mul_pd(a.v, b.v); }
inline VecF operator*(VecF a, VecF b) { return _mm512_mul_ps(a.v, b.v); }
inline VecD operator/(VecD a, VecD b) { return _mm512_div_pd(a.v, b.v); }
inline VecF operator/(VecF a, VecF b) { return _mm512_div_ps(a.v, b.v); }
inline VecD operator-(VecD a) { return _mm512_xor_pd(a.v, _mm512_set1_pd(-0.0)); }
inline VecF operator-(VecF a) { return _mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f)); }
inline VecD fma(VecD a, VecD b, VecD c) { return _mm512_fmadd_pd(a.v, b.v, c.v); }
inline VecF fma(VecF a, VecF b, VecF c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
inline VecD fnma(VecD a, VecD b, VecD c) { return _mm512_fnmadd_pd(a.v, b.v, c.v); }
inline VecF fnma(VecF a, VecF b, VecF c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
inline VecD min(VecD a, VecD b) { return _mm512_min_pd(a.v, b.v); }
inline VecF min(VecF a, VecF b) { return _mm512_min_ps(a.v, b.v); }
inline VecD max(VecD a, VecD b) { return _mm512_max_pd(a.v, b.v); }
inline VecF max(VecF a, VecF b) { return _mm512_max_ps(a.v, b.v); }
inline VecD sqrt(VecD a) { return _mm512_sqrt_pd(a.v); }
inline VecF sqrt(VecF a) { return _mm512_sqrt_ps(a.v); }
inline VecD abs(VecD a) { return _mm512_abs_pd(a.v); }
inline VecF abs(VecF a) { return _mm512_abs_ps(a.v); }
inline VecD copysign(VecD a, VecD s) {
    const __m512i sign = _mm512_castpd_si512(_mm512_set1_pd(-0.0)), x = _mm512_castpd_si512(a.v);
    return _mm512_castsi512_pd(
        _mm512_ternarylogic_epi64(sign, _mm512_castpd_si512(s.v), x, 0xca));  // sign ? s : a
}
inline VecF copysign(VecF a, VecF s) {
    const __m512i sign = _mm512_castps_si512(_mm512_set1_ps(-0.0f)), x = _mm512_castps_si512(a.v);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(sign, _mm512_castps_si512(s.v), x, 0xca));
}
inline VecD round(VecD a) {
    return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline VecF round(VecF a) {
    return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline VecD floor(VecD a) {
    return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
inline VecF floor(VecF a) {
    return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
inline double sum(VecD a) { return _mm512_reduce_add_pd(a.v); }
inline float sum(VecF a) { return _mm512_reduce_add_ps(a.v); }
inline VecD rsqrt_estimate(VecD a) { return _mm512_rsqrt14_pd(a.v); }
inline VecF rsqrt_estimate(VecF a) { return _mm512_rsqrt14_ps(a.v); }

inline void store_sums4(double* p, VecD a, VecD b, VecD c, VecD d) {
    const __m512d ab = _mm512_add_pd(_mm512_unpacklo_pd(a.v, b.v), _mm512_unpackhi_pd(a.v, b.v));
    const __m512d cd = _mm512_add_pd(_mm512_unpacklo_pd(c.v, d.v), _mm512_unpackhi_pd(c.v, d.v));
    const __m512d lo = _mm512_shuffle_f64x2(ab, cd, 0x44), hi = _mm512_shuffle_f64x2(ab, cd, 0xee);
    const __m512d s = _mm512_add_pd(lo, hi);  // ab ab cd cd in 128-bit lanes
    const __m512d t = _mm512_add_pd(s, _mm512_shuffle_f64x2(s, s, 0xb1));
    _mm_storeu_pd(p, _mm512_castpd512_pd128(t));
    _mm_storeu_pd(p + 2, _mm512_extractf64x2_pd(t, 2));
}
// A 4 x 4 transpose in every 128-bit lane, then the lanes are added up.
inline void store_sums4(float* p, VecF a, VecF b, VecF c, VecF d) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a.v, b.v), _mm512_unpackhi_ps(a.v, b.v));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c.v, d.v), _mm512_unpackhi_ps(c.v, d.v));
    const __m512 s =
        _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    const __m256 t = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

// --- comparison and selection
inline MaskD operator<(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline MaskF operator<(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline MaskD operator<=(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline MaskF operator<=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline MaskD operator>(VecD a, VecD b) { return b < a; }
inline MaskF operator>(VecF a, VecF b) { return b < a; }
inline MaskD operator>=(VecD a, VecD b) { return b <= a; }
inline MaskF operator>=(VecF a, VecF b) { return b <= a; }
inline MaskD operator==(VecD a, VecD b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline MaskF operator==(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline VecD select(MaskD m, VecD a, VecD b) { return _mm512_mask_blend_pd(m.m, b.v, a.v); }
inline VecF select(MaskF m, VecF a, VecF b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
inline VecD keep(MaskD m, VecD a) { return _mm512_maskz_mov_pd(m.m, a.v); }
inline VecF keep(MaskF m, VecF a) { return _mm512_maskz_mov_ps(m.m, a.v); }

// --- integers and exponents
inline IntD to_int(VecD a) { return {_mm512_cvttpd_epi32(a.v)}; }
inline IntF to_int(VecF a) { return {_mm512_cvttps_epi32(a.v)}; }
template <class T> inline Vec<T> to_vec(Int<T> a);
template <> inline VecD to_vec<double>(IntD a) { return _mm512_cvtepi32_pd(a.v); }
template <> inline VecF to_vec<float>(IntF a) { return _mm512_cvtepi32_ps(a.v); }
inline IntD operator+(IntD a, IntD b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline IntF operator+(IntF a, IntF b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline IntD operator-(IntD a, IntD b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline IntF operator-(IntF a, IntF b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline IntD operator*(IntD a, IntD b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
inline IntF operator*(IntF a, IntF b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline IntD min(IntD a, IntD b) { return {_mm256_min_epi32(a.v, b.v)}; }
inline IntF min(IntF a, IntF b) { return {_mm512_min_epi32(a.v, b.v)}; }
inline IntD max(IntD a, IntD b) { return {_mm256_max_epi32(a.v, b.v)}; }
inline IntF max(IntF a, IntF b) { return {_mm512_max_epi32(a.v, b.v)}; }
inline VecD scale2(VecD a, VecD n) { return _mm512_scalef_pd(a.v, n.v); }
inline VecF scale2(VecF a, VecF n) { return _mm512_scalef_ps(a.v, n.v); }
inline VecD scale2_unit(VecD a, VecD n) { return scale2(a, n); }
inline VecF scale2_unit(VecF a, VecF n) { return scale2(a, n); }
inline VecD pow2(VecD n) { return scale2(VecD(1.0), n); }
inline VecF pow2(VecF n) { return scale2(VecF(1.0f), n); }
// An integral-valued n appears in the low bits of n + 1.5 2^52 (float: n + 1.5 2^23).
template <int K> inline MaskD has_bit(VecD n) {
    const __m512d t = _mm512_add_pd(n.v, _mm512_set1_pd(6755399441055744.0));
    return {
        _mm512_test_epi64_mask(_mm512_castpd_si512(t), _mm512_set1_epi64(std::int64_t(1) << K))};
}
template <int K> inline MaskF has_bit(VecF n) {
    const __m512 t = _mm512_add_ps(n.v, _mm512_set1_ps(12582912.0f));
    return {_mm512_test_epi32_mask(_mm512_castps_si512(t), _mm512_set1_epi32(1 << K))};
}
inline VecD exponent(VecD a) { return _mm512_getexp_pd(a.v); }
inline VecF exponent(VecF a) { return _mm512_getexp_ps(a.v); }
inline VecD mantissa(VecD a) {
    return _mm512_getmant_pd(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}
inline VecF mantissa(VecF a) {
    return _mm512_getmant_ps(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

}  // namespace simd
}  // namespace MDKERN_ISA
}  // namespace mdkern
