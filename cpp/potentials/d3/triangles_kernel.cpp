// Three-body term of Axilrod, Teller and Muto. Every corner of a triangle that is a real row meets it and
// takes what belongs to itself: a third of the energy and virial, its force, its D. With squared sides
// a = ij, b = ik, c = jk:
//   E = s9 sqrt(C6_ij C6_ik C6_jk) (1 + 3/8 (a+b-c)(a-b+c)(-a+b+c) / (abc)) / (abc)^(3/2) f
//   f = 1 / (1 + 6 (4/3 (R_ij R_ik R_jk)^(1/3) / (abc)^(1/6))^(alp + 2))
#include "potentials/d3/runs.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;
using M = simd::Mask<double>;

namespace {

constexpr std::int64_t kRows = 4;  // per part of a thread's work

// Neighbors of a row by species, side by side.
struct Near {
    double *x, *y, *z, *r2;  // vectors to them
    double *s, *ds;          // smoothing of that side, and its derivative over r
    double *c6, *ratio;      // C6 with the row, and (dC6/dCN of the row) / C6
    double* species;
    double* weights[kMostReferences];
    int n = 0;

    Near(double* memory, std::int64_t stride) {
        double** columns[] = {&x, &y, &z, &r2, &s, &ds, &c6, &ratio, &species};
        for (double** c : columns) {
            *c = memory;
            memory += stride;
        }
        for (double*& c : weights) {
            c = memory;
            memory += stride;
        }
    }
};

struct Side {
    V square, s, ds;
};

// E of triangles without C9, and 2 dE/d(square) of the three sides: (dE/dr) / r.
struct Triangle {
    V power, scale;  // (alp + 2) / 6
    void operator()(const Side& u, const Side& v, const Side& w, V radii, V& e, V& du, V& dv,
                    V& dw) const {
        const V a = u.square, b = v.square, c = w.square;
        const V inverse = V(1.0) / (a * b * c);
        const V t1 = a + b - c, t2 = a - b + c, t3 = b + c - a;
        const V k = V(0.375) * inverse, p12 = k * t1 * t2, p13 = k * t1 * t3, p23 = k * t2 * t3;
        const V product = p12 * t3, angle = product + V(1.0);
        // 4/3 cubed twice, as radii^2 / (abc) is the sixth power of the ratio.
        const V x = V(6.0) * math::exp(power * math::log(scale * radii * radii * inverse));
        const V f = V(1.0) / (V(1.0) + x), damp = V(2.0) * power * x * f;
        const V size = inverse * simd::sqrt(inverse) * f, s = u.s * v.s * w.s;
        e = angle * size * s;
        // Of each square q: d(angle)/dq - angle (3/2 - damp / 2) / q.
        const V decay = simd::fma(angle, damp - V(3.0), V(-2.0) * product);
        const V common = size * s, rest = angle * size;
        const auto slope = [&](V d_product, const Side& side, V others) MDKERN_BODY {
            return simd::fma(common, simd::fma(V(2.0), d_product, decay / side.square),
                             rest * others * side.ds);
        };
        du = slope(p23 + p13 - p12, u, v.s * w.s);
        dv = slope(p23 + p12 - p13, v, u.s * w.s);
        dw = slope(p13 + p12 - p23, w, u.s * v.s);
    }
};

// C6 between references and their weights: to[q] = sum_p weights[p] c6_pq for the q of species b.
inline void mix(const D3Params& p, std::int64_t a, int b, const double* weights, double* to) {
    const int n_own = p.first[a + 1] - p.first[a], n = p.first[b + 1] - p.first[b];
    for (int q = 0; q < n; ++q) to[q] = 0.0;
    for (int r = 0; r < n_own; ++r) {
        const double* c6 = p.c6 + std::int64_t(p.first[a] + r) * p.n_references + p.first[b];
        for (int q = 0; q < n; ++q) to[q] += weights[r] * c6[q];
    }
}

class Corner {
public:
    Corner(const D3Params& params, const Places& all, const D3Scratch& scratch, int thread)
        : p(params),
          places(all),
          work(scratch),
          near(scratch.near + thread * kD3Near * scratch.n_near, scratch.n_near),
          runs(runs_of(scratch, thread)),
          limit2(params.abc_cutoff * params.abc_cutoff),
          smooth(params.abc_cutoff, params.abc_width) {
        triangle.power = V((p.alp + 2.0) / 6.0);
        triangle.scale = V(4096.0 / 729.0);
    }

    template <bool kTotals, bool kHeat> void run(const System& s, std::int64_t i) {
        const double* at = s.rows + 4 * i;
        const std::int64_t a = std::int64_t(at[3]);
        collect(s, i);
        V e = 0.0, d = 0.0, fx = 0.0, fy = 0.0, fz = 0.0;
        V w[6] = {V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0)};
        [[maybe_unused]] V nine[9], moment[3];
        if constexpr (kHeat) {
            for (V& x : nine) x = 0.0;
            for (V& x : moment) x = 0.0;
        }
        for (int j = 0; j + 1 < near.n; ++j) {
            const std::int64_t b = std::int64_t(near.species[j]);
            double weights[kMostReferences], mixed[kMostReferences];
            for (int q = 0; q < kMostReferences; ++q) weights[q] = near.weights[q][j];
            const V xj = near.x[j], yj = near.y[j], zj = near.z[j];
            const Side first{near.r2[j], near.s[j], near.ds[j]};
            for (int m = 0; m < places.n_columns; ++m) {
                const int begin = ends[m] > j + 1 ? ends[m] : j + 1, end = ends[m + 1];
                if (begin >= end) continue;
                const int c = places.columns[m].species;
                mix(p, b, c, weights, mixed);
                const double* row = p.pair + 8 * a * p.n_species;
                const V radii =
                    row[8 * b + 5] * row[8 * c + 5] * p.pair[8 * (b * p.n_species + c) + 5];
                const V scale = p.s9 * p.s9 * near.c6[j], ratio = near.ratio[j];
                const int n = p.first[c + 1] - p.first[c];
                for (int k = begin; k < end; k += V::width) {
                    const V xk = simd::load(near.x + k), yk = simd::load(near.y + k),
                            zk = simd::load(near.z + k);
                    const V dx = xk - xj, dy = yk - yj, dz = zk - zj;
                    Side third{simd::fma(dx, dx, simd::fma(dy, dy, dz * dz)), V(1.0), V(0.0)};
                    const M within = (third.square <= V(limit2)) & simd::first_n<double>(end - k);
                    if (!simd::any(within)) continue;
                    if (p.abc_width > 0.0) smooth(simd::sqrt(third.square), third.s, third.ds);
                    V c6 = 0.0;
                    for (int q = 0; q < n; ++q)
                        c6 = simd::fma(V(mixed[q]), simd::load(near.weights[q] + k), c6);
                    const Side second{simd::load(near.r2 + k), simd::load(near.s + k),
                                      simd::load(near.ds + k)};
                    V energy, du, dv, dw;
                    triangle(first, second, third, radii, energy, du, dv, dw);
                    const V c9 = simd::sqrt(scale * simd::load(near.c6 + k) * c6);
                    energy = simd::keep(within, c9 * energy);
                    du = simd::keep(within, c9 * du);
                    dv = simd::keep(within, c9 * dv);
                    e = e + energy;
                    d = simd::fma(energy, ratio + simd::load(near.ratio + k), d);
                    const V ax = du * xj, ay = du * yj, az = du * zj;
                    const V bx = dv * xk, by = dv * yk, bz = dv * zk;
                    if constexpr (kHeat) {
                        // The middle of the triangle, relative to this corner, three times; force.
                        const V r0[3] = {xj + xk, yj + yk, zj + zk},
                                f[3] = {ax + bx, ay + by, az + bz};
                        const V by_cn = energy * (ratio + simd::load(near.ratio + k));
                        for (int q = 0; q < 9; ++q)
                            nine[q] = simd::fnma(r0[kNine[q][0]], f[kNine[q][1]], nine[q]);
                        for (int x = 0; x < 3; ++x) moment[x] = simd::fma(by_cn, r0[x], moment[x]);
                    }
                    fx = fx + (ax + bx);
                    fy = fy + (ay + by);
                    fz = fz + (az + bz);
                    if constexpr (kTotals) {
                        dw = simd::keep(within, c9 * dw);
                        const V cx = dw * dx, cy = dw * dy, cz = dw * dz;
                        w[0] = simd::fma(ax, xj, simd::fma(bx, xk, simd::fma(cx, dx, w[0])));
                        w[1] = simd::fma(ay, yj, simd::fma(by, yk, simd::fma(cy, dy, w[1])));
                        w[2] = simd::fma(az, zj, simd::fma(bz, zk, simd::fma(cz, dz, w[2])));
                        w[3] = simd::fma(ay, zj, simd::fma(by, zk, simd::fma(cy, dz, w[3])));
                        w[4] = simd::fma(ax, zj, simd::fma(bx, zk, simd::fma(cx, dz, w[4])));
                        w[5] = simd::fma(ax, yj, simd::fma(bx, yk, simd::fma(cx, dy, w[5])));
                    }
                }
            }
        }
        const double sign = p.s9 < 0.0 ? -1.0 : 1.0;  // of the root of its square
        double* row = work.rows + kD3Row * i;
        double sums[4];
        simd::store_sums4(sums, fx, fy, fz, e);
        for (int c = 0; c < 3; ++c) row[c] += sign * sums[c];
        row[3] += sign * sums[3] / 3.0;
        work.by_cn[i] += sign * 0.5 * simd::sum(d);
        if constexpr (kHeat) {
            for (int c = 0; c < 9; ++c) work.nine[9 * i + c] += sign * simd::sum(nine[c]) / 3.0;
            for (int c = 0; c < 3; ++c)
                work.moments[3 * i + c] += sign * 0.5 * simd::sum(moment[c]) / 3.0;
        }
        if constexpr (kTotals)
            for (int c = 0; c < 6; ++c) row[4 + c] += sign * simd::sum(w[c]) / 3.0;
    }

private:
    // All within the cutoff of a row.
    void collect(const System& system, std::int64_t i) {
        const Block block(system, i, places.place[i]);
        const double* at = block.at[0];
        const std::int64_t a = std::int64_t(at[3]), own = block.place[0];
        const int n_own = p.first[a + 1] - p.first[a];
        double weights[kMostReferences], slopes[kMostReferences], mean = 0.0;
        for (int r = 0; r < n_own; ++r) {
            weights[r] = work.weights[r * work.stride + own];
            mean += weights[r] * p.ref_cn[p.first[a] + r];
        }
        for (int r = 0; r < n_own; ++r)
            slopes[r] = 8.0 * weights[r] * (p.ref_cn[p.first[a] + r] - mean);
        near.n = 0;
        for (int m = 0; m < places.n_columns; ++m) {
            ends[m] = near.n;
            const Columns& c = places.columns[m];
            const int n = p.first[c.species + 1] - p.first[c.species];
            double mixed[kMostReferences], by_cn[kMostReferences];
            mix(p, a, c.species, weights, mixed);
            mix(p, a, c.species, slopes, by_cn);
            const Tiles tiles(c, p.abc_cutoff, places.margin, runs);
            tiles.run(block, [&](int, const Run* found, int n_found) {
                for (int k = 0; k < n_found * V::width; ++k) {
                    const int l = k % V::width;
                    const std::int32_t j = found[k / V::width].begin + l;
                    if (!(found[k / V::width].live >> l & 1U)) continue;
                    const double x = places.at[0][j] - at[0], y = places.at[1][j] - at[1],
                                 z = places.at[2][j] - at[2], r2 = x * x + y * y + z * z;
                    if (!(r2 <= limit2)) continue;
                    double c6 = 0.0, slope = 0.0;
                    for (int q = 0; q < n; ++q) {
                        const double w = work.weights[q * work.stride + j];
                        near.weights[q][near.n] = w;
                        c6 += mixed[q] * w;
                        slope += by_cn[q] * w;
                    }
                    for (int q = n; q < kMostReferences; ++q) near.weights[q][near.n] = 0.0;
                    near.x[near.n] = x;
                    near.y[near.n] = y;
                    near.z[near.n] = z;
                    near.r2[near.n] = r2;
                    near.c6[near.n] = c6;
                    near.ratio[near.n] = slope / c6;
                    near.species[near.n] = double(c.species);
                    ++near.n;
                }
            });
        }
        ends[places.n_columns] = near.n;
        // Vectors reach beyond the last: what is masked there must be numbers.
        for (int k = near.n; k < near.n + V::width; ++k) {
            near.x[k] = near.y[k] = near.z[k] = near.ratio[k] = 0.0;
            near.r2[k] = near.c6[k] = 1.0;
            for (double* w : near.weights) w[k] = 0.0;
        }
        for (int k = 0; k < near.n; k += V::width) {
            V s = 1.0, ds = 0.0;
            if (p.abc_width > 0.0) smooth(simd::sqrt(simd::load(near.r2 + k)), s, ds);
            simd::store(near.s + k, s);
            simd::store(near.ds + k, ds);
        }
    }

    const D3Params& p;
    const Places& places;
    const D3Scratch& work;
    Near near;
    Run* runs;
    const double limit2;
    const Smooth smooth;
    Triangle triangle;
    int ends[kMaxSpecies + 1];  // of each species in `near`
};

template <bool kTotals, bool kHeat>
void triangle_rows(const D3Params& p, const System& s, const Places& places, const D3Scratch& work,
                   int n_threads) {
    const std::int64_t parts = (s.n_real + kRows - 1) / kRows;
    parallel_for_thread(parts, n_threads, 0, [&](std::int64_t part, int thread) {
        Corner corner(p, places, work, thread);
        const std::int64_t end = (part + 1) * kRows < s.n_real ? (part + 1) * kRows : s.n_real;
        for (std::int64_t i = part * kRows; i < end; ++i) corner.run<kTotals, kHeat>(s, i);
    });
}

}  // namespace

void d3_triangles_compute(const D3Params& p, const System& s, const Places& places,
                          const D3Scratch& work, bool totals, int n_threads) {
    if (work.nine)
        triangle_rows<true, true>(p, s, places, work, n_threads);
    else if (totals)
        triangle_rows<true, false>(p, s, places, work, n_threads);
    else
        triangle_rows<false, false>(p, s, places, work, n_threads);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
