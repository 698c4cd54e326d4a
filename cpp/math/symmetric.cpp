#include "math/symmetric.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mdkern {

namespace {

double dot(std::ptrdiff_t n, const double* a, const double* b) {
    double s[4] = {};
    std::ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int c = 0; c < 4; ++c) s[c] += a[i + c] * b[i + c];
    double rest = 0.0;
    for (; i < n; ++i) rest += a[i] * b[i];
    return (s[0] + s[2]) + (s[1] + s[3]) + rest;
}

// Reflects row and column k of the block behind it so that only their first number is left:
// a' = P a P with P = 1 - v v^T / h. The reflection v of step k stays in row k behind the diagonal,
// h in h[k], and what is left in off[k].
void reduce(int n, double* a, double* off, double* h) {
    for (int k = 0; k + 1 < n; ++k) {
        double* v = a + std::ptrdiff_t(k) * n + k + 1;
        const int m = n - k - 1;
        const double norm = m > 1 ? std::sqrt(dot(m, v, v)) : 0.0;
        h[k] = 0.0;
        off[k] = v[0];
        if (m == 1 || norm == std::fabs(v[0])) continue;  // it is there already
        const double g = v[0] > 0.0 ? -norm : norm;
        h[k] = norm * norm - v[0] * g;
        off[k] = g;
        v[0] -= g;
        // w = a v / h - v (v a v) / (2 h h), a' = a - v w^T - w v^T.
        double* w = off + k + 1;  // is not needed yet
        for (int i = 0; i < m; ++i) {
            const double* row = a + std::ptrdiff_t(k + 1 + i) * n + k + 1;
            w[i] = dot(m, row, v) / h[k];
        }
        const double half = 0.5 * dot(m, w, v) / h[k];
        for (int i = 0; i < m; ++i) w[i] -= half * v[i];
        for (int i = 0; i < m; ++i) {
            double* row = a + std::ptrdiff_t(k + 1 + i) * n + k + 1;
            const double vi = v[i], wi = w[i];
            for (int j = 0; j < m; ++j) row[j] -= vi * w[j] + wi * v[j];
        }
    }
}

// In place of the reflections their product: rows are then what the unit vectors become.
void accumulate(int n, double* a, const double* h, double* diagonal) {
    for (int k = 0; k < n; ++k) diagonal[k] = a[std::ptrdiff_t(k) * n + k];
    for (int k = n - 1; k >= 0; --k) {
        double* v = a + std::ptrdiff_t(k) * n + k + 1;
        const int m = n - k - 1;
        if (m > 0 && h[k] != 0.0) {
            for (int i = 0; i < m; ++i) {
                double* row = a + std::ptrdiff_t(k + 1 + i) * n + k + 1;
                const double s = dot(m, row, v) / h[k];
                for (int j = 0; j < m; ++j) row[j] -= s * v[j];
            }
        }
        for (int j = 0; j < m; ++j) v[j] = 0.0;
        for (int i = k + 1; i < n; ++i) a[std::ptrdiff_t(i) * n + k] = 0.0;
        a[std::ptrdiff_t(k) * n + k] = 1.0;
    }
}

}  // namespace

void symmetric_eigen(int n, double* a, double* d, double* scratch) {
    if (n <= 0) return;
    double *e = scratch, *h = scratch + n;  // e: beside the diagonal
    h[n - 1] = 0.0;
    reduce(n, a, e, h);
    accumulate(n, a, h, d);
    e[n - 1] = 0.0;
    constexpr double kEps = std::numeric_limits<double>::epsilon();
    for (int l = 0; l < n; ++l) {
        for (int turn = 0; turn < 60; ++turn) {
            int m = l;
            while (m + 1 < n && std::fabs(e[m]) > kEps * (std::fabs(d[m]) + std::fabs(d[m + 1])))
                ++m;
            if (m == l) break;
            double g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            double r = std::hypot(g, 1.0);
            g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
            double s = 1.0, c = 1.0, p = 0.0;
            bool split = false;
            for (int i = m - 1; i >= l; --i) {
                const double f = s * e[i], b = c * e[i];
                r = std::hypot(f, g);
                e[i + 1] = r;
                if (r == 0.0) {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                double* lower = a + std::ptrdiff_t(i) * n;
                double* upper = lower + n;
                for (int k = 0; k < n; ++k) {
                    const double x = upper[k], y = lower[k];
                    upper[k] = s * y + c * x;
                    lower[k] = c * y - s * x;
                }
            }
            if (split) continue;
            d[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
}

bool solve_positive(int n, const double* a, const double* b, double* x, double* f) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        double* row = f + i * n;
        for (std::ptrdiff_t j = 0; j < i; ++j)
            row[j] = (a[i * n + j] - dot(j, row, f + j * n)) / f[j * n + j];
        const double rest = a[i * n + i] - dot(i, row, row);
        // Close to singular, the factors lose the digits that the eigenvalues still have.
        if (!(rest > 1e-10 * std::fabs(a[i * n + i]))) return false;
        row[i] = std::sqrt(rest);
        x[i] = (b[i] - dot(i, row, x)) / row[i];
    }
    for (std::ptrdiff_t i = n - 1; i >= 0; --i) {
        x[i] /= f[i * n + i];
        for (std::ptrdiff_t j = 0; j < i; ++j) x[j] -= f[i * n + j] * x[i];
    }
    return true;
}

void solve_absolute(int n, const double* a, const double* b, double* x, double* vectors,
                    double* scratch) {
    double *values = scratch, *room = scratch + n;
    std::copy_n(a, std::ptrdiff_t(n) * n, vectors);
    symmetric_eigen(n, vectors, values, room);
    std::fill_n(x, n, 0.0);
    for (std::ptrdiff_t k = 0; k < n; ++k) {
        const double* v = vectors + k * n;
        const double c = dot(n, v, b) / std::fabs(values[k]);
        for (std::ptrdiff_t i = 0; i < n; ++i) x[i] += c * v[i];
    }
}

}  // namespace mdkern
