#include "potentials/mace/mace_plan.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "core/errors.hpp"
#include "core/threads.hpp"
#include "forces/force_blocks.hpp"

namespace mdkern {

void MacePlanMaker::build(const System& s, const Neighbors& list, int n_species, int n_threads) {
    const std::int64_t rows = mace_block_rows(s.n_real), n = s.n_real;
    plan_.n_blocks = (n + rows - 1) / rows;
    plan_.largest = 0;
    std::int64_t room = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        plan_.largest = std::max<std::int64_t>(plan_.largest, list.count[i]);
        room = std::max(room, list.first[i] + list.count[i]);
    }
    plan_.list = list;
    if (n_species > 1) {
        std::int32_t* index = index_.reserve(std::size_t(room) + 1);
        group_by_species_compute(s, list, n_species, team_size(n_threads, list.n_pairs, 2.0),
                                 index);
        plan_.list.index = index;
    }

    // Rows of each block by species, those of one in order.
    std::int32_t* row = row_.reserve(std::size_t(n) + 1);
    std::int32_t* place = place_.reserve(std::size_t(s.n_homes) + 1);
    for (std::int64_t i = 0; i < n; ++i) row[i] = std::int32_t(i);
    for (std::int64_t b = 0; b < plan_.n_blocks; ++b)
        std::stable_sort(
            row + b * rows, row + std::min(n, (b + 1) * rows), [&](std::int32_t i, std::int32_t j) {
                return s.rows[4 * std::int64_t(i) + 3] < s.rows[4 * std::int64_t(j) + 3];
            });
    for (std::int64_t p = 0; p < n; ++p) place[row[p]] = std::int32_t(p);
    for (std::int64_t r = n; r < s.n_homes; ++r) place[r] = std::int32_t(r);

    // Entries in the order in which rows meet them.
    std::int32_t* neighbor_place = neighbor_place_.reserve(std::size_t(room) + 1);
    std::int32_t* slot = slot_.reserve(std::size_t(room) + 1);
    std::int32_t* own_slot = own_slot_.reserve(std::size_t(n) + 1);
    std::int64_t* first_entry = first_entry_.reserve(std::size_t(plan_.n_blocks) + 1);
    std::int32_t* mark = mark_.reserve(std::size_t(s.n_homes) + 1);
    first_entry[0] = 0;
    std::int64_t total = 0;
    for (int pass = 0; pass < 2; ++pass) {
        // Second pass: the same walk again, now that there is room for the homes of all entries.
        std::int32_t* home = pass ? home_.reserve(std::size_t(total) + 1) : nullptr;
        std::fill_n(mark, s.n_homes, -1);
        for (std::int64_t b = 0; b < plan_.n_blocks; ++b) {
            const std::int64_t begin = b * rows, end = std::min(n, begin + rows);
            const std::int64_t first = first_entry[b];
            std::int32_t count = 0;
            const auto touch = [&](std::int64_t h) {
                // A mark is an entry of this block where it is not lower than its first.
                if (mark[h] < first) {
                    mark[h] = std::int32_t(first + count);
                    if (home) home[first + count] = std::int32_t(h);
                    ++count;
                }
                return std::int32_t(mark[h] - first);
            };
            for (std::int64_t p = begin; p < end; ++p) own_slot[p] = touch(row[p]);
            for (std::int64_t p = begin; p < end; ++p) {
                const std::int64_t from = list.first[row[p]];
                for (std::int64_t k = from; k < from + list.count[row[p]]; ++k) {
                    const std::int64_t h = s.home[plan_.list.index[k]];
                    neighbor_place[k] = place[h];
                    slot[k] = touch(h);
                }
            }
            if (first + count > std::numeric_limits<std::int32_t>::max())
                throw MemoryLimit(std::to_string(first + count) +
                                  " entries of blocks; expected fewer than 2^31");
            first_entry[b + 1] = first + count;
        }
        total = first_entry[plan_.n_blocks];
    }
    std::int64_t* start = start_.reserve(std::size_t(s.n_homes) + 1);
    std::int32_t* entry = entry_.reserve(std::size_t(total) + 1);
    entries_by_home(
        total, s.n_homes, [&](std::int64_t e) { return home_[std::size_t(e)]; }, start, entry);

    plan_.n_entries = total;
    plan_.first_entry = first_entry;
    plan_.start = start;
    plan_.entry = entry;
    plan_.row = row;
    plan_.own_slot = own_slot;
    plan_.place = neighbor_place;
    plan_.slot = slot;
}

}  // namespace mdkern
