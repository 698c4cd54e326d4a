// Counter-based random numbers: Philox4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw,
// SC11, doi 10.1145/2063384.2063405). Four words follow from a key and a counter alone, so that
// every thread, vector lane or restarted run draws the same numbers in whatever order it asks.
//
// Plain integers in fixed loops: the compiler vectorises them, and their bits are the same on every
// instruction set. Included by kernels and by baseline code; each gets its own copy.
#pragma once

#include <cstdint>

namespace mdkern {
#if defined(MDKERN_ISA)
namespace MDKERN_ISA {
#else
namespace baseline {
#endif

// kLanes counters at once; c: four words of each lane, counter in, random words out.
template <int kLanes> inline void philox(std::uint32_t (*c)[kLanes], std::uint64_t seed) {
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (int l = 0; l < kLanes; ++l) {
            const std::uint64_t a = std::uint64_t(0xD2511F53u) * c[0][l];
            const std::uint64_t b = std::uint64_t(0xCD9E8D57u) * c[2][l];
            const std::uint32_t c1 = c[1][l], c3 = c[3][l];
            c[0][l] = std::uint32_t(b >> 32) ^ c1 ^ k0;
            c[1][l] = std::uint32_t(b);
            c[2][l] = std::uint32_t(a >> 32) ^ c3 ^ k1;
            c[3][l] = std::uint32_t(a);
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

// 53 bits of two words as a number in (0, 1].
inline double unit_interval(std::uint32_t high, std::uint32_t low) {
    const double bits = double(std::int32_t(high >> 5)) * 67108864.0;
    return (bits + double(std::int32_t(low >> 6)) + 0.5) * 1.1102230246251565e-16;
}

}  // namespace MDKERN_ISA or baseline
}  // namespace mdkern
