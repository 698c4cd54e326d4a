// The neighbors of one center side by side, grouped: what descriptor kernels start from. Include
// from kernels only.
#pragma once

#include "core/types.hpp"
#include "descriptors/scratch.hpp"
#include "forces/near.hpp"
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
    const V reach = cutoff * cutoff;
    const std::int32_t* begin = list.index + list.first[row];
    const auto lanes = simd::load_int<double>(kLanes);
    int n = gather_near(
        s.rows, row, begin, begin + list.count[row],
        [&](const Listed<double>& v) MDKERN_BODY { return (v.r2 <= reach) & (V(-0.5) < v.w); },
        [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t* at, int to)
            MDKERN_BODY {
                v.keep_vectors(within, k.tx + to, k.ty + to, k.tz + to);
                const auto first = simd::set_int<double>(std::int32_t(at - begin));
                simd::compress_store(k.from + to, lanes + first, within);
                simd::compress_store(k.kind + to, simd::to_int(v.w), within);
            });
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
