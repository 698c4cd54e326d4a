// NEON backend (AArch64): 4 doubles or 8 floats in two registers, so that the four multiply-add pipes of an
// Apple M or a Neoverse V core are kept busy by loops that were tuned for vectors of 256 bits. Operations as
// documented in simd.hpp; sums are in the order of the AVX2 backend.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace mdkern {
namespace MDKERN_ISA {
namespace simd {

template <class T> struct Vec;
template <class T> struct Mask;
template <class T> struct Int;

template <> struct Vec<double> {
    static constexpr int width = 4;
    float64x2_t v[2];
    Vec() = default;
    Vec(float64x2_t low, float64x2_t high) : v{low, high} {}
    Vec(double x) : v{vdupq_n_f64(x), vdupq_n_f64(x)} {}
};
template <> struct Vec<float> {
    static constexpr int width = 8;
    float32x4_t v[2];
    Vec() = default;
    Vec(float32x4_t low, float32x4_t high) : v{low, high} {}
    Vec(float x) : v{vdupq_n_f32(x), vdupq_n_f32(x)} {}
};
template <> struct Mask<double> {
    uint64x2_t m[2];
};
template <> struct Mask<float> {
    uint32x4_t m[2];
};
template <> struct Int<double> {
    int32x4_t v;
};
template <> struct Int<float> {
    int32x4_t v[2];
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
    static const std::int64_t lane[4] = {0, 1, 2, 3};
    const int64x2_t all = vdupq_n_s64(n);
    return {{vcgtq_s64(all, vld1q_s64(lane)), vcgtq_s64(all, vld1q_s64(lane + 2))}};
}
template <> inline MaskF first_n<float>(std::int64_t n) {
    static const std::int32_t lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int32x4_t all = vdupq_n_s32(n > 8 ? 8 : n < 0 ? 0 : std::int32_t(n));
    return {{vcgtq_s32(all, vld1q_s32(lane)), vcgtq_s32(all, vld1q_s32(lane + 4))}};
}
template <class T> inline Mask<T> from_bits(unsigned b);
template <> inline MaskD from_bits<double>(unsigned b) {
    static const std::uint64_t lane[4] = {1, 2, 4, 8};
    const uint64x2_t all = vdupq_n_u64(b);
    return {{vtstq_u64(all, vld1q_u64(lane)), vtstq_u64(all, vld1q_u64(lane + 2))}};
}
template <> inline MaskF from_bits<float>(unsigned b) {
    static const std::uint32_t lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint32x4_t all = vdupq_n_u32(b);
    return {{vtstq_u32(all, vld1q_u32(lane)), vtstq_u32(all, vld1q_u32(lane + 4))}};
}
inline MaskD operator&(MaskD a, MaskD b) {
    return {{vandq_u64(a.m[0], b.m[0]), vandq_u64(a.m[1], b.m[1])}};
}
inline MaskF operator&(MaskF a, MaskF b) {
    return {{vandq_u32(a.m[0], b.m[0]), vandq_u32(a.m[1], b.m[1])}};
}
inline MaskD operator|(MaskD a, MaskD b) {
    return {{vorrq_u64(a.m[0], b.m[0]), vorrq_u64(a.m[1], b.m[1])}};
}
inline MaskF operator|(MaskF a, MaskF b) {
    return {{vorrq_u32(a.m[0], b.m[0]), vorrq_u32(a.m[1], b.m[1])}};
}
inline MaskD not_(MaskD a) {
    const uint64x2_t ones = vdupq_n_u64(~std::uint64_t(0));
    return {{veorq_u64(a.m[0], ones), veorq_u64(a.m[1], ones)}};
}
inline MaskF not_(MaskF a) { return {{vmvnq_u32(a.m[0]), vmvnq_u32(a.m[1])}}; }

// A mask as narrower lanes of ones or zeros, in one register.
inline uint32x4_t narrow(MaskD a) {
    return vuzp1q_u32(vreinterpretq_u32_u64(a.m[0]), vreinterpretq_u32_u64(a.m[1]));
}
inline uint16x8_t narrow(MaskF a) {
    return vuzp1q_u16(vreinterpretq_u16_u32(a.m[0]), vreinterpretq_u16_u32(a.m[1]));
}
inline unsigned bits(MaskD a) {
    static const std::uint32_t lane[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(narrow(a), vld1q_u32(lane)));
}
inline unsigned bits(MaskF a) {
    static const std::uint16_t lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddvq_u16(vandq_u16(narrow(a), vld1q_u16(lane)));
}
inline bool any_ones(uint32x4_t a) { return vmaxvq_u32(a) != 0; }
inline bool any_ones(uint16x8_t a) { return vmaxvq_u16(a) != 0; }
inline bool all_ones(uint32x4_t a) { return vminvq_u32(a) != 0; }
inline bool all_ones(uint16x8_t a) { return vminvq_u16(a) != 0; }
inline int count_ones(uint32x4_t a) { return -vaddvq_s32(vreinterpretq_s32_u32(a)); }
inline int count_ones(uint16x8_t a) { return -vaddvq_s16(vreinterpretq_s16_u16(a)); }
template <class T> inline bool any(Mask<T> a) { return any_ones(narrow(a)); }
template <class T> inline bool all(Mask<T> a) { return all_ones(narrow(a)); }
template <class T> inline int count(Mask<T> a) { return count_ones(narrow(a)); }

// --- memory
inline VecD load(const double* p) { return {vld1q_f64(p), vld1q_f64(p + 2)}; }
inline VecF load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
inline void store(double* p, VecD a) {
    vst1q_f64(p, a.v[0]);
    vst1q_f64(p + 2, a.v[1]);
}
inline void store(float* p, VecF a) {
    vst1q_f32(p, a.v[0]);
    vst1q_f32(p + 4, a.v[1]);
}
// There are no masked loads and stores: lanes one by one, those that are not live from a zero or to where nobody
// looks. Addresses are selected, not branched to, and vectors are made in registers: a load of what was just
// written in pieces would wait for all of them.
template <class P> inline P hidden(P p) {  // else the compiler knows what is there, and branches
    asm("" : "+r"(p));
    return p;
}
template <class T> static constexpr T kNothing = T(0);
template <class T> struct LanesFrom {
    const T *p, *zero = hidden(&kNothing<T>);
    unsigned live;
    LanesFrom(const T* from, unsigned b) : p(from), live(b) {}
    T operator[](int l) const { return *(live >> l & 1u ? p + l : zero); }
};
inline VecD load(const double* p, MaskD m) {
    const LanesFrom<double> q(p, bits(m));
    return {float64x2_t{q[0], q[1]}, float64x2_t{q[2], q[3]}};
}
inline VecF load(const float* p, MaskF m) {
    const LanesFrom<float> q(p, bits(m));
    return {float32x4_t{q[0], q[1], q[2], q[3]}, float32x4_t{q[4], q[5], q[6], q[7]}};
}
inline void store(double* p, VecD a, MaskD m) {
    double nobody, *other = hidden(&nobody);
    const unsigned live = bits(m);
    const auto to = [&](int l) { return live >> l & 1u ? p + l : other; };
    vst1q_lane_f64(to(0), a.v[0], 0);
    vst1q_lane_f64(to(1), a.v[0], 1);
    vst1q_lane_f64(to(2), a.v[1], 0);
    vst1q_lane_f64(to(3), a.v[1], 1);
}
inline void store(float* p, VecF a, MaskF m) {
    float nobody, *other = hidden(&nobody);
    const unsigned live = bits(m);
    const auto four = [&](int first, float32x4_t x) {
        const auto to = [&](int l) { return live >> (first + l) & 1u ? p + first + l : other; };
        vst1q_lane_f32(to(0), x, 0);
        vst1q_lane_f32(to(1), x, 1);
        vst1q_lane_f32(to(2), x, 2);
        vst1q_lane_f32(to(3), x, 3);
    };
    four(0, a.v[0]);
    four(4, a.v[1]);
}

template <class T> inline Int<T> load_int(const std::int32_t* p);
template <class T> inline Int<T> load_int(const std::int32_t* p, Mask<T> m);
template <class T> inline Int<T> set_int(std::int32_t k);
template <> inline IntD load_int<double>(const std::int32_t* p) { return {vld1q_s32(p)}; }
template <> inline IntF load_int<float>(const std::int32_t* p) {
    return {{vld1q_s32(p), vld1q_s32(p + 4)}};
}
template <> inline IntD load_int<double>(const std::int32_t* p, MaskD m) {
    const LanesFrom<std::int32_t> q(p, bits(m));
    return {int32x4_t{q[0], q[1], q[2], q[3]}};
}
template <> inline IntF load_int<float>(const std::int32_t* p, MaskF m) {
    const LanesFrom<std::int32_t> q(p, bits(m));
    return {{int32x4_t{q[0], q[1], q[2], q[3]}, int32x4_t{q[4], q[5], q[6], q[7]}}};
}
template <> inline IntD set_int<double>(std::int32_t k) { return {vdupq_n_s32(k)}; }
template <> inline IntF set_int<float>(std::int32_t k) {
    return {{vdupq_n_s32(k), vdupq_n_s32(k)}};
}
inline void store_int(std::int32_t* p, IntD a) { vst1q_s32(p, a.v); }
inline void store_int(std::int32_t* p, IntF a) {
    vst1q_s32(p, a.v[0]);
    vst1q_s32(p + 4, a.v[1]);
}

// Columns of four rows.
inline void transpose4(VecD r0, VecD r1, VecD r2, VecD r3, VecD& x, VecD& y, VecD& z, VecD& w) {
    x = {vtrn1q_f64(r0.v[0], r1.v[0]), vtrn1q_f64(r2.v[0], r3.v[0])};
    y = {vtrn2q_f64(r0.v[0], r1.v[0]), vtrn2q_f64(r2.v[0], r3.v[0])};
    z = {vtrn1q_f64(r0.v[1], r1.v[1]), vtrn1q_f64(r2.v[1], r3.v[1])};
    w = {vtrn2q_f64(r0.v[1], r1.v[1]), vtrn2q_f64(r2.v[1], r3.v[1])};
}
inline void transpose4(int32x4_t r0, int32x4_t r1, int32x4_t r2, int32x4_t r3, int32x4_t* c) {
    const int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1)),
                    b = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1)),
                    d = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3)),
                    e = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
    c[0] = vreinterpretq_s32_s64(vtrn1q_s64(a, d));
    c[1] = vreinterpretq_s32_s64(vtrn1q_s64(b, e));
    c[2] = vreinterpretq_s32_s64(vtrn2q_s64(a, d));
    c[3] = vreinterpretq_s32_s64(vtrn2q_s64(b, e));
}

template <int kStride = 4> inline void load_rows(const double* p, const std::int32_t* i, VecD& x,
                                                 VecD& y, VecD& z, VecD& w) {
    const auto row = [&](int l) { return load(p + kStride * std::int64_t(i[l])); };
    transpose4(row(0), row(1), row(2), row(3), x, y, z, w);
}
inline void load_rows_strided(const double* p, IntD i, int stride, VecD& x, VecD& y, VecD& z,
                              VecD& w) {
    const auto row = [&](std::int32_t k) { return load(p + stride * std::int64_t(k)); };
    transpose4(row(vgetq_lane_s32(i.v, 0)), row(vgetq_lane_s32(i.v, 1)),
               row(vgetq_lane_s32(i.v, 2)), row(vgetq_lane_s32(i.v, 3)), x, y, z, w);
}
inline void load_rows(const double* p, IntD i, VecD& x, VecD& y, VecD& z, VecD& w) {
    load_rows_strided(p, i, 4, x, y, z, w);
}
inline void load_rows8(const double* p, IntD i, VecD* c) {
    load_rows_strided(p, i, 8, c[0], c[1], c[2], c[3]);
    load_rows_strided(p + 4, i, 8, c[4], c[5], c[6], c[7]);
}
template <int kStride = 4>
inline void load_rows(const float* p, const std::int32_t* i, VecF& x, VecF& y, VecF& z, VecF& w) {
    const auto row = [&](int l) {
        return vreinterpretq_s32_f32(vld1q_f32(p + kStride * std::int64_t(i[l])));
    };
    int32x4_t low[4], high[4];
    transpose4(row(0), row(1), row(2), row(3), low);
    transpose4(row(4), row(5), row(6), row(7), high);
    VecF* const columns[4] = {&x, &y, &z, &w};
    for (int k = 0; k < 4; ++k)
        *columns[k] = {vreinterpretq_f32_s32(low[k]), vreinterpretq_f32_s32(high[k])};
}
inline void load_rows(const float* p, IntF idx, VecF& x, VecF& y, VecF& z, VecF& w) {
    std::int32_t i[8];
    store_int(i, idx);
    load_rows<4>(p, i, x, y, z, w);
}
template <class T> inline void load_rows8(const T* p, const std::int32_t* i, Vec<T>* c) {
    load_rows<8>(p, i, c[0], c[1], c[2], c[3]);
    load_rows<8>(p + 4, i, c[4], c[5], c[6], c[7]);
}
inline void load_rows8(const float* p, IntF idx, VecF* c) {
    std::int32_t i[8];
    store_int(i, idx);
    load_rows8(p, i, c);
}
inline void load_rows_int(const std::int32_t* p, IntD i, IntD& x, IntD& y, IntD& z, IntD& w) {
    const auto row = [&](std::int32_t k) { return vld1q_s32(p + 4 * std::int64_t(k)); };
    int32x4_t c[4];
    transpose4(row(vgetq_lane_s32(i.v, 0)), row(vgetq_lane_s32(i.v, 1)),
               row(vgetq_lane_s32(i.v, 2)), row(vgetq_lane_s32(i.v, 3)), c);
    x.v = c[0];
    y.v = c[1];
    z.v = c[2];
    w.v = c[3];
}

inline void add_rows(double* p, IntD idx, VecD x, VecD y, VecD z, VecD w, std::int64_t n) {
    VecD r[4];
    transpose4(x, y, z, w, r[0], r[1], r[2], r[3]);
    const auto add = [&](std::int64_t i, VecD a) {
        double* q = p + 4 * i;
        vst1q_f64(q, vaddq_f64(vld1q_f64(q), a.v[0]));
        vst1q_f64(q + 2, vaddq_f64(vld1q_f64(q + 2), a.v[1]));
    };
    add(vgetq_lane_s32(idx.v, 0), r[0]);
    if (n > 1) add(vgetq_lane_s32(idx.v, 1), r[1]);
    if (n > 2) add(vgetq_lane_s32(idx.v, 2), r[2]);
    if (n > 3) add(vgetq_lane_s32(idx.v, 3), r[3]);
}

inline VecD gather(const double* p, IntD i) {
    const double lanes[4] = {p[vgetq_lane_s32(i.v, 0)], p[vgetq_lane_s32(i.v, 1)],
                             p[vgetq_lane_s32(i.v, 2)], p[vgetq_lane_s32(i.v, 3)]};
    return load(lanes);
}
inline VecF gather(const float* p, IntF idx) {
    std::int32_t i[8];
    store_int(i, idx);
    float lanes[8];
    for (int l = 0; l < 8; ++l) lanes[l] = p[i[l]];
    return load(lanes);
}

template <class T> inline Vec<T> load_as(const double* p);
template <> inline VecD load_as<double>(const double* p) { return load(p); }
template <> inline VecF load_as<float>(const double* p) {
    const auto four = [](const double* q) {
        return vcvt_high_f32_f64(vcvt_f32_f64(vld1q_f64(q)), vld1q_f64(q + 2));
    };
    return {four(p), four(p + 4)};
}

inline void subtract_rows(double* p, const std::int32_t* i, VecD x, VecD y, VecD z) {
    VecD r[4];
    transpose4(x, y, z, VecD(0.0), r[0], r[1], r[2], r[3]);
    for (int l = 0; l < 4; ++l) {
        double* row = p + 4 * std::int64_t(i[l]);
        vst1q_f64(row, vsubq_f64(vld1q_f64(row), r[l].v[0]));
        vst1q_f64(row + 2, vsubq_f64(vld1q_f64(row + 2), r[l].v[1]));
    }
}
inline void subtract_rows(double* p, const std::int32_t* i, VecF x, VecF y, VecF z) {
    const auto half = [](VecF a, int k) {
        return VecD(vcvt_f64_f32(vget_low_f32(a.v[k])), vcvt_high_f64_f32(a.v[k]));
    };
    for (int k = 0; k < 2; ++k) subtract_rows(p, i + 4 * k, half(x, k), half(y, k), half(z, k));
}

// Row b has the bytes of the int32 lanes that are live in b, side by side; where each of four doubles comes from
// when they are dealt to these lanes, 255 where none does; and how many there are. Two doubles stay as they are
// (row 1) or change places (row 0).
struct LaneTables {
    std::uint8_t pack[16][16], deal[16][32], n[16], order[2][16];
};
constexpr LaneTables lane_tables() {
    LaneTables t{};
    for (int b = 0; b < 16; ++b) {
        int n = 0;
        for (int l = 0; l < 4; ++l) {
            const bool live = (b >> l & 1) != 0;
            for (int k = 0; k < 8; ++k)
                t.deal[b][8 * l + k] = live ? std::uint8_t(8 * n + k) : std::uint8_t(255);
            if (!live) continue;
            for (int k = 0; k < 4; ++k) t.pack[b][4 * n + k] = std::uint8_t(4 * l + k);
            ++n;
        }
        t.n[b] = std::uint8_t(n);
    }
    for (int k = 0; k < 16; ++k) {
        t.order[1][k] = std::uint8_t(k);
        t.order[0][k] = std::uint8_t(k ^ 8);
    }
    return t;
}
static constexpr LaneTables kLaneTables = lane_tables();

inline int32x4_t packed(int32x4_t a, unsigned live) {
    return vreinterpretq_s32_u8(
        vqtbl1q_u8(vreinterpretq_u8_s32(a), vld1q_u8(kLaneTables.pack[live])));
}
inline int compress_store(std::int32_t* p, IntD a, MaskD m) {
    const unsigned live = bits(m);
    vst1q_s32(p, packed(a.v, live));
    return kLaneTables.n[live];
}
inline int compress_store(std::int32_t* p, IntF a, MaskF m) {
    const unsigned live = bits(m), low = live & 15u, high = live >> 4;
    const int n = kLaneTables.n[low];
    vst1q_s32(p, packed(a.v[0], low));
    vst1q_s32(p + n, packed(a.v[1], high));
    return n + kLaneTables.n[high];
}
inline int compress_store(float* p, VecF a, MaskF m) {
    return compress_store(reinterpret_cast<std::int32_t*>(p),
                          IntF{{vreinterpretq_s32_f32(a.v[0]), vreinterpretq_s32_f32(a.v[1])}}, m);
}
inline int compress_store(double* p, VecD a, MaskD m) {
    const unsigned live = bits(m);
    const auto put = [&](double* to, float64x2_t x, unsigned first) {
        vst1q_f64(to, vreinterpretq_f64_u8(
                          vqtbl1q_u8(vreinterpretq_u8_f64(x), vld1q_u8(kLaneTables.order[first]))));
    };
    put(p, a.v[0], live & 1u);
    put(p + kLaneTables.n[live & 3u], a.v[1], live >> 2 & 1u);
    return kLaneTables.n[live];
}
inline VecD expand_load(const double* p, MaskD m) {
    const std::uint8_t* from = kLaneTables.deal[bits(m)];
    const uint8x16x2_t all = {
        {vreinterpretq_u8_f64(vld1q_f64(p)), vreinterpretq_u8_f64(vld1q_f64(p + 2))}};
    return {vreinterpretq_f64_u8(vqtbl2q_u8(all, vld1q_u8(from))),
            vreinterpretq_f64_u8(vqtbl2q_u8(all, vld1q_u8(from + 16)))};
}

inline void store_interleaved3(double* p, VecD x, VecD y, VecD z, int n) {
    double rest[12];
    double* to = n >= 4 ? p : rest;
    for (int k = 0; k < 2; ++k) {
        const float64x2x3_t xyz = {{x.v[k], y.v[k], z.v[k]}};  // to Clang vst3q_f64 is a macro
        vst3q_f64(to + 6 * k, xyz);
    }
    for (int k = 0; n < 4 && k < 3 * n; ++k) p[k] = rest[k];
}
// int32 lanes as int64 lanes in the bits of doubles.
inline VecD widened(IntD a) {
    return {vreinterpretq_f64_s64(vmovl_s32(vget_low_s32(a.v))),
            vreinterpretq_f64_s64(vmovl_high_s32(a.v))};
}
inline void store_int64(std::int64_t* p, IntD a, int n) {
    std::int64_t rest[4];
    std::int64_t* to = n >= 4 ? p : rest;
    vst1q_s64(to, vmovl_s32(vget_low_s32(a.v)));
    vst1q_s64(to + 2, vmovl_high_s32(a.v));
    for (int k = 0; n < 4 && k < n; ++k) p[k] = rest[k];
}
inline void store_interleaved3_int64(std::int64_t* p, IntD x, IntD y, IntD z, int n) {
    store_interleaved3(reinterpret_cast<double*>(p), widened(x), widened(y), widened(z), n);
}
inline void stream_line(void* to, const void* from) {
    const auto* q = static_cast<const std::uint8_t*>(from);
    const uint8x16_t a = vld1q_u8(q), b = vld1q_u8(q + 16), c = vld1q_u8(q + 32),
                     d = vld1q_u8(q + 48);
    asm volatile("stnp %q1, %q2, [%0]\n\tstnp %q3, %q4, [%0, #32]"
                 :
                 : "r"(to), "w"(a), "w"(b), "w"(c), "w"(d)
                 : "memory");
}
inline void stream_fence() { asm volatile("dmb ishst" ::: "memory"); }

inline void in_register(VecD& a) { asm("" : "+w"(a.v[0]), "+w"(a.v[1])); }
inline void in_register(VecF& a) { asm("" : "+w"(a.v[0]), "+w"(a.v[1])); }

// --- arithmetic
inline VecD operator+(VecD a, VecD b) {
    return {vaddq_f64(a.v[0], b.v[0]), vaddq_f64(a.v[1], b.v[1])};
}
inline VecF operator+(VecF a, VecF b) {
    return {vaddq_f32(a.v[0], b.v[0]), vaddq_f32(a.v[1], b.v[1])};
}
inline VecD operator-(VecD a, VecD b) {
    return {vsubq_f64(a.v[0], b.v[0]), vsubq_f64(a.v[1], b.v[1])};
}
inline VecF operator-(VecF a, VecF b) {
    return {vsubq_f32(a.v[0], b.v[0]), vsubq_f32(a.v[1], b.v[1])};
}
inline VecD operator*(VecD a, VecD b) {
    return {vmulq_f64(a.v[0], b.v[0]), vmulq_f64(a.v[1], b.v[1])};
}
inline VecF operator*(VecF a, VecF b) {
    return {vmulq_f32(a.v[0], b.v[0]), vmulq_f32(a.v[1], b.v[1])};
}
inline VecD operator/(VecD a, VecD b) {
    return {vdivq_f64(a.v[0], b.v[0]), vdivq_f64(a.v[1], b.v[1])};
}
inline VecF operator/(VecF a, VecF b) {
    return {vdivq_f32(a.v[0], b.v[0]), vdivq_f32(a.v[1], b.v[1])};
}
inline VecD operator-(VecD a) { return {vnegq_f64(a.v[0]), vnegq_f64(a.v[1])}; }
inline VecF operator-(VecF a) { return {vnegq_f32(a.v[0]), vnegq_f32(a.v[1])}; }
inline VecD fma(VecD a, VecD b, VecD c) {
    return {vfmaq_f64(c.v[0], a.v[0], b.v[0]), vfmaq_f64(c.v[1], a.v[1], b.v[1])};
}
inline VecF fma(VecF a, VecF b, VecF c) {
    return {vfmaq_f32(c.v[0], a.v[0], b.v[0]), vfmaq_f32(c.v[1], a.v[1], b.v[1])};
}
inline VecD fnma(VecD a, VecD b, VecD c) {
    return {vfmsq_f64(c.v[0], a.v[0], b.v[0]), vfmsq_f64(c.v[1], a.v[1], b.v[1])};
}
inline VecF fnma(VecF a, VecF b, VecF c) {
    return {vfmsq_f32(c.v[0], a.v[0], b.v[0]), vfmsq_f32(c.v[1], a.v[1], b.v[1])};
}
inline VecD sqrt(VecD a) { return {vsqrtq_f64(a.v[0]), vsqrtq_f64(a.v[1])}; }
inline VecF sqrt(VecF a) { return {vsqrtq_f32(a.v[0]), vsqrtq_f32(a.v[1])}; }
inline VecD abs(VecD a) { return {vabsq_f64(a.v[0]), vabsq_f64(a.v[1])}; }
inline VecF abs(VecF a) { return {vabsq_f32(a.v[0]), vabsq_f32(a.v[1])}; }
inline VecD copysign(VecD a, VecD s) {
    const uint64x2_t sign = vdupq_n_u64(std::uint64_t(1) << 63);
    return {vbslq_f64(sign, s.v[0], a.v[0]), vbslq_f64(sign, s.v[1], a.v[1])};
}
inline VecF copysign(VecF a, VecF s) {
    const uint32x4_t sign = vdupq_n_u32(std::uint32_t(1) << 31);
    return {vbslq_f32(sign, s.v[0], a.v[0]), vbslq_f32(sign, s.v[1], a.v[1])};
}
inline VecD round(VecD a) { return {vrndnq_f64(a.v[0]), vrndnq_f64(a.v[1])}; }
inline VecF round(VecF a) { return {vrndnq_f32(a.v[0]), vrndnq_f32(a.v[1])}; }
inline VecD floor(VecD a) { return {vrndmq_f64(a.v[0]), vrndmq_f64(a.v[1])}; }
inline VecF floor(VecF a) { return {vrndmq_f32(a.v[0]), vrndmq_f32(a.v[1])}; }
inline double sum(VecD a) { return vaddvq_f64(vaddq_f64(a.v[0], a.v[1])); }
inline float sum(VecF a) {
    const float32x4_t h = vaddq_f32(a.v[0], a.v[1]);
    return vaddv_f32(vadd_f32(vget_low_f32(h), vget_high_f32(h)));
}
// The instruction has 8 bits. The step takes e^2 first: then it is right for zero and infinity too, where the
// instruction that it is made of counts 0 times infinity as 0; and twice that of half the square root of the
// largest number is still a number.
inline VecD rsqrt_estimate(VecD a) {
    const auto half = [](float64x2_t x) {
        const float64x2_t e = vrsqrteq_f64(x);
        return vmulq_f64(e, vrsqrtsq_f64(vmulq_f64(e, e), x));
    };
    return {half(a.v[0]), half(a.v[1])};
}
inline VecF rsqrt_estimate(VecF a) {
    const auto half = [](float32x4_t x) {
        const float32x4_t e = vrsqrteq_f32(x);
        return vmulq_f32(e, vrsqrtsq_f32(vmulq_f32(e, e), x));
    };
    return {half(a.v[0]), half(a.v[1])};
}
inline void store_sums4(double* p, VecD a, VecD b, VecD c, VecD d) {
    const auto two = [](VecD x, VecD y) {
        return vaddq_f64(vpaddq_f64(x.v[0], y.v[0]), vpaddq_f64(x.v[1], y.v[1]));
    };
    vst1q_f64(p, two(a, b));
    vst1q_f64(p + 2, two(c, d));
}
inline void store_sums4(float* p, VecF a, VecF b, VecF c, VecF d) {
    // In each half (0 + 2) + (1 + 3), then the halves are added up.
    const auto half = [&](int k) {
        const auto two = [](float32x4_t x, float32x4_t y) {
            return vreinterpretq_f64_f32(vaddq_f32(vzip1q_f32(x, y), vzip2q_f32(x, y)));
        };
        const float64x2_t ab = two(a.v[k], b.v[k]), cd = two(c.v[k], d.v[k]);
        return vaddq_f32(vreinterpretq_f32_f64(vtrn1q_f64(ab, cd)),
                         vreinterpretq_f32_f64(vtrn2q_f64(ab, cd)));
    };
    vst1q_f32(p, vaddq_f32(half(0), half(1)));
}

// --- comparison and selection
inline MaskD operator<(VecD a, VecD b) {
    return {{vcltq_f64(a.v[0], b.v[0]), vcltq_f64(a.v[1], b.v[1])}};
}
inline MaskF operator<(VecF a, VecF b) {
    return {{vcltq_f32(a.v[0], b.v[0]), vcltq_f32(a.v[1], b.v[1])}};
}
inline MaskD operator<=(VecD a, VecD b) {
    return {{vcleq_f64(a.v[0], b.v[0]), vcleq_f64(a.v[1], b.v[1])}};
}
inline MaskF operator<=(VecF a, VecF b) {
    return {{vcleq_f32(a.v[0], b.v[0]), vcleq_f32(a.v[1], b.v[1])}};
}
inline MaskD operator>(VecD a, VecD b) { return b < a; }
inline MaskF operator>(VecF a, VecF b) { return b < a; }
inline MaskD operator>=(VecD a, VecD b) { return b <= a; }
inline MaskF operator>=(VecF a, VecF b) { return b <= a; }
inline MaskD operator==(VecD a, VecD b) {
    return {{vceqq_f64(a.v[0], b.v[0]), vceqq_f64(a.v[1], b.v[1])}};
}
inline MaskF operator==(VecF a, VecF b) {
    return {{vceqq_f32(a.v[0], b.v[0]), vceqq_f32(a.v[1], b.v[1])}};
}
inline VecD select(MaskD m, VecD a, VecD b) {
    return {vbslq_f64(m.m[0], a.v[0], b.v[0]), vbslq_f64(m.m[1], a.v[1], b.v[1])};
}
inline VecF select(MaskF m, VecF a, VecF b) {
    return {vbslq_f32(m.m[0], a.v[0], b.v[0]), vbslq_f32(m.m[1], a.v[1], b.v[1])};
}
inline VecD keep(MaskD m, VecD a) { return select(m, a, VecD(0.0)); }
inline VecF keep(MaskF m, VecF a) { return select(m, a, VecF(0.0f)); }
// Not the instructions of these names, which have another rule for NaN.
inline VecD min(VecD a, VecD b) { return select(a < b, a, b); }
inline VecF min(VecF a, VecF b) { return select(a < b, a, b); }
inline VecD max(VecD a, VecD b) { return select(b < a, a, b); }
inline VecF max(VecF a, VecF b) { return select(b < a, a, b); }

// --- integers and exponents
inline IntD to_int(VecD a) {
    return {vcombine_s32(vmovn_s64(vcvtq_s64_f64(a.v[0])), vmovn_s64(vcvtq_s64_f64(a.v[1])))};
}
inline IntF to_int(VecF a) { return {{vcvtq_s32_f32(a.v[0]), vcvtq_s32_f32(a.v[1])}}; }
template <class T> inline Vec<T> to_vec(Int<T> a);
template <> inline VecD to_vec<double>(IntD a) {
    return {vcvtq_f64_s64(vmovl_s32(vget_low_s32(a.v))), vcvtq_f64_s64(vmovl_high_s32(a.v))};
}
template <> inline VecF to_vec<float>(IntF a) {
    return {vcvtq_f32_s32(a.v[0]), vcvtq_f32_s32(a.v[1])};
}
inline IntD operator+(IntD a, IntD b) { return {vaddq_s32(a.v, b.v)}; }
inline IntD operator-(IntD a, IntD b) { return {vsubq_s32(a.v, b.v)}; }
inline IntD operator*(IntD a, IntD b) { return {vmulq_s32(a.v, b.v)}; }
inline IntD min(IntD a, IntD b) { return {vminq_s32(a.v, b.v)}; }
inline IntD max(IntD a, IntD b) { return {vmaxq_s32(a.v, b.v)}; }
inline IntF operator+(IntF a, IntF b) {
    return {{vaddq_s32(a.v[0], b.v[0]), vaddq_s32(a.v[1], b.v[1])}};
}
inline IntF operator-(IntF a, IntF b) {
    return {{vsubq_s32(a.v[0], b.v[0]), vsubq_s32(a.v[1], b.v[1])}};
}
inline IntF operator*(IntF a, IntF b) {
    return {{vmulq_s32(a.v[0], b.v[0]), vmulq_s32(a.v[1], b.v[1])}};
}
inline IntF min(IntF a, IntF b) { return {{vminq_s32(a.v[0], b.v[0]), vminq_s32(a.v[1], b.v[1])}}; }
inline IntF max(IntF a, IntF b) { return {{vmaxq_s32(a.v[0], b.v[0]), vmaxq_s32(a.v[1], b.v[1])}}; }

template <int K> inline MaskD has_bit(VecD n) {
    const auto half = [](float64x2_t x) {
        return vcltzq_s64(vshlq_n_s64(vcvtq_s64_f64(x), 63 - K));
    };
    return {{half(n.v[0]), half(n.v[1])}};
}
template <int K> inline MaskF has_bit(VecF n) {
    const auto half = [](float32x4_t x) {
        return vcltzq_s32(vshlq_n_s32(vcvtq_s32_f32(x), 31 - K));
    };
    return {{half(n.v[0]), half(n.v[1])}};
}
inline VecD pow2(VecD n) {
    const auto half = [](float64x2_t x) {
        return vreinterpretq_f64_s64(
            vshlq_n_s64(vaddq_s64(vcvtq_s64_f64(x), vdupq_n_s64(1023)), 52));
    };
    return {half(n.v[0]), half(n.v[1])};
}
inline VecF pow2(VecF n) {
    const auto half = [](float32x4_t x) {
        return vreinterpretq_f32_s32(
            vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127)), 23));
    };
    return {half(n.v[0]), half(n.v[1])};
}

// Denormals are scaled into the normal range first.
inline VecD exponent(VecD a) {
    const MaskD tiny = abs(a) < VecD(2.2250738585072014e-308);
    const VecD s = abs(select(tiny, a * VecD(18014398509481984.0), a));  // 2^54
    const auto half = [](float64x2_t x) {
        return vcvtq_f64_u64(vshrq_n_u64(vreinterpretq_u64_f64(x), 52));
    };
    return VecD(half(s.v[0]), half(s.v[1])) - select(tiny, VecD(1023.0 + 54.0), VecD(1023.0));
}
inline VecF exponent(VecF a) {
    const MaskF tiny = abs(a) < VecF(1.17549435e-38f);
    const VecF s = abs(select(tiny, a * VecF(16777216.0f), a));  // 2^24
    const auto half = [](float32x4_t x) {
        return vcvtq_f32_u32(vshrq_n_u32(vreinterpretq_u32_f32(x), 23));
    };
    return VecF(half(s.v[0]), half(s.v[1])) - select(tiny, VecF(127.0f + 24.0f), VecF(127.0f));
}
inline VecD mantissa(VecD a) {
    const MaskD tiny = abs(a) < VecD(2.2250738585072014e-308);
    const VecD s = select(tiny, a * VecD(18014398509481984.0), a);
    const uint64x2_t field = vdupq_n_u64(std::uint64_t(0x7ff) << 52);
    const float64x2_t one = vdupq_n_f64(1.0);
    return {vbslq_f64(field, one, s.v[0]), vbslq_f64(field, one, s.v[1])};
}
inline VecF mantissa(VecF a) {
    const MaskF tiny = abs(a) < VecF(1.17549435e-38f);
    const VecF s = select(tiny, a * VecF(16777216.0f), a);
    const uint32x4_t field = vdupq_n_u32(0xffu << 23);
    const float32x4_t one = vdupq_n_f32(1.0f);
    return {vbslq_f32(field, one, s.v[0]), vbslq_f32(field, one, s.v[1])};
}

}  // namespace simd
}  // namespace MDKERN_ISA
}  // namespace mdkern

#include "simd/scale2.hpp"
