#include "descriptors/pattern.hpp"

#include <algorithm>
#include <numeric>

namespace mdkern {

Centers CenterRows::view() const {
    return {std::int64_t(row.size()), row.data(), output.data(), longest};
}

CenterRows center_rows(const System& s, const Neighbors& list, const std::int32_t* atoms,
                       std::int64_t n) {
    CenterRows out;
    if (!atoms) {
        out.row.resize(std::size_t(s.n_real));
        std::iota(out.row.begin(), out.row.end(), 0);
        out.output.resize(std::size_t(s.n_real));
        for (std::int64_t i = 0; i < s.n_real; ++i)
            out.output[std::size_t(i)] = s.order ? s.order[i] : i;
    } else {
        std::vector<std::int32_t> rank(std::size_t(s.n_real));
        for (std::int64_t i = 0; i < s.n_real; ++i) rank[s.order[i]] = std::int32_t(i);
        out.output.resize(std::size_t(n));
        std::iota(out.output.begin(), out.output.end(), 0);
        std::stable_sort(out.output.begin(), out.output.end(),
                         [&](auto a, auto b) { return rank[atoms[a]] < rank[atoms[b]]; });
        for (std::int64_t k : out.output) out.row.push_back(rank[atoms[k]]);
    }
    for (std::int32_t row : out.row) out.longest = std::max(out.longest, list.count[row]);
    return out;
}

JacobianBlocks Pattern::view(bool attach) const {
    JacobianBlocks b;
    b.pair = pair.data();
    b.own = own.data();
    if (!first.empty()) {
        b.first = first.data();
        b.count = count.data();
    }
    b.attach = attach;
    return b;
}

Pattern sparse_pattern(const System& s, const Neighbors& list, const Centers& centers,
                       const std::int32_t* column, std::size_t list_room) {
    Pattern p;
    const auto n = std::size_t(centers.n);
    p.pair.assign(list_room, -1);
    p.own.assign(n, -1);
    p.first.assign(n, 0);
    p.count.assign(n, 0);
    std::vector<std::int64_t> place(n);  // of the center with this output
    for (std::size_t c = 0; c < n; ++c) place[std::size_t(centers.output[c])] = std::int64_t(c);
    std::vector<std::int64_t> block(std::size_t(s.n_real), -1);  // by column
    std::vector<std::int64_t> seen;
    for (std::size_t o = 0; o < n; ++o) {
        const std::int64_t c = place[o], row = centers.row[c], first = list.first[row];
        seen.clear();
        const auto see = [&](std::int64_t of_row) {
            const std::int32_t at = column[s.order[of_row]];
            if (at >= 0 && block[at] < 0) {
                block[at] = 0;
                seen.push_back(at);
            }
        };
        for (std::int32_t k = 0; k < list.count[row]; ++k) see(s.home[list.index[first + k]]);
        see(row);
        std::sort(seen.begin(), seen.end());
        p.first[c] = p.n_blocks;
        p.count[c] = std::int64_t(seen.size());
        for (std::int64_t at : seen) {
            block[at] = p.n_blocks++;
            p.center.push_back(std::int64_t(o));
            p.column.push_back(at);
        }
        for (std::int32_t k = 0; k < list.count[row]; ++k) {
            const std::int32_t at = column[s.order[s.home[list.index[first + k]]]];
            if (at >= 0) p.pair[first + k] = block[at];
        }
        if (column[s.order[row]] >= 0) p.own[c] = block[column[s.order[row]]];
        for (std::int64_t at : seen) block[at] = -1;
    }
    return p;
}

Pattern dense_pattern(const System& s, const Neighbors& list, const Centers& centers,
                      const std::int32_t* column, std::int64_t n_columns, bool one_row,
                      std::size_t list_room) {
    Pattern p;
    p.pair.assign(list_room, -1);
    p.own.assign(std::size_t(centers.n), -1);
    p.n_blocks = n_columns * (one_row ? 1 : centers.n);
    for (std::int64_t c = 0; c < centers.n; ++c) {
        const std::int64_t row = centers.row[c], first = list.first[row];
        const std::int64_t base = one_row ? 0 : centers.output[c] * n_columns;
        const auto block = [&](std::int64_t of_row) {
            const std::int32_t at = column[s.order[of_row]];
            return at < 0 ? std::int64_t(-1) : base + at;
        };
        for (std::int32_t k = 0; k < list.count[row]; ++k)
            p.pair[first + k] = block(s.home[list.index[first + k]]);
        p.own[c] = block(row);
    }
    return p;
}

}  // namespace mdkern
