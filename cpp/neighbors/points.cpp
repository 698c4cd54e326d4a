// The first half of a build: from positions to points sorted by bins, and to rows. The loops are in
// points_kernel.cpp; here are the decisions between them.
#include "neighbors/points.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

namespace {

constexpr int kPadding = 16;          // kernels load whole vectors
constexpr double kThinPairs = 3.0;    // a gas with fewer neighbors per atom is thin
constexpr double kThinExtent = 1e15;  // squares fit single precision
constexpr double kFewPoints = 1e5;
constexpr double kMetPoints = 1e4;    // fewer are kept as they are met: 400 kB
constexpr double kFewTests = 8192.0;  // brute force below: a handful of tests needs no bins

[[noreturn]] void complain(const PointTask& t) {
    for (std::int64_t k = 0; k < 3 * t.n_real; ++k)
        if (!std::isfinite(t.positions[k]))
            throw std::invalid_argument("positions[" + std::to_string(k / 3) + ", " +
                                        std::to_string(k % 3) + "] is " + number(t.positions[k]) +
                                        "; expected a finite number");
    for (int b = 0; b < t.n_blocks; ++b) {
        const std::int64_t i = t.blocks[b].far;
        if (i < 0) continue;
        const double* r = t.positions + 3 * i;
        double most = 0.0;
        for (int k = 0; k < 3; ++k) {
            if (!t.pbc[k]) continue;
            const double u =
                r[0] * t.inverse[k] + r[1] * t.inverse[3 + k] + r[2] * t.inverse[6 + k];
            if (std::fabs(u) > std::fabs(most)) most = std::floor(u);
        }
        throw std::invalid_argument("positions[" + std::to_string(i) + "] lies " + number(most) +
                                    " cells away from the cell; expected fewer than 5e8");
    }
    throw std::logic_error("positions: no culprit");
}

// In a thin gas columns as wide as the range hold so few points that looking a column up costs more
// than what is in it. Wider ones let groups of centres share the work: the pair of widths with the
// least time per centre by a simple count. Returns how far along z a group may reach.
double wide_columns(double density, double range, const double* extent, double* want) {
    constexpr double kGroup = 16.0, kPerGroup = 90.0, kPerColumn = 12.0, kPerCandidate = 5.0;
    const double group = 12.0 * range;
    double best = std::numeric_limits<double>::max(), n[2] = {1.0, 1.0};
    const double most[2] = {std::max(1.0, std::floor(extent[0] / (1.0001 * range))),
                            std::max(1.0, std::floor(extent[1] / (1.0001 * range)))};
    for (double nx = most[0];; nx = std::floor(0.5 * nx)) {
        const double wx = std::max(extent[0], range) / nx, columns_x = std::min(nx, 3.0);
        for (double ny = most[1];; ny = std::floor(0.5 * ny)) {
            const double wy = std::max(extent[1], range) / ny, columns_y = std::min(ny, 3.0);
            const double per_length = density * wx * wy;
            const double span = std::min(group, (kGroup - 1.0) / per_length);
            const double centres = 1.0 + per_length * span,
                         columns = 0.5 * (columns_x * columns_y - 1.0);
            const double candidates =
                per_length * (span + 1.1 * range + columns * (span + 2.2 * range));
            const double cost =
                (kPerGroup + kPerColumn * columns + kPerCandidate * candidates) / centres;
            if (cost < best) {
                best = cost;
                n[0] = nx;
                n[1] = ny;
            }
            if (ny == 1.0) break;
        }
        if (nx == 1.0) break;
    }
    for (int k = 0; k < 2; ++k) want[k] = std::max(extent[k], range) / (n[k] + 0.001);
    return group;
}

}  // namespace

void NeighborTable::make_points(const AtomsView& atoms, int threads) {
    set_cell(atoms);
    PointTask t;
    t.n_real = atoms.n;
    t.positions = atoms.positions;
    t.periodic = periodic();
    std::memcpy(t.pbc, lattice_.pbc, sizeof t.pbc);
    for (int k = 0; k < 3; ++k) t.open[k] = !t.pbc[k];
    std::memcpy(t.basis, lattice_.basis, sizeof t.basis);
    std::memcpy(t.inverse, lattice_.inverse, sizeof t.inverse);
    std::memcpy(t.to_user, lattice_.to_user, sizeof t.to_user);
    std::memcpy(t.cell, cell_, sizeof t.cell);
    threads = team_size(threads, atoms.n, kPointNs);
    divide(t, threads);
    wrap(t, threads);
    check_images();
    choose_bins(t);
    t.bins = bins_;
    const bool direct = bins_.thin && !t.periodic && t.n_blocks == 1;
    if (direct)
        n_total_ = n_real_;
    else if (!collect_points(t))
        sort_points(t, threads);
    number_rows(t, atoms, direct, threads);
}

// Equal parts, some per thread for balance.
void NeighborTable::divide(PointTask& t, int threads) {
    t.n_blocks = threads == 1 ? 1 : 4 * threads;
    blocks_.resize(t.n_blocks);
    for (int b = 0; b < t.n_blocks; ++b) {
        blocks_[b].begin = t.n_real * b / t.n_blocks;
        blocks_[b].end = t.n_real * (b + 1) / t.n_blocks;
    }
    t.blocks = blocks_.data();
}

// Wraps, and says which images are wanted: those within range of the box, along the lattice
// vectors, that holds the atoms. (Which is the cell in a crystal, and much smaller for a molecule
// in a box: it may need none.)
void NeighborTable::wrap(PointTask& t, int threads) {
    if (t.periodic) t.wrapped = wrapped_.reserve(t.n_real);
    neighbor_wrap_compute(t, threads);
    double largest = 0.0;
    bool fine = true;
    for (int k = 0; k < 3; ++k) {
        t.low[k] = t.box_low[k] = std::numeric_limits<double>::max();
        t.high[k] = t.box_high[k] = -t.low[k];
    }
    for (const PointBlock& b : blocks_) {
        fine &= b.finite && b.far < 0;
        largest = std::max(largest, b.largest);
        for (int k = 0; k < 3; ++k) {
            t.low[k] = std::min(t.low[k], b.low[k]);
            t.high[k] = std::max(t.high[k], b.high[k]);
            t.box_low[k] = std::min(t.box_low[k], b.box_low[k]);
            t.box_high[k] = std::max(t.box_high[k], b.box_high[k]);
        }
    }
    if (!fine) complain(t);
    margin_ = 4e-15 * (largest + range_ + lattice_.length);
    t.reach2 = (range_ + 4.0 * margin_) * (range_ + 4.0 * margin_) * (1.0 + 1e-14);
    for (int k = 0; k < 3; ++k) {
        if (t.n_real == 0) t.low[k] = t.high[k] = 0.0;
        if (!t.pbc[k]) continue;
        const double reach = (range_ + 4.0 * margin_) / lattice_.height[k] + 1e-14;
        t.low[k] -= reach;
        t.high[k] += reach;
    }
}

// Before any memory is taken for images: how many rows there can be.
void NeighborTable::check_images() const {
    double rows = double(n_real_);
    for (int k = 0; k < 3; ++k)
        if (lattice_.pbc[k]) rows *= 1.0 + 2.0 * (range_ + margin_) / lattice_.height[k];
    if (rows < 1e6) return;
    const double bytes = rows * kRowBytes, available = available_memory();
    if (rows > double(kMaxRows) || bytes > available)
        throw MemoryLimit("the neighbor list needs about " + number(rows) + " periodic images (" +
                          number(bytes / 1e9) + " GB, " + number(available / 1e9) +
                          " GB available) for cutoff " + number(range_) +
                          " in this cell; expected a smaller cutoff");
}

// Columns as wide as the range give the longest runs of adjacent candidates for the fewest loops;
// where the density makes runs longer than needed, narrower columns leave out more candidates.
// Along z bins are fine, so that a run ends close to the sphere. The number of bins is bounded by
// the number of points, whatever the extent.
void NeighborTable::choose_bins(const PointTask& t) {
    const double range = std::max(list_range_, 1e-6);
    // The box of all points, Cartesian, and how many they may be: a uniform density, atoms and
    // images alike, over the box along the lattice vectors.
    double low[3] = {0.0, 0.0, 0.0}, high[3] = {0.0, 0.0, 0.0}, points = double(n_real_);
    double volume = 1.0;
    for (int k = 0; k < 3; ++k) {
        const double* b = lattice_.basis + 3 * k;
        for (int c = 0; c < 3; ++c) {
            low[c] += std::min(b[c] * t.low[k], b[c] * t.high[k]);
            high[c] += std::max(b[c] * t.low[k], b[c] * t.high[k]);
        }
        if (t.pbc[k]) points *= std::max(1.0, t.high[k] - t.low[k]);
    }
    if (double(n_real_) * points <= kFewTests) return one_bin();
    double extent[3];
    for (int k = 0; k < 3; ++k) {
        extent[k] = high[k] - low[k];
        volume *= std::max(extent[k], range);
    }
    double want[3] = {range, range, 0.25 * range};
    const double density = points / volume, run = density * range * range * 1.8 * range;
    bins_.group = 0.0;
    bins_.thin = 4.19 * density * range * range * range < kThinPairs &&
                 std::max({extent[0], extent[1], extent[2]}) < kThinExtent;
    if (bins_.thin) bins_.group = wide_columns(density, range, extent, want);
    for (double split = 2.0; split <= 4.0 && run / (split * split) >= 24.0; split += 1.0)
        want[0] = want[1] = range / split;
    double n[3];
    // Two points per bin at least, on average: in a thin gas smaller bins would only be looked at
    // and found empty.
    const double most = 0.5 * points + 64.0;
    for (;;) {
        for (int k = 0; k < 3; ++k) n[k] = std::max(1.0, std::floor(extent[k] / want[k]));
        const double bins = n[0] * n[1] * n[2];
        if (bins <= most) break;
        if (want[2] < range) {
            want[2] *= 2.0;
            continue;
        }
        const double factor = std::max(1.05, std::cbrt(bins / most));
        for (double& w : want) w *= factor;
    }
    for (int k = 0; k < 3; ++k) {
        bins_.n[k] = int(n[k]);
        bins_.low[k] = low[k];
        bins_.width[k] = extent[k] > 0.0 ? extent[k] / n[k] : 1.0;
        bins_.inverse_width[k] = 1.0 / bins_.width[k];
    }
    bins_.margin = 16.0 * margin_ + 1e-14 * (extent[0] + extent[1] + extent[2]);
    bins_.group = std::max({bins_.group, range + bins_.margin, 4.0 * bins_.width[2]});
}

void NeighborTable::one_bin() {
    bins_.thin = false;
    bins_.group = 0.0;
    for (int k = 0; k < 3; ++k) {
        bins_.n[k] = 1;
        bins_.low[k] = -1e30;
        bins_.width[k] = 2e30;
        bins_.inverse_width[k] = 0.0;
    }
    bins_.margin = 16.0 * margin_;
}

// A bound of atoms and images.
double NeighborTable::most_points(const PointTask& t) const {
    double most = double(n_real_);
    for (int k = 0; k < 3; ++k)
        if (t.pbc[k]) most *= std::floor(t.high[k] - t.low[k] + 1e-9) + 1.0;
    return most;
}

// Few points in one column need no counting first. False: not so.
bool NeighborTable::collect_points(PointTask& t) {
    if (bins_.n[0] * bins_.n[1] > 1 || t.n_blocks > 1) return false;
    const double most = most_points(t);
    if (most > kFewPoints) return false;
    t.points = points_.reserve(std::size_t(most));
    neighbor_collect_compute(t, 1);
    n_total_ = blocks_[0].n_points;
    std::int32_t *points = column_point_.reserve(2), *rows = column_row_.reserve(2);
    points[0] = rows[0] = 0;
    points[1] = std::int32_t(n_total_);
    rows[1] = std::int32_t(n_real_);
    t.column_point = points;
    t.column_row = rows;
    return true;
}

// Points by column: counted, then scattered.
void NeighborTable::sort_points(PointTask& t, int threads) {
    const std::int64_t n_columns = std::int64_t(bins_.n[0]) * bins_.n[1];
    const std::int64_t cells = n_columns * t.n_blocks;
    std::uint64_t* count = t.column_count = column_count_.reserve(cells);
    const double most = most_points(t);
    if (t.periodic && t.n_blocks == 1 && most <= kMetPoints)
        t.met = met_.reserve(std::size_t(most));
    neighbor_count_compute(t, threads);
    std::int64_t total = 0;
    for (const PointBlock& b : blocks_) total += b.n_points;
    if (total > kMaxRows)
        throw MemoryLimit("the neighbor list needs " + std::to_string(total) +
                          " periodic images; expected fewer than 5e8");
    n_total_ = total;
    std::int32_t *place = t.place = place_.reserve(cells),
                 *points = column_point_.reserve(n_columns + 1),
                 *rows = column_row_.reserve(n_columns + 1);
    std::int32_t point = 0, row = 0;
    for (std::int64_t c = 0; c < n_columns; ++c) {
        points[c] = point;
        rows[c] = row;
        for (std::int64_t k = c; k < cells; k += n_columns) {
            place[k] = point;
            point += std::int32_t(count[k] & 0xffffffffu);
            row += std::int32_t(count[k] >> 32);
        }
    }
    points[n_columns] = point;
    rows[n_columns] = row;
    t.column_point = points;
    t.column_row = rows;
    t.points = points_.reserve(total);
    neighbor_scatter_compute(t, threads);
}

// Numbers the rows (real atoms, then images, both by bin) and fills every array that is indexed by
// point or by row.
void NeighborTable::number_rows(PointTask& t, const AtomsView& atoms, bool direct, int threads) {
    const std::int64_t n = n_total_, m = n + kPadding;
    const std::int64_t n_bins = std::int64_t(bins_.n[0]) * bins_.n[1] * bins_.n[2];
    t.sorted = sorted_.reserve(n);
    t.start = start_.reserve(n_bins + 1);
    t.start[n_bins] = std::int32_t(n);
    if (bins_.thin) {
        t.fx = fx_.reserve(m);
        t.fy = fy_.reserve(m);
        t.fz = fz_.reserve(m);
        for (std::int64_t k = n; k < m; ++k) t.fx[k] = t.fy[k] = t.fz[k] = 0.0f;
    } else {
        t.x = sx_.reserve(m);
        t.y = sy_.reserve(m);
        t.z = sz_.reserve(m);
    }
    if (!direct) {
        t.point_row = point_row_.reserve(m);
        t.point_of = point_of_.reserve(n_real_);
    }
    t.order = order_.reserve(n_real_);
    t.rank = rank_.reserve(n_real_);
    t.shift = shift_.reserve(4 * n);
    t.rows = rows_.reserve(4 * n);
    if (options_.exact && t.periodic) t.position = position_.reserve(4 * n);
    if (!options_.exact) t.owner = owner_.reserve(n);
    t.species = atoms.species;
    if (options_.kind == CutoffKind::radii) {
        t.radii = options_.radii;
        if (!direct) t.point_radius = point_radius_.reserve(m);
        t.row_radius = row_radius_.reserve(n);
    } else if (options_.kind == CutoffKind::types) {
        if (!direct) t.point_type = point_type_.reserve(m);
        t.row_type = row_type_.reserve(n);
    }
    if (direct) {
        t.column_row = column_row_.reserve(std::int64_t(bins_.n[0]) * bins_.n[1] + 1);
        neighbor_direct_compute(t, 1);
    } else {
        for (std::int64_t k = n; k < m; ++k) {
            if (t.x) t.x[k] = t.y[k] = t.z[k] = std::numeric_limits<double>::infinity();
            t.point_row[k] = 0;
            if (t.point_radius) t.point_radius[k] = 0.0;
            if (t.point_type) t.point_type[k] = 0;
        }
        neighbor_rows_compute(t, threads);
        if (t.owner) neighbor_owner_compute({n_real_, n, t.shift, t.rank, t.owner}, threads);
    }
    if (row_order_) {
        std::int32_t* same = identity_.reserve(n_real_);
        for (std::int64_t r = 0; r < n_real_; ++r) same[r] = std::int32_t(r);
    }
    bins_.start = t.start;
    bins_.column_row = t.column_row;
    bins_.x = t.x;
    bins_.y = t.y;
    bins_.z = t.z;
    bins_.fx = t.fx;
    bins_.fy = t.fy;
    bins_.fz = t.fz;
    bins_.row = t.point_row;
    bins_.radius = t.point_radius;
    bins_.type = t.point_type;
}

}  // namespace mdkern
