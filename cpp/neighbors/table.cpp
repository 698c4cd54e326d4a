#include "neighbors/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"

namespace mdkern {

namespace {

constexpr std::int64_t kMaxRows = std::int64_t(1) << 29;  // a row number times four fits 32 bits
constexpr double kRowBytes = 200.0;                       // scratch per point, all buffers together
constexpr std::int64_t kBlock = 512;                      // rows per block of the refresh
constexpr int kPadding = 16;                              // kernels load whole vectors

// Grains of team_size(): rows or pairs per thread below which waking it costs more than it gains.
constexpr std::int64_t kGrainRows = 8192, kGrainPairs = 16384;

}  // namespace

void NeighborTable::wrap(const AtomsView& atoms) {
    const std::int64_t n = atoms.n;
    const Lattice& l = lattice_;
    const double* p = atoms.positions;
    double largest = 0.0, check = 0.0;
    for (std::int64_t k = 0; k < 3 * n; ++k) {
        largest = std::max(largest, std::fabs(p[k]));
        check += p[k] - p[k];  // stays zero unless a value is infinite or NaN
    }
    if (!(check == 0.0))
        for (std::int64_t k = 0; k < 3 * n; ++k)
            if (!std::isfinite(p[k]))
                throw std::invalid_argument("positions[" + std::to_string(k / 3) + ", " +
                                            std::to_string(k % 3) + "] is " + number(p[k]) +
                                            "; expected a finite number");
    margin_ = 4e-15 * (largest + range_ + l.length);
    double *x = px_.reserve(n), *y = py_.reserve(n), *z = pz_.reserve(n), *f = frac_.reserve(3 * n);
    std::int32_t* s = pshift_.reserve(4 * n);
    for (int k = 0; k < 3; ++k) {
        f_low_[k] = 1.0;
        f_high_[k] = 0.0;
    }
    for (std::int64_t i = 0; i < n; ++i) {
        const double* r = p + 3 * i;
        double w[3] = {r[0], r[1], r[2]};
        std::int32_t t[3] = {0, 0, 0};
        for (int k = 0; k < 3; ++k) {
            if (!l.pbc[k]) continue;
            double u = (r[0] * l.inverse[k] + r[1] * l.inverse[3 + k]) + r[2] * l.inverse[6 + k];
            const double whole = std::floor(u);
            if (whole != 0.0) {
                if (!(std::fabs(whole) < 5e8))
                    throw std::invalid_argument(
                        "positions[" + std::to_string(i) + "] lies " + number(whole) +
                        " cells away from the cell; expected fewer than 5e8");
                t[k] = -std::int32_t(whole);
                u -= whole;
                for (int c = 0; c < 3; ++c) w[c] -= whole * l.basis[3 * k + c];
            }
            f[3 * i + k] = u;
            f_low_[k] = u < f_low_[k] ? u : f_low_[k];
            f_high_[k] = u > f_high_[k] ? u : f_high_[k];
        }
        x[i] = w[0];
        y[i] = w[1];
        z[i] = w[2];
        for (int k = 0; k < 3; ++k) s[4 * i + k] = t[k];
        s[4 * i + 3] = std::int32_t(i);
    }
}

// Before any memory is taken for images: how many rows there can be.
void NeighborTable::check_images() const {
    double rows = double(n_real_);
    for (int k = 0; k < 3; ++k)
        if (lattice_.pbc[k]) rows *= 1.0 + 2.0 * (range_ + margin_) / lattice_.height[k];
    if (rows < 1e6) return;
    const double bytes = rows * kRowBytes, available = available_memory();
    if (rows > double(kMaxRows) || bytes > available)
        throw MemoryLimit("the neighbor list needs about " + number(rows) + " periodic images (" +
                          number(bytes / 1e9) + " GB, " + number(available / 1e9) +
                          " GB available) for cutoff " + number(range_) +
                          " in this cell; expected a smaller cutoff");
}

// Images of the atoms, behind the real ones: those within range of the box, along the lattice
// vectors, that holds the atoms. (Which is the cell in a crystal, and much smaller for a molecule
// in a box: it may need none.)
void NeighborTable::make_images() {
    const std::int64_t n = n_real_;
    n_total_ = n;
    const Lattice& l = lattice_;
    if (!(l.pbc[0] || l.pbc[1] || l.pbc[2]) || n == 0) return;
    double reach[3];
    for (int k = 0; k < 3; ++k) reach[k] = (range_ + 4.0 * margin_) / l.height[k] + 1e-14;
    const double* f = frac_.data();
    auto span = [&](std::int64_t i, int* lo, int* hi) {
        for (int k = 0; k < 3; ++k) {
            lo[k] = l.pbc[k] ? int(std::ceil(f_low_[k] - reach[k] - f[3 * i + k])) : 0;
            hi[k] = l.pbc[k] ? int(std::floor(f_high_[k] + reach[k] - f[3 * i + k])) : 0;
        }
    };
    std::int64_t total = n;
    int lo[3], hi[3];
    for (std::int64_t i = 0; i < n; ++i) {
        span(i, lo, hi);
        total += std::int64_t(hi[0] - lo[0] + 1) * (hi[1] - lo[1] + 1) * (hi[2] - lo[2] + 1) - 1;
    }
    if (total > kMaxRows)
        throw MemoryLimit("the neighbor list needs " + std::to_string(total) +
                          " periodic images; expected fewer than 5e8");
    // reserve() drops what it held: take the real atoms along where it grows.
    auto grow = [](auto& buffer, std::size_t used, std::size_t want) {
        if (want <= buffer.capacity()) return;
        auto old = std::move(buffer);
        buffer = {};
        std::memcpy(buffer.reserve(want), old.data(), used * sizeof(*old.data()));
    };
    grow(px_, n, total);
    grow(py_, n, total);
    grow(pz_, n, total);
    grow(pshift_, 4 * n, 4 * total);
    double *x = px_.data(), *y = py_.data(), *z = pz_.data();
    std::int32_t* s = pshift_.data();
    std::int64_t o = n;
    for (std::int64_t i = 0; i < n; ++i) {
        span(i, lo, hi);
        if (lo[0] == hi[0] && lo[1] == hi[1] && lo[2] == hi[2]) continue;
        const double* b = l.basis;
        for (int m0 = lo[0]; m0 <= hi[0]; ++m0)
            for (int m1 = lo[1]; m1 <= hi[1]; ++m1)
                for (int m2 = lo[2]; m2 <= hi[2]; ++m2) {
                    if (m0 == 0 && m1 == 0 && m2 == 0) continue;
                    x[o] = x[i] + (m0 * b[0] + m1 * b[3] + m2 * b[6]);
                    y[o] = y[i] + (m0 * b[1] + m1 * b[4] + m2 * b[7]);
                    z[o] = z[i] + (m0 * b[2] + m1 * b[5] + m2 * b[8]);
                    s[4 * o] = s[4 * i] + m0;
                    s[4 * o + 1] = s[4 * i + 1] + m1;
                    s[4 * o + 2] = s[4 * i + 2] + m2;
                    s[4 * o + 3] = std::int32_t(i);
                    ++o;
                }
    }
    n_total_ = o;
}

// Columns as wide as the range give the longest runs of adjacent candidates for the fewest loops;
// where the density makes runs longer than needed, narrower columns leave out more candidates.
// Along z bins are fine, so that a run ends close to the sphere. The number of bins is bounded by
// the number of points, whatever the extent.
void NeighborTable::choose_bins(const double* low, const double* high) {
    const double range = std::max(range_, 1e-6);
    double extent[3], volume = 1.0;
    for (int k = 0; k < 3; ++k) {
        extent[k] = high[k] - low[k];
        volume *= std::max(extent[k], range);
    }
    double want[3] = {range, range, 0.25 * range};
    const double run = double(n_total_) / volume * range * range * 1.8 * range;
    for (double split = 2.0; split <= 4.0 && run / (split * split) >= 24.0; split += 1.0)
        want[0] = want[1] = range / split;
    double n[3];
    // Two points per bin at least, on average: in a thin gas smaller bins would only be looked at
    // and found empty.
    const double most = 0.5 * double(n_total_) + 64.0;
    for (;;) {
        for (int k = 0; k < 3; ++k) n[k] = std::max(1.0, std::floor(extent[k] / want[k]));
        const double bins = n[0] * n[1] * n[2];
        if (bins <= most) break;
        if (want[2] < range) {
            want[2] *= 2.0;
            continue;
        }
        const double factor = std::max(1.05, std::cbrt(bins / most));
        for (double& w : want) w *= factor;
    }
    for (int k = 0; k < 3; ++k) {
        bins_.n[k] = int(n[k]);
        bins_.low[k] = low[k];
        bins_.width[k] = extent[k] > 0.0 ? extent[k] / n[k] : 1.0;
        bins_.inverse_width[k] = 1.0 / bins_.width[k];
    }
    bins_.margin = 16.0 * margin_ + 1e-14 * (extent[0] + extent[1] + extent[2]);
}

void NeighborTable::sort_into_bins() {
    const std::int64_t n = n_total_;
    const double* p[3] = {px_.data(), py_.data(), pz_.data()};
    if (n_real_ * n <= 8192) {  // a handful of tests needs no bins: one that holds everything
        for (int k = 0; k < 3; ++k) {
            bins_.n[k] = 1;
            bins_.low[k] = -1e30;
            bins_.width[k] = 2e30;
            bins_.inverse_width[k] = 0.0;
        }
        bins_.margin = 16.0 * margin_;
    } else {
        double low[3], high[3];
        for (int k = 0; k < 3; ++k) {
            low[k] = high[k] = p[k][0];
            for (std::int64_t i = 1; i < n; ++i) {
                low[k] = std::min(low[k], p[k][i]);
                high[k] = std::max(high[k], p[k][i]);
            }
        }
        choose_bins(low, high);
    }
    const double *x = px_.data(), *y = py_.data(), *z = pz_.data();
    const std::int64_t n_bins = std::int64_t(bins_.n[0]) * bins_.n[1] * bins_.n[2];
    std::int32_t* start = start_.reserve(n_bins + 1);
    std::int32_t* sorted = sorted_.reserve(n);
    if (n_bins == 1) {
        start[0] = 0;
        start[1] = std::int32_t(n);
        for (std::int64_t i = 0; i < n; ++i) sorted[i] = std::int32_t(i);
    } else {
        std::int32_t* bin = bin_.reserve(n);
        std::memset(start, 0, (n_bins + 1) * sizeof(*start));
        auto place = [&](double r, int k) {
            const double b = (r - bins_.low[k]) * bins_.inverse_width[k];
            return std::min(int(b), bins_.n[k] - 1);
        };
        for (std::int64_t i = 0; i < n; ++i) {
            bin[i] = (place(x[i], 0) * bins_.n[1] + place(y[i], 1)) * bins_.n[2] + place(z[i], 2);
            ++start[bin[i]];
        }
        std::int32_t sum = 0;
        for (std::int64_t b = 0; b <= n_bins; ++b) {
            const std::int32_t c = start[b];
            start[b] = sum;
            sum += c;
        }
        for (std::int64_t i = 0; i < n; ++i) sorted[start[bin[i]]++] = std::int32_t(i);
        for (std::int64_t b = n_bins; b > 0; --b) start[b] = start[b - 1];
        start[0] = 0;
    }
    bins_.start = start;
}

// Numbers the rows (real atoms, then images, both by bin) and fills every array that is indexed by
// point or by row.
void NeighborTable::fill_rows(const AtomsView& atoms, int threads) {
    const std::int64_t n = n_total_, m = n + kPadding;
    double *sx = sx_.reserve(m), *sy = sy_.reserve(m), *sz = sz_.reserve(m);
    std::int32_t* row = point_row_.reserve(m);
    std::int32_t* point = point_of_.reserve(n_real_);
    std::int32_t *order = order_.reserve(n_real_), *rank = rank_.reserve(n_real_);
    std::int32_t *shift = shift_.reserve(4 * n), *owner = owner_.reserve(n);
    double* rows = rows_.reserve(4 * n);
    const std::int32_t *sorted = sorted_.data(), *ps = pshift_.data(), *to = lattice_.to_user;
    std::int32_t next_real = 0, next_image = std::int32_t(n_real_);
    for (std::int64_t k = 0; k < n; ++k) {
        const std::int32_t p = sorted[k];
        const bool real = p < n_real_;
        const std::int32_t r = real ? next_real++ : next_image++;
        sx[k] = px_[p];
        sy[k] = py_[p];
        sz[k] = pz_[p];
        row[k] = r;
        const std::int32_t* s = ps + 4 * std::int64_t(p);
        std::int32_t* t = shift + 4 * std::int64_t(r);
        for (int c = 0; c < 3; ++c) t[c] = s[0] * to[c] + s[1] * to[3 + c] + s[2] * to[6 + c];
        t[3] = s[3];
        if (real) {
            order[r] = p;
            rank[p] = r;
            point[r] = std::int32_t(k);
        }
    }
    if (row_order_) {
        std::int32_t* same = identity_.reserve(n_real_);
        for (std::int64_t r = 0; r < n_real_; ++r) same[r] = std::int32_t(r);
    }
    for (int k = 0; k < kPadding; ++k) {
        sx[n + k] = sy[n + k] = sz[n + k] = std::numeric_limits<double>::infinity();
        row[n + k] = 0;
    }
    for (std::int64_t r = 0; r < n; ++r) {
        owner[r] = rank[shift[4 * r + 3]];
        rows[4 * r + 3] = atoms.species ? double(atoms.species[shift[4 * r + 3]]) : 0.0;
    }
    bins_.x = sx;
    bins_.y = sy;
    bins_.z = sz;
    bins_.row = row;
    bins_.radius = nullptr;
    bins_.type = nullptr;
    if (options_.kind == CutoffKind::radii) {
        double *pr = point_radius_.reserve(m), *rr = row_radius_.reserve(n);
        for (std::int64_t k = 0; k < n; ++k)
            rr[row[k]] = pr[k] = options_.radii[ps[4 * std::int64_t(sorted[k]) + 3]];
        for (int k = 0; k < kPadding; ++k) pr[n + k] = 0.0;
        bins_.radius = pr;
    } else if (options_.kind == CutoffKind::types) {
        std::int32_t *pt = point_type_.reserve(m), *rt = row_type_.reserve(n);
        for (std::int64_t k = 0; k < n; ++k)
            rt[row[k]] = pt[k] = atoms.species[ps[4 * std::int64_t(sorted[k]) + 3]];
        for (int k = 0; k < kPadding; ++k) pt[n + k] = 0;
        bins_.type = pt;
    }
    refresh(atoms, nullptr, nullptr, threads);
}

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
    e.position = position_.data();
    e.shift = shift_.data();
    std::memcpy(e.cell, cell_, sizeof cell_);
    // |r|^2 of two roundings of the same vector differ by less than this near the cutoff.
    e.band = 16.0 * (options_.cutoff + margin_) * margin_;
    return e;
}

void NeighborTable::refresh(const AtomsView& atoms, const double* strain, double* largest,
                            int threads) {
    for (int k = 0; k < 9; ++k) cell_[k] = atoms.pbc[k / 3] ? atoms.cell[k] : 0.0;
    RefreshTask t;
    t.n_real = n_real_;
    t.n_total = n_total_;
    t.positions = atoms.positions;
    t.shift = shift_.data();
    std::memcpy(t.cell, cell_, sizeof cell_);
    t.rows = rows_.data();
    t.block = kBlock;
    if (strain) {
        t.built = built_.data();
        std::memcpy(t.strain, strain, sizeof t.strain);
        t.largest = largest;
    }
    if (options_.exact) t.position = position_.reserve(4 * n_total_);
    neighbor_refresh_compute(t, team_size(threads, n_total_, kGrainRows));
}

// A list that would not fit is refused before its memory is taken. Only where the bound of all
// candidates does not fit are the pairs counted, on a sample of the rows.
void NeighborTable::check_memory(const SearchTask& task, double candidates, int threads) const {
    // Asking the system takes longer than a small list: certainly fits.
    if (options_.max_pairs <= 0.0 && candidates * options_.bytes_per_pair < 256e6) return;
    const double available = options_.max_pairs > 0.0 ? 0.0 : 0.9 * available_memory();
    const double most =
        options_.max_pairs > 0.0 ? options_.max_pairs : available / options_.bytes_per_pair;
    if (candidates <= most) return;
    SearchTask sample = task;
    const std::int64_t step = std::max<std::int64_t>(1, n_real_ / 512);
    Chunk chunk{0, n_real_, step, 0, 0, 0, 0, false};
    sample.chunks = &chunk;
    sample.n_chunks = 1;
    sample.half = false;
    neighbor_search_compute(sample, threads);
    const double rows = double((n_real_ + step - 1) / step);
    const double pairs = double(chunk.found) / rows * double(n_real_) * (task.half ? 0.5 : 1.0);
    if (pairs <= most) return;
    throw MemoryLimit("the neighbor list would have about " + number(pairs) + " pairs for cutoff " +
                      number(options_.cutoff) +
                      (options_.max_pairs > 0.0
                           ? ", more than max_pairs = " + number(options_.max_pairs)
                           : " and take " + number(pairs * options_.bytes_per_pair / 1e9) +
                                 " GB, more than the " + number(available / 1e9) +
                                 " GB available") +
                      "; expected a smaller cutoff or fewer atoms");
}

void NeighborTable::search(int threads) {
    SearchTask t;
    t.system = system();
    t.bins = bins_;
    t.rule = rule();
    t.exact = exact();
    if (!options_.exact || options_.skin > 0.0) {  // whoever reads the list decides
        t.rule.kind = CutoffKind::uniform;
        t.rule.cutoff = range_ + margin_;
        t.exact.band = 0.0;
    }
    t.point = point_of_.data();
    t.self_interaction = options_.self_interaction;
    t.half = options_.half;
    t.first = first_.reserve(n_real_);
    t.count = count_.reserve(n_real_);
    n_pairs_ = 0;
    if (n_real_ == 0) return;

    // The candidates of a sample of rows, chunk by chunk, tell how much room the list may need.
    const std::int64_t per_chunk = 4096;
    const int team = team_size(threads, n_real_, per_chunk);
    // Some per thread, for balance. Not many: each begins a huge page of its own. Where a row
    // stands in memory is all that depends on them.
    const int n_chunks =
        int(std::min<std::int64_t>((n_real_ + per_chunk - 1) / per_chunk, 8 * team));
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
    wrap(atoms);
    const std::int64_t n = atoms.n;
    struct Unbuilt {  // restores the mark if a later step throws
        std::int64_t& n_real;
        bool done = false;
        ~Unbuilt() {
            if (!done) n_real = -1;
        }
    } guard{n_real_};
    n_real_ = n;
    check_images();
    make_images();
    sort_into_bins();
    fill_rows(atoms, threads);
    if (options.skin > 0.0 && n > 0)
        std::memcpy(built_.reserve(4 * n), rows_.data(), 4 * n * sizeof(double));
    search(threads);
    species_.assign(atoms.species, atoms.species ? atoms.species + n : nullptr);
    guard.done = true;
}

double NeighborTable::allowance(const double* cell, double* strain) const {
    double sigma_min = 1.0;
    bool same_cell = true;
    for (int k = 0; k < 9; ++k) {
        strain[k] = k % 4 == 0;
        same_cell &= lattice_.user[k] == (lattice_.pbc[k / 3] ? cell[k] : 0.0);
    }
    if (!same_cell) strain_between(lattice_, cell, strain, &sigma_min);
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
    neighbor_prune_compute(t, team_size(threads, n_pairs_, kGrainPairs));
    n_pruned_ = 0;
    for (std::int64_t r = 0; r < n_real_; ++r) n_pruned_ += pruned_count_[r];
}

System NeighborTable::system() const {
    System s;
    s.n_real = n_real_;
    s.n_total = n_total_;
    s.rows = rows_.data();
    s.owner = owner_.data();
    s.order = row_order_ ? identity_.data() : order_.data();
    return s;
}

Neighbors NeighborTable::neighbors() const {
    return {n_pairs_, first_.data(), count_.data(), index_.data()};
}
Neighbors NeighborTable::pruned() const {
    return {n_pruned_, first_.data(), pruned_count_.data(), pruned_index_.data()};
}

const std::int64_t* NeighborTable::offsets(bool pruned) {
    const std::int32_t* count = pruned ? pruned_count_.data() : count_.data();
    const std::int32_t* rank = rank_.data();
    std::int64_t* o = offsets_.reserve(n_real_ + 1);
    o[0] = 0;
    for (std::int64_t i = 0; i < n_real_; ++i) o[i + 1] = o[i] + count[rank[i]];
    return o;
}

void NeighborTable::fill(bool use_pruned, const FillTask& wanted, int threads) {
    FillTask t = wanted;
    t.n = n_real_;
    t.list = use_pruned ? pruned() : neighbors();
    t.exact = exact();
    t.rank = rank_.data();
    t.offset = offsets_.data();
    neighbor_fill_compute(t, team_size(threads, t.list.n_pairs, kGrainPairs));
}

bool NeighborTable::larger_than(std::size_t bytes) const {
    return index_.capacity() * sizeof(std::int32_t) + rows_.capacity() * 6 * sizeof(double) > bytes;
}

void NeighborTable::release_build_if_larger(std::size_t bytes) {
    if (!larger_than(bytes)) return;
    for (auto* b : {&px_, &py_, &pz_, &frac_, &sx_, &sy_, &sz_, &point_radius_, &rows_, &built_})
        *b = {};
    for (auto* b :
         {&pshift_, &bin_, &sorted_, &start_, &point_row_, &point_type_, &point_of_, &owner_})
        *b = {};
}

void NeighborTable::release_if_larger(std::size_t bytes) {
    if (larger_than(bytes)) *this = NeighborTable();
}

}  // namespace mdkern
