// From the caller's atoms to points sorted by bins, in stages that are parallel over blocks of
// atoms or over columns of bins. The order of the points, and so every bit of what follows, is that
// of a stable sort by (column, bin along z): it does not depend on the blocks.
//
//   wrap     atoms into the cell; their box in fractional coordinates, block by block
//   count    the points (atoms and images) of every column, block by block
//   scatter  the points to their columns
//   rows     sorts each column along z in the cache, numbers the rows and writes what is indexed by
//            point or by row
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "neighbors/search.hpp"

namespace mdkern {

// An atom or image: wrapped coordinates, and the caller's index of the atom, ~index for an image.
// Shift counts basis vectors.
struct Point {
    double x, y, z;
    std::int32_t shift[3], owner;
};

// A contiguous part of the caller's atoms, and what the stages find in it.
struct PointBlock {
    std::int64_t begin, end;
    double low[3], high[3];          // of the wrapped atoms' fractional coordinates
    double box_low[3], box_high[3];  // and of the Cartesian ones
    double largest;                  // of |positions|
    bool finite;
    std::int64_t far;  // first atom farther than kFarCells from the cell; -1: none
    std::int64_t n_points;
};

constexpr double kFarCells = 5e8;  // cells away from the cell where shifts stop fitting 32 bits

struct PointTask {
    std::int64_t n_real = 0;
    const double* positions = nullptr;       // (n_real, 3), caller's order
    const std::int32_t* species = nullptr;   // (n_real) or null
    const double* radii = nullptr;           // (n_real) or null
    bool periodic = false, pbc[3], open[3];  // open: not periodic
    double basis[9], inverse[9], cell[9];
    std::int32_t to_user[9];

    PointBlock* blocks = nullptr;
    int n_blocks = 0;
    Point* wrapped = nullptr;  // (n_real); not used, and may be null, where nothing is periodic
    // An atom has an image in cell m where low[k] <= f[k] + m[k] <= high[k] in every direction, and
    // the distance to the Cartesian box of the atoms is not larger than reach (in a skewed cell
    // this drops most of them).
    double low[3], high[3], box_low[3], box_high[3], reach2;

    Bins bins;
    // (n_blocks, n_columns): number of points, and of real ones in the upper half; after the prefix
    // sum the place of the next point.
    std::uint64_t* column_count = nullptr;
    std::int32_t* place = nullptr;
    Point* points = nullptr;  // (n_total) by column
    // Room for all points as `count` meets them, so that `scatter` need not find the images again;
    // null for large systems, where that is cheaper. One block only.
    Point* met = nullptr;
    // (n_columns + 1): first point, first real row.
    std::int32_t *column_point = nullptr, *column_row = nullptr;

    // By point, written by `rows`. `sorted` is scratch.
    std::int32_t *sorted = nullptr, *start = nullptr, *point_row = nullptr, *point_type = nullptr;
    double *x = nullptr, *y = nullptr, *z = nullptr, *point_radius = nullptr;  // not in a thin gas
    float *fx = nullptr, *fy = nullptr, *fz = nullptr;                         // there these
    // By row; null: not wanted.
    std::int32_t *shift = nullptr, *point_of = nullptr, *order = nullptr, *rank = nullptr;
    std::int32_t *owner = nullptr, *row_type = nullptr;
    double *rows = nullptr, *position = nullptr, *row_radius = nullptr;
};
MDKERN_KERNEL(neighbor_wrap_compute, (const PointTask&, int))
MDKERN_KERNEL(neighbor_count_compute, (const PointTask&, int))
MDKERN_KERNEL(neighbor_scatter_compute, (const PointTask&, int))
MDKERN_KERNEL(neighbor_rows_compute, (const PointTask&, int))
// `count` and `scatter` in one, where there is one column and room for all: `points` in the order
// of the atoms. Serial.
MDKERN_KERNEL(neighbor_collect_compute, (const PointTask&, int))

// All stages after `wrap` for free atoms in a thin gas, where points and rows are the same: by bin
// at once. `sorted` holds the bin of each atom. Serial.
MDKERN_KERNEL(neighbor_direct_compute, (const PointTask&, int))

// owner[r] = rank[shift[4 r + 3]] for the images, whose owners are numbered only when all columns
// are done.
struct OwnerTask {
    std::int64_t n_real = 0, n_total = 0;
    const std::int32_t *shift = nullptr, *rank = nullptr;
    std::int32_t* owner = nullptr;
};
MDKERN_KERNEL(neighbor_owner_compute, (const OwnerTask&, int))

}  // namespace mdkern
