// The half list of a neighbor table and the plan by which threads share it; made when a potential
// first asks for it after a build.
#include "neighbors/half.hpp"

#include <algorithm>
#include <cmath>

#include "neighbors/table.hpp"

namespace mdkern {

// Tiles are blocks of columns of bins, at least as wide as the range of the list: what a tile
// reaches lies in its own and the eight tiles around it, so tiles three apart in either direction
// do not meet. Tiles are numbered in nine colours, every third one in either direction: those that
// a tile has to wait for were begun long before it.
void NeighborTable::make_plan() {
    plan_tile_.assign(1, 0);
    plan_range_.clear();
    plan_before_first_.assign(1, 0);
    plan_before_.clear();
    const int nx = bins_.n[0], ny = bins_.n[1];
    int size[2];
    for (int k = 0; k < 2; ++k) {
        const double columns = std::ceil((list_range_ + bins_.margin) / bins_.width[k]);
        size[k] = int(std::min(std::max(columns, 1.0), double(bins_.n[k])));
    }
    const int tiles_x = (nx + size[0] - 1) / size[0], tiles_y = (ny + size[1] - 1) / size[1];
    const std::int32_t* row_at = bins_.column_row;  // first real row of each column
    std::vector<std::int32_t> number(std::size_t(tiles_x) * tiles_y, -1);
    auto add = [&](int x, int y) {
        for (int bx = x * size[0]; bx < std::min((x + 1) * size[0], nx); ++bx) {
            const std::int64_t column = std::int64_t(bx) * ny;
            const std::int32_t begin = row_at[column + y * size[1]],
                               end = row_at[column + std::min((y + 1) * size[1], ny)];
            if (begin == end) continue;
            plan_range_.push_back(begin);
            plan_range_.push_back(end);
        }
        const auto ranges = std::int32_t(plan_range_.size() / 2);
        if (ranges == plan_tile_.back()) return;  // only images, or nothing
        for (int u = std::max(x - 2, 0); u <= std::min(x + 2, tiles_x - 1); ++u)
            for (int v = std::max(y - 2, 0); v <= std::min(y + 2, tiles_y - 1); ++v)
                if (const std::int32_t other = number[std::size_t(u) * tiles_y + v]; other >= 0)
                    plan_before_.push_back(other);
        plan_before_first_.push_back(std::int32_t(plan_before_.size()));
        number[std::size_t(x) * tiles_y + y] = std::int32_t(plan_tile_.size() - 1);
        plan_tile_.push_back(ranges);
    };
    for (int colour = 0; colour < 9; ++colour)
        for (int x = colour / 3; x < tiles_x; x += 3)
            for (int y = colour % 3; y < tiles_y; y += 3) add(x, y);
    plan_done_.resize(plan_tile_.size());
    std::vector<std::int64_t> chain(plan_tile_.size(), 0);  // rows of the longest that ends here
    std::int64_t longest = 1;
    for (std::size_t t = 0; t + 1 < plan_tile_.size(); ++t) {
        for (std::int32_t b = plan_before_first_[t]; b < plan_before_first_[t + 1]; ++b)
            chain[t] = std::max(chain[t], chain[std::size_t(plan_before_[b])]);
        for (std::int32_t r = plan_tile_[t]; r < plan_tile_[t + 1]; ++r)
            chain[t] += plan_range_[2 * r + 1] - plan_range_[2 * r];
        longest = std::max(longest, chain[t]);
    }
    plan_width_ = double(n_real_) / double(longest);
    // Images by owner: a counting sort.
    std::int32_t *first = image_first_.reserve(n_real_ + 1),
                 *image = image_.reserve(n_total_ - n_real_ + 1);
    std::fill_n(first, n_real_ + 1, 0);
    for (std::int64_t r = n_real_; r < n_total_; ++r) ++first[owner_[r] + 1];
    for (std::int64_t i = 0; i < n_real_; ++i) first[i + 1] += first[i];
    for (std::int64_t r = n_real_; r < n_total_; ++r) image[first[owner_[r]]++] = std::int32_t(r);
    for (std::int64_t i = n_real_; i > 0; --i) first[i] = first[i - 1];
    first[0] = 0;
}

std::size_t NeighborTable::half_room() const {
    return index_.capacity() + std::size_t(kRowPadding * (n_real_ + 1));
}

HalfList NeighborTable::half(int team) {
    if (!half_made_) {
        HalfTask t;
        t.system = system();
        t.list = neighbors();
        t.shift = shift_.data();
        t.block = 512;
        t.first = half_first_.reserve(n_real_);
        t.count = half_count_.reserve(n_real_);
        t.index = half_index_.reserve(half_room());
        neighbor_half_compute(t, team);
        make_plan();
        half_made_ = true;
    }
    HalfList h;
    h.list = {n_pairs_ / 2, half_first_.data(), half_count_.data(), half_index_.data()};
    h.n_tiles = std::int64_t(plan_tile_.size()) - 1;
    h.tile = plan_tile_.data();
    h.range = plan_range_.data();
    h.before_first = plan_before_first_.data();
    h.before = plan_before_.data();
    h.done = plan_done_.data();
    h.width = plan_width_;
    h.image_first = image_first_.data();
    h.image = image_.data();
    return h;
}

}  // namespace mdkern
