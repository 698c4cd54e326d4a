// Half list from a full one, once per build: 4 bytes read and 2 written per listed pair, and 16
// bytes of the neighbor's row looked up.
#include "neighbors/half.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using I = simd::Int<double>;
using M = simd::Mask<double>;

void neighbor_half_compute(const HalfTask& t, int n_threads) {
    const std::int64_t n = t.system.n_real;
    parallel_for((n + t.block - 1) / t.block, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t begin = b * t.block, end = begin + t.block < n ? begin + t.block : n;
        std::int64_t at = t.list.first[begin] + kRowPadding * begin;
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int32_t* s = t.shift + 4 * i;
            const V s0 = double(s[0]), s1 = double(s[1]), s2 = double(s[2]), own = double(s[3]);
            const V zero = 0.0;
            const std::int32_t* index = t.list.index + t.list.first[i];
            const std::int32_t count = t.list.count[i];
            std::int64_t kept = at;
            for (std::int32_t k = 0; k < count; k += V::width) {
                const M live = simd::first_n<double>(count - k);
                const I j = simd::load_int<double>(index + k, live);
                I x, y, z, atom;
                simd::load_rows_int(t.shift, j, x, y, z, atom);
                const V dx = simd::to_vec<double>(x) - s0, dy = simd::to_vec<double>(y) - s1,
                        dz = simd::to_vec<double>(z) - s2;
                const M positive =
                    (dx > zero) | ((dx == zero) & ((dy > zero) | ((dy == zero) & (dz >= zero))));
                const V other = simd::to_vec<double>(atom);
                const M keep = live & ((other > own) | ((other == own) & positive));
                kept += simd::compress_store(t.index + kept, j, keep);
            }
            t.first[i] = at;
            t.count[i] = std::int32_t(kept - at);
            at = (kept + kRowPadding - 1) / kRowPadding * kRowPadding;
        }
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
