// The search in a thin gas: pairs once, then the list. The loops are in search_thin_kernel.cpp.
#include <algorithm>

#include "core/threads.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

void NeighborTable::search_thin(const SearchTask& task, int threads) {
    constexpr std::int64_t kPerPart = 512, kPadding = 64;
    ThinTask t;
    t.system = task.system;
    t.bins = bins_;
    t.rule = task.rule;
    t.exact = task.exact;
    t.self_interaction = task.self_interaction;
    t.half = task.half;
    // Single precision moves a point by at most 2^-24 of the extent along each direction; more than
    // twice what that can do to a distance is allowed for.
    double extent = 0.0;
    for (int k = 0; k < 3; ++k) extent = std::max(extent, bins_.n[k] * bins_.width[k]);
    t.reach = task.rule.cutoff + bins_.margin + extent * 0x1p-21;
    t.limit = float(t.reach * t.reach * (1.0 + 1e-6));

    const int team = team_size(threads, n_total_, kThinNs);
    const auto n_parts = std::min<std::int64_t>((n_total_ + kPerPart - 1) / kPerPart, 4 * team);
    thin_parts_.resize(n_parts);
    // Room for the pairs of an even gas; where it is not enough, they are counted.
    std::int64_t room = 0;
    for (std::int64_t p = 0; p < n_parts; ++p) {
        const std::int64_t begin = n_total_ * p / n_parts, end = n_total_ * (p + 1) / n_parts;
        thin_parts_[p] = {begin, end, room, 2 * (end - begin) + kPadding, 0};
        room += thin_parts_[p].room;
    }
    t.parts = thin_parts_.data();
    t.n_parts = int(n_parts);
    t.pairs = thin_pairs_.reserve(2 * room);
    neighbor_thin_find_compute(t, team);
    std::int64_t pairs = 0;
    bool overflow = false;
    for (const ThinPart& p : thin_parts_) {
        pairs += p.found;
        overflow |= p.found > p.room;
    }
    check_pairs((task.half ? 1.0 : 2.0) * double(pairs));
    if (overflow) {
        room = 0;
        for (ThinPart& p : thin_parts_) {
            p.offset = room;
            room += p.room = p.found;
        }
        t.pairs = thin_pairs_.reserve(2 * room);
        neighbor_thin_find_compute(t, team);
    }
    t.first = task.first;
    t.count = task.count;
    t.index = index_.reserve(2 * pairs + kPadding);
    neighbor_thin_place_compute(t, 1);
    for (std::int64_t r = 0; r < n_real_; ++r) n_pairs_ += t.count[r];
}

}  // namespace mdkern
