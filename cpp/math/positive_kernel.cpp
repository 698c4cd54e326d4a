// Cholesky's factors of a dense matrix, n^3 / 6 products in rows that lie one after the other.
#include "math/symmetric.hpp"

namespace mdkern {
namespace MDKERN_ISA {

void solve_positive_compute(const PositiveTask& t, int) {
    const std::int64_t n = t.n;
    double* f = t.factors;
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = i; j < n; ++j) f[i * n + j] = t.a[i * n + j];
        t.x[i] = t.b[i];
    }
    *t.positive = false;
    for (std::int64_t k = 0; k < n; ++k) {
        double* row = f + k * n;
        // Close to singular, the factors lose the digits that the eigenvalues still have.
        const double rest = row[k], whole = t.a[k * n + k];
        if (!(rest > 1e-10 * (whole < 0.0 ? -whole : whole))) return;
        const double root = __builtin_sqrt(rest);
        for (std::int64_t j = k; j < n; ++j) row[j] /= root;
        t.x[k] /= root;
        const double xk = t.x[k];
        for (std::int64_t j = k + 1; j < n; ++j) t.x[j] -= xk * row[j];
        for (std::int64_t i = k + 1; i < n; ++i) {
            double* other = f + i * n;
            const double factor = row[i];
            for (std::int64_t j = i; j < n; ++j) other[j] -= factor * row[j];
        }
    }
    for (std::int64_t i = n - 1; i >= 0; --i) {
        const double* row = f + i * n;
        double s[4] = {};
        std::int64_t j = i + 1;
        for (; j + 4 <= n; j += 4)
            for (int c = 0; c < 4; ++c) s[c] += row[j + c] * t.x[j + c];
        for (; j < n; ++j) s[0] += row[j] * t.x[j];
        t.x[i] = (t.x[i] - ((s[0] + s[2]) + (s[1] + s[3]))) / row[i];
    }
    *t.positive = true;
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
