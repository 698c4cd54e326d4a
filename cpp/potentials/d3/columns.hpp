// Rows of a System by species, and within a species by column: who is within a sphere is then found
// as runs of places that follow each other, which vectors read without an index. Pairs are found
// anew in each pass, so nothing is stored for them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffers.hpp"
#include "core/types.hpp"

namespace mdkern {

// The places of one species: cells of a box, of which those along axis[2] follow each other.
struct Columns {
    int species = 0;
    std::int32_t begin = 0, end = 0;  // places of the species
    int axis[3] = {0, 1, 2};
    std::int32_t n[3] = {1, 1, 1};                      // cells along axis[k]
    double low[3] = {}, size[3] = {}, inverse[3] = {};  // of a cell along axis[k]; the box's corner
    const std::int32_t* start = nullptr;  // (n[0] n[1] n[2] + 1) first place of each cell
};

// Vectors read and write whole ones behind the last place.
constexpr std::int64_t kPlaceRoom = 16;

struct Places {
    std::int64_t n = 0;
    int n_columns = 0;
    const Columns* columns = nullptr;      // by species that occur
    const double* at[3] = {};              // (n) coordinates
    const std::int32_t* row = nullptr;     // (n) row of each place
    const std::int32_t* place = nullptr;   // (n_real) place of each real row
    const std::int32_t* centre = nullptr;  // (n_real) real rows in the order of their places
    // How far rows may be outside of their cells, in each coordinate.
    double margin = 0.0;
    std::int64_t n_sorts =
        0;  // how often they were sorted: arrays by place hold as long as it stays
};

class PlaceTable {
public:
    // Brings places up to date with the rows; sorts them where the table was built anew, or where
    // rows have come too far. range: the longest distance that will be asked for. merged: rows of all
    // species together, as species 0.
    Places update(const System& s, std::int64_t build_number, int n_species, bool merged,
                  double range, int threads);

private:
    void sort(const System& s, int n_species, bool merged, double range);
    void make_columns(Columns& c, const double* rows, const std::int32_t* members, std::int64_t n,
                      double range);
    double refresh(const System& s, int threads);

    std::int64_t build_ = -1, n_ = -1, n_real_ = -1, n_sorts_ = 0;
    double extent_ = 0.0;  // largest coordinate
    std::vector<Columns> columns_;
    std::vector<std::int64_t> start_at_;  // of each of the columns in start_
    std::vector<std::int32_t> start_;
    Buffer<double> at_, sorted_at_, largest_;
    Buffer<std::int32_t> row_, place_, cell_, members_, centre_;
};

}  // namespace mdkern
