// Which atoms each center sees: the blocks of a sparse Jacobian.
#pragma once

#include <cstdint>
#include <vector>

#include "descriptors/environments.hpp"

namespace mdkern {

// Centers among the rows of a table, in the order of their rows: neighbors in memory.
struct CenterRows {
    std::vector<std::int32_t> row;
    std::vector<std::int64_t> output;
    Centers view() const;
    std::int32_t longest = 0;
};
// `atoms` are n indices in the caller's order; null: all real rows.
CenterRows center_rows(const System& s, const Neighbors& list, const std::int32_t* atoms,
                       std::int64_t n);

// Blocks by center, then by column. column (n_real, the caller's order): of each atom among the
// wanted ones, -1: not wanted.
struct Pattern {
    std::vector<std::int64_t> pair, own, first, count;
    std::vector<std::int64_t> center, column;  // of each block; sparse patterns only
    std::int64_t n_blocks = 0;
    JacobianBlocks view(bool attach) const;
};
Pattern sparse_pattern(const System& s, const Neighbors& list, const Centers& centers,
                       const std::int32_t* column, std::size_t list_room);
// Block = output * n_columns + column; with one row for all centers output counts as 0.
Pattern dense_pattern(const System& s, const Neighbors& list, const Centers& centers,
                      const std::int32_t* column, std::int64_t n_columns, bool one_row,
                      std::size_t list_room);

}  // namespace mdkern
