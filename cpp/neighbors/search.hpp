// Kernels of the neighbor list: distance tests over bins, and the output arrays.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

enum class CutoffKind : int { uniform, radii, types };

// What decides whether a candidate is a neighbor. uniform: d < cutoff. radii: d < radius[i] +
// radius[j]. types: d < table[type[i], type[j]]. `cutoff` is the largest of them, within which
// candidates are looked for.
struct CutoffRule {
    CutoffKind kind = CutoffKind::uniform;
    double cutoff = 0.0;
    const double* radius = nullptr;      // per row
    const std::int32_t* type = nullptr;  // per row
    const double* table = nullptr;       // (n_types, n_types)
    int n_types = 0;
};

// Points (atoms and images) in the order of their bins: bins of one column (bx, by) are adjacent, z
// runs fastest.
struct Bins {
    double low[3], width[3], inverse_width[3];
    int n[3];
    double margin;                        // rounding error of a coordinate
    double group;                         // along z, the farthest centre that may join a group
    const std::int32_t* start = nullptr;  // (n[0] n[1] n[2] + 1) first point of each bin
    const double *x = nullptr, *y = nullptr,
                 *z = nullptr;          // coordinates by bin, 16 values of padding behind
    const std::int32_t* row = nullptr;  // row of the point in System, 16 values of padding behind
    // A thin gas: columns at least as wide as the range, and few neighbors. x, y, z are null, and of
    // a free one rows are the points: row may be null too.
    bool thin = false;
    const float *fx = nullptr, *fy = nullptr, *fz = nullptr;  // coordinates less `low`; 16 behind
    const std::int32_t* column_row = nullptr;  // (n[0] n[1] + 1) first real row of each column
    const double* radius = nullptr;  // radius or type of the point, where the rule needs it
    const std::int32_t* type = nullptr;
};

// Exact decision, as ASE makes it: D = (position[j] - position[i]) + S @ cell, |D| < cutoff.
struct Exact {
    const double* position = nullptr;     // rows of four: caller's position of the owner of a row
    const std::int32_t* shift = nullptr;  // rows of four: S of the row in the caller's cell, and
                                          // the caller's index of its owner
    double cell[9];
    double band;  // half width, in squared distance, of the zone where rounding could decide; 0 =
                  // do not care
};

// A run of rows, and where its part of the list goes. Kernels stop writing where the room ends and
// only count from there on.
struct Chunk {
    std::int64_t begin, end, step;
    std::int64_t offset, room;       // in entries of `index`
    std::int64_t found, candidates;  // out
    bool overflow;                   // out
};

struct SearchTask {
    System system;
    Bins bins;
    CutoffRule rule;
    Exact exact;
    const std::int32_t* point = nullptr;  // (n_real) place of the row in the order of bins
    bool self_interaction = false, half = false;
    std::int64_t* first = nullptr;
    std::int32_t* count = nullptr;
    std::int32_t* index = nullptr;
    Chunk* chunks = nullptr;
    int n_chunks = 0;
};
MDKERN_KERNEL(neighbor_search_compute, (const SearchTask&, int))

// A thin gas. A run of points whose pairs with points behind them are looked for, and where they go
// in `pairs`; beyond the room they are only counted.
struct ThinPart {
    std::int64_t begin, end;
    std::int64_t offset, room;
    std::int64_t found;  // out
};

struct ThinTask {
    System system;
    Bins bins;
    CutoffRule rule;
    Exact exact;
    bool self_interaction = false, half = false;
    double reach;  // how far a neighbor can be by coordinates in single precision
    float limit;   // its square
    ThinPart* parts = nullptr;
    int n_parts = 0;
    std::int32_t* pairs = nullptr;  // (room, 2) rows, one real at least
    std::int64_t* first = nullptr;
    std::int32_t *count = nullptr, *index = nullptr;
};
MDKERN_KERNEL(neighbor_thin_find_compute, (const ThinTask&, int))
// From pairs to the list. Serial.
MDKERN_KERNEL(neighbor_thin_place_compute, (const ThinTask&, int))

// Copies the pairs of a list that are within the (exact) cutoff at the present coordinates.
struct PruneTask {
    System system;
    Neighbors list;
    CutoffRule rule;
    Exact exact;
    const std::int64_t* first =
        nullptr;  // of both lists: a pruned row starts where the full one does
    std::int32_t* count = nullptr;
    std::int32_t* index = nullptr;
};
MDKERN_KERNEL(neighbor_prune_compute, (const PruneTask&, int))

// Where the pairs of each atom begin, in the caller's order: offset[a + 1] = offset[a] +
// count[rank[a]], over blocks of atoms. First the sums of the blocks, then (sums[b] now where block
// b begins) the offsets.
struct OffsetTask {
    std::int64_t n = 0;
    const std::int32_t *count = nullptr, *rank = nullptr;
    std::int64_t* offset = nullptr;  // (n + 1)
    std::int64_t* sums = nullptr;    // (n_blocks)
    int n_blocks = 1;
};
MDKERN_KERNEL(neighbor_sum_compute, (const OffsetTask&, int))
MDKERN_KERNEL(neighbor_offset_compute, (const OffsetTask&, int))

// Output arrays in the caller's order; null = not wanted.
struct FillTask {
    std::int64_t n = 0;
    Neighbors list;
    Exact exact;
    const std::int32_t* rank = nullptr;    // row of the caller's atom
    const std::int64_t* offset = nullptr;  // (n + 1) in the caller's order
    std::int64_t *i = nullptr, *j = nullptr, *S = nullptr;
    double *d = nullptr, *D = nullptr;
    bool stream = false;  // past the caches
};
MDKERN_KERNEL(neighbor_fill_compute, (const FillTask&, int))

// rows = position[owner] + S @ cell for all rows of a System; also the two largest displacements of
// real rows since the build, |row - built @ strain|, per block of rows.
struct RefreshTask {
    std::int64_t n_real = 0, n_total = 0;
    const double* positions = nullptr;    // (n, 3) caller's order
    const std::int32_t* shift = nullptr;  // rows of four, see Exact
    double cell[9];
    double* rows = nullptr;
    double* position = nullptr;     // Exact::position of all rows; null: not wanted
    const double* built = nullptr;  // rows at the build, null: do not compare
    double strain[9];
    double* largest = nullptr;  // (n_blocks, 2) squared displacements
    std::int64_t block = 0;
};
MDKERN_KERNEL(neighbor_refresh_compute, (const RefreshTask&, int))

}  // namespace mdkern
