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
    b.far = -1;
    for (int c = 0; c < 3; ++c) {
        b.low[c] = b.box_low[c] = low[c];
        b.high[c] = b.box_high[c] = high[c];
        b.largest = larger(b.largest, larger(-low[c], high[c]));
    }
}

void wrap_block(const PointTask& t, PointBlock& b) {
    double low[3], high[3], box_low[3], box_high[3], largest = 0.0, check = 0.0;
    double inverse[9], basis[9];
    bool pbc[3];
    for (int k = 0; k < 3; ++k) {
        low[k] = box_low[k] = 1e308;
        high[k] = box_high[k] = -1e308;
        pbc[k] = t.pbc[k];
    }
    for (int k = 0; k < 9; ++k) {
        inverse[k] = t.inverse[k];
        basis[k] = t.basis[k];
    }
    Point* wrapped = t.wrapped;
    std::int64_t far = -1;
    for (std::int64_t i = b.begin; i < b.end; ++i) {
        const double* r = t.positions + 3 * i;
        double w[3] = {r[0], r[1], r[2]};
        std::int32_t s[3] = {0, 0, 0};
        for (int k = 0; k < 3; ++k) {
            check += r[k] - r[k];
            largest = larger(largest, larger(r[k], -r[k]));
            double u = fraction(inverse, r, k);
            if (pbc[k] && !(u >= 0.0 && u < 1.0)) {
                if (!(u > -kFarCells && u < kFarCells)) {
                    far = far < 0 ? i : far;
                    continue;
                }
                const auto whole = double(floor_int(u));
                s[k] = -std::int32_t(whole);
                u -= whole;
                for (int c = 0; c < 3; ++c) w[c] -= whole * basis[3 * k + c];
            }
            low[k] = smaller(low[k], u);
            high[k] = larger(high[k], u);
        }
        for (int c = 0; c < 3; ++c) {
            box_low[c] = smaller(box_low[c], w[c]);
            box_high[c] = larger(box_high[c], w[c]);
        }
        wrapped[i] = {w[0], w[1], w[2], {s[0], s[1], s[2]}, std::int32_t(i)};
    }
    for (int k = 0; k < 3; ++k) {
        b.low[k] = low[k];
        b.high[k] = high[k];
        b.box_low[k] = box_low[k];
        b.box_high[k] = box_high[k];
    }
    b.largest = largest;
    b.finite = check == 0.0;
    b.far = far;
}

// How far a coordinate lies outside the box of the atoms.
inline double outside(const PointTask& t, double r, int k) {
    return larger(0.0, larger(t.box_low[k] - r, r - t.box_high[k]));
}

// use(point) for atom i and those of its images that can be within range of an atom.
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
                const double x = p.x + (m0 * b[0] + m1 * b[3] + m2 * b[6]),
                             y = p.y + (m0 * b[1] + m1 * b[4] + m2 * b[7]),
                             z = p.z + (m0 * b[2] + m1 * b[5] + m2 * b[8]);
                const double dx = outside(t, x, 0), dy = outside(t, y, 1), dz = outside(t, z, 2);
                if (dx * dx + dy * dy + dz * dz > t.reach2) continue;
                use(Point{x, y, z, {p.shift[0] + m0, p.shift[1] + m1, p.shift[2] + m2}, ~p.owner});
            }
}

inline int bin_along(const Bins& b, double r, int k) {
    const auto bin = int((r - b.low[k]) * b.inverse_width[k]);
    return bin < 0 ? 0 : bin >= b.n[k] ? b.n[k] - 1 : bin;
}
inline int column_of(const Bins& b, const Point& p) {
    return bin_along(b, p.x, 0) * b.n[1] + bin_along(b, p.y, 1);
}

// Counting sort of one column along z: sorted[k] is the place in `points` of the k-th point.
void sort_column(const PointTask& t, std::int64_t column, std::int32_t begin, std::int32_t end) {
    const std::int32_t nz = t.bins.n[2];
    std::int32_t *start = t.start + column * nz, *sorted = t.sorted;
    const Point* points = t.points;
    const double low = t.bins.low[2], scale = t.bins.inverse_width[2];
    auto bin = [&](std::int32_t k) {
        const auto b = std::int32_t((points[k].z - low) * scale);
        return b < 0 ? 0 : b >= nz ? nz - 1 : b;
    };
    for (std::int32_t b = 0; b < nz; ++b) start[b] = 0;
    for (std::int32_t k = begin; k < end; ++k) ++start[bin(k)];
    std::int32_t next = begin;
    for (std::int32_t b = 0; b < nz; ++b) {
        const std::int32_t count = start[b];
        start[b] = next;
        next += count;
    }
    for (std::int32_t k = begin; k < end; ++k) sorted[start[bin(k)]++] = k;
    for (std::int32_t b = nz - 1; b > 0; --b) start[b] = start[b - 1];
    start[0] = begin;
}

// One column: sorted along z, then everything in the order of points. Copies of what the task
// holds: the compiler cannot know that no store changes them.
template <bool kPeriodic> void rows_of_column(const PointTask& t, std::int64_t column) {
    const std::int32_t begin = t.column_point[column], end = t.column_point[column + 1];
    const bool sort = t.bins.n[2] > 1;
    if (sort)
        sort_column(t, column, begin, end);
    else
        t.start[column] = begin;
    std::int32_t to[9];
    double cell[9];
    for (int k = 0; k < 9; ++k) {
        to[k] = t.to_user[k];
        cell[k] = t.cell[k];
    }
    const Point* points = t.points;
    const double *positions = t.positions, *radii = t.radii;
    const std::int32_t *sorted = t.sorted, *species = t.species;
    double *x = t.x, *y = t.y, *z = t.z, *rows = t.rows, *position = t.position;
    float *fx = t.fx, *fy = t.fy, *fz = t.fz;
    const double low[3] = {t.bins.low[0], t.bins.low[1], t.bins.low[2]};
    std::int32_t *point_row = t.point_row, *shift = t.shift, *order = t.order, *rank = t.rank;
    std::int32_t *point_of = t.point_of, *owner = t.owner, *row_type = t.row_type;
    std::int32_t next_real = t.column_row[column];
    std::int32_t next_image = std::int32_t(t.n_real) + begin - next_real;
    for (std::int32_t k = begin; k < end; ++k) {
        const Point& p = points[sort ? sorted[k] : k];
        const bool real = p.owner >= 0;
        const std::int32_t i = real ? p.owner : ~p.owner, r = real ? next_real++ : next_image++;
        if (x) {
            x[k] = p.x;
            y[k] = p.y;
            z[k] = p.z;
        } else {
            fx[k] = float(p.x - low[0]);
            fy[k] = float(p.y - low[1]);
            fz[k] = float(p.z - low[2]);
        }
        point_row[k] = r;
        const double* q = positions + 3 * std::int64_t(i);
        double* row = rows + 4 * std::int64_t(r);
        std::int32_t* s = shift + 4 * std::int64_t(r);
        std::int32_t s_user[3] = {0, 0, 0};
        double at[3] = {q[0], q[1], q[2]};
        if (kPeriodic) {
            if (position) {
                double* o = position + 4 * std::int64_t(r);
                o[0] = at[0];
                o[1] = at[1];
                o[2] = at[2];
                o[3] = 0.0;
            }
            if (p.shift[0] | p.shift[1] | p.shift[2]) {
                for (int d = 0; d < 3; ++d)
                    s_user[d] =
                        p.shift[0] * to[d] + p.shift[1] * to[3 + d] + p.shift[2] * to[6 + d];
                const double s0 = s_user[0], s1 = s_user[1], s2 = s_user[2];
                for (int d = 0; d < 3; ++d)  // as the refresh has it
                    at[d] += (s0 * cell[d] + s1 * cell[3 + d]) + s2 * cell[6 + d];
            }
        }
        for (int d = 0; d < 3; ++d) {
            s[d] = s_user[d];
            row[d] = at[d];
        }
        s[3] = i;
        row[3] = species ? double(species[i]) : 0.0;
        if (real) {
            order[r] = i;
            rank[i] = r;
            point_of[r] = k;
            if (owner) owner[r] = r;
        }
        if (radii) t.row_radius[r] = t.point_radius[k] = radii[i];
        if (row_type) row_type[r] = t.point_type[k] = species[i];
    }
}

}  // namespace

void neighbor_wrap_compute(const PointTask& t, int n_threads) {
    parallel_for(t.n_blocks, n_threads, 1, [&](std::int64_t k) {
        if (t.periodic)
            wrap_block(t, t.blocks[k]);
        else
            free_block(t, t.blocks[k]);
    });
}

// In the loops below the task is a copy of its own, which no store can change.

void neighbor_count_compute(const PointTask& task, int n_threads) {
    const std::int64_t n_columns = std::int64_t(task.bins.n[0]) * task.bins.n[1];
    parallel_for(task.n_blocks, n_threads, 1, [&](std::int64_t k) {
        const PointTask t = task;
        PointBlock& b = t.blocks[k];
        std::uint64_t* count = t.column_count + k * n_columns;
        for (std::int64_t c = 0; c < n_columns; ++c) count[c] = 0;
        std::int64_t n = 0;
        for (std::int64_t i = b.begin; i < b.end; ++i)
            for_points(t, i, [&](const Point& p) {
                count[column_of(t.bins, p)] +=
                    p.owner >= 0 ? (std::uint64_t(1) << 32) + 1 : std::uint64_t(1);
                if (t.met) t.met[n] = p;
                ++n;
            });
        b.n_points = n;
    });
}

void neighbor_scatter_compute(const PointTask& task, int n_threads) {
    const std::int64_t n_columns = std::int64_t(task.bins.n[0]) * task.bins.n[1];
    parallel_for(task.n_blocks, n_threads, 1, [&](std::int64_t k) {
        const PointTask t = task;
        std::int32_t* place = t.place + k * n_columns;
        if (t.met) {
            for (std::int64_t m = 0; m < t.blocks[k].n_points; ++m)
                t.points[place[column_of(t.bins, t.met[m])]++] = t.met[m];
            return;
        }
        for (std::int64_t i = t.blocks[k].begin; i < t.blocks[k].end; ++i)
            for_points(t, i, [&](const Point& p) { t.points[place[column_of(t.bins, p)]++] = p; });
    });
}

void neighbor_collect_compute(const PointTask& task, int) {
    const PointTask t = task;
    std::int64_t n = 0;
    for (std::int64_t i = 0; i < t.n_real; ++i)
        for_points(t, i, [&](const Point& p) { t.points[n++] = p; });
    t.blocks[0].n_points = n;
}

void neighbor_direct_compute(const PointTask& task, int) {
    const PointTask t = task;
    const Bins b = t.bins;
    const std::int64_t n = t.n_real, n_columns = std::int64_t(b.n[0]) * b.n[1], nz = b.n[2];
    const double* p = t.positions;
    std::int32_t *start = t.start, *bin = t.sorted;
    for (std::int64_t k = 0; k < n_columns * nz; ++k) start[k] = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t k =
            (bin_along(b, p[3 * i], 0) * b.n[1] + bin_along(b, p[3 * i + 1], 1)) * b.n[2] +
            bin_along(b, p[3 * i + 2], 2);
        bin[i] = k;
        ++start[k];
    }
    std::int32_t next = 0;
    for (std::int64_t k = 0; k < n_columns * nz; ++k) {
        const std::int32_t count = start[k];
        start[k] = next;
        next += count;
    }
    for (std::int64_t c = 0; c < n_columns; ++c) t.column_row[c] = start[c * nz];
    t.column_row[n_columns] = next;
    // Numbers are scattered, what they stand for is gathered: fewer cache lines than to scatter all.
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t r = start[bin[i]]++;
        t.order[r] = std::int32_t(i);
        t.rank[i] = r;
    }
    for (std::int64_t r = 0; r < n; ++r) {
        const std::int64_t i = t.order[r];
        double* row = t.rows + 4 * r;
        row[0] = p[3 * i];
        row[1] = p[3 * i + 1];
        row[2] = p[3 * i + 2];
        t.fx[r] = float(row[0] - b.low[0]);
        t.fy[r] = float(row[1] - b.low[1]);
        t.fz[r] = float(row[2] - b.low[2]);
        row[3] = t.species ? double(t.species[i]) : 0.0;
        std::int32_t* s = t.shift + 4 * r;
        s[0] = s[1] = s[2] = 0;
        s[3] = std::int32_t(i);
        if (t.owner) t.owner[r] = std::int32_t(r);
        if (t.radii) t.row_radius[r] = t.radii[i];
        if (t.row_type) t.row_type[r] = t.species[i];
    }
    for (std::int64_t k = n_columns * nz - 1; k > 0; --k) start[k] = start[k - 1];
    start[0] = 0;
}

void neighbor_rows_compute(const PointTask& t, int n_threads) {
    const std::int64_t n_columns = std::int64_t(t.bins.n[0]) * t.bins.n[1];
    const int chunk = int(n_columns / (16 * n_threads)) + 1;
    parallel_for(n_columns, n_threads, chunk, [&](std::int64_t c) {
        if (t.periodic)
            rows_of_column<true>(t, c);
        else
            rows_of_column<false>(t, c);
    });
}

void neighbor_owner_compute(const OwnerTask& t, int n_threads) {
    parallel_for(t.n_total - t.n_real, n_threads, 0, [&](std::int64_t k) {
        const std::int64_t r = t.n_real + k;
        t.owner[r] = t.rank[t.shift[4 * r + 3]];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
