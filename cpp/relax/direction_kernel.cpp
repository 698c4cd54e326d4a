// Of 57 coordinates (16 atoms and a cell) and 100 moves 4 * 57 * 100 products: each vector is read
// once in a pass that subtracts the last move and multiplies by the next.
#include "relax/direction.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

// p += factor b, then p . c, in one pass.
inline double add_dot(std::int64_t n, double* p, double factor, const double* b, const double* c) {
    double s[8] = {};
    std::int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) {
            const double x = p[i + k] + factor * b[i + k];
            p[i + k] = x;
            s[k] += x * c[i + k];
        }
    double rest = 0.0;
    for (; i < n; ++i) {
        p[i] += factor * b[i];
        rest += p[i] * c[i];
    }
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + rest;
}

inline double dot(std::int64_t n, const double* p, const double* c) {
    double s[8] = {};
    std::int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) s[k] += p[i + k] * c[i + k];
    double rest = 0.0;
    for (; i < n; ++i) rest += p[i] * c[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + rest;
}

}  // namespace

void direction_compute(const DirectionTask& t, int) {
    const std::int64_t n = t.size;
    // Place of the move of so many steps ago, from 1 on.
    const auto at = [&](std::int64_t ago) {
        const std::int64_t place = t.next - ago;
        return place < 0 ? place + t.room : place;
    };
    const auto moves = [&](std::int64_t place) { return t.pairs + 2 * place * n; };
    const auto changes = [&](std::int64_t place) { return moves(place) + n; };
    if (t.kept > 0) {
        double product = dot(n, t.p, moves(at(1)));
        for (std::int64_t ago = 1; ago <= t.kept; ++ago) {
            const std::int64_t place = at(ago);
            const double a = t.rho[place] * product;
            t.a[place] = a;
            if (ago < t.kept) {
                product = add_dot(n, t.p, -a, changes(place), moves(at(ago + 1)));
                continue;
            }
            const double* y = changes(place);
            for (std::int64_t i = 0; i < n; ++i) t.p[i] -= a * y[i];
        }
    }
    for (std::int64_t i = 0; i < n; ++i) t.p[i] *= t.scale;
    if (t.kept > 0) {
        double product = dot(n, t.p, changes(at(t.kept)));
        for (std::int64_t ago = t.kept; ago >= 1; --ago) {
            const std::int64_t place = at(ago);
            const double factor = t.a[place] - t.rho[place] * product;
            if (ago > 1) {
                product = add_dot(n, t.p, factor, moves(place), changes(at(ago - 1)));
                continue;
            }
            const double* s = moves(place);
            for (std::int64_t i = 0; i < n; ++i) t.p[i] += factor * s[i];
        }
    }
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
