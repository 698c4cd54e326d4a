// The product of matrices beneath the nets, alone.
#pragma once

#include "core/dispatch.hpp"

namespace mdkern {

// Products of random matrices, for benchmarks and tests of the kernel beneath the nets.
MDKERN_KERNEL(dense_gemm_double_compute,
              (int m, int n, int k, const double* a, const double* packed, const double* zeros,
               double* c, int ldc))
MDKERN_KERNEL(dense_gemm_single_compute, (int m, int n, int k, const float* a, const float* packed,
                                          const float* zeros, float* c, int ldc))

}  // namespace mdkern
