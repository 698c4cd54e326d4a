// Dense symmetric matrices of some hundred rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"

namespace mdkern {

// Solves a x = b by Cholesky's factors; a (n, n), symmetric, row by row. positive = false, and x is
// undefined: `a` is not positive definite. `factors` is scratch, (n, n).
struct PositiveTask {
    std::int64_t n = 0;
    const double *a = nullptr, *b = nullptr;
    double *x = nullptr, *factors = nullptr;
    bool* positive = nullptr;
};
MDKERN_KERNEL(solve_positive_compute, (const PositiveTask&, int))

// x = |a|^-1 b, where |a| has the eigenvectors of `a` and the absolute values of its eigenvalues.
// `vectors` (n, n) and `scratch` are scratch.
void solve_absolute(int n, const double* a, const double* b, double* x, double* vectors,
                    double* scratch);
inline std::size_t symmetric_scratch(int n) { return 3 * std::size_t(n); }

// Eigenvalues, in no order, and as rows of `vectors` (n, n) the eigenvectors, of the matrix that
// `vectors` has before. Householder's reflections to a tridiagonal matrix, then implicit QL
// rotations. `scratch` (2 n).
void symmetric_eigen(int n, double* vectors, double* values, double* scratch);

}  // namespace mdkern
