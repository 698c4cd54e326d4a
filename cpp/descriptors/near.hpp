// The neighbors of one center side by side, grouped: what descriptor kernels start from. Include
// from kernels only.
#pragma once

#include "core/types.hpp"
#include "descriptors/scratch.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

constexpr std::int32_t kLanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Neighbors of a row within `cutoff`, inclusive, by group[species]; with `own` also the atom on it,
// the last of its group.
inline void pack(const System& s, const Neighbors& list, std::int64_t row, double cutoff,
                 const std::int32_t* group, int n_groups, bool own, Near& k) {
    using V = simd::Vec<double>;
    const double* centre = s.rows + 4 * row;
    const V x0 = centre[0], y0 = centre[1], z0 = centre[2], reach = cutoff * cutoff;
    const std::int32_t *index = list.index + list.first[row], count = list.count[row];
    const auto lanes = simd::load_int<double>(kLanes);
    int n = 0;
    for (int at = 0; at < count; at += V::width) {
        const auto live = simd::first_n<double>(count - at);
        V x, y, z, kind;
        simd::load_rows(s.rows, simd::load_int<double>(index + at, live), x, y, z, kind);
        x = x - x0;
        y = y - y0;
        z = z - z0;
        const V r2 = simd::fma(x, x, simd::fma(y, y, z * z));
        const auto in = live & (r2 <= reach) & (V(-0.5) < kind);
        simd::compress_store(k.tx + n, x, in);
        simd::compress_store(k.ty + n, y, in);
        simd::compress_store(k.tz + n, z, in);
        simd::compress_store(k.from + n, lanes + simd::set_int<double>(at), in);
        n += simd::compress_store(k.kind + n, simd::to_int(kind), in);
    }
    if (own && centre[3] > -0.5) {
        k.tx[n] = k.ty[n] = k.tz[n] = 0.0;
        k.from[n] = -1;
        k.kind[n++] = std::int32_t(centre[3]);
    }
    k.n = n;
    for (int g = 0; g <= n_groups; ++g) k.start[g] = 0;
    for (int j = 0; j < n; ++j) ++k.start[group[k.kind[j]] + 1];
    for (int g = 0; g < n_groups; ++g) k.start[g + 1] += k.start[g];
    for (int j = 0; j < n; ++j) {
        const int to = k.start[group[k.kind[j]]]++;
        k.x[to] = k.tx[j];
        k.y[to] = k.ty[j];
        k.z[to] = k.tz[j];
        k.source[to] = k.from[j];
        k.species[to] = k.kind[j];
    }
    for (int g = n_groups; g > 0; --g) k.start[g] = k.start[g - 1];
    k.start[0] = 0;
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
