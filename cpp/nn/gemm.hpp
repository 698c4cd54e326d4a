// C = start + A B with B packed in panels (dense.hpp). Include from kernels only.
//
// The tile of C in registers is kTileRows rows by up to three vectors of columns: with AVX-512, 24
// sums, three vectors of B and one broadcast number of A; one vector is loaded per two FMA. Loops,
// outermost first: blocks of kDepth rows of B; panels, whose block (40 kB) then stays near; tiles of rows.
// A sum runs over k in order, whatever the number of rows and the tile that it is in: bits of a
// row do not depend on the other rows.
#pragma once

#include "nn/dense.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> constexpr int kTileRows = sizeof(simd::Vec<T>) >= 64 ? 8 : 4;
// A block of a strip: 49 kB in the L2 cache; before AVX-512, which reads it twice as often, in the L1.
template <class T> constexpr int kDepth = sizeof(simd::Vec<T>) >= 64 ? 256 : 128;

template <class T, int kRows, int kVecs>
[[gnu::always_inline]] inline void gemm_tile(int depth, const T* a, std::int64_t lda, const T* b,
                                             const T* start, std::int64_t ld_start, T* c,
                                             std::int64_t ldc, const T* ahead,
                                             std::int64_t ahead_step) {
    using V = simd::Vec<T>;
    V sum[kRows][kVecs];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVecs; ++v) sum[r][v] = simd::load(start + r * ld_start + v * V::width);
    for (int k = 0; k < depth; ++k, b += kPanel<T>) {
        __builtin_prefetch(ahead + k * ahead_step, 0, 2);
        V w[kVecs];
#pragma GCC unroll 3
        for (int v = 0; v < kVecs; ++v) w[v] = simd::load(b + v * V::width);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
            const V x = a[r * lda + k];
#pragma GCC unroll 3
            for (int v = 0; v < kVecs; ++v) sum[r][v] = simd::fma(x, w[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVecs; ++v) simd::store(c + r * ldc + v * V::width, sum[r][v]);
}

// One strip of up to three vectors of columns, all rows; finish(first row, rows) after each tile.
// The first tiles fetch the strip at `next` to the L2 cache, a line for each of their steps: else the
// next strip's first tile would wait for memory.
template <class T, int kVecs, class Finish>
[[gnu::noinline]] void gemm_strip(int m, int depth, Matrix<const T> a, const T* b,
                                  Matrix<const T> start, Matrix<T> c, const T* next,
                                  const Finish& finish) {
    int i = 0;
    const T* ahead = next;
    std::int64_t step = kLine<T>;
    for (; i + kTileRows<T> <= m; i += kTileRows<T>) {
        gemm_tile<T, kTileRows<T>, kVecs>(depth, a.row(i), a.ld, b, start.row(i), start.ld,
                                          c.row(i), c.ld, ahead, step);
        finish(i, kTileRows<T>);
        ahead += depth * step;
        if (i == 2 * kTileRows<T>) {  // all of it: no more than a line that is near
            ahead = b;
            step = 0;
        }
    }
    if constexpr (kTileRows<T> == 8) {
        if (i + 4 <= m) {
            gemm_tile<T, 4, kVecs>(depth, a.row(i), a.ld, b, start.row(i), start.ld, c.row(i), c.ld,
                                   ahead, step);
            finish(i, 4);
            i += 4;
        }
    }
    if (i + 2 <= m) {
        gemm_tile<T, 2, kVecs>(depth, a.row(i), a.ld, b, start.row(i), start.ld, c.row(i), c.ld,
                               ahead, step);
        finish(i, 2);
        i += 2;
    }
    if (i < m) {
        gemm_tile<T, 1, kVecs>(depth, a.row(i), a.ld, b, start.row(i), start.ld, c.row(i), c.ld,
                               ahead, step);
        finish(i, 1);
    }
}

struct NoFinish {
    void operator()(int, int, int, int) const {}
};

// C (m, n) = start (m, n) + A (m, depth) B. start.ld = 0 starts every row alike. finish(first row,
// rows, first column, columns) is called once for each part of C when it is complete, columns
// rounded up to whole vectors.
template <class T, class Finish>
void gemm(int m, int n, int depth, Matrix<const T> a, const T* b, Matrix<const T> start,
          Matrix<T> c, const Finish& finish) {
    constexpr int kWidth = simd::Vec<T>::width;
    for (int k = 0; k == 0 || k < depth; k += kDepth<T>) {
        const int part = depth - k < kDepth<T> ? depth - k : kDepth<T>;
        const bool last = k + kDepth<T> >= depth;
        const Matrix<const T> from = k == 0 ? start : Matrix<const T>{c.data, c.ld};
        const Matrix<const T> left{a.data + k, a.ld};
        for (int j = 0; j < n; j += 3 * kWidth) {
            const T* panel = b + std::int64_t(j / kPanel<T>) * depth * kPanel<T> +
                             std::int64_t(k) * kPanel<T> + j % kPanel<T>;
            const int vecs = (n - j + kWidth - 1) / kWidth < 3 ? (n - j + kWidth - 1) / kWidth : 3;
            const Matrix<const T> s{from.data + j, from.ld};
            const Matrix<T> out{c.data + j, c.ld};
            const auto done = [&](int i, int rows) {
                if (last) finish(i, rows, j, vecs * kWidth);
            };
            const T* next = panel + std::int64_t(depth) * kPanel<T>;
            if (vecs == 3)
                gemm_strip<T, 3>(m, part, left, panel, s, out, next, done);
            else if (vecs == 2)
                gemm_strip<T, 2>(m, part, left, panel, s, out, next, done);
            else
                gemm_strip<T, 1>(m, part, left, panel, s, out, next, done);
        }
    }
}

// C (m, n) = A (m, depth) B for a B that is no weight of a model: b, or b transposed, is packed into
// `packed` first. zeros: a row of them.
template <class T> void multiply(int m, int n, int depth, Matrix<const T> a, Matrix<const T> b,
                                 bool transposed, T* packed, const T* zeros, Matrix<T> c) {
    pack_right(b, depth, n, transposed, packed);
    gemm<T>(m, n, depth, a, packed, Matrix<const T>{zeros, 0}, c, NoFinish());
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
