#include "potentials/d3/columns.hpp"

#include <algorithm>
#include <cmath>

#include "core/threads.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

constexpr double kRun = 30.0;       // places that a run should have: longer ones leave the sphere
constexpr double kThin = 2.0;       // Angstrom that a box is taken to be thick at least
constexpr double kFarthest = 0.5;   // Angstrom that rows may move before they are sorted anew
constexpr double kRefreshNs = 3.0;  // of a row, for team_size()
constexpr std::int64_t kBlock = 2048;

std::int32_t cell_of(double x, double low, double inverse, std::int32_t n) {
    const double c = (x - low) * inverse;
    return c > 0.0 ? std::min(std::int32_t(std::min(c, double(n))), n - 1) : 0;
}

}  // namespace

// Cells whose columns have kRun places within the range, and one place each: so many cells as places,
// whatever the shape of the box.
void PlaceTable::make_columns(Columns& c, const double* rows, const std::int32_t* members,
                              std::int64_t n, double range) {
    double low[3], high[3], length[3], volume = 1.0;
    for (int k = 0; k < 3; ++k) {
        low[k] = high[k] = rows[4 * std::int64_t(members[0]) + k];
        for (std::int64_t m = 1; m < n; ++m) {
            const double x = rows[4 * std::int64_t(members[m]) + k];
            low[k] = std::min(low[k], x);
            high[k] = std::max(high[k], x);
        }
        extent_ = std::max({extent_, std::fabs(low[k]), std::fabs(high[k])});
        length[k] = std::max(high[k] - low[k], kThin);
        volume *= length[k];
    }
    // Runs go along the longest edge.
    std::sort(c.axis, c.axis + 3,
              [&](int a, int b) { return length[a] != length[b] ? length[a] < length[b] : a < b; });
    const double density = double(n) / volume;
    const double run = std::min(1.3 * range, length[c.axis[2]]);
    const double width = std::sqrt(kRun / (density * run));
    double cells = 1.0;
    for (int k = 0; k < 2; ++k) {
        const double most = std::max(1.0, double(n) / cells);
        c.n[k] = std::int32_t(std::min(most, std::max(1.0, std::floor(length[c.axis[k]] / width))));
        cells *= c.n[k];
    }
    c.n[2] = std::int32_t(std::max(1.0, std::floor(double(n) / cells)));
    for (int k = 0; k < 3; ++k) {
        c.low[k] = low[c.axis[k]];
        c.size[k] = length[c.axis[k]] / c.n[k];
        c.inverse[k] = 1.0 / c.size[k];
    }
}

void PlaceTable::sort(const System& s, int n_species, bool merged, double range) {
    if (merged) n_species = 1;
    ++n_sorts_;
    n_ = s.n_total;
    n_real_ = s.n_real;
    std::vector<std::int32_t> first(std::size_t(n_species) + 1, 0);
    const auto species_of = [&](std::int64_t r) {
        return merged ? std::size_t(0) : std::size_t(s.rows[4 * r + 3]);
    };
    for (std::int64_t r = 0; r < n_; ++r) ++first[species_of(r) + 1];
    for (int b = 0; b < n_species; ++b) first[b + 1] += first[b];
    std::int32_t* members = members_.reserve(std::size_t(n_));
    std::vector<std::int32_t> next(first.begin(), first.end() - 1);
    for (std::int64_t r = 0; r < n_; ++r) members[next[species_of(r)]++] = std::int32_t(r);

    columns_.clear();
    start_at_.clear();
    std::int64_t cells = 0;
    extent_ = 0.0;
    for (int b = 0; b < n_species; ++b) {
        if (first[b] == first[b + 1]) continue;
        Columns c;
        c.species = b;
        c.begin = first[b];
        c.end = first[b + 1];
        make_columns(c, s.rows, members + c.begin, c.end - c.begin, range);
        columns_.push_back(c);
        start_at_.push_back(cells);
        cells += std::int64_t(c.n[0]) * c.n[1] * c.n[2] + 1;
    }
    start_.assign(std::size_t(cells), 0);
    std::int32_t* row = row_.reserve(std::size_t(n_ + kPlaceRoom));
    std::int32_t* place = place_.reserve(std::size_t(n_real_) + 1);
    std::int32_t* cell = cell_.reserve(std::size_t(n_));
    for (std::size_t k = 0; k < columns_.size(); ++k) {
        Columns& c = columns_[k];
        std::int32_t* start = start_.data() + start_at_[k];
        c.start = start;
        const std::int32_t n_cells = c.n[0] * c.n[1] * c.n[2];
        for (std::int32_t m = c.begin; m < c.end; ++m) {
            const double* x = s.rows + 4 * std::int64_t(members[m]);
            std::int32_t at = 0;
            for (int d = 0; d < 3; ++d)
                at = at * c.n[d] + cell_of(x[c.axis[d]], c.low[d], c.inverse[d], c.n[d]);
            cell[m] = at;
            ++start[at];
        }
        std::int32_t sum = c.begin;
        for (std::int32_t a = 0; a <= n_cells; ++a) {
            const std::int32_t own = start[a];
            start[a] = sum;
            sum += own;
        }
        for (std::int32_t m = c.begin; m < c.end; ++m) row[start[cell[m]]++] = members[m];
        for (std::int32_t a = n_cells; a > 0; --a) start[a] = start[a - 1];
        start[0] = c.begin;
    }
    std::int32_t* centre = centre_.reserve(std::size_t(n_real_) + 1);
    for (std::int64_t p = 0; p < n_; ++p)
        if (row[p] < n_real_) {
            place[row[p]] = std::int32_t(p);
            *centre++ = row[p];
        }
}

// Coordinates of all places. Returns how far any has come since they were sorted.
double PlaceTable::refresh(const System& s, int threads) {
    const std::int64_t stride = n_ + kPlaceRoom;
    double *at = at_.data(), *sorted = sorted_at_.data();
    const std::int64_t blocks = (n_ + kBlock - 1) / kBlock;
    double* largest = largest_.reserve(std::size_t(blocks) + 1);
    parallel_for(blocks, team_size(threads, n_, kRefreshNs), 1, [&](std::int64_t b) {
        const std::int64_t end = std::min(n_, (b + 1) * kBlock);
        double most = 0.0;
        for (std::int64_t p = b * kBlock; p < end; ++p) {
            const double* x = s.rows + 4 * std::int64_t(row_[std::size_t(p)]);
            for (int k = 0; k < 3; ++k) {
                at[k * stride + p] = x[k];
                const double moved = std::fabs(x[k] - sorted[k * stride + p]);
                most = moved > most ? moved : most;
            }
        }
        largest[b] = most;
    });
    double most = 0.0;
    for (std::int64_t b = 0; b < blocks; ++b) most = std::max(most, largest[b]);
    return most;
}

Places PlaceTable::update(const System& s, std::int64_t build_number, int n_species, bool merged,
                          double range, int threads) {
    const std::int64_t stride = s.n_total + kPlaceRoom;
    bool sorted = build_ == build_number && n_ == s.n_total && n_real_ == s.n_real;
    double moved = sorted ? refresh(s, threads) : 0.0;
    if (!sorted || moved > kFarthest) {
        build_ = -1;  // should anything throw
        sort(s, n_species, merged, range);
        double* at = at_.reserve(std::size_t(3 * stride));
        std::fill_n(at, 3 * stride, 0.0);
        std::fill_n(sorted_at_.reserve(std::size_t(3 * stride)), 3 * stride, 0.0);
        std::fill_n(row_.data() + n_, kPlaceRoom, 0);
        refresh(s, threads);
        std::copy_n(at, 3 * stride, sorted_at_.data());
        moved = 0.0;
        build_ = build_number;
    }
    Places p;
    p.n = n_;
    p.n_columns = int(columns_.size());
    p.columns = columns_.data();
    for (int k = 0; k < 3; ++k) p.at[k] = at_.data() + k * stride;
    p.row = row_.data();
    p.place = place_.data();
    p.centre = centre_.data();
    p.n_sorts = n_sorts_;
    // Beside the movement: roundings of coordinates and of the borders of cells.
    p.margin = moved + 1e-14 * extent_ + 1e-12;
    return p;
}

}  // namespace mdkern
