#include "nn/gemm_check.hpp"

#include "nn/gemm.hpp"

namespace mdkern {
namespace MDKERN_ISA {

void dense_gemm_double_compute(int m, int n, int k, const double* a, const double* packed,
                               const double* zeros, double* c, int ldc) {
    gemm<double>(m, n, k, {a, k}, packed, {zeros, 0}, {c, ldc}, NoFinish());
}
void dense_gemm_single_compute(int m, int n, int k, const float* a, const float* packed,
                               const float* zeros, float* c, int ldc) {
    gemm<float>(m, n, k, {a, k}, packed, {zeros, 0}, {c, ldc}, NoFinish());
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
