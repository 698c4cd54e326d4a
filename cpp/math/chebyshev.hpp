// Chebyshev polynomials of the first kind. Include from kernels only.
#pragma once

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// body(k, c T_k(x)), with first = c and second = c x, for k = 0 .. n - 1: T_k = 2 x T_(k-1) - T_(k-2). Unrolled where the compiler
// knows n.
template <class V, class Body>
[[gnu::always_inline]] inline void chebyshev(int n, V x, V first, V second, const Body& body) {
    const V two_x = x + x;
    V t0 = first, t1 = second;
    body(0, t0);
    if (n > 1) body(1, t1);
#pragma GCC unroll 32
    for (int k = 2; k < n; ++k) {
        const V t2 = simd::fma(two_x, t1, -t0);
        body(k, t2);
        t0 = t1;
        t1 = t2;
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
