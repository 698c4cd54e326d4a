#include "model/unfolded.hpp"

#include <algorithm>

namespace mdkern {

void UnfoldedTable::look(Table& whole, UnfoldedPass& pass) {
    whole_ = &whole;
    pass_ = &pass;
    if (of_build_ == whole.build_number()) return;
    const std::int64_t n = whole.system().n_total;
    std::int32_t* home = home_.reserve(std::size_t(n) + 1);
    for (std::int64_t r = 0; r < n; ++r) home[r] = std::int32_t(r);
    of_build_ = whole.build_number();
}

System UnfoldedTable::system() const {
    System s = whole_->system();
    s.home = home_.data();
    s.n_homes = s.n_total;
    s.order = nullptr;
    return s;
}

void UnfoldedTable::reverse(double* values, int width, int stride, int threads) const {
    const System s = whole_->system();
    UnfoldedPass& pass = *pass_;
    if (pass.messages.size() <= pass.call) pass.messages.resize(pass.call + 1);
    double* kept = pass.messages[pass.call].reserve(
        std::size_t(s.n_total - s.n_real) * std::size_t(width) + 1);
    for (std::int64_t r = s.n_real; r < s.n_total; ++r) {
        double *own = values + stride * r, *bare = kept + width * (r - s.n_real);
        if (pass.direction < 0) {
            std::copy_n(own, width, bare);
            continue;
        }
        const double shift =
            s.rows[4 * r + pass.direction] - s.rows[4 * std::int64_t(s.home[r]) + pass.direction];
        for (int c = 0; c < width; ++c) own[c] -= shift * bare[c];
    }
    ++pass.call;
    whole_->reverse(values, width, stride, threads);
}

void unfolded_virials(const Potential& potential, Table& table, UnfoldedSpace& space,
                      const Outputs& out, int threads) {
    const System s = table.system();
    const auto n = std::size_t(s.n_real), rows = std::size_t(s.n_total);
    if (!space.space) space.space = potential.workspace();
    space.table.look(table, space.pass);
    double *weights = space.weights.reserve(n + 1), *forces = space.forces.reserve(6 * rows + 1),
           *weighted = forces + 3 * rows;
    Outputs own;
    own.energies = space.energies.reserve(n + 1);
    own.block_totals = space.totals.reserve(std::size_t(7 * n_blocks(s.n_real)) + 1);
    std::fill_n(out.virials, 9 * s.n_homes, 0.0);
    for (int direction = -1; direction < 3; ++direction) {
        own.forces = direction < 0 ? forces : weighted;
        std::fill_n(own.forces, 3 * rows, 0.0);
        for (std::int64_t i = 0; direction >= 0 && i < s.n_real; ++i)
            weights[i] = s.rows[4 * i + direction];
        own.centre_weights = direction < 0 ? nullptr : weights;
        space.pass.direction = direction;
        space.pass.call = 0;
        potential.compute(space.table, *space.space, own, threads);
        if (direction < 0) continue;
        for (std::int64_t r = 0; r < s.n_total; ++r) {
            const std::int64_t i = s.home[r], o = s.order ? s.order[i] : i;
            const double x = s.rows[4 * r + direction];
            for (int c = 0; c < 9; ++c)
                if (kNine[c][0] == direction) {
                    const std::int64_t k = 3 * r + kNine[c][1];
                    out.virials[9 * o + c] += x * forces[k] - weighted[k];
                }
        }
    }
}

}  // namespace mdkern
