// The functions u_j of neighbors, layer after layer. Include from kernels only.
//
// With the unit quaternion (a, b), a = cos theta0 - i n_z sin theta0, b = (n_y - i n_x) sin theta0,
//   u_j[mb, ma] = norm[mb, ma] v_j[mb, ma],  norm = sqrt((j - ma)! ma! / ((j - mb)! mb!)),
//   sum_ma v_j[mb, ma] t^ma = (conj(a) - conj(b) t)^(j - mb) (b + a t)^mb,
// so that v follows without the square roots that u_j has:
//   v_j[mb, ma] = conj(a) v_{j-1}[mb, ma] - conj(b) v_{j-1}[mb, ma - 1].
// Rows mb <= j / 2 are made; others are v_j[j - mb, j - ma] = (-1)^(ma + mb) conj(v_j[mb, ma]).
#pragma once

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
constexpr int W = V::width;

// Per neighbor conj(a) and -conj(b).
template <int K> struct Quaternions {
    V ar[K], ai[K], br[K], bi[K];
};

// element(index, re, im) of all v, where re and im are of K neighbors. layer: scratch.
template <int K, class Element>
[[gnu::always_inline]] inline void walk(int twojmax, const Quaternions<K>& q, const V (&start)[K],
                                        double* const (&layer)[2], const Element& element) {
    constexpr int step = 2 * K * W;
    double *last = layer[0], *next = layer[1];
    V re[K], im[K], inr[K], ini[K];
    const auto put = [&](double* to) MDKERN_BODY {
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k) {
            simd::store(to + 2 * k * W, re[k]);
            simd::store(to + (2 * k + 1) * W, im[k]);
        }
    };
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) {
        re[k] = start[k];
        im[k] = 0.0;
    }
    put(last);
    element(0, re, im);
    int index = 1;
    for (int j = 1; j <= twojmax; ++j) {
        const bool more = j < twojmax;
        for (int mb = 0; mb <= j / 2; ++mb) {
            const double* from = last + mb * j * step;
            double* to = next + mb * (j + 1) * step;
#pragma GCC unroll 4
            for (int k = 0; k < K; ++k) {
                inr[k] = simd::load(from + 2 * k * W);
                ini[k] = simd::load(from + (2 * k + 1) * W);
                re[k] = simd::fnma(q.ai[k], ini[k], q.ar[k] * inr[k]);
                im[k] = simd::fma(q.ai[k], inr[k], q.ar[k] * ini[k]);
            }
            element(index++, re, im);
            if (more) put(to);
            for (int ma = 1; ma < j; ++ma) {
                from += step;
                to += step;
#pragma GCC unroll 4
                for (int k = 0; k < K; ++k) {
                    const V x = simd::fnma(q.bi[k], ini[k], q.br[k] * inr[k]);
                    const V y = simd::fma(q.bi[k], inr[k], q.br[k] * ini[k]);
                    inr[k] = simd::load(from + 2 * k * W);
                    ini[k] = simd::load(from + (2 * k + 1) * W);
                    re[k] = simd::fnma(q.ai[k], ini[k], simd::fma(q.ar[k], inr[k], x));
                    im[k] = simd::fma(q.ai[k], inr[k], simd::fma(q.ar[k], ini[k], y));
                }
                element(index++, re, im);
                if (more) put(to);
            }
#pragma GCC unroll 4
            for (int k = 0; k < K; ++k) {
                re[k] = simd::fnma(q.bi[k], ini[k], q.br[k] * inr[k]);
                im[k] = simd::fma(q.bi[k], inr[k], q.br[k] * ini[k]);
            }
            element(index++, re, im);
            if (more) put(to + step);
        }
        if (more && j % 2 == 1) {  // the middle row of the next layer comes from the row behind
            const int mb = j / 2;
            const double* from = next + mb * (j + 1) * step;
            double* to = next + (mb + 1) * (j + 1) * step + j * step;
            for (int ma = 0; ma <= j; ++ma, from += step, to -= step) {
                const V sign = (ma + mb) % 2 ? -1.0 : 1.0;
                for (int k = 0; k < K; ++k) {
                    simd::store(to + 2 * k * W, sign * simd::load(from + 2 * k * W));
                    simd::store(to + (2 * k + 1) * W, -(sign * simd::load(from + (2 * k + 1) * W)));
                }
            }
        }
        double* const swap = last;
        last = next;
        next = swap;
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
