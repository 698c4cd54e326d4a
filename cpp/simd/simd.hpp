// The explicit SIMD layer: the only vector header that a kernel includes.
//
// One backend is chosen by the macro that CMake sets for the object being compiled
// (MDKERN_ISA_SCALAR, MDKERN_ISA_AVX2, MDKERN_ISA_AVX512 or MDKERN_ISA_NEON); MDKERN_ISA is the namespace of that
// object. All have the same names and meaning; scalar.hpp is the reference. Everything lives
// in namespace mdkern::MDKERN_ISA::simd, so that no AVX code can be merged by the linker into
// baseline objects. Add an operation when a kernel needs it, to all backends, with a line here and
// a test in cpp/tests/test_simd.cpp.
//
// Types (T = double or float)
//   Vec<T>          Vec<T>::width lanes: 1 (scalar), 4 / 8 (AVX2, NEON), 8 / 16 (AVX-512)
//   Mask<T>         one truth value per lane of Vec<T>
//   Int<T>          one int32 per lane of Vec<T>
//
// Memory
//   load(p), store(p, v)            width consecutive values, no alignment needed
//   load(p, m), store(p, v, m)      masked: dead lanes read as zero, are not written, and never
//                                   touch memory
//   load_int<T>(p), load_int<T>(p, m)    int32 from memory; store_int(p, v)
//   load_as<T>(p)                   width doubles, converted to T
//   load_rows(p, i, x, y, z, w)     x[l] = p[4 i[l]], y[l] = p[4 i[l] + 1], ...: rows of four,
//                                   loaded and transposed
//   load_rows8(p, i, c)             the same for rows of eight, into an array of eight Vec:
//                                   c[k][l] = p[8 i[l] + k] (both: 0 <= i[l] < 2^28)
//   load_rows<stride>(p, q, x, y, z, w), load_rows8(p, q, c)
//                                   the same with i[l] = q[l] in memory, all width of them, and rows
//                                   that begin at p[stride i[l]], stride 4 or 8: faster than through
//                                   an Int, if q was not just written
//   load_rows_int(p, i, x, y, z, w)    rows of four int32; lanes of double only
//   add_rows(p, i, x, y, z, w, n)   p[4 i[l]] += x[l], p[4 i[l] + 1] += y[l], ... for the first n
//                                   lanes (n >= 1) in the order of the lanes, so that several may
//                                   have the same row; double only
//   subtract_rows(p, i, x, y, z)    p[4 i[l]] -= x[l], p[4 i[l] + 1] -= y[l], p[4 i[l] + 2] -= z[l]
//                                   one lane after the other, i in memory; rows of four doubles for
//                                   either T, the fourth is rewritten
//   gather(p, i)                    p[i[l]]
//   compress_store(p, v, m) -> int  writes the live lanes of an Int (or Vec) side by side, returns
//                                   their number; may write up to width values: leave room
//   expand_load(p, m)               p[0], p[1], ... into the live lanes in order, zero elsewhere;
//                                   may read up to width values; double only
//   store_interleaved3(p, x, y, z, n)    x0 y0 z0 x1 y1 z1 ... for the first n lanes (n as in
//                                   first_n); writes nothing beyond them; double only
//   store_int64(p, v, n), store_interleaved3_int64(p, x, y, z, n)
//                                   the same for an Int<double> widened to int64
//   store_sums4(p, a, b, c, d)      p[0] = sum(a), ..., p[3] = sum(d): one fixed order of summation
//                                   per backend
//   in_register(v)                  v is a value, not what lies somewhere in memory: the compiler reads
//                                   that once, where it would make it an operand of each use
//   stream_line(to, from)           copies 64 bytes to an address that is a multiple of 64, past
//                                   the caches; other threads see them after stream_fence()
//
// Arithmetic
//   + - * / and unary -, min, max, sqrt, abs, sum, round (to nearest even), floor
//   fma(a, b, c) = a b + c, fnma(a, b, c) = c - a b (fused where the ISA fuses)
//   copysign(a, s) = |a| with the sign of s
//   max(a, b), min(a, b) return b where a lane of either is NaN (the rule of the x86 instructions)
//   rsqrt_estimate(v): relative error below 2^-11; refine it (math.hpp)
// Comparison
//   < <= > >= == give Mask; & | on masks, not_(m), any(m), all(m), count(m), bits(m)
//   from_bits<T>(b): the mask with bits(m) == b
//   first_n<T>(n): lanes 0 .. n-1 live (n may be negative or larger than the width)
//   select(m, a, b): a where live, else b; keep(m, v): v where live, else zero
// Integers and exponents
//   to_int(v) truncates; to_vec<T>(i); i + j, i - j, i * j; min, max; set_int<T>(k)
//   has_bit<K>(v): bit K of the two's complement of integral-valued v, |v| <= 2^50 (double) or 2^21
//   (float)
//   pow2(n): 2^n for integral-valued n whose power is a normal number
//   scale2(v, n): v 2^n for integral-valued n with |n| <= 2048 (double) or 256 (float), correct into
//   the denormals and infinity
//   scale2_unit(v, n): the same, cheaper before AVX-512, for |v| in [0.5, 2] and |n| <= 2000
//   (double) or 240 (float)
//   exponent(v): floor(log2 |v|) for finite v != 0, denormals included
//   mantissa(v): v / 2^exponent(v), magnitude in [1, 2)
#pragma once

#include <cstdint>
#include <cstring>

#if defined(MDKERN_ISA_AVX512)
#include "simd/avx512.hpp"
#elif defined(MDKERN_ISA_AVX2)
#include "simd/avx2.hpp"
#elif defined(MDKERN_ISA_NEON)
#include "simd/neon.hpp"
#elif defined(MDKERN_ISA_SCALAR)
#include "simd/scalar.hpp"
#else
#error "compile kernels through mdkern_isa() of CMakeLists.txt, which defines the ISA"
#endif

// For bodies of loops that are passed as lambdas: [&](int k) MDKERN_BODY { ... } is always inlined.
#define MDKERN_BODY __attribute__((always_inline))
