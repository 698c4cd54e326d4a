#include "forces/force_blocks.hpp"

#include <algorithm>
#include <limits>

#include "core/errors.hpp"
#include "core/threads.hpp"

namespace mdkern {

void ForceBlockPlan::build(const System& s, const Neighbors& list, int n_species, int n_threads) {
    const int team = team_size(n_threads, list.n_pairs, 2.0);
    n_blocks_ = n_force_blocks(s.n_real);
    largest_ = 0;
    std::int64_t room = 0;
    for (std::int64_t i = 0; i < s.n_real; ++i) {
        largest_ = std::max<std::int64_t>(largest_, list.count[i]);
        room = std::max(room, list.first[i] + list.count[i]);
    }

    list_ = list;
    if (n_species > 1) {
        std::int32_t* index = index_.reserve(room);
        group_by_species_compute(s, list, n_species, team, index);
        list_.index = index;
    }
    std::int32_t* marks = marks_.reserve(team * s.n_total);
    std::fill_n(marks, team * s.n_total, -1);
    std::int64_t* first = first_.reserve(n_blocks_ + 1);
    force_blocks_rows_compute(s, list, team, marks, first + 1, nullptr, nullptr);
    first[0] = 0;
    for (std::int64_t b = 0; b < n_blocks_; ++b) first[b + 1] += first[b];
    n_entries_ = first[n_blocks_];
    if (n_entries_ > std::numeric_limits<std::int32_t>::max())
        throw MemoryLimit(std::to_string(n_entries_) +
                          " entries of force blocks; expected fewer than 2^31");
    std::int32_t* row = row_.reserve(n_entries_);
    force_blocks_rows_compute(s, list, team, marks, nullptr, first, row);

    entries_by_home(
        n_entries_, s.n_homes, [&](std::int64_t e) { return s.home[row[e]]; },
        start_.reserve(s.n_homes + 1), entry_.reserve(n_entries_));
}

int ForceBlockSpace::update(const System& s, const Neighbors& list, std::int64_t build_number,
                            int n_species, int team) {
    if (plan_of_build_ != build_number) {
        plan_.build(s, list, n_species, team);
        plan_of_build_ = build_number;
    }
    return int(std::clamp<std::int64_t>(plan_.view().n_blocks, 1, team));
}

ForceBlockWork ForceBlockSpace::work(const System& s, int team, std::size_t scratch_bytes,
                                     bool forces, int virials) {
    ForceBlockWork w;
    const std::int64_t n_entries = plan_.view().n_entries;
    w.largest = plan_.largest_count();
    w.scratch_bytes = scratch_bytes;
    w.scratch = scratch_.reserve(std::size_t(team) * scratch_bytes);
    w.slots = slots_.reserve(std::size_t(team) * std::size_t(s.n_total));
    if (forces) w.entries = entries_.reserve(std::size_t(4 * n_entries));
    w.virial_width = virials;
    if (virials)
        w.virial_entries =
            virial_entries_.reserve(std::size_t(virial_stride_of(virials) * n_entries));
    return w;
}

}  // namespace mdkern
