// Output arrays of neighbor_list, and the refresh of image coordinates between rebuilds.
//
// Fill: 72 bytes written per pair for ijdDS, in the order of the output, by full vectors; 48 bytes
// read (cached). The floor is the write bandwidth: 3.4 ns per pair at 21 GB/s into mapped memory,
// 11 ns into fresh huge pages.
#include "neighbors/search.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

void neighbor_fill_compute(const FillTask& t, int n_threads) {
    const double* c = t.exact.cell;
    const bool want_vector = t.d || t.D;
    const bool want_shift = want_vector || t.S || t.j;
    parallel_for(t.n, n_threads, 0, [&](std::int64_t a) {
        const std::int64_t begin = t.offset[a], n = t.offset[a + 1] - begin;
        if (n == 0) return;
        if (!want_shift) {  // i alone
            for (std::int64_t k = 0; k < n; ++k) t.i[begin + k] = a;
            return;
        }
        const std::int64_t row = t.rank[a];
        const double* p = t.exact.position + 4 * row;
        const std::int32_t* s = t.exact.shift + 4 * row;
        const std::int32_t* index = t.list.index + t.list.first[row];
        const V x = p[0], y = p[1], z = p[2];
        const I s0 = simd::set_int<double>(s[0]), s1 = simd::set_int<double>(s[1]),
                s2 = simd::set_int<double>(s[2]);
        const I self = simd::set_int<double>(std::int32_t(a));
        for (std::int64_t k = 0, o = begin; k < n; k += V::width, o += V::width) {
            const int live = n - k < V::width ? int(n - k) : V::width;
            const I j = simd::load_int<double>(index + k, simd::first_n<double>(live));
            if (t.i) simd::store_int64(t.i + o, self, live);
            I sx, sy, sz, owner;
            simd::load_rows_int(t.exact.shift, j, sx, sy, sz, owner);
            if (t.j) simd::store_int64(t.j + o, owner, live);
            sx = sx - s0;
            sy = sy - s1;
            sz = sz - s2;
            if (t.S) simd::store_interleaved3_int64(t.S + 3 * o, sx, sy, sz, live);
            if (!want_vector) continue;
            const V a0 = simd::to_vec<double>(sx), a1 = simd::to_vec<double>(sy),
                    a2 = simd::to_vec<double>(sz);
            V xj, yj, zj, unused;
            simd::load_rows(t.exact.position, j, xj, yj, zj, unused);
            // Not fused: the same expression, rounded as in the definition.
            const V dx = (xj - x) + ((a0 * V(c[0]) + a1 * V(c[3])) + a2 * V(c[6]));
            const V dy = (yj - y) + ((a0 * V(c[1]) + a1 * V(c[4])) + a2 * V(c[7]));
            const V dz = (zj - z) + ((a0 * V(c[2]) + a1 * V(c[5])) + a2 * V(c[8]));
            if (t.D) simd::store_interleaved3(t.D + 3 * o, dx, dy, dz, live);
            if (t.d) {
                const V d = simd::sqrt((dx * dx + dy * dy) + dz * dz);
                simd::store(t.d + o, d, simd::first_n<double>(live));
            }
        }
    });
}

void neighbor_sum_compute(const OffsetTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t b) {
        std::int64_t sum = 0;
        for (std::int64_t a = t.n * b / t.n_blocks; a < t.n * (b + 1) / t.n_blocks; ++a)
            sum += t.count[t.rank[a]];
        t.sums[b] = sum;
    });
}

void neighbor_offset_compute(const OffsetTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t b) {
        std::int64_t sum = t.sums[b];
        for (std::int64_t a = t.n * b / t.n_blocks; a < t.n * (b + 1) / t.n_blocks; ++a) {
            sum += t.count[t.rank[a]];
            t.offset[a + 1] = sum;
        }
    });
}

void neighbor_refresh_compute(const RefreshTask& t, int n_threads) {
    const double *c = t.cell, *f = t.strain;
    const std::int64_t n_blocks = (t.n_total + t.block - 1) / t.block;
    parallel_for(n_blocks, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * t.block < t.n_total ? (b + 1) * t.block : t.n_total;
        double most = 0.0, next = 0.0;
        for (std::int64_t r = b * t.block; r < end; ++r) {
            const std::int32_t* s = t.shift + 4 * r;
            const double* p = t.positions + 3 * std::int64_t(s[3]);
            double* q = t.rows + 4 * r;
            const double s0 = s[0], s1 = s[1], s2 = s[2];
            for (int k = 0; k < 3; ++k) q[k] = p[k] + ((s0 * c[k] + s1 * c[3 + k]) + s2 * c[6 + k]);
            if (t.position) {
                for (int k = 0; k < 3; ++k) t.position[4 * r + k] = p[k];
                t.position[4 * r + 3] = 0.0;
            }
            if (!t.built || r >= t.n_real) continue;
            const double* o = t.built + 4 * r;
            double u2 = 0.0;
            for (int k = 0; k < 3; ++k) {
                const double u = q[k] - ((o[0] * f[k] + o[1] * f[3 + k]) + o[2] * f[6 + k]);
                u2 += u * u;
            }
            if (!(u2 <
                  1e300)) {  // also NaN: sticks, so that the table rebuilds and finds the culprit
                most = next = 1e300;
            } else if (u2 > most) {
                next = most;
                most = u2;
            } else if (u2 > next) {
                next = u2;
            }
        }
        if (t.largest) {
            t.largest[2 * b] = most;
            t.largest[2 * b + 1] = next;
        }
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
