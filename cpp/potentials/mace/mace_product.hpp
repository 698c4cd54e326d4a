// The polynomials B of one atom and their gradients (MaceComponent). Include from kernels only.
#pragma once

#include "potentials/mace/mace.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// b[component k + channel] from x[component k + channel], kVectors vectors of channels from `at` on.
template <class T, int kVectors>
void product_part(const MaceLayer<T>& l, const T* coefficients, const T* x, T* b, int at) {
    using V = simd::Vec<T>;
    const int k = l.k;
    const auto load = [&](const T* p, V* to) MDKERN_BODY {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) to[v] = simd::load(p + v * V::width);
    };
    // to += y x_c
    const auto add = [&](V* to, const V* y, int c) MDKERN_BODY {
        const T* xc = x + c * k + at;
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
            to[v] = simd::fma(y[v], simd::load(xc + v * V::width), to[v]);
    };
    for (int o = 0; o < l.n_b; ++o) {
        const MaceComponent& p = l.components[o];
        const std::int16_t* code = p.code;
        const T* c = coefficients + p.first * k + at;
        V sum[kVectors];
        for (V& s : sum) s = T(0);
        for (int na = p.n_a; na > 0; --na) {
            const int a = code[0], has_a = code[1];
            V ua[kVectors];
            for (V& s : ua) s = T(0);
            if (has_a) {
                load(c, ua);
                c += k;
            }
            int nb = code[2];
            for (code += 3; nb > 0; --nb) {
                const int second = code[0], has_b = code[1];
                V ub[kVectors];
                for (V& s : ub) s = T(0);
                if (has_b) {
                    load(c, ub);
                    c += k;
                }
                const std::int16_t* const end = code + 3 + code[2];
                for (code += 3; code < end; ++code, c += k) {
                    V y[kVectors];
                    load(c, y);
                    add(ub, y, *code);
                }
                add(ua, ub, second);
            }
            add(sum, ua, a);
        }
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) simd::store(b + o * k + at + v * V::width, sum[v]);
    }
}

// dx += dE/dx from db = dE/dB.
template <class T, int kVectors>
void product_back_part(const MaceLayer<T>& l, const T* coefficients, const T* x, const T* db, T* dx,
                       int at) {
    using V = simd::Vec<T>;
    const int k = l.k;
    for (int o = 0; o < l.n_b; ++o) {
        const MaceComponent& p = l.components[o];
        const std::int16_t* code = p.code;
        const T* c = coefficients + p.first * k + at;
        V g[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) g[v] = simd::load(db + o * k + at + v * V::width);
        for (int na = p.n_a; na > 0; --na) {
            const T* xa = x + code[0] * k + at;
            T* dxa = dx + code[0] * k + at;
            V ua[kVectors], ga[kVectors];
            const bool has_a = code[1] != 0;
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) {
                ua[v] = has_a ? simd::load(c + v * V::width) : V(T(0));
                ga[v] = g[v] * simd::load(xa + v * V::width);
            }
            if (has_a) c += k;
            int nb = code[2];
            for (code += 3; nb > 0; --nb) {
                const T* xb = x + code[0] * k + at;
                T* dxb = dx + code[0] * k + at;
                V ub[kVectors], gb[kVectors];
                const bool has_b = code[1] != 0;
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) {
                    ub[v] = has_b ? simd::load(c + v * V::width) : V(T(0));
                    gb[v] = ga[v] * simd::load(xb + v * V::width);
                }
                if (has_b) c += k;
                const std::int16_t* const end = code + 3 + code[2];
                for (code += 3; code < end; ++code, c += k) {
                    const T* xc = x + *code * k + at;
                    T* dxc = dx + *code * k + at;
#pragma GCC unroll 4
                    for (int v = 0; v < kVectors; ++v) {
                        const V y = simd::load(c + v * V::width);
                        ub[v] = simd::fma(y, simd::load(xc + v * V::width), ub[v]);
                        simd::store(dxc + v * V::width,
                                    simd::fma(y, gb[v], simd::load(dxc + v * V::width)));
                    }
                }
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) {
                    ua[v] = simd::fma(ub[v], simd::load(xb + v * V::width), ua[v]);
                    simd::store(dxb + v * V::width,
                                simd::fma(ub[v], ga[v], simd::load(dxb + v * V::width)));
                }
            }
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v)
                simd::store(dxa + v * V::width,
                            simd::fma(ua[v], g[v], simd::load(dxa + v * V::width)));
        }
    }
}

// body(count, at) for parts of k channels in vectors, four at a time where they are there.
template <class T, class Body> void for_parts(int k, const Body& body) {
    constexpr int kWidth = simd::Vec<T>::width;
    int at = 0;
    for (; at + 4 * kWidth <= k; at += 4 * kWidth) body.template operator()<4>(at);
    if (at + 2 * kWidth <= k) {
        body.template operator()<2>(at);
        at += 2 * kWidth;
    }
    if (at < k) body.template operator()<1>(at);
}
template <class T> struct Product {
    const MaceLayer<T>& l;
    const T *coefficients, *x;
    T* b;
    template <int kVectors> void operator()(int at) const {
        product_part<T, kVectors>(l, coefficients, x, b, at);
    }
};
template <class T> struct ProductBack {
    const MaceLayer<T>& l;
    const T *coefficients, *x, *db;
    T* dx;
    template <int kVectors> void operator()(int at) const {
        product_back_part<T, kVectors>(l, coefficients, x, db, dx, at);
    }
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
