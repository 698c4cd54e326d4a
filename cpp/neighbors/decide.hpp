// What decides whether two rows are neighbors, for the kernels that search. Include from kernels
// only.
#pragma once

#include "neighbors/search.hpp"

namespace mdkern {
namespace MDKERN_ISA {

inline double larger(double a, double b) { return a > b ? a : b; }
inline int clamp_bin(double b, int n) { return b < 0.0 ? 0 : b >= n ? n - 1 : int(b); }

// One instruction under -fno-math-errno; std::sqrt could become a call into an object of another
// ISA.
inline double root(double x) { return __builtin_sqrt(x); }

inline double pair_cutoff(const CutoffRule& rule, std::int64_t i, std::int64_t j) {
    if (rule.kind == CutoffKind::radii) return rule.radius[i] + rule.radius[j];
    if (rule.kind == CutoffKind::types)
        return rule.table[rule.type[i] * rule.n_types + rule.type[j]];
    return rule.cutoff;
}

// The one definition of whether rows i and j are neighbors where rounding decides.
inline bool exactly_within(const Exact& e, const CutoffRule& rule, std::int64_t i, std::int64_t j) {
    const double *pi = e.position + 4 * i, *pj = e.position + 4 * j;
    const std::int32_t *si = e.shift + 4 * i, *sj = e.shift + 4 * j;
    const double s0 = double(sj[0] - si[0]), s1 = double(sj[1] - si[1]), s2 = double(sj[2] - si[2]);
    double d[3];
    for (int c = 0; c < 3; ++c)
        d[c] = (pj[c] - pi[c]) + ((s0 * e.cell[c] + s1 * e.cell[3 + c]) + s2 * e.cell[6 + c]);
    return root((d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]) < pair_cutoff(rule, i, j);
}

// Of the two directions of a pair a half list keeps the one with i < j, or with the first non-zero
// S positive for i == j.
inline bool in_half(const Exact& e, std::int64_t i, std::int64_t j) {
    const std::int32_t *si = e.shift + 4 * i, *sj = e.shift + 4 * j;
    if (si[3] != sj[3]) return si[3] < sj[3];
    for (int c = 0; c < 3; ++c)
        if (sj[c] != si[c]) return sj[c] > si[c];
    return true;
}

// Whether rows i and j are neighbors, any rule.
inline bool accept(const CutoffRule& rule, const System& s, const Exact& e, std::int64_t i,
                   std::int64_t j) {
    const double most = pair_cutoff(rule, i, j);
    const double *p = s.rows + 4 * i, *q = s.rows + 4 * j;
    const double dx = q[0] - p[0], dy = q[1] - p[1], dz = q[2] - p[2];
    const double r2 = dx * dx + dy * dy + dz * dz;
    if (r2 < most * most - e.band) return true;
    return e.band > 0.0 && r2 < most * most + e.band && exactly_within(e, rule, i, j);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
