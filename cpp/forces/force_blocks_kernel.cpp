// See force_blocks.hpp. Building reads the list twice; gathering reads 32 bytes per entry.
#include "forces/force_blocks.hpp"

#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

void force_blocks_rows_compute(const System& s, const Neighbors& list, int n_threads,
                               std::int32_t* marks, std::int64_t* count, const std::int64_t* first,
                               std::int32_t* row) {
    const std::int64_t rows = force_block_rows(s.n_real);
    parallel_for_thread(n_force_blocks(s.n_real), n_threads, 4, [&](std::int64_t b, int thread) {
        std::int32_t* mark = marks + thread * s.n_total;
        // Marks of earlier passes differ from these: no need to clear them.
        const std::int32_t own = std::int32_t(2 * b + (row != nullptr));
        std::int64_t n = 0;
        auto touch = [&](std::int32_t r) {
            if (mark[r] == own) return;
            mark[r] = own;
            if (row) row[first[b] + n] = r;
            ++n;
        };
        const std::int64_t begin = b * rows,
                           end = begin + rows < s.n_real ? begin + rows : s.n_real;
        for (std::int64_t i = begin; i < end; ++i) touch(std::int32_t(i));
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int32_t* index = list.index + list.first[i];
            for (std::int32_t k = 0; k < list.count[i]; ++k) touch(index[k]);
        }
        if (!row) count[b] = n;
    });
}

void group_by_species_compute(const System& s, const Neighbors& list, int n_species, int n_threads,
                              std::int32_t* index) {
    parallel_for(s.n_real, n_threads, 256, [&](std::int64_t i) {
        const std::int32_t *row = list.index + list.first[i], n = list.count[i];
        std::int32_t* grouped = index + list.first[i];
        std::int32_t at[kMaxSpecies + 1];
        for (int t = 0; t <= n_species; ++t) at[t] = 0;
        for (std::int32_t k = 0; k < n; ++k) ++at[int(s.rows[4 * std::int64_t(row[k]) + 3]) + 1];
        for (int t = 0; t < n_species; ++t) at[t + 1] += at[t];
        for (std::int32_t k = 0; k < n; ++k)
            grouped[at[int(s.rows[4 * std::int64_t(row[k]) + 3])]++] = row[k];
    });
}

void force_blocks_gather_compute(const System& s, const ForceBlocks& plan, const double* entries,
                                 int stride, int width, int n_threads, double* out, int row) {
    parallel_for(s.n_homes, n_threads, 0, [&](std::int64_t i) {
        double sum[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
        for (std::int64_t k = plan.start[i]; k < plan.start[i + 1]; ++k) {
            const double* e = entries + stride * std::int64_t(plan.entry[k]);
            for (int c = 0; c < width; ++c) sum[c] += e[c];
        }
        const std::int64_t o = s.order ? s.order[i] : i;
        for (int c = 0; c < width; ++c) out[row * o + c] = sum[c];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
