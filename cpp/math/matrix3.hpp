// Matrices of three rows and columns, rows one after the other in nine numbers, as cells and deformations have them.
// For the few of a step: compiled once, plain code, the same bits on every instruction set.
#pragma once

namespace mdkern {
namespace matrix3 {

// None of these may be called with a result that is one of the arguments.
inline void multiply(const double* a, const double* b, double* c) {
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            c[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}
inline void transpose(const double* a, double* t) {
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) t[3 * j + i] = a[3 * i + j];
}
inline void identity(double* a) {
    for (int k = 0; k < 9; ++k) a[k] = k % 4 == 0 ? 1.0 : 0.0;
}
inline double trace(const double* a) { return a[0] + a[4] + a[8]; }
inline double determinant(const double* a) {
    return a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
           a[2] * (a[3] * a[7] - a[4] * a[6]);
}
// One row times a matrix.
inline void row_times(const double* v, const double* m, double* out) {
    for (int j = 0; j < 3; ++j) out[j] = v[0] * m[j] + v[1] * m[3 + j] + v[2] * m[6 + j];
}
// Symmetric matrix of xx, yy, zz, yz, xz, xy.
inline void of_voigt(const double* v, double* a) {
    constexpr int at[9] = {0, 5, 4, 5, 1, 3, 4, 3, 2};
    for (int k = 0; k < 9; ++k) a[k] = v[at[k]];
}

// The largest sum of a column's magnitudes.
double norm(const double* a);
// x with a x = b, by elimination with partial pivoting. False: a is singular, or not finite.
bool solve(const double* a, const double* b, double* x);
bool inverse(const double* a, double* x);

// exp(a), by scaling, Taylor's series to the last bit, and squaring.
void exponential(const double* a, double* e);
// d/dt exp(a + t w) at t = 0. With the transpose of a it is the adjoint: the sum over elements
// of derivative(a, v) * w is that of v * derivative(a^T, w), whatever v is.
void exponential_derivative(const double* a, const double* w, double* derivative);
// The principal logarithm. False: there is none, as an eigenvalue is zero, negative, or within rounding of that.
bool logarithm(const double* a, double* l);

}  // namespace matrix3
}  // namespace mdkern
