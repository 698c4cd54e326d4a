#include "neighbors/lattice.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"

namespace mdkern {

namespace {

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

void cross(const double* a, const double* b, double* c) {
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}

// A lattice vector together with its integer coordinates in the caller's vectors.
struct Vector {
    double r[3];
    std::int64_t s[3];
    double norm2() const { return dot(r, r); }
    void subtract(const Vector& o, double k) {
        const auto n = std::int64_t(k);
        for (int c = 0; c < 3; ++c) {
            r[c] -= k * o.r[c];
            s[c] -= n * o.s[c];
        }
    }
};

[[noreturn]] void singular() {
    throw std::invalid_argument(
        "cell: the periodic cell vectors are linearly dependent (or far too long); expected "
        "independent vectors "
        "in every periodic direction");
}

double whole(double k) {
    if (!(std::fabs(k) < 1e9)) singular();
    return std::nearbyint(k);
}

// Gauss reduction of a pair: a becomes no longer than b, and b is shortest among b + k a.
void reduce_pair(Vector& a, Vector& b, double shortest2) {
    for (int iteration = 0; iteration < 200; ++iteration) {
        if (a.norm2() > b.norm2()) std::swap(a, b);
        if (a.norm2() <= shortest2) singular();
        const double k = whole(dot(a.r, b.r) / a.norm2());
        if (k == 0.0) return;
        b.subtract(a, k);
    }
}

// Reduction of three vectors: reduce two, then bring the third as close to zero as the lattice of
// the two allows, until nothing shortens (Semaev, Lect. Notes Comput. Sci. 2146, 181 (2001)).
void reduce_triple(Vector* v, double shortest2) {
    for (int iteration = 0; iteration < 200; ++iteration) {
        std::sort(v, v + 3, [](const Vector& a, const Vector& b) { return a.norm2() < b.norm2(); });
        reduce_pair(v[0], v[1], shortest2);
        const double aa = v[0].norm2(), bb = v[1].norm2(), ab = dot(v[0].r, v[1].r);
        const double ac = dot(v[0].r, v[2].r), bc = dot(v[1].r, v[2].r);
        const double det = aa * bb - ab * ab;
        if (!(det > 1e-20 * aa * bb)) singular();
        const double x0 = whole((ac * bb - bc * ab) / det), y0 = whole((bc * aa - ac * ab) / det);
        Vector best = v[2];
        for (int dx = -1; dx <= 1; ++dx)
            for (int dy = -1; dy <= 1; ++dy) {
                Vector t = v[2];
                t.subtract(v[0], x0 + dx);
                t.subtract(v[1], y0 + dy);
                if (t.norm2() < best.norm2() * (1.0 - 1e-12)) best = t;
            }
        const bool done = best.norm2() >= v[2].norm2();
        v[2] = best;
        if (v[2].norm2() <= shortest2) singular();
        if (done) return;
    }
}

// Nearly reduced is good enough and keeps the caller's own vectors (so no shift has to be mapped
// back).
bool is_reduced(const Vector* v, int n) {
    for (int a = 0; a < n; ++a)
        for (int b = a + 1; b < n; ++b)
            if (std::fabs(dot(v[a].r, v[b].r)) > 0.5001 * std::min(v[a].norm2(), v[b].norm2()))
                return false;
    if (n < 3) return true;
    const double longest2 = std::max({v[0].norm2(), v[1].norm2(), v[2].norm2()});
    for (int sb = -1; sb <= 1; sb += 2)
        for (int sc = -1; sc <= 1; sc += 2) {
            Vector t = v[0];
            t.subtract(v[1], sb);
            t.subtract(v[2], sc);
            if (t.norm2() < 0.999 * longest2) return false;
        }
    return true;
}

void complete(Lattice& l) {
    double (*v)[3] = reinterpret_cast<double (*)[3]>(l.basis);
    int periodic = 0, last = 0, open = 0;
    for (int k = 0; k < 3; ++k) {
        periodic += l.pbc[k];
        (l.pbc[k] ? last : open) = k;
    }
    if (periodic == 0) {
        for (int k = 0; k < 9; ++k) l.basis[k] = k % 4 == 0 ? 1.0 : 0.0;
    } else if (periodic == 1) {
        const double* a = v[last];
        int axis = 0;  // the Cartesian axis least along the periodic vector
        for (int c = 1; c < 3; ++c)
            if (std::fabs(a[c]) < std::fabs(a[axis])) axis = c;
        double e[3] = {0.0, 0.0, 0.0};
        e[axis] = 1.0;
        double *p = v[(last + 1) % 3], *q = v[(last + 2) % 3];
        cross(a, e, p);
        const double np = std::sqrt(dot(p, p));
        for (int c = 0; c < 3; ++c) p[c] /= np;
        cross(a, p, q);
        const double nq = std::sqrt(dot(q, q));
        for (int c = 0; c < 3; ++c) q[c] /= nq;
    } else if (periodic == 2) {
        double* p = v[open];
        cross(v[(open + 1) % 3], v[(open + 2) % 3], p);
        const double np = std::sqrt(dot(p, p));
        for (int c = 0; c < 3; ++c) p[c] /= np;
    }
}

void invert(const double* m, double* out) {
    double c[9];
    cross(m + 3, m + 6, c);
    cross(m + 6, m, c + 3);
    cross(m, m + 3, c + 6);
    const double det = dot(m, c);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) out[3 * i + j] = c[3 * j + i] / det;
}

}  // namespace

Lattice make_lattice(const double* cell, const bool* pbc) {
    Lattice l{};
    Vector v[3];
    int n = 0;
    double longest2 = 0.0;
    for (int k = 0; k < 3; ++k) {
        l.pbc[k] = pbc[k];
        for (int c = 0; c < 3; ++c) {
            const double x = cell[3 * k + c];
            if (!std::isfinite(x))
                throw std::invalid_argument("cell[" + std::to_string(k) + ", " + std::to_string(c) +
                                            "] is " + number(x) + "; expected a finite number");
            l.user[3 * k + c] = pbc[k] ? x : 0.0;
        }
        if (pbc[k]) {
            for (int c = 0; c < 3; ++c) {
                v[n].r[c] = cell[3 * k + c];
                v[n].s[c] = c == k;
            }
            longest2 = std::max(longest2, v[n].norm2());
            ++n;
        }
    }
    // Shorter than 1e-9 of the longest vector after reduction: rounding noise of dependent vectors.
    const double shortest2 = 1e-18 * longest2;
    for (int k = 0; k < n; ++k)
        if (v[k].norm2() <= shortest2) singular();
    if (!is_reduced(v, n)) {
        if (n == 2) reduce_pair(v[0], v[1], shortest2);
        if (n == 3) reduce_triple(v, shortest2);
    }
    for (int k = 0, m = 0; k < 3; ++k) {
        for (int c = 0; c < 3; ++c) {
            if (pbc[k]) {
                l.basis[3 * k + c] = v[m].r[c];
                if (std::llabs(v[m].s[c]) > 1000000) singular();
                l.to_user[3 * k + c] = std::int32_t(v[m].s[c]);
            } else {
                l.to_user[3 * k + c] = c == k;
            }
        }
        m += pbc[k];
    }
    complete(l);
    double scale = 1.0, c[3];
    for (int k = 0; k < 3; ++k) {
        const double norm = std::sqrt(dot(l.basis + 3 * k, l.basis + 3 * k));
        scale *= norm;
        if (pbc[k]) l.length = std::max(l.length, norm);
    }
    cross(l.basis + 3, l.basis + 6, c);
    const double volume = std::fabs(dot(l.basis, c));
    if (!(volume > 1e-9 * scale)) singular();
    invert(l.basis, l.inverse);
    for (int k = 0; k < 3; ++k) {
        double norm2 = 0.0;
        for (int r = 0; r < 3; ++r) norm2 += l.inverse[3 * r + k] * l.inverse[3 * r + k];
        l.height[k] = 1.0 / std::sqrt(norm2);
    }
    return l;
}

void strain_between(const Lattice& from, const double* cell_to, double* f, double* sigma_min) {
    // The reduced basis moves with the caller's vectors: basis_to = to_user @ cell_to; open rows by
    // completion.
    Lattice to = from;
    for (int k = 0; k < 3; ++k)
        for (int c = 0; c < 3; ++c)
            if (from.pbc[k]) {
                double x = 0.0;
                for (int m = 0; m < 3; ++m)
                    if (from.pbc[m]) x += from.to_user[3 * k + m] * cell_to[3 * m + c];
                to.basis[3 * k + c] = x;
            }
    complete(to);
    double norm2 = 0.0;
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) {
            double x = 0.0;
            for (int m = 0; m < 3; ++m) x += from.inverse[3 * r + m] * to.basis[3 * m + c];
            f[3 * r + c] = x;
            norm2 += (x - (r == c)) * (x - (r == c));
        }
    *sigma_min = 1.0 - std::sqrt(norm2);
}

// The least eigenvalue of F F^T is not below q - 2 p, with the mean q of the three and p^2 a sixth of the trace of
// (F F^T - q)^2: three numbers with sum zero and sum of squares 6 p^2 are none below -2 p.
double least_stretch(const double* f) {
    double a[9];
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) a[3 * r + c] = dot(f + 3 * r, f + 3 * c);
    const double q = (a[0] + a[4] + a[8]) / 3.0;
    for (int k = 0; k < 9; k += 4) a[k] -= q;
    double p2 = 0.0;
    for (const double x : a) p2 += x * x;
    return std::sqrt(std::max(0.0, q - 2.0 * std::sqrt(p2 / 6.0))) * (1.0 - 1e-14);
}

}  // namespace mdkern
