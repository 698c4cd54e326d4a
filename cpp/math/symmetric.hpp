// Dense symmetric matrices of some hundred rows.
#pragma once

#include <cstddef>

namespace mdkern {

// Solves a x = b by Cholesky's factors; a (n, n), symmetric, row by row. False, x undefined: `a` is not
// positive definite. `factors` is scratch, (n, n).
bool solve_positive(int n, const double* a, const double* b, double* x, double* factors);

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
