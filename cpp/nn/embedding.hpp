// Embedding nets of one input, from tables where there are some. Include from kernels only.
#pragma once

#include "nn/dense_net.hpp"
#include "nn/quintic_table.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Places of vector `v` of channels in a step of a table.
template <class T> [[gnu::always_inline]] inline int table_place(int v) {
    constexpr int kParts = kLine<T> / simd::Vec<T>::width;
    return v / kParts * 6 * kLine<T> + v % kParts * simd::Vec<T>::width;
}

// Value and derivative of the quintics of a vector of channels, whose coefficients begin at `c`.
template <class T>
[[gnu::always_inline]] inline void table_jet(const T* c, simd::Vec<T> u, simd::Vec<T>& value,
                                             simd::Vec<T>& slope) {
    value = slope = simd::load(c + 5 * kLine<T>);
    value = simd::fma(value, u, simd::load(c + 4 * kLine<T>));
#pragma GCC unroll 4
    for (int q = 3; q >= 0; --q) {
        slope = simd::fma(slope, u, value);
        value = simd::fma(value, u, simd::load(c + q * kLine<T>));
    }
}

// Values of the net for a row each, and slopes (or null), in rows of padded(n_out).
template <class T> struct Embedded {
    const T *values, *slopes;
};

// For n rows x, from the table where it covers all of them: it is one of the first entry. Slopes are
// along `direction`; null: the first entry, which is all.
template <class T>
Embedded<T> embed_rows(const Net<T>& net, const QuinticTable<T>* table, int n, Matrix<const T> x,
                       const NetTape<T>& tape, const T* zeros, bool slopes,
                       const T* direction = nullptr) {
    using V = simd::Vec<T>;
    bool covered = table;
    for (int i = 0; i < n && covered; ++i) {
        const double at = (double(*x.row(i)) - table->lower) * table->inverse_step;
        covered = at >= 0.0 && at < double(table->n_steps);
    }
    if (!covered) {
        const T one = T(1);
        net_forward(net, n, x, tape);
        return {tape.y[net.n_layers - 1],
                slopes ? net_tangent(net, n, Matrix<const T>{direction ? direction : &one, 0}, tape,
                                     zeros)
                       : nullptr};
    }
    const int ld = padded(net.n_out()), vecs = table->n_blocks * kLine<T> / V::width;
    const std::int64_t stride = std::int64_t(table->n_blocks) * 6 * kLine<T>;
    const V scale = T(table->inverse_step);
    for (int i = 0; i < n; ++i) {
        const double at = (double(*x.row(i)) - table->lower) * table->inverse_step;
        const std::int64_t step = std::int64_t(at);
        const T* c = table->c + step * stride;
        const V u = T(at - double(step));
        T *value = tape.y[net.n_layers - 1] + i * std::int64_t(ld),
          *slope = tape.extra[0] + i * std::int64_t(ld);
        for (int v = 0; v < vecs; ++v) {
            V g, d;
            table_jet<T>(c + table_place<T>(v), u, g, d);
            simd::store(value + v * V::width, g);
            if (slopes) simd::store(slope + v * V::width, d * scale);
        }
    }
    return {tape.y[net.n_layers - 1], slopes ? tape.extra[0] : nullptr};
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
