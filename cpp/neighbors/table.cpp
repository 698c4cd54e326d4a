#include "neighbors/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"
#include "core/memory.hpp"
#include "core/pool.hpp"
#include "core/threads.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

constexpr std::int64_t kBlock = 512;  // rows per block of the refresh
// Output beyond the usual last-level cache would leave it before anybody reads it.
constexpr std::int64_t kStreamBytes = std::int64_t(32) << 20;
constexpr int kMostBlocks = 256;  // of a prefix sum

}  // namespace

CutoffRule NeighborTable::rule() const {
    CutoffRule r;
    r.kind = options_.kind;
    r.cutoff = options_.cutoff;
    r.radius = row_radius_.data();
    r.type = row_type_.data();
    r.table = options_.table;
    r.n_types = options_.n_types;
    return r;
}

Exact NeighborTable::exact() const {
    Exact e{};
    e.position = periodic() ? position_.data() : rows_.data();
    e.shift = shift_.data();
    std::memcpy(e.cell, cell_, sizeof cell_);
    // |r|^2 of two roundings of the same vector differ by less than this near the cutoff.
    e.band = 16.0 * (options_.cutoff + margin_) * margin_;
    return e;
}

void NeighborTable::set_cell(const AtomsView& atoms) {
    for (int k = 0; k < 9; ++k) cell_[k] = atoms.pbc[k / 3] ? atoms.cell[k] : 0.0;
}

void NeighborTable::refresh(const AtomsView& atoms, const double* strain, double* largest,
                            int threads) {
    set_cell(atoms);
    RefreshTask t;
    t.n_real = n_real_;
    t.n_total = n_total_;
    t.positions = atoms.positions;
    t.shift = shift_.data();
    std::memcpy(t.cell, cell_, sizeof cell_);
    t.rows = rows_.data();
    t.block = kBlock;
    t.built = built_.data();
    std::memcpy(t.strain, strain, sizeof t.strain);
    t.largest = largest;
    if (options_.exact && periodic()) t.position = position_.data();
    neighbor_refresh_compute(t, team_size(threads, n_total_, kRefreshNs));
}

// How many pairs the caller allows, or how many fit; the system is asked only where `wanted` might
// not.
double NeighborTable::most_pairs(double wanted, double* available) const {
    if (options_.max_pairs > 0.0) return options_.max_pairs;
    // Asking takes longer than a small list: certainly fits.
    if (wanted * options_.bytes_per_pair < 256e6) return wanted;
    for (const bool cleared : {false, true}) {
        if (cleared) pool_clear();  // some systems count what it lends as taken
        *available = 0.9 * available_memory();
        if (wanted * options_.bytes_per_pair <= *available) break;
    }
    return *available / options_.bytes_per_pair;
}

void NeighborTable::check_pairs(double pairs) const {
    double available = 0.0;
    if (pairs <= most_pairs(pairs, &available)) return;
    throw MemoryLimit("the neighbor list would have about " + number(pairs) + " pairs for cutoff " +
                      number(options_.cutoff) +
                      (options_.max_pairs > 0.0
                           ? ", more than max_pairs = " + number(options_.max_pairs)
                           : " and take " + number(pairs * options_.bytes_per_pair / 1e9) +
                                 " GB, more than the " + number(available / 1e9) +
                                 " GB available") +
                      "; expected a smaller cutoff or fewer atoms");
}

// A list that would not fit is refused before its memory is taken. Only where the bound of all
// candidates does not fit are the pairs counted, on a sample of the rows.
void NeighborTable::check_memory(const SearchTask& task, double candidates, int threads) const {
    double available = 0.0;
    if (candidates <= most_pairs(candidates, &available)) return;
    SearchTask sample = task;
    const std::int64_t step = std::max<std::int64_t>(1, n_real_ / 512);
    Chunk chunk{0, n_real_, step, 0, 0, 0, 0, false};
    sample.chunks = &chunk;
    sample.n_chunks = 1;
    sample.half = false;
    neighbor_search_compute(sample, threads);
    const double rows = double((n_real_ + step - 1) / step);
    check_pairs(double(chunk.found) / rows * double(n_real_) * (task.half ? 0.5 : 1.0));
}

void NeighborTable::search(int threads) {
    SearchTask t;
    t.system = system();
    t.bins = bins_;
    t.rule = rule();
    t.exact = exact();
    if (!options_.exact || options_.skin > 0.0) {  // whoever reads the list decides
        t.rule.kind = CutoffKind::uniform;
        t.rule.cutoff = list_range_ + margin_;
        t.exact.band = 0.0;
    }
    t.point = point_of_.data();
    t.self_interaction = options_.self_interaction;
    t.half = options_.half;
    t.first = first_.reserve(n_real_);
    t.count = count_.reserve(n_real_);
    n_pairs_ = 0;
    if (n_real_ == 0) return;
    if (options_.list_cutoff == 0.0) {
        std::fill_n(first_.data(), n_real_, std::int64_t(0));
        std::fill_n(count_.data(), n_real_, 0);
        index_.reserve(1);
        return;
    }
    if (bins_.thin) return search_thin(t, threads);

    // The candidates of a sample of rows, chunk by chunk, tell how much room the list may need.
    constexpr std::int64_t per_chunk = 128;
    const int team = team_size(threads, n_real_, kSearchNs);
    // Some per thread, for balance. Not many: each begins a huge page of its own. Where a row
    // stands in memory is all that depends on them.
    const int n_chunks =
        team == 1 ? 1
                  : int(std::min<std::int64_t>((n_real_ + per_chunk - 1) / per_chunk, 4 * team));
    chunks_.resize(n_chunks);
    for (int c = 0; c < n_chunks; ++c) {
        const std::int64_t begin = n_real_ * c / n_chunks, end = n_real_ * (c + 1) / n_chunks;
        chunks_[c] = {begin, end, std::max<std::int64_t>(1, (end - begin) / 16), 0, 0, 0, 0, false};
    }
    t.chunks = chunks_.data();
    t.n_chunks = n_chunks;
    const bool small = double(n_real_) * double(n_total_) < 1e6;
    if (!small) neighbor_search_compute(t, team);
    double total = 0.0;
    std::int64_t room = 0;
    for (Chunk& c : chunks_) {
        const double rows = double(c.end - c.begin), sampled = std::ceil(rows / double(c.step));
        const double bound =
            small ? double(n_total_) * rows : double(c.candidates) / sampled * rows;
        total += bound;
        c.step = 1;
        c.overflow = false;
        c.offset = room;
        c.room = std::int64_t(1.3 * bound) + n_total_ / n_chunks + 64;
        room += c.room;
    }
    check_memory(t, total, team);
    t.index = index_.reserve(room);
    neighbor_search_compute(t, team);
    bool overflow = false;
    for (const Chunk& c : chunks_) overflow |= c.overflow;
    if (overflow) {  // a very uneven system: now every chunk knows what it needs
        room = 0;
        for (Chunk& c : chunks_) {
            c.offset = room;
            c.room = (c.overflow ? c.found + n_total_ + 64 : c.room);
            c.overflow = false;
            room += c.room;
        }
        t.index = index_.reserve(room);
        neighbor_search_compute(t, team);
    }
    for (const Chunk& c : chunks_) n_pairs_ += c.found;
}

void NeighborTable::build(const AtomsView& atoms, const TableOptions& options, int threads) {
    options_ = options;
    n_real_ = -1;  // not built, should anything throw
    ++build_number_;
    half_made_ = false;
    if (atoms.n >= kMaxRows)
        throw std::invalid_argument("positions: " + std::to_string(atoms.n) +
                                    " atoms; expected fewer than 5e8");
    lattice_ = make_lattice(atoms.cell, atoms.pbc);
    range_ = options.cutoff + options.skin;
    // Without a list the bins order the rows alone.
    list_range_ = options.list_cutoff > 0.0 ? options.list_cutoff + options.skin : range_;
    const std::int64_t n = atoms.n;
    struct Unbuilt {  // restores the mark if a later step throws
        std::int64_t& n_real;
        bool done = false;
        ~Unbuilt() {
            if (!done) n_real = -1;
        }
    } guard{n_real_};
    n_real_ = n;
    make_points(atoms, threads);
    if (options.skin > 0.0 && n > 0)
        std::memcpy(built_.reserve(4 * n), rows_.data(), 4 * n * sizeof(double));
    search(threads);
    species_.assign(atoms.species, atoms.species ? atoms.species + n : nullptr);
    guard.done = true;
}

double NeighborTable::reach(double cutoff) const {
    bool as_built = options_.skin == 0.0 || n_real_ == 0 ||
                    std::memcmp(built_.data(), rows_.data(), 4 * n_real_ * sizeof(double)) == 0;
    for (int k = 0; k < 9; ++k)
        as_built &= cell_[k] == (lattice_.pbc[k / 3] ? lattice_.user[k] : 0.0);
    if (!as_built) return std::numeric_limits<double>::infinity();
    // A pair that is farther apart than this cannot come within the cutoff while the list holds: see
    // allowance(), whose bound is the tighter, the longer the cutoff.
    return cutoff + options_.skin;
}

double NeighborTable::allowance(const double* cell, double* strain) const {
    double sigma_min = 1.0;
    bool same_cell = true;
    for (int k = 0; k < 9; ++k) {
        strain[k] = k % 4 == 0;
        same_cell &= lattice_.user[k] == (lattice_.pbc[k / 3] ? cell[k] : 0.0);
    }
    if (!same_cell) strain_between(lattice_, cell, strain, &sigma_min);
    if (!same_cell && options_.tight) sigma_min = least_stretch(strain);
    // A pair that was not listed was at least `range` apart; it is now at least sigma_min range
    // - u_i - u_j apart.
    return sigma_min * range_ - options_.cutoff - 8.0 * margin_;
}

bool NeighborTable::update(const AtomsView& atoms, const TableOptions& options, int threads) {
    const bool same = n_real_ >= 0 && atoms.n == n_real_ &&
                      std::memcmp(lattice_.pbc, atoms.pbc, 3 * sizeof(bool)) == 0 &&
                      (!atoms.species || std::equal(species_.begin(), species_.end(), atoms.species,
                                                    atoms.species + atoms.n)) &&
                      options.skin > 0.0;
    if (same) {
        double strain[9];
        const double allowed = allowance(atoms.cell, strain);
        if (allowed >= 0.0) {
            const std::int64_t n_blocks = (n_total_ + kBlock - 1) / kBlock;
            double* largest = largest_.reserve(2 * n_blocks);
            refresh(atoms, strain, largest, threads);
            double most = 0.0, next = 0.0;
            for (std::int64_t k = 0; k < 2 * n_blocks; ++k) {
                if (largest[k] > most) {
                    next = most;
                    most = largest[k];
                } else if (largest[k] > next) {
                    next = largest[k];
                }
            }
            if (std::sqrt(most) + std::sqrt(next) <= allowed) return false;
        }
    }
    build(atoms, options, threads);
    return true;
}

void NeighborTable::prune(int threads) {
    PruneTask t;
    t.system = system();
    t.list = neighbors();
    t.rule = rule();
    t.exact = exact();
    t.first = first_.data();
    t.count = pruned_count_.reserve(n_real_);
    t.index = pruned_index_.reserve(index_.capacity());
    neighbor_prune_compute(t, team_size(threads, n_pairs_, kPruneNs));
    n_pruned_ = 0;
    for (std::int64_t r = 0; r < n_real_; ++r) n_pruned_ += pruned_count_[r];
}

System NeighborTable::system() const {
    System s;
    s.n_real = n_real_;
    s.n_total = n_total_;
    s.rows = rows_.data();
    s.home = owner_.data();
    s.n_homes = n_real_;
    s.order = row_order_ ? identity_.data() : order_.data();
    s.caller = order_.data();
    return s;
}

void NeighborTable::forward(double* values, int width, int stride, int threads) const {
    const std::int64_t n = n_total_ - n_real_;
    parallel_for(n, team_size(threads, n, kForwardNs), 0, [&](std::int64_t k) {
        double* to = values + stride * (n_real_ + k);
        const double* from = values + stride * std::int64_t(owner_[std::size_t(n_real_ + k)]);
        for (int c = 0; c < width; ++c) to[c] = from[c];
    });
}

// Each thread adds some columns of all images, in the order of rows: no two meet, and every sum has its
// order. Columns of a thread fill a cache line at least.
void NeighborTable::reverse(double* values, int width, int stride, int threads) const {
    constexpr int kLine = 8;
    const std::int64_t n = n_total_ - n_real_;
    const int most = team_size(threads, n * width, kReverseNs);
    const int parts = std::min(most, (width + kLine - 1) / kLine);
    parallel_for(parts, parts, 1, [&](std::int64_t part) {
        const int begin = int(width * part / parts), end = int(width * (part + 1) / parts);
        for (std::int64_t r = n_real_; r < n_total_; ++r) {
            const double* from = values + stride * r;
            double* to = values + stride * std::int64_t(owner_[std::size_t(r)]);
            for (int c = begin; c < end; ++c) to[c] += from[c];
        }
    });
}

Neighbors NeighborTable::neighbors() const {
    return {n_pairs_, first_.data(), count_.data(), index_.data()};
}
Neighbors NeighborTable::pruned() const {
    return {n_pruned_, first_.data(), pruned_count_.data(), pruned_index_.data()};
}

// A prefix sum over blocks: their sums, then every block from where it begins.
const std::int64_t* NeighborTable::offsets(bool pruned, int threads) {
    OffsetTask t;
    t.n = n_real_;
    t.count = pruned ? pruned_count_.data() : count_.data();
    t.rank = rank_.data();
    t.offset = offsets_.reserve(n_real_ + 1);
    const int team = team_size(threads, n_real_, kOffsetNs);
    std::int64_t sums[kMostBlocks];
    t.sums = sums;
    t.n_blocks = team == 1 ? 1 : std::min(2 * team, kMostBlocks);
    if (t.n_blocks > 1) {
        neighbor_sum_compute(t, team);
        std::int64_t sum = 0;
        for (int b = 0; b < t.n_blocks; ++b) {
            const std::int64_t own = sums[b];
            sums[b] = sum;
            sum += own;
        }
    } else {
        sums[0] = 0;
    }
    t.offset[0] = 0;
    neighbor_offset_compute(t, team);
    return t.offset;
}

void NeighborTable::fill(bool use_pruned, const FillTask& wanted, int threads) {
    FillTask t = wanted;
    if (!(t.i || t.j || t.d || t.D || t.S)) return;
    t.n = n_real_;
    t.list = use_pruned ? pruned() : neighbors();
    t.exact = exact();
    t.rank = rank_.data();
    t.offset = offsets_.data();
    const int columns =
        (t.i ? 1 : 0) + (t.j ? 1 : 0) + (t.d ? 1 : 0) + (t.D ? 3 : 0) + (t.S ? 3 : 0);
    t.stream = 8 * columns * t.list.n_pairs > kStreamBytes;
    neighbor_fill_compute(t, team_size(threads, t.list.n_pairs, kFillNs));
}

double NeighborTable::bytes() const {
    return kRowBytes * double(n_total_) + sizeof(std::int32_t) * double(n_pairs_);
}

void NeighborTable::release_build() {
    for (auto* b : {&sx_, &sy_, &sz_, &point_radius_, &built_}) *b = {};
    for (auto* b : {&fx_, &fy_, &fz_}) *b = {};
    thin_pairs_ = {};
    for (auto* b : {&sorted_, &start_, &point_row_, &point_type_, &point_of_, &owner_}) *b = {};
    if (periodic()) rows_ = {};  // where nothing is, they are the positions
    wrapped_ = {};
    points_ = {};
    met_ = {};
}

void NeighborTable::release_list() {
    NeighborTable kept;
    kept.n_real_ = n_real_;
    kept.n_pairs_ = n_pairs_;
    kept.offsets_ = std::move(offsets_);
    *this = std::move(kept);
}

}  // namespace mdkern
