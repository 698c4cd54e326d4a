#include "model/part_table.hpp"

#include <algorithm>
#include <limits>

#include "core/threads.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

constexpr double kRowNs = 4.0, kPairNs = 3.0;  // to copy a row, to look at a pair; for team_size()
constexpr std::int64_t kRowRoom = 16;          // behind the last row, for vectors that reach over
constexpr double kShorter = 0.93;  // lists of at least this share of the length are not made anew

}  // namespace

void PartTable::look(Table& whole, double cutoff, double widest, bool half_list,
                     const std::int32_t* species, int threads) {
    if (whole_ != &whole) build_ = full_.build = half_.build = -1;
    whole_ = &whole;
    species_ = species;
    threads_ = threads;
    const System s = whole.system();
    if (species) {
        double* to = rows_.reserve(std::size_t(4 * s.n_total + kRowRoom));
        parallel_for(s.n_total, team_size(threads, s.n_total, kRowNs), 0, [&](std::int64_t r) {
            std::copy_n(s.rows + 4 * r, 3, to + 4 * r);
            to[4 * r + 3] = double(species[std::int64_t(s.rows[4 * r + 3])]);
        });
    }
    if (build_ == whole.build_number()) return;
    build_ = whole.build_number();
    cutoff_ = cutoff;
    within_ = whole.reach(cutoff);
    if (cutoff == 0.0 || !(within_ < kShorter * whole.reach(widest)))
        within_ = std::numeric_limits<double>::infinity();
    if (half_list || !shorter()) return;
    const Neighbors list = whole.neighbors();
    std::int64_t room = 0;
    for (std::int64_t i = 0; i < s.n_real; ++i)
        room = std::max(room, list.first[i] + std::int64_t(list.count[i]));
    full_.keep(s, list, within_, std::size_t(room), threads);
    full_.build = build_;
}

System PartTable::system() const {
    System s = whole_->system();
    if (species_) s.rows = rows_.data();
    return s;
}

Neighbors PartTable::neighbors() const {
    Neighbors list = whole_->neighbors();
    if (full_.build == build_ && shorter()) full_.replace(list);
    return list;
}

HalfList PartTable::half(int team) {
    HalfList h = whole_->half(team);
    if (!shorter()) return h;
    if (half_.build != build_) {
        // Atoms have moved since the build only where an evaluation ended with an exception.
        if (!std::isfinite(whole_->reach(cutoff_))) return h;
        half_.keep(whole_->system(), h.list, within_, whole_->half_room(), threads_);
        half_.build = build_;
    }
    half_.replace(h.list);
    return h;
}

void PartTable::Kept::keep(const System& s, const Neighbors& from, double within, std::size_t room,
                           int threads) {
    std::int32_t* n_kept = count.reserve(std::size_t(s.n_real) + 1);
    std::int32_t* kept = index.reserve(room + std::size_t(kRowRoom));
    const double most = within * within;
    parallel_for(s.n_real, team_size(threads, from.n_pairs, kPairNs), 0, [&](std::int64_t i) {
        const double* x = s.rows + 4 * i;
        std::int32_t* to = kept + from.first[i];
        std::int32_t n = 0;
        for (std::int32_t k = 0; k < from.count[i]; ++k) {
            const std::int32_t j = from.index[from.first[i] + k];
            const double* y = s.rows + 4 * std::int64_t(j);
            const double dx = y[0] - x[0], dy = y[1] - x[1], dz = y[2] - x[2];
            to[n] = j;
            n += dx * dx + dy * dy + dz * dz < most;
        }
        n_kept[i] = n;
    });
    n_pairs = 0;
    for (std::int64_t i = 0; i < s.n_real; ++i) n_pairs += n_kept[i];
}

}  // namespace mdkern
