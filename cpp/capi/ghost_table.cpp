#include "capi/ghost_table.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"

namespace mdkern {

namespace {

// Kernels write whole vectors behind the neighbors of a row, which must not reach those of the next:
// another thread may have written them.
constexpr std::int64_t kRowRoom = 16;
constexpr std::int64_t kTileRows = 64;
constexpr std::int64_t kMostRows = std::int64_t(1) << 29;  // a row number times four fits 32 bits

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void check_exchange(const char* callback, int status) {
    if (status != 0)
        throw ExchangeError(std::string("exchange: ") + callback + " returned " +
                            std::to_string(status) + "; expected 0");
}

}  // namespace

void GhostTable::update(const mdkern_atoms& atoms, const mdkern_list& list,
                        const mdkern_exchange* exchange, const Traits& traits) {
    if (atoms.n_own < 0 || atoms.n_all < atoms.n_own || atoms.n_all > kMostRows)
        refuse("atoms: n_own " + std::to_string(atoms.n_own) + ", n_all " +
               std::to_string(atoms.n_all) + "; expected 0 <= n_own <= n_all <= 2^29");
    if (atoms.n_all > 0 && (!atoms.x || !atoms.type)) refuse("atoms: x or type is NULL");
    if (traits.exchanges > traits.reverses && !(exchange && exchange->forward))
        refuse("exchange: no forward; expected one, as the model exchanges values " +
               std::to_string(traits.exchanges) + " times");
    if (traits.reverses > 0 && !(exchange && exchange->reverse))
        refuse("exchange: no reverse; expected one, as the model adds up values of ghosts " +
               std::to_string(traits.reverses) + " times");
    if (list.half && !traits.half_list)
        refuse("list: half is " + std::to_string(list.half) +
               "; expected 0, a full list: mdkern_model_half() says which models take a half one");
    const bool same = listed_ && atoms.n_own == n_own_ && atoms.n_all == n_all_;
    if (!list.changed && !same)
        refuse("list: changed is 0, and there is no list of so many atoms from the last call");
    exchange_ = exchange ? *exchange : mdkern_exchange{};
    take_box(atoms);
    n_own_ = atoms.n_own;
    n_all_ = atoms.n_all;
    if (list.changed) listed_ = false;  // until it is complete: what follows may throw
    take_rows(atoms, std::max(traits.n_species, 1), list.changed != 0);
    if (!list.changed) return;
    take_list(list);
    listed_ = true;
    ++build_number_;
}

void GhostTable::take_box(const mdkern_atoms& atoms) {
    box_ = {};
    if (!atoms.cell) return;
    if (!atoms.pbc) refuse("atoms: pbc is NULL; expected it beside the cell");
    std::copy_n(atoms.cell, 9, cell_);
    for (int k = 0; k < 3; ++k) pbc_[k] = atoms.pbc[k] != 0;
    const double *a = cell_, *b = cell_ + 3, *c = cell_ + 6;
    const double volume = a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) +
                          a[2] * (b[0] * c[1] - b[1] * c[0]);
    if (!std::isfinite(volume) || volume == 0.0)
        refuse("atoms: a cell of volume " + number(volume) +
               "; expected three vectors that span one");
    box_ = {cell_, pbc_};
}

void GhostTable::take_rows(const mdkern_atoms& atoms, int n_species, bool changed) {
    double* rows = rows_.reserve(std::size_t(4 * n_all_ + kRowRoom));
    std::int32_t* home = home_.reserve(std::size_t(n_all_) + 1);
    for (std::int64_t r = 0; r < n_all_; ++r) {
        const double* x = atoms.x + 3 * r;
        if (!(std::isfinite(x[0]) && std::isfinite(x[1]) && std::isfinite(x[2])))
            refuse("atoms: x of row " + std::to_string(r) + " is (" + number(x[0]) + ", " +
                   number(x[1]) + ", " + number(x[2]) + "); expected finite numbers");
        const std::int32_t type = atoms.type[r];
        if (type < 0 || (n_species > 0 && type >= n_species))
            refuse("atoms: type of row " + std::to_string(r) + " is " + std::to_string(type) +
                   "; expected 0 to " + std::to_string(std::max(n_species, 1) - 1));
        // Plans that are made when the list is know the types.
        if (!changed && rows[4 * r + 3] != double(type))
            refuse("atoms: type of row " + std::to_string(r) +
                   " is another than in the last call; expected list.changed 1");
        std::copy_n(x, 3, rows + 4 * r);
        rows[4 * r + 3] = double(type);
        home[r] = std::int32_t(r);
    }
}

void GhostTable::take_list(const mdkern_list& list) {
    const bool csr = list.first != nullptr, half = list.half != 0;
    if (n_own_ > 0 && !csr && !(list.ilist && list.numneigh && list.firstneigh))
        refuse("list: expected first and index, or ilist, numneigh and firstneigh");
    std::int64_t* first = first_.reserve(std::size_t(n_own_) + 1);
    std::int32_t* count = count_.reserve(std::size_t(n_own_) + 1);
    std::fill_n(count, n_own_, -1);
    for (std::int64_t k = 0; k < n_own_; ++k) {
        const std::int64_t row = csr ? k : list.ilist[k];
        if (row < 0 || row >= n_own_ || count[row] >= 0)
            refuse("list: ilist[" + std::to_string(k) + "] is " + std::to_string(row) +
                   "; expected every row below n_own " + std::to_string(n_own_) + " once");
        const std::int64_t n = csr ? list.first[k + 1] - list.first[k] : list.numneigh[row];
        if (n < 0 || n >= n_all_)
            refuse("list: " + std::to_string(n) + " neighbors of row " + std::to_string(row) +
                   "; expected 0 to " + std::to_string(n_all_ - 1));
        if (n > 0 && (csr ? !list.index : !list.firstneigh[row]))
            refuse("list: the neighbors of row " + std::to_string(row) + " are NULL");
        count[row] = std::int32_t(n);
    }
    std::int64_t n_listed = 0;
    for (std::int64_t i = 0; i < n_own_; ++i) n_listed += count[i];
    const std::int32_t mask = list.mask ? list.mask : -1;
    // Row i's neighbors from `least` on, which writes them to index + at.
    const auto copy = [&](std::int64_t i, std::int64_t least, std::int32_t* to) {
        const std::int32_t* from = csr ? list.index + list.first[i] : list.firstneigh[i];
        for (std::int32_t k = 0; k < count[i]; ++k) {
            const std::int32_t j = from[k] & mask;
            if (j < least || j >= n_all_ || j == i)
                refuse("list: row " + std::to_string(i) + " has the neighbor " + std::to_string(j) +
                       "; expected " + (half ? "a later row" : "another row") + " below n_all " +
                       std::to_string(n_all_));
            to[k] = j;
        }
    };
    half_made_ = false;
    half_given_ = half;
    if (half) {
        n_pairs_ = 2 * n_listed;
        take_half(n_listed, [&](std::int64_t i, std::int32_t* to) {
            copy(i, i, to);
            return count[i];
        });
        return;
    }
    n_pairs_ = n_listed;
    std::int32_t* index = index_.reserve(std::size_t(n_pairs_ + kRowRoom * (n_own_ + 1)));
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < n_own_; ++i) {
        first[i] = at;
        copy(i, 0, index + at);
        at += count[i];
    }
}

System GhostTable::system() const {
    System s;
    s.n_real = n_own_;
    s.n_total = n_all_;
    s.rows = rows_.data();
    s.home = home_.data();
    s.n_homes = n_all_;
    return s;
}

Neighbors GhostTable::neighbors() const {
    return {n_pairs_, first_.data(), count_.data(), index_.data()};
}

void GhostTable::forward(double* values, int width, int stride, int) const {
    if (!exchange_.forward) return;  // refused before, unless the model says that it has none
    check_exchange("forward", exchange_.forward(exchange_.user, values, width, stride));
}

void GhostTable::reverse(double* values, int width, int stride, int) const {
    if (!exchange_.reverse) return;  // as above
    check_exchange("reverse", exchange_.reverse(exchange_.user, values, width, stride));
}

// The half list of n_listed entries at most; neighbors(i, to) writes those of row i and says how many.
template <class Rows> void GhostTable::take_half(std::int64_t n_listed, const Rows& neighbors) {
    std::int64_t* first = half_first_.reserve(std::size_t(n_own_) + 1);
    std::int32_t* count = half_count_.reserve(std::size_t(n_own_) + 1);
    std::int32_t* index = half_index_.reserve(std::size_t(n_listed + 2 * kRowRoom * (n_own_ + 1)));
    n_half_ = 0;
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < n_own_; ++i) {
        first[i] = at;
        count[i] = neighbors(i, index + at);
        n_half_ += count[i];
        at = (at + count[i] + kRowRoom - 1) / kRowRoom * kRowRoom;
    }
}

void GhostTable::sum(double* values, std::int64_t n) const {
    if (!exchange_.sum) return;  // all own atoms are here
    check_exchange("sum", exchange_.sum(exchange_.user, values, n));
}

HalfList GhostTable::half(int) {
    if (!half_made_) {
        // Every ghost is behind the own rows.
        if (!half_given_)
            take_half(n_pairs_, [&](std::int64_t i, std::int32_t* to) {
                const std::int32_t* from = index_.data() + first_[std::size_t(i)];
                std::int32_t n = 0;
                for (std::int32_t k = 0; k < count_[std::size_t(i)]; ++k)
                    if (from[k] > i) to[n++] = from[k];
                return n;
            });
        plan_tiles();
        half_made_ = true;
    }
    HalfList h;
    h.list = {n_half_, half_first_.data(), half_count_.data(), half_index_.data()};
    h.n_tiles = std::int64_t(tile_.size()) - 1;
    h.tile = tile_.data();
    h.range = range_.data();
    h.before_first = before_first_.data();
    h.before = before_.data();
    h.done = done_.data();
    h.width = width_;
    return h;
}

// body(row) for all rows that the rows [begin, end) add to.
template <class Body>
void GhostTable::for_reached(std::int64_t begin, std::int64_t end, const Body& body) const {
    for (std::int64_t i = begin; i < end; ++i) {
        body(i);
        const std::int64_t first = half_first_[std::size_t(i)];
        for (std::int32_t k = 0; k < half_count_[std::size_t(i)]; ++k)
            body(half_index_[std::size_t(first + k)]);
    }
}

// Tiles are rows one behind the other, in the caller's order. Those that reach the same rows get other
// colours, and tiles are taken colour by colour, so that several can be worked on at a time. Each waits
// for the last before it that reached one of its rows: that one has waited for those before.
void GhostTable::plan_tiles() {
    const std::int64_t n_tiles = (n_own_ + kTileRows - 1) / kTileRows;
    const auto end_of = [&](std::int64_t begin) { return std::min(begin + kTileRows, n_own_); };
    std::vector<std::uint64_t> colours_at(std::size_t(n_all_), 0);
    std::vector<std::vector<std::int64_t>> begin_by_colour(64);
    for (std::int64_t t = 0; t < n_tiles; ++t) {
        const std::int64_t begin = t * kTileRows, end = end_of(begin);
        std::uint64_t taken = 0;
        for_reached(begin, end, [&](std::int64_t r) { taken |= colours_at[std::size_t(r)]; });
        int colour = 0;
        while (colour < 63 && (taken >> colour & 1))
            ++colour;  // the last one for all that are left
        const std::uint64_t bit = std::uint64_t(1) << colour;
        for_reached(begin, end, [&](std::int64_t r) { colours_at[std::size_t(r)] |= bit; });
        begin_by_colour[std::size_t(colour)].push_back(begin);
    }

    tile_.assign(1, 0);
    range_.clear();
    before_first_.assign(1, 0);
    before_.clear();
    std::vector<std::int32_t> last(std::size_t(n_all_), -1), met;
    std::vector<std::int64_t> chain;  // rows of the longest that ends with each tile
    std::int64_t longest = 1;
    for (const auto& begins : begin_by_colour)
        for (const std::int64_t begin : begins) {
            const std::int64_t end = end_of(begin);
            const auto number = std::int32_t(tile_.size() - 1);
            met.clear();
            for_reached(begin, end, [&](std::int64_t row) {
                std::int32_t& seen = last[std::size_t(row)];
                if (seen != number && seen >= 0) met.push_back(seen);
                seen = number;
            });
            std::sort(met.begin(), met.end());
            met.erase(std::unique(met.begin(), met.end()), met.end());
            std::int64_t rows = 0;
            for (const std::int32_t other : met) {
                before_.push_back(other);
                rows = std::max(rows, chain[std::size_t(other)]);
            }
            chain.push_back(rows + end - begin);
            longest = std::max(longest, chain.back());
            before_first_.push_back(std::int32_t(before_.size()));
            range_.push_back(std::int32_t(begin));
            range_.push_back(std::int32_t(end));
            tile_.push_back(number + 1);
        }
    done_.resize(tile_.size());
    width_ = double(n_own_) / double(longest);
}

}  // namespace mdkern
