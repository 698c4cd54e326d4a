// Eigenvalues and solutions of dense symmetric matrices: residuals, for matrices of every rank.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "math/symmetric.hpp"

namespace mdkern {
namespace {

using Matrix = std::vector<double>;

double largest(const Matrix& a) {
    double most = 0.0;
    for (const double x : a) most = std::fmax(most, std::fabs(x));
    return most;
}

// |V a - D V| and |V V^T - 1| over the size of a.
void check_eigen(int n, const Matrix& a, const char* what) {
    Matrix v = a, d(n), scratch(2 * n + 1);
    symmetric_eigen(n, v.data(), d.data(), scratch.data());
    double residual = 0.0, angle = 0.0;
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
            double r = -d[i] * v[i * n + j], s = i == j ? -1.0 : 0.0;
            for (int k = 0; k < n; ++k) {
                r += v[i * n + k] * a[k * n + j];
                s += v[i * n + k] * v[j * n + k];
            }
            residual = std::fmax(residual, std::fabs(r));
            angle = std::fmax(angle, std::fabs(s));
        }
    const double bound = 1e-15 * (10 + n);
    CHECK(residual <= bound * largest(a), "%s, %d rows: residual %g", what, n, residual);
    CHECK(angle <= bound, "%s, %d rows: not orthogonal by %g", what, n, angle);
}

// x = |a|^-1 b solves |a| x = b, for a = v^T d v with known d.
void check_solve(int n, const Matrix& a, bool positive) {
    Matrix b(n), x(n), work(n * n), scratch(symmetric_scratch(n)), y(n);
    for (int i = 0; i < n; ++i) b[i] = std::sin(1.0 + i);
    solve_absolute(n, a.data(), b.data(), x.data(), work.data(), scratch.data());
    if (!positive) {  // |a|^2 x = |a| b: a (a x) = |a| b, whose norm is that of a b
        double left = 0.0, right = 0.0;
        for (int i = 0; i < n; ++i) {
            double ax = 0.0;
            for (int k = 0; k < n; ++k) ax += a[i * n + k] * x[k];
            left += ax * ax;
            right += b[i] * b[i];
        }
        CHECK(std::fabs(left - right) <= 1e-9 * right, "|a x| is %g, |b| %g", left, right);
        return;
    }
    for (int i = 0; i < n; ++i) {
        double r = -b[i];
        for (int k = 0; k < n; ++k) r += a[i * n + k] * x[k];
        CHECK(std::fabs(r) <= 1e-10, "row %d of %d: residual %g", i, n, r);
    }
}

}  // namespace
}  // namespace mdkern

int run_tests(bool) {
    using namespace mdkern;
    mdkern_tests::Random random;
    for (const int n : {1, 2, 3, 4, 7, 12, 57, 120}) {
        Matrix a(n * n), low(n * n), diagonal(n * n, 0.0), shifted(n * n);
        for (int i = 0; i < n; ++i)
            for (int j = 0; j <= i; ++j) {
                a[i * n + j] = a[j * n + i] = random.uniform(-1.0, 1.0);
                low[i * n + j] = low[j * n + i] = std::sin(1.0 + i) * std::sin(1.0 + j);
            }
        for (int i = 0; i < n; ++i) diagonal[i * n + i] = 70.0;
        shifted = a;
        for (int i = 0; i < n; ++i) shifted[i * n + i] += 2.0 * n;
        check_eigen(n, a, "random");
        check_eigen(n, low, "of rank one");
        check_eigen(n, diagonal, "diagonal");
        check_eigen(n, Matrix(n * n, 0.0), "zero");
        for (double& x : a) x *= 1e-200;
        check_eigen(n, a, "tiny");
        for (double& x : a) x *= 1e200;
        for (int i = 0; i < n; ++i)  // of every magnitude
            for (int j = 0; j < n; ++j)
                low[i * n + j] = a[i * n + j] * std::pow(10.0, -8.0 * (i + j) / (2.0 * n));
        check_eigen(n, low, "graded");
        check_solve(n, shifted, true);
        check_solve(n, a, false);
    }
    return mdkern_tests::report("test_symmetric");
}
