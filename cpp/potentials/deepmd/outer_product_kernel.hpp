// T T_<^T, with which se_e2_a and dpa1 end, and its gradient; its layout stands with OuterRows. Include
// from kernels only.
#pragma once

#include "potentials/deepmd/se_a.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// x[m][k] = sum_c T_c[m] T_c[k].
template <class T>
void outer_product(const T* t, int ld, int n_channels, const OuterRows& rows, T* x) {
    using V = simd::Vec<T>;
    for (int k = 0; k < rows.axis; k += V::width) {
        const V t0 = simd::load(t + k), t1 = simd::load(t + ld + k),
                t2 = simd::load(t + 2 * ld + k), t3 = simd::load(t + 3 * ld + k);
        for (int m = 0; m < n_channels; ++m) {
            V d = V(t[m]) * t0;
            d = simd::fma(V(t[ld + m]), t1, d);
            d = simd::fma(V(t[2 * ld + m]), t2, d);
            d = simd::fma(V(t[3 * ld + m]), t3, d);
            const int left = rows.columns(m) - k;
            T* to = x + rows.begin(m) + k;
            if (left >= V::width)
                simd::store(to, d);
            else if (left > 0)
                simd::store(to, d, simd::first_n<T>(left));
        }
    }
}

// gt_c[m] = scale (sum_k g[m][k] T_c[k] + (m < axis) sum_m' g[m'][m] T_c[m']).
template <class T>
void outer_product_gradient(const T* t, int ld, int n_channels, const OuterRows& rows, const T* g,
                            T scale, T* gt) {
    using V = simd::Vec<T>;
    const int axis = rows.axis;
    const auto load_row = [&](int m, int k) {
        return simd::load(g + rows.begin(m) + k, simd::first_n<T>(rows.columns(m) - k));
    };
    for (int c = 0; c < 4; ++c)
        for (int m = n_channels; m < ld; ++m) gt[c * ld + m] = T(0);
    for (int m = 0; m < n_channels; ++m) {
        V dot[4] = {T(0), T(0), T(0), T(0)};
        for (int k = 0; k < axis; k += V::width) {
            const V d = load_row(m, k);
            for (int c = 0; c < 4; ++c) dot[c] = simd::fma(d, simd::load(t + c * ld + k), dot[c]);
        }
        T dots[4];
        simd::store_sums4(dots, dot[0], dot[1], dot[2], dot[3]);
        for (int c = 0; c < 4; ++c) gt[c * ld + m] = dots[c];
    }
    for (int k = 0; k < axis; k += V::width) {
        const auto live = simd::first_n<T>(axis - k);
        V sum[4] = {T(0), T(0), T(0), T(0)};
        for (int m = 0; m < n_channels; ++m) {
            const V d = load_row(m, k);
            for (int c = 0; c < 4; ++c) sum[c] = simd::fma(d, V(t[c * ld + m]), sum[c]);
        }
        for (int c = 0; c < 4; ++c)
            simd::store(gt + c * ld + k, simd::load(gt + c * ld + k, live) + sum[c], live);
    }
    for (int c = 0; c < 4; ++c)
        for (int m = 0; m < ld; m += V::width)
            simd::store(gt + c * ld + m, simd::load(gt + c * ld + m) * V(scale));
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
