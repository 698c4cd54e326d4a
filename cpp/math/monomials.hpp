// Monomials z^k Re (x + i y)^m and z^k Im (x + i y)^m of a unit vector, k = 0 .. L - m, m = 0 .. L.
// They span the same space as the real harmonics up to L, their derivatives are monomials too, and
// they need no table. Include from kernels only.
#pragma once

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <int L> struct Monomials {
    static constexpr int n = (L + 1) * (L + 1) - 1;  // without the constant
    static constexpr int padded = (n + 3) / 4 * 4;
    // Place of z^k Re/Im (x + i y)^m; -1 is the constant.
    static constexpr int at(int m, int part, int k) {
        int first = -1;
        if (m > 0) first += L + 1;
        for (int q = 1; q < m; ++q) first += 2 * (L - q + 1);
        return first + part * (L - m + 1) + k;
    }
};

// put(place, value) for every function but the constant.
template <int L, class V, class Put> [[gnu::always_inline]] inline void monomials(V x, V y, V z,
                                                                                  const Put& put) {
    using B = Monomials<L>;
    V power[L + 1];
    power[1] = z;
    put(B::at(0, 0, 1), z);
#pragma GCC unroll 8
    for (int k = 2; k <= L; ++k) {
        power[k] = power[k - 1] * z;
        put(B::at(0, 0, k), power[k]);
    }
    V c = x, s = y;
#pragma GCC unroll 8
    for (int m = 1; m <= L; ++m) {
        put(B::at(m, 0, 0), c);
        put(B::at(m, 1, 0), s);
#pragma GCC unroll 8
        for (int k = 1; k <= L - m; ++k) {
            put(B::at(m, 0, k), power[k] * c);
            put(B::at(m, 1, k), power[k] * s);
        }
        const V next = simd::fnma(y, s, x * c);
        s = simd::fma(y, c, x * s);
        c = next;
    }
}

// Gradient of sum w b with x, y, z as free variables; b are the values of the functions.
//   d/dz z^k = k z^(k-1);  d/dx (x + i y)^m = m (x + i y)^(m-1), d/dy the same times i
template <int L, class T, class V = simd::Vec<T>> [[gnu::always_inline]] inline void
monomials_gradient(const V* w, const V* b, V& vx, V& vy, V& vz) {
    using B = Monomials<L>;
    V x = T(0), y = T(0), z = w[B::at(0, 0, 1)];
#pragma GCC unroll 8
    for (int k = 2; k <= L; ++k)
        z = simd::fma(V(T(k)) * w[B::at(0, 0, k)], b[B::at(0, 0, k - 1)], z);
#pragma GCC unroll 8
    for (int m = 1; m <= L; ++m) {
        V re = T(0), im = T(0);
#pragma GCC unroll 9
        for (int k = 0; k <= L - m; ++k) {
            const V wc = w[B::at(m, 0, k)], ws = w[B::at(m, 1, k)];
            if (k > 0) {
                z = simd::fma(V(T(k)) * wc, b[B::at(m, 0, k - 1)], z);
                z = simd::fma(V(T(k)) * ws, b[B::at(m, 1, k - 1)], z);
            }
            if (m == 1) {
                re = k == 0 ? wc : simd::fma(wc, b[B::at(0, 0, k)], re);
                im = k == 0 ? ws : simd::fma(ws, b[B::at(0, 0, k)], im);
            } else {
                const V bc = b[B::at(m - 1, 0, k)], bs = b[B::at(m - 1, 1, k)];
                re = simd::fma(wc, bc, simd::fma(ws, bs, re));
                im = simd::fma(ws, bc, simd::fnma(wc, bs, im));
            }
        }
        x = simd::fma(V(T(m)), re, x);
        y = simd::fma(V(T(m)), im, y);
    }
    vx = x;
    vy = y;
    vz = z;
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
