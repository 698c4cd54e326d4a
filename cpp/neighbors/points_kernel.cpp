// The stages of points.hpp. Sums and products are not fused, so that all instruction sets wrap and
// sort alike.
#include "neighbors/points.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using V = simd::Vec<double>;

namespace {

inline double smaller(double a, double b) { return a < b ? a : b; }
inline double larger(double a, double b) { return a > b ? a : b; }
// Integers, not a call: without SSE4.1 there is no instruction for it. |x| < 2^63.
inline std::int64_t floor_int(double x) {
    const auto k = std::int64_t(x);
    return k - (x < double(k));
}
inline std::int64_t ceil_int(double x) { return -floor_int(-x); }

inline double fraction(const double* inverse, const double* r, int k) {
    return (r[0] * inverse[k] + r[1] * inverse[3 + k]) + r[2] * inverse[6 + k];
}

// Free atoms stay where they are. The components take turns in the lanes: the box needs no
// transposition.
void free_block(const PointTask& t, PointBlock& b) {
    constexpr int w = V::width;
    double low[3] = {1e308, 1e308, 1e308}, high[3] = {-1e308, -1e308, -1e308}, check = 0.0;
    const double* p = t.positions;
    std::int64_t k = 3 * b.begin;
    if (3 * b.end - k >= 3 * w) {
        V l[3], h[3], c(0.0);
        for (int m = 0; m < 3; ++m) l[m] = h[m] = simd::load(p + k + m * w);
        for (; k + 3 * w <= 3 * b.end; k += 3 * w)
            for (int m = 0; m < 3; ++m) {
                const V v = simd::load(p + k + m * w);
                l[m] = simd::min(l[m], v);
                h[m] = simd::max(h[m], v);
                c = c + (v - v);
            }
        alignas(64) double ls[3 * w], hs[3 * w];
        for (int m = 0; m < 3; ++m) {
            simd::store(ls + m * w, l[m]);
            simd::store(hs + m * w, h[m]);
        }
        for (int m = 0; m < 3 * w; ++m) {
            low[m % 3] = smaller(low[m % 3], ls[m]);
            high[m % 3] = larger(high[m % 3], hs[m]);
        }
        check = simd::sum(c);
    }
    for (; k < 3 * b.end; k += 3)
        for (int c = 0; c < 3; ++c) {
            low[c] = smaller(low[c], p[k + c]);
            high[c] = larger(high[c], p[k + c]);
            check += p[k + c] - p[k + c];
        }
    b.finite = check == 0.0;  // NaN if a value is infinite or NaN
    b.largest = 0.0;
    for (int c = 0; c < 3; ++c) {
        b.low[c] = low[c];
        b.high[c] = high[c];
        b.largest = larger(b.largest, larger(-low[c], high[c]));
    }
}

void wrap_block(const PointTask& t, PointBlock& b) {
    double low[3] = {1e308, 1e308, 1e308}, high[3] = {-1e308, -1e308, -1e308};
    double largest = 0.0, check = 0.0;
    for (std::int64_t i = b.begin; i < b.end; ++i) {
        const double* r = t.positions + 3 * i;
        double w[3] = {r[0], r[1], r[2]};
        std::int32_t s[3] = {0, 0, 0};
        for (int k = 0; k < 3; ++k) {
            check += r[k] - r[k];
            largest = larger(largest, larger(r[k], -r[k]));
            double u = fraction(t.inverse, r, k);
            if (t.pbc[k] && !(u >= 0.0 && u < 1.0)) {
                if (!(u > -kFarCells && u < kFarCells)) {
                    if (b.far < 0) b.far = i;
                    continue;
                }
                const auto whole = double(floor_int(u));
                s[k] = -std::int32_t(whole);
                u -= whole;
                for (int c = 0; c < 3; ++c) w[c] -= whole * t.basis[3 * k + c];
            }
            low[k] = smaller(low[k], u);
            high[k] = larger(high[k], u);
        }
        t.wrapped[i] = {w[0], w[1], w[2], {s[0], s[1], s[2]}, std::int32_t(i)};
    }
    for (int k = 0; k < 3; ++k) {
        b.low[k] = low[k];
        b.high[k] = high[k];
    }
    b.largest = largest;
    b.finite = check == 0.0;
}

// use(point) for atom i and its images.
template <class Use> inline void for_points(const PointTask& t, std::int64_t i, Use use) {
    if (!t.periodic) {
        const double* r = t.positions + 3 * i;
        use(Point{r[0], r[1], r[2], {0, 0, 0}, std::int32_t(i)});
        return;
    }
    const Point p = t.wrapped[i];
    use(p);
    const double r[3] = {p.x, p.y, p.z}, *b = t.basis;
    double f[3];
    bool inside = true;
    for (int k = 0; k < 3; ++k) {
        f[k] = fraction(t.inverse, r, k);
        inside = inside & (t.open[k] | ((f[k] - 1.0 < t.low[k]) & (f[k] + 1.0 > t.high[k])));
    }
    if (__builtin_expect(inside, 1)) return;
    std::int32_t lo[3] = {0, 0, 0}, hi[3] = {0, 0, 0};
    for (int k = 0; k < 3; ++k)
        if (t.pbc[k]) {
            lo[k] = std::int32_t(ceil_int(t.low[k] - f[k]));
            hi[k] = std::int32_t(floor_int(t.high[k] - f[k]));
        }
    for (std::int32_t m0 = lo[0]; m0 <= hi[0]; ++m0)
        for (std::int32_t m1 = lo[1]; m1 <= hi[1]; ++m1)
            for (std::int32_t m2 = lo[2]; m2 <= hi[2]; ++m2) {
                if (m0 == 0 && m1 == 0 && m2 == 0) continue;
                use(Point{p.x + (m0 * b[0] + m1 * b[3] + m2 * b[6]),
                          p.y + (m0 * b[1] + m1 * b[4] + m2 * b[7]),
                          p.z + (m0 * b[2] + m1 * b[5] + m2 * b[8]),
                          {p.shift[0] + m0, p.shift[1] + m1, p.shift[2] + m2},
                          ~p.owner});
            }
}

inline int bin_along(const Bins& b, double r, int k) {
    const auto bin = int((r - b.low[k]) * b.inverse_width[k]);
    return bin < 0 ? 0 : bin >= b.n[k] ? b.n[k] - 1 : bin;
}
inline int column_of(const Bins& b, const Point& p) {
    return bin_along(b, p.x, 0) * b.n[1] + bin_along(b, p.y, 1);
}

// One column: counting sort along z, then everything in the order of points.
void rows_of_column(const PointTask& t, std::int64_t column) {
    const std::int32_t begin = t.column_point[column], end = t.column_point[column + 1];
    const std::int32_t nz = t.bins.n[2];
    std::int32_t *start = t.start + column * nz, *sorted = t.sorted;
    if (nz == 1) {
        start[0] = begin;
        for (std::int32_t k = begin; k < end; ++k) sorted[k] = k;
    } else {
        for (std::int32_t b = 0; b < nz; ++b) start[b] = 0;
        for (std::int32_t k = begin; k < end; ++k) ++start[bin_along(t.bins, t.points[k].z, 2)];
        std::int32_t next = begin;
        for (std::int32_t b = 0; b < nz; ++b) {
            const std::int32_t count = start[b];
            start[b] = next;
            next += count;
        }
        for (std::int32_t k = begin; k < end; ++k)
            sorted[start[bin_along(t.bins, t.points[k].z, 2)]++] = k;
        for (std::int32_t b = nz - 1; b > 0; --b) start[b] = start[b - 1];
        start[0] = begin;
    }
    const std::int32_t *to = t.to_user, n_real = std::int32_t(t.n_real);
    const double* c = t.cell;
    std::int32_t next_real = t.column_row[column], next_image = n_real + begin - next_real;
    for (std::int32_t k = begin; k < end; ++k) {
        const Point& p = t.points[sorted[k]];
        const bool real = p.owner >= 0;
        const std::int32_t i = real ? p.owner : ~p.owner, r = real ? next_real++ : next_image++;
        t.x[k] = p.x;
        t.y[k] = p.y;
        t.z[k] = p.z;
        t.point_row[k] = r;
        const double* q = t.positions + 3 * std::int64_t(i);
        double* row = t.rows + 4 * std::int64_t(r);
        std::int32_t* s = t.shift + 4 * std::int64_t(r);
        s[3] = i;
        if (t.periodic) {
            for (int d = 0; d < 3; ++d)
                s[d] = p.shift[0] * to[d] + p.shift[1] * to[3 + d] + p.shift[2] * to[6 + d];
            const double s0 = s[0], s1 = s[1], s2 = s[2];
            // As the refresh has it.
            for (int d = 0; d < 3; ++d)
                row[d] = q[d] + ((s0 * c[d] + s1 * c[3 + d]) + s2 * c[6 + d]);
            if (t.position) {
                double* o = t.position + 4 * std::int64_t(r);
                for (int d = 0; d < 3; ++d) o[d] = q[d];
                o[3] = 0.0;
            }
        } else {
            for (int d = 0; d < 3; ++d) {
                s[d] = 0;
                row[d] = q[d];
            }
        }
        row[3] = t.species ? double(t.species[i]) : 0.0;
        if (real) {
            t.order[r] = i;
            t.rank[i] = r;
            t.point_of[r] = k;
            if (t.owner) t.owner[r] = r;
        }
        if (t.radii) t.row_radius[r] = t.point_radius[k] = t.radii[i];
        if (t.row_type) t.row_type[r] = t.point_type[k] = t.species[i];
    }
}

}  // namespace

void neighbor_wrap_compute(const PointTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t k) {
        t.blocks[k].far = -1;
        if (t.periodic)
            wrap_block(t, t.blocks[k]);
        else
            free_block(t, t.blocks[k]);
    });
}

void neighbor_count_compute(const PointTask& t, int n_threads) {
    const std::int64_t n_columns = std::int64_t(t.bins.n[0]) * t.bins.n[1];
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t k) {
        PointBlock& b = t.blocks[k];
        std::uint64_t* count = t.column_count + k * n_columns;
        for (std::int64_t c = 0; c < n_columns; ++c) count[c] = 0;
        std::int64_t n = 0;
        for (std::int64_t i = b.begin; i < b.end; ++i)
            for_points(t, i, [&](const Point& p) {
                count[column_of(t.bins, p)] +=
                    p.owner >= 0 ? (std::uint64_t(1) << 32) + 1 : std::uint64_t(1);
                ++n;
            });
        b.n_points = n;
    });
}

void neighbor_scatter_compute(const PointTask& t, int n_threads) {
    const std::int64_t n_columns = std::int64_t(t.bins.n[0]) * t.bins.n[1];
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t k) {
        std::int32_t* place = t.place + k * n_columns;
        for (std::int64_t i = t.blocks[k].begin; i < t.blocks[k].end; ++i)
            for_points(t, i, [&](const Point& p) { t.points[place[column_of(t.bins, p)]++] = p; });
    });
}

void neighbor_rows_compute(const PointTask& t, int n_threads) {
    const std::int64_t n_columns = std::int64_t(t.bins.n[0]) * t.bins.n[1];
    const int chunk = int(n_columns / (16 * n_threads)) + 1;
    parallel_for(n_columns, n_threads, chunk, [&](std::int64_t c) { rows_of_column(t, c); });
}

void neighbor_owner_compute(const OwnerTask& t, int n_threads) {
    parallel_for(t.n_total - t.n_real, n_threads, 0, [&](std::int64_t k) {
        const std::int64_t r = t.n_real + k;
        t.owner[r] = t.rank[t.shift[4 * r + 3]];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
