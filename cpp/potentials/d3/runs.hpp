// Runs of places within a sphere, and loops over them. Include from kernels only.
#pragma once

#include "potentials/d3/d3.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

// A vector of places from `begin` on, of which those with a bit in `live` are meant.
struct Run {
    std::int32_t begin;
    std::uint32_t live;
};

// Cell along one axis, in range.
inline std::int32_t cell_at(double x, double low, double inverse, std::int32_t n) {
    const double c = (x - low) * inverse;
    return c <= 0.0 ? 0 : c >= double(n) ? n - 1 : std::int32_t(c);
}

// Writes [begin, end) as vectors and returns how many. The first ones are written without asking, as their
// number, and how many lanes of the last are live, cannot be foreseen: leave room for kAhead.
constexpr int kAhead = 4;
inline Run run_at(std::int32_t begin, std::int32_t end) {
    constexpr int w = simd::Vec<double>::width;
    const std::int32_t left = end - begin, n = left < w ? left : w;
    return {begin, (1U << (unsigned(n) & 31U)) - 1U};
}
inline int put_runs(std::int32_t begin, std::int32_t end, Run* runs) {
    constexpr int w = simd::Vec<double>::width;
    const int n = (end - begin + w - 1) / w;
    for (int k = 0; k < kAhead; ++k) runs[k] = run_at(begin + k * w, end);
    for (int k = kAhead; k < n; ++k) runs[k] = run_at(begin + k * w, end);
    return n;
}

// Some real rows that are near each other.
struct Block {
    static constexpr int most = 16;
    int n = 0;
    std::int64_t row[most];
    const double* at[most];  // x, y, z, species
    std::int32_t place[most];

    Block(const System& s, const Places& places, std::int64_t block) {
        const std::int64_t end = (block + 1) * most < s.n_real ? (block + 1) * most : s.n_real;
        for (std::int64_t k = block * most; k < end; ++k, ++n) {
            row[n] = places.centre[k];
            at[n] = s.rows + 4 * row[n];
            place[n] = places.place[row[n]];
        }
    }
    Block(const System& s, std::int64_t one, std::int32_t its_place) : n(1) {
        row[0] = one;
        at[0] = s.rows + 4 * one;
        place[0] = its_place;
    }
};
inline std::int64_t blocks_of(const System& s) {
    return (s.n_real + Block::most - 1) / Block::most;
}

// The columns of one species that a block reads at a time: their places stay in the L1 cache while all rows
// of the block go over them.
class Tiles {
public:
    Tiles(const Columns& columns, double reach, double border, Run* memory)
        : c(columns), range(reach), range2(reach * reach), margin(border), runs(memory) {
        double lanes[V::width];
        for (int l = 0; l < V::width; ++l) lanes[l] = l;
        lane = simd::load(lanes);
    }

    // body(m, runs, n) for each tile and row m of the block that has places there, which are within the range
    // or near it, without the row's own. A run of nobody follows the last one.
    template <class Body> void run(const Block& block, const Body& body) const {
        std::int32_t first[2], last[2];
        for (int d = 0; d < 2; ++d) {
            double low = block.at[0][c.axis[d]], high = low;
            for (int m = 1; m < block.n; ++m) {
                const double x = block.at[m][c.axis[d]];
                low = x < low ? x : low;
                high = x > high ? x : high;
            }
            first[d] = cell_at(low - range - margin, c.low[d], c.inverse[d], c.n[d]);
            last[d] = cell_at(high + range + margin, c.low[d], c.inverse[d], c.n[d]);
        }
        for (std::int32_t a = first[0]; a <= last[0]; ++a)
            for (std::int32_t b = first[1]; b <= last[1]; b += kColumns) {
                const std::int32_t end = b + kColumns - 1 < last[1] ? b + kColumns - 1 : last[1];
                for (int m = 0; m < block.n; ++m) {
                    const int n = find(a, b, end, block.at[m], block.place[m]);
                    if (n == 0) continue;
                    runs[n] = {runs[0].begin, 0};
                    body(m, runs, n);
                }
            }
    }

private:
    using V = simd::Vec<double>;
    static constexpr std::int32_t kColumns = 8;

    // Runs of the columns (a, b) to (a, b_last) that may be within the range of x.
    int find(std::int32_t a, std::int32_t b, std::int32_t b_last, const double* x,
             std::int32_t self) const {
        const double u = x[c.axis[0]], v = x[c.axis[1]];
        // How far x is outside of a column is |x - middle| less half of it, and the margin.
        const double half_u = 0.5 * c.size[0] + margin, half_v = 0.5 * c.size[1] + margin;
        const double off = __builtin_fabs(u - c.low[0] - (a + 0.5) * c.size[0]) - half_u;
        const double du = off > 0.0 ? off : 0.0, left = range2 - du * du;
        if (left < 0.0) return 0;
        const V along_x = x[c.axis[2]] - c.low[2], last = c.n[2] - 1, inverse = c.inverse[2];
        std::int32_t from[V::width], to[V::width];
        int n = 0;
        for (; b <= b_last; b += V::width) {
            const V middle = simd::fma(V(b + 0.5) + lane, V(c.size[1]), V(c.low[1]));
            const V dv = simd::max(simd::abs(V(v) - middle) - V(half_v), V(0.0));
            const V rest = simd::fnma(dv, dv, V(left));
            const auto within = rest >= V(0.0);
            if (!simd::any(within)) continue;
            const V along = simd::sqrt(simd::max(rest, V(0.0))) + V(margin);
            const V low = simd::min(simd::max((along_x - along) * inverse, V(0.0)), last),
                    high = simd::min(simd::max((along_x + along) * inverse, V(0.0)), last);
            simd::store_int(from, simd::to_int(low));
            simd::store_int(to, simd::to_int(high));
            // Lanes beyond the last column have none.
            const int some = b_last + 1 - b;
            unsigned inside = unsigned(simd::bits(within & simd::first_n<double>(some)));
            const std::int32_t* start = c.start + std::int64_t(a * c.n[1] + b) * c.n[2];
            for (; inside; inside &= inside - 1) {
                const int l = __builtin_ctz(inside);
                const std::int32_t* cell = start + std::int64_t(l) * c.n[2];
                const std::int32_t begin = cell[from[l]], end = cell[to[l] + 1];
                if (begin <= self && self < end) {
                    n += put_runs(begin, self, runs + n);
                    n += put_runs(self + 1, end, runs + n);
                } else {
                    n += put_runs(begin, end, runs + n);
                }
            }
        }
        return n;
    }

    const Columns& c;
    const double range, range2, margin;
    Run* runs;
    V lane = 0.0;
};

inline Run* runs_of(const D3Scratch& work, int thread) {
    return reinterpret_cast<Run*>(work.runs) + thread * work.n_runs;
}
inline const double* pair_of(const D3Params& p, double a, int b) {
    return p.pair + 8 * (std::int64_t(a) * p.n_species + b);
}

// Adds the force g (x, y, z) of a vector of pairs, and its virial, to sums of xyz and xx, yy, zz, yz, xz, xy.
// Forces are not fused: on some CPUs additions have units of their own.
template <bool kTotals>
inline void add_pull(simd::Vec<double>* t, simd::Vec<double> g, simd::Vec<double> x,
                     simd::Vec<double> y, simd::Vec<double> z) {
    const simd::Vec<double> gx = g * x, gy = g * y, gz = g * z;
    t[0] = t[0] + gx;
    t[1] = t[1] + gy;
    t[2] = t[2] + gz;
    if constexpr (kTotals) {
        t[3] = simd::fma(gx, x, t[3]);
        t[4] = simd::fma(gy, y, t[4]);
        t[5] = simd::fma(gz, z, t[5]);
        t[6] = simd::fma(gy, z, t[6]);
        t[7] = simd::fma(gx, z, t[7]);
        t[8] = simd::fma(gx, y, t[8]);
    }
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
