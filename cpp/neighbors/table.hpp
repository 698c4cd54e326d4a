// The neighbor table: from positions and a cell to a System with explicit images and the list of
// its pairs; built once, then refreshed while atoms have moved less than the skin allows. All
// memory is reused from build to build.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/buffers.hpp"
#include "core/table.hpp"
#include "core/types.hpp"
#include "neighbors/lattice.hpp"
#include "neighbors/points.hpp"
#include "neighbors/search.hpp"

namespace mdkern {

constexpr double kRowBytes = 200.0;                       // scratch per row, all buffers together
constexpr std::int64_t kMaxRows = std::int64_t(1) << 29;  // a row number times four fits 32 bits

// For team_size(): nanoseconds that a row or a pair takes in the parts of a build, and in the arrays
// that are made of it.
constexpr double kPointNs = 15.0, kRefreshNs = 6.0, kSearchNs = 250.0, kThinNs = 40.0,
                 kPruneNs = 2.0, kOffsetNs = 2.0, kFillNs = 8.0, kForwardNs = 2.0, kReverseNs = 1.0;

// The caller's atoms, in the caller's order.
struct AtomsView {
    std::int64_t n = 0;
    const double* positions = nullptr;      // (n, 3)
    const double* cell = nullptr;           // (3, 3)
    const bool* pbc = nullptr;              // (3)
    const std::int32_t* species = nullptr;  // (n) or null: all zero
};

struct TableOptions {
    CutoffKind kind = CutoffKind::uniform;
    double cutoff = 0.0;  // largest cutoff of any pair
    // How far the list reaches where rows reach farther; 0: a list without pairs. Negative: as the cutoff.
    double list_cutoff = -1.0;
    double skin = 0.0;
    const double* radii = nullptr;  // (n), kind == radii
    const double* table = nullptr;  // (n_types, n_types) over species, kind == types
    int n_types = 0;
    bool self_interaction = false, half = false;
    bool exact = false;  // decide borderline pairs as ASE does (neighbor_list); potentials test r <
                         // cutoff themselves
    // Under a strained cell the list holds as long as it can. False: as long as loops of molecular dynamics have it, whose
    // trajectories follow, bit by bit, from when lists are built.
    bool tight = false;
    double max_pairs = 0.0;       // 0: from the memory that is available
    double bytes_per_pair = 4.0;  // of everything that the caller will take, for that check
};

class NeighborTable final : public Table {
public:
    // Builds list and images. Throws std::invalid_argument (non-finite positions, singular cell)
    // and MemoryLimit.
    void build(const AtomsView& atoms, const TableOptions& options, int threads);
    // Brings the coordinates up to date, and rebuilds if the list could miss a pair within the
    // cutoff. True: rebuilt.
    bool update(const AtomsView& atoms, const TableOptions& options, int threads);
    // Pairs that are within the cutoff at the present coordinates (after update with a skin).
    void prune(int threads);

    System system() const override;
    bool whole() const override { return true; }
    void sum(double*, std::int64_t) const override {}
    std::int64_t n_pairs() const override { return n_pairs_; }
    Neighbors neighbors() const override;
    Neighbors pruned() const;
    HalfList half(int team) override;
    std::size_t half_room() const override;
    std::int64_t build_number() const override { return build_number_; }
    double reach(double cutoff) const override;
    Box box() const override { return {cell_, lattice_.pbc}; }
    void forward(double* values, int width, int stride, int threads) const override;
    void reverse(double* values, int width, int stride, int threads) const override;
    std::int64_t n() const { return n_real_; }
    std::size_t index_room() const {
        return index_.capacity();
    }  // entries that first[] may point into
    const Lattice& lattice() const { return lattice_; }
    const double* cell() const { return cell_; }  // the present one; open directions zero

    // For a loop that moves the atoms itself (cpp/md). After set_row_order(true) and a build,
    // `order` of system() is 0, 1, 2, ...: results come in the order of rows.
    void set_row_order(bool on) { row_order_ = on; }
    double* moving_rows() { return rows_.data(); }
    const std::int32_t* shifts() const { return shift_.data(); }  // rows of four, see Exact
    void move_cell(const double* cell) { std::copy_n(cell, 9, cell_); }
    const std::int32_t* caller_order() const { return order_.data(); }
    // The strain of a cell against that of the build, and how far the two atoms that moved most may
    // have moved together against it before the list can miss a pair; negative: it can at once.
    double allowance(const double* cell, double* strain) const;
    // Offsets of the rows in the caller's order, (n + 1); then the output arrays. `pruned`: of the
    // pruned list.
    const std::int64_t* offsets(bool pruned, int threads);
    void fill(bool pruned, const FillTask& wanted, int threads);
    // Memory in use, roughly.
    double bytes() const;
    // Give back what only a build needs: fill() still works. Everything but the offsets: fill() of
    // i still works.
    void release_build();
    void release_list();

private:
    bool periodic() const { return lattice_.pbc[0] || lattice_.pbc[1] || lattice_.pbc[2]; }
    void set_cell(const AtomsView& atoms);
    void make_points(const AtomsView& atoms, int threads);
    void divide(PointTask& t, int threads);
    void wrap(PointTask& t, int threads);
    void check_images() const;
    void choose_bins(const PointTask& t);
    void one_bin();
    double most_points(const PointTask& t) const;
    bool collect_points(PointTask& t);
    void sort_points(PointTask& t, int threads);
    void number_rows(PointTask& t, const AtomsView& atoms, bool direct, int threads);
    void make_plan();
    void search(int threads);
    void search_thin(const SearchTask& task, int threads);
    void check_memory(const SearchTask& task, double candidates, int threads) const;
    double most_pairs(double wanted, double* available) const;
    void check_pairs(double pairs) const;
    void refresh(const AtomsView& atoms, const double* strain, double* largest, int threads);
    Exact exact() const;
    CutoffRule rule() const;

    TableOptions options_;
    Lattice lattice_{};
    double range_ = 0.0, list_range_ = 0.0, margin_ = 0.0;  // of rows, of the list
    std::int64_t build_number_ = 0, n_real_ = -1, n_total_ = 0, n_pairs_ = 0, n_pruned_ = 0;
    Bins bins_{};
    double cell_[9] = {};

    // Wrapped atoms in the caller's order, points by column, and how they get there.
    Buffer<Point> wrapped_, points_, met_;
    Buffer<std::uint64_t> column_count_;
    Buffer<std::int32_t> place_, column_point_, column_row_, sorted_;
    // By bin.
    Buffer<std::int32_t> start_, point_row_, point_type_, point_of_;
    Buffer<double> sx_, sy_, sz_, point_radius_;
    Buffer<float> fx_, fy_, fz_;
    // By row.
    Buffer<double> rows_, built_, position_, row_radius_, largest_;
    Buffer<std::int32_t> shift_, owner_, order_, rank_, row_type_;
    // List.
    Buffer<std::int64_t> first_, offsets_;
    Buffer<std::int32_t> count_, index_, pruned_count_, pruned_index_;
    Buffer<std::int32_t> thin_pairs_;
    std::vector<ThinPart> thin_parts_;
    // Half list.
    bool half_made_ = false;
    double plan_width_ = 1.0;
    Buffer<std::int64_t> half_first_;
    Buffer<std::int32_t> half_count_, half_index_, image_first_, image_;
    std::vector<std::int32_t> plan_tile_, plan_range_, plan_before_first_, plan_before_, plan_done_;
    std::vector<PointBlock> blocks_;
    std::vector<Chunk> chunks_;
    std::vector<std::int32_t> species_;
    bool row_order_ = false;
    Buffer<std::int32_t> identity_;  // order of rows, as results by row see it
};

}  // namespace mdkern
