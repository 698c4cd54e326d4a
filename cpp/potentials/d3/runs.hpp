// Runs of places within a sphere, and loops over them. Include from kernels only.
#pragma once

#include "potentials/d3/d3.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

struct Run {
    std::int32_t begin, end;
};

// Cell along one axis, in range.
inline std::int32_t cell_at(double x, double low, double inverse, std::int32_t n) {
    const double c = (x - low) * inverse;
    return c <= 0.0 ? 0 : c >= double(n) ? n - 1 : std::int32_t(c);
}

// How far x is outside of [low, low + size], less the margin; at least 0.
inline double outside(double x, double low, double size, double margin) {
    const double below = low - x, above = x - (low + size);
    const double far = (below > above ? below : above) - margin;
    return far > 0.0 ? far : 0.0;
}

// Places of a species that may be within `range` of x, without `self`, one of them or -1: writes the runs,
// at most n[0] n[1] + 1, and returns how many.
inline int find_runs(const Columns& c, const double* x, double range, double margin,
                     std::int32_t self, Run* runs) {
    const double u = x[c.axis[0]], v = x[c.axis[1]], w = x[c.axis[2]];
    const double reach = range + margin, range2 = range * range;
    const std::int32_t u_begin = cell_at(u - reach, c.low[0], c.inverse[0], c.n[0]),
                       u_end = cell_at(u + reach, c.low[0], c.inverse[0], c.n[0]);
    int n = 0;
    for (std::int32_t a = u_begin; a <= u_end; ++a) {
        const double du = outside(u, c.low[0] + a * c.size[0], c.size[0], margin);
        const double left = range2 - du * du;
        if (left < 0.0) continue;
        const double across = __builtin_sqrt(left) + margin;
        const std::int32_t v_begin = cell_at(v - across, c.low[1], c.inverse[1], c.n[1]),
                           v_end = cell_at(v + across, c.low[1], c.inverse[1], c.n[1]);
        for (std::int32_t b = v_begin; b <= v_end; ++b) {
            const double dv = outside(v, c.low[1] + b * c.size[1], c.size[1], margin);
            const double rest = left - dv * dv;
            if (rest < 0.0) continue;
            const double along = __builtin_sqrt(rest) + margin;
            const std::int32_t* start = c.start + std::int64_t(a * c.n[1] + b) * c.n[2];
            Run run{start[cell_at(w - along, c.low[2], c.inverse[2], c.n[2])],
                    start[cell_at(w + along, c.low[2], c.inverse[2], c.n[2]) + 1]};
            if (run.begin <= self && self < run.end) {
                if (run.begin < self) runs[n++] = {run.begin, self};
                run.begin = self + 1;
            }
            if (run.begin < run.end) runs[n++] = run;
        }
    }
    return n;
}

// t^3 (10 - 15 t + 6 t^2) with t = (cutoff - r) / width, 1 for t >= 1; and its derivative by r over r.
struct Smooth {
    simd::Vec<double> cutoff, inverse;
    Smooth(double rc, double width) : cutoff(rc), inverse(width > 0.0 ? 1.0 / width : 0.0) {}
    void operator()(simd::Vec<double> r, simd::Vec<double>& s, simd::Vec<double>& ds) const {
        using V = simd::Vec<double>;
        const V t = simd::max(simd::min((cutoff - r) * inverse, V(1.0)), V(0.0)), t2 = t * t;
        s = t * t2 * simd::fma(simd::fma(V(6.0), t, V(-15.0)), t, V(10.0));
        const V back = V(1.0) - t;
        ds = V(-30.0) * t2 * back * back * inverse / r;
    }
};

}  // namespace MDKERN_ISA
}  // namespace mdkern
