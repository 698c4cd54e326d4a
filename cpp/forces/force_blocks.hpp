// Forces on neighbors, for potentials whose centre i knows dU_i/dr_ij of all its neighbors at once
// and nothing of theirs: F_i += p_ij, F_j -= p_ij, without races and with the same bits for any
// number of threads.
//
// Rows are cut into fixed blocks. Each block has a private row of four doubles ("entry") for every
// System row that its rows touch: whoever works on the block adds there. Afterwards every atom
// gathers the entries of its row and of its images, in the order of the blocks. Rows are sorted in
// space, so a block of 128 touches some ten to twenty rows per row of its own, one of 1024 half as
// many: 32 bytes each, against 24 bytes for every pair if the pairs' gradients were stored.
//
// The plan (which rows a block touches) is made when the list is, together with a copy of the list
// that is grouped by species, so that kernels meet neighbors of one species side by side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffers.hpp"
#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

// Rows per block: some 64 blocks at least, so that many threads have work, and the larger the
// blocks the fewer rows they share. It follows from the system alone, and the bits from it.
constexpr std::int64_t kLeastBlock = 2 * kPairBlock, kMostBlock = 16 * kPairBlock;
static inline constexpr std::int64_t force_block_rows(std::int64_t n_real) {
    const std::int64_t rows = n_real / 64 / kPairBlock * kPairBlock;
    return rows < kLeastBlock ? kLeastBlock : rows > kMostBlock ? kMostBlock : rows;
}
static inline constexpr std::int64_t n_force_blocks(std::int64_t n_real) {
    return (n_real + force_block_rows(n_real) - 1) / force_block_rows(n_real);
}

// What is asked of a potential whose centres have features x_i that follow from their neighbors.
enum class CentreTask : int {
    energy = 0,      // energies, forces, virial
    descriptor = 1,  // x only
    vjp = 2,         // forces and virial of sum_id weight_id x_id; no energy
    jacobian = 3,    // dx_id/dr_j
    charge = 4,      // charges only
    born = 5,        // Outputs::born; energies: charges
};

struct ForceBlocks {
    std::int64_t n_blocks = 0, n_entries = 0;
    const std::int64_t* first = nullptr;  // (n_blocks + 1) entries of each block
    const std::int32_t* row = nullptr;    // (n_entries) row of the System
    const std::int64_t* start = nullptr;  // (n_homes + 1)
    const std::int32_t* entry = nullptr;  // (n_entries) entries of each home, blocks in order
};

// Rows that each block touches: their number into count (n_blocks) if row is null, else the rows
// themselves from row[first[block]] on. marks: (n_threads, n_total), all -1 at first.
MDKERN_KERNEL(force_blocks_rows_compute,
              (const System&, const Neighbors&, int n_threads, std::int32_t* marks,
               std::int64_t* count, const std::int64_t* first, std::int32_t* row))
// The neighbors of each row by species, those of one species in their former order, into `index`,
// where the list has them in its own. n_species <= kMaxSpecies.
MDKERN_KERNEL(group_by_species_compute,
              (const System&, const Neighbors&, int n_species, int n_threads, std::int32_t* index))
// out[row o + c] = sum of entries[stride e + c] over the entries of home o, c < width <= 9.
MDKERN_KERNEL(force_blocks_gather_compute,
              (const System&, const ForceBlocks&, const double* entries, int stride, int width,
               int n_threads, double* out, int row))

// Entries by the home that each belongs to, home(e): a counting sort, stable, so that blocks come in
// order. start: (n_homes + 1), entry: (n_entries).
template <class Home>
inline void entries_by_home(std::int64_t n_entries, std::int64_t n_homes, const Home& home,
                            std::int64_t* start, std::int32_t* entry) {
    for (std::int64_t h = 0; h <= n_homes; ++h) start[h] = 0;
    for (std::int64_t e = 0; e < n_entries; ++e) ++start[home(e)];
    std::int64_t sum = 0;
    for (std::int64_t h = 0; h <= n_homes; ++h) {
        sum += start[h];
        start[h] = sum;  // where the next home begins; filled from behind
    }
    for (std::int64_t e = n_entries; e-- > 0;) entry[--start[home(e)]] = std::int32_t(e);
}

// The memory of a plan, reused from list to list.
class ForceBlockPlan {
public:
    // Throws MemoryLimit.
    void build(const System& system, const Neighbors& list, int n_species, int n_threads);
    // The list by species; of a single species it is the table's own.
    const Neighbors& list() const { return list_; }
    ForceBlocks view() const {
        return {n_blocks_, n_entries_, first_.data(), row_.data(), start_.data(), entry_.data()};
    }
    std::int64_t largest_count() const { return largest_; }  // neighbors of one row

private:
    std::int64_t n_blocks_ = 0, n_entries_ = 0, largest_ = 0;
    Buffer<std::int64_t> first_, start_;
    Buffer<std::int32_t> row_, entry_, marks_, index_;
    Neighbors list_;
};

// Entries of six numbers have room for eight.
static inline constexpr int virial_stride_of(int width) { return width == 9 ? 9 : 8; }

// What kernels on blocks of rows work with.
struct ForceBlockWork {
    char* scratch = nullptr;  // (n_threads, scratch_bytes)
    std::size_t scratch_bytes = 0;
    std::int64_t largest = 0;          // neighbors of one row
    std::int32_t* slots = nullptr;     // (n_threads, n_total)
    double* entries = nullptr;         // (n_entries, 4) or null
    double* virial_entries = nullptr;  // (n_entries, virial_stride) or null
    int virial_width = 0;              // 6 or 9, where there are virials
    int virial_stride() const { return virial_stride_of(virial_width); }
};

// The plan of a table's present list and the memory of that work, for the workspace of a potential.
class ForceBlockSpace {
public:
    // Makes the plan anew when the list was. Returns the threads that are worth it, of `team`.
    int update(const System& system, const Neighbors& list, std::int64_t build_number,
               int n_species, int team);
    ForceBlocks blocks() const { return plan_.view(); }
    const Neighbors& list() const { return plan_.list(); }
    std::int64_t largest_count() const { return plan_.largest_count(); }
    // Memory for `team` threads, after update(). virials: components of each, or 0.
    ForceBlockWork work(const System& system, int team, std::size_t scratch_bytes, bool forces,
                        int virials);

private:
    ForceBlockPlan plan_;
    std::int64_t plan_of_build_ = -1;
    Buffer<char> scratch_;
    Buffer<std::int32_t> slots_;
    Buffer<double> entries_, virial_entries_;
};

}  // namespace mdkern
