#include "math/matrix3.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mdkern {
namespace matrix3 {

namespace {

constexpr double kLast = 0x1p-56;  // a term below this times the sum changes no bit of it
constexpr int kMostTerms = 24;     // more than any series here takes

void add(double s, const double* a, double* sum) {
    for (int k = 0; k < 9; ++k) sum[k] += s * a[k];
}

// Halvings after which the norm is at most `most`.
int halvings(double size, double most) {
    int s = 0;
    while (size > most && s < 1100) {
        size *= 0.5;
        ++s;
    }
    return s;
}

// By the product form of the iteration of Denman and Beavers, with scaling by the determinant:
// Higham, Functions of Matrices (SIAM, 2008), section 6.3.
bool square_root(const double* a, double* root) {
    double m[9], x[9];
    std::copy_n(a, 9, m);
    std::copy_n(a, 9, x);
    bool near = false;
    for (int round = 0; round < 40; ++round) {
        double inverse_m[9];
        if (!inverse(m, inverse_m)) return false;
        // Far from the end, scaling halves the number of rounds; near it, it would spoil their convergence.
        const double d = std::fabs(determinant(m));
        const double mu = near ? 1.0 : std::pow(d, -1.0 / 6.0), mu2 = mu * mu;
        if (!(mu > 0.0 && std::isfinite(mu2))) return false;
        double half[9], next[9];
        for (int k = 0; k < 9; ++k)
            half[k] = 0.5 * (k % 4 == 0 ? 1.0 : 0.0) + 0.5 / mu2 * inverse_m[k];
        multiply(x, half, next);
        for (int k = 0; k < 9; ++k) x[k] = mu * next[k];
        double off[9];
        for (int k = 0; k < 9; ++k) {
            m[k] = 0.5 * (k % 4 == 0 ? 1.0 : 0.0) + 0.25 * (mu2 * m[k] + inverse_m[k] / mu2);
            off[k] = m[k] - (k % 4 == 0 ? 1.0 : 0.0);
        }
        const double distance = norm(off);
        if (!std::isfinite(distance)) return false;
        near = distance < 1e-2;
        // Convergence is quadratic: the round after this distance has all bits.
        if (distance < 1e-15) {
            std::copy_n(x, 9, root);
            return true;
        }
    }
    return false;
}

// Whether an eigenvalue is on the negative real axis or so near that rounding decides. The determinant is
// positive: there are two or none, and where there are two, the characteristic polynomial, which is negative at
// zero and far to the left, is not negative in between.
bool on_the_cut(const double* a, double d) {
    const double t = trace(a);
    const double m =
        a[0] * a[4] - a[1] * a[3] + a[0] * a[8] - a[2] * a[6] + a[4] * a[8] - a[5] * a[7];
    const double inner = t * t - 3.0 * m;
    const double top = (t - std::sqrt(std::max(inner, 0.0))) / 3.0;
    if (inner < 0.0 || top >= 0.0) return false;
    const double value = ((top - t) * top + m) * top - d;
    const double size = -top * top * top + std::fabs(t) * top * top + std::fabs(m * top) + d;
    return value > -1e-14 * size;
}

}  // namespace

double norm(const double* a) {
    double most = 0.0;
    for (int j = 0; j < 3; ++j) {
        const double column = std::fabs(a[j]) + std::fabs(a[3 + j]) + std::fabs(a[6 + j]);
        if (!(column <= most)) most = column;
    }
    return most;
}

bool solve(const double* a, const double* b, double* x) {
    double m[3][6];
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            m[i][j] = a[3 * i + j];
            m[i][3 + j] = b[3 * i + j];
        }
    int row[3] = {0, 1, 2};
    for (int c = 0; c < 3; ++c) {
        int best = c;
        for (int r = c + 1; r < 3; ++r)
            if (std::fabs(m[row[r]][c]) > std::fabs(m[row[best]][c])) best = r;
        std::swap(row[c], row[best]);
        const double* pivot = m[row[c]];
        if (!(std::fabs(pivot[c]) > 0.0) || !std::isfinite(pivot[c])) return false;
        for (int r = c + 1; r < 3; ++r) {
            double* here = m[row[r]];
            const double factor = here[c] / pivot[c];
            for (int j = c + 1; j < 6; ++j) here[j] -= factor * pivot[j];
        }
    }
    for (int j = 0; j < 3; ++j)
        for (int i = 2; i >= 0; --i) {
            double rest = m[row[i]][3 + j];
            for (int k = i + 1; k < 3; ++k) rest -= m[row[i]][k] * x[3 * k + j];
            x[3 * i + j] = rest / m[row[i]][i];
        }
    return true;
}

bool inverse(const double* a, double* x) {
    double one[9];
    identity(one);
    return solve(a, one, x);
}

void exponential(const double* a, double* e) {
    const int s = halvings(norm(a), 0.5);
    double b[9], term[9], next[9];
    for (int k = 0; k < 9; ++k) b[k] = std::ldexp(a[k], -s);
    identity(e);
    identity(term);
    for (int n = 1; n < kMostTerms; ++n) {
        multiply(term, b, next);
        for (int k = 0; k < 9; ++k) term[k] = next[k] / n;
        add(1.0, term, e);
        if (norm(term) < kLast) break;
    }
    for (int k = 0; k < s; ++k) {
        multiply(e, e, next);
        std::copy_n(next, 9, e);
    }
}

void exponential_derivative(const double* a, const double* w, double* derivative) {
    const int s = halvings(norm(a), 0.5);
    double b[9], v[9], e[9], term[9], dterm[9], next[9], left[9], right[9];
    for (int k = 0; k < 9; ++k) {
        b[k] = std::ldexp(a[k], -s);
        v[k] = std::ldexp(w[k], -s);
        dterm[k] = derivative[k] = 0.0;
    }
    identity(e);
    identity(term);
    for (int n = 1; n < kMostTerms; ++n) {
        // Of b^n / n! and of its derivative, b^(n-1) before.
        multiply(dterm, b, left);
        multiply(term, v, right);
        const bool last = norm(term) < kLast;
        multiply(term, b, next);
        for (int k = 0; k < 9; ++k) {
            dterm[k] = (left[k] + right[k]) / n;
            term[k] = next[k] / n;
        }
        add(1.0, dterm, derivative);
        add(1.0, term, e);
        if (last) break;
    }
    for (int k = 0; k < s; ++k) {
        multiply(e, derivative, left);
        multiply(derivative, e, right);
        for (int i = 0; i < 9; ++i) derivative[i] = left[i] + right[i];
        multiply(e, e, next);
        std::copy_n(next, 9, e);
    }
}

bool logarithm(const double* a, double* l) {
    double root[9], off[9], sum[9], z[9], square[9], power[9], next[9], d = determinant(a);
    if (!(d > 0.0) || !std::isfinite(norm(a)) || on_the_cut(a, d)) return false;
    std::copy_n(a, 9, root);
    int s = 0;
    for (;; ++s) {
        for (int k = 0; k < 9; ++k) off[k] = root[k] - (k % 4 == 0 ? 1.0 : 0.0);
        if (norm(off) <= 0.4) break;
        if (s == 60 || !square_root(root, next)) return false;
        std::copy_n(next, 9, root);
    }
    // log(1 + y) = 2 artanh(z) with z = y (2 + y)^-1, whose factors commute.
    for (int k = 0; k < 9; ++k) sum[k] = off[k] + (k % 4 == 0 ? 2.0 : 0.0);
    if (!solve(sum, off, z)) return false;
    multiply(z, z, square);
    std::copy_n(z, 9, power);
    std::copy_n(z, 9, l);
    const double size = norm(z);
    for (int n = 3; n < 2 * kMostTerms; n += 2) {
        multiply(power, square, next);
        std::copy_n(next, 9, power);
        add(1.0 / n, power, l);
        if (norm(power) < kLast * size) break;
    }
    for (int k = 0; k < 9; ++k) l[k] = std::ldexp(l[k], s + 1);
    return true;
}

}  // namespace matrix3
}  // namespace mdkern
