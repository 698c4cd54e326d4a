#include "md/loop.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "core/errors.hpp"
#include "core/threads.hpp"

namespace mdkern {

namespace {

// For team_size(): nanoseconds that a row takes in the passes of a step.
constexpr double kMomentumNs = 6.0, kDriftNs = 12.0, kImageNs = 4.0;
constexpr std::int64_t kSaveEvery = 256;  // steps between the states that a failure goes back to
constexpr double kAskEvery = 0.2;         // seconds between two questions whether to pause

using Clock = std::chrono::steady_clock;

bool due(std::int64_t every, std::int64_t step) { return every > 0 && step % every == 0; }

}  // namespace

MdLoop::MdLoop(NeighborTable& table, const TableOptions& options, MdForce force, bool row_order,
               bool alone, int threads)
    : table_(table),
      options_(options),
      force_(std::move(force)),
      row_order_(row_order),
      alone_(alone),
      threads_(threads) {
    table_.set_row_order(row_order);
}

MdAtoms MdLoop::atoms() {
    MdAtoms a;
    const System s = table_.system();
    a.n = n_;
    a.n_total = s.n_total;
    a.x = x_.data();
    a.p = p_.data();
    a.f = f_.data();
    a.mass = mass_.data();
    a.rows = table_.moving_rows();
    a.offset = offset_.data();
    a.shift = table_.shifts();
    a.owner = s.home;
    a.order = table_.caller_order();
    a.noise = noise_.data();
    a.noise_x = noise_x_.data();
    return a;
}

AtomsView MdLoop::view(const double* x, const double* cell) const {
    AtomsView v;
    v.n = n_;
    v.positions = x;
    v.cell = cell;
    v.pbc = pbc_;
    v.species = species_in_.data();
    return v;
}

void MdLoop::set_atoms(std::int64_t n, const double* mass, const bool* mobile,
                       const std::int32_t* species, const bool* pbc, double n_dof, bool fix_com) {
    n_ = n;
    total_mass_ = 0.0;
    double* m = mass_in_.reserve(n);
    for (std::int64_t i = 0; i < n; ++i) {
        total_mass_ += mass[i];
        m[i] = mobile[i] ? mass[i] : std::numeric_limits<double>::infinity();
    }
    std::copy_n(species, n, species_in_.reserve(n));
    std::copy_n(pbc, 3, pbc_);
    phase_.n_atoms = double(n);
    phase_.n_dof = n_dof;
    fix_com_ = fix_com;
    placed_ = false;
}

void MdLoop::set_scheme(std::shared_ptr<MdScheme> scheme, double dt) {
    if (placed_) complete();
    scheme_ = std::move(scheme);
    phase_.dt = dt;
    scheme_->prepare(motion_, phase_);
}

// Builds the list at x, in the caller's order. Arrays by row must be unpacked anew.
void MdLoop::build(const double* x, const double* cell) {
    if (x != built_x_.data()) std::copy_n(x, 3 * n_, built_x_.reserve(3 * n_));
    std::copy_n(cell, 9, built_cell_);
    table_.build(view(built_x_.data(), built_cell_), options_, threads_);
    ++builds_;
    x_.reserve(4 * n_);
    p_.reserve(3 * n_);
    f_.reserve(3 * n_);
    built_.reserve(4 * n_);
    energies_.reserve(n_);
    noise_.reserve(3 * n_);
    if (fix_com_) noise_x_.reserve(3 * n_);
    offset_.reserve(4 * table_.system().n_total);
    largest_.reserve(2 * n_sums());
    sums_.reserve(kMdSums * n_sums());
    blocks_.reserve(7 * n_blocks(n_));
    const std::int32_t* order = table_.caller_order();
    double* m = mass_.reserve(n_);
    for (std::int64_t r = 0; r < n_; ++r) m[r] = mass_in_[order[r]];
    // Where atoms were at the build decides how far they have come: not always where they are now.
    unpack(built_x_.data(), nullptr);
    double h[9];
    for (int k = 0; k < 9; ++k) h[k] = pbc_[k / 3] ? built_cell_[k] : 0.0;
    set_rows(h, 0);
    if (n_ > 0) std::memcpy(built_.data(), table_.moving_rows(), 4 * n_ * sizeof(double));
    allowed_ = table_.allowance(built_cell_, strain_);
}

// Coordinates and (unless null) momenta from the caller's order.
void MdLoop::unpack(const double* x, const double* p) {
    const std::int32_t* order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r) {
        const std::int64_t o = 3 * std::int64_t(order[r]);
        for (int c = 0; c < 3; ++c) {
            x_[4 * r + c] = x[o + c];
            if (p) p_[3 * r + c] = std::isinf(mass_[r]) ? 0.0 : p[o + c];
        }
        x_[4 * r + 3] = species_in_[order[r]];
    }
}

void MdLoop::periodic_cell(double* h) const {
    for (int k = 0; k < 9; ++k) h[k] = pbc_[k / 3] ? phase_.cell[k] : 0.0;
}

// Rows of the table from x, from row `begin` on; with a cell the offsets first.
void MdLoop::set_rows(const double* cell, std::int64_t begin) {
    MdImageTask t;
    t.atoms = atoms();
    t.cell = cell;
    t.begin = begin;
    if (cell) table_.move_cell(cell);
    md_images_compute(t, team_size(threads_, t.atoms.n_total, kImageNs));
}

bool MdLoop::same_positions(const double* x, const double* cell) const {
    const std::size_t bytes = 3 * n_ * sizeof(double);
    return placed_ && (n_ == 0 || std::memcmp(x, seen_x_.data(), bytes) == 0) &&
           std::memcmp(cell, seen_cell_, sizeof seen_cell_) == 0;
}

bool MdLoop::same_momenta(const double* p) const {
    const std::size_t bytes = 3 * n_ * sizeof(double);
    return placed_ && (n_ == 0 || std::memcmp(p, seen_p_.data(), bytes) == 0);
}

bool MdLoop::place(const double* x, const double* p, const double* cell) {
    const bool same_x = same_positions(x, cell), same_p = same_momenta(p);
    if (same_x && same_p) return false;
    owed_ = false;
    factor_ = 1.0;
    if (!same_x) {
        placed_ = false;
        std::copy_n(cell, 9, phase_.cell);
        if (scheme_) scheme_->take_cell(phase_);
        build(x, cell);
    }
    double* where = packed_[0].reserve(3 * n_);
    positions(where);
    unpack(same_x ? where : x, p);
    momentum_pass(MdKick::none, 1.0, nullptr, true);
    if (fix_com_) remove_drift();
    if (!same_x) {
        evaluate(Want::energies);
        if (!finite()) throw std::invalid_argument(explain());
    }
    placed_ = true;
    published();
    return true;
}

void MdLoop::published() {
    positions(seen_x_.reserve(3 * n_));
    momenta(seen_p_.reserve(3 * n_));
    std::copy_n(phase_.cell, 9, seen_cell_);
}

void MdLoop::positions(double* x) {
    const std::int32_t* order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r)
        for (int c = 0; c < 3; ++c) x[3 * std::int64_t(order[r]) + c] = x_[4 * r + c];
}

void MdLoop::momenta(double* p) {
    complete();
    const std::int32_t* order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r)
        for (int c = 0; c < 3; ++c)
            p[3 * std::int64_t(order[r]) + c] = std::isinf(mass_[r]) ? 0.0 : p_[3 * r + c];
}

void MdLoop::cell(double* h) const { std::copy_n(phase_.cell, 9, h); }

void MdLoop::results(double* energies, double* forces, double* virial) {
    if (!have_energies_) evaluate(Want::energies);
    const std::int32_t* order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r) {
        energies[order[r]] = energies_[r];
        for (int c = 0; c < 3; ++c) forces[3 * std::int64_t(order[r]) + c] = f_[3 * r + c];
    }
    std::copy_n(phase_.virial, 6, virial);
}

double MdLoop::energy() {
    if (!have_totals_) evaluate(Want::totals);
    return phase_.energy;
}

double MdLoop::kinetic_energy() {
    complete();
    return phase_.kinetic();
}

double MdLoop::reservoir_energy() { return scheme_->reservoir_energy(phase_); }

MdState MdLoop::state() {
    complete();
    MdState s;
    save(s);
    return s;
}

void MdLoop::save(MdState& s) {
    s.step = step();
    s.x.resize(3 * n_);
    s.p.resize(3 * n_);
    positions(s.x.data());
    momenta(s.p.data());
    s.built_x.assign(built_x_.data(), built_x_.data() + 3 * n_);
    std::copy_n(phase_.cell, 9, s.cell);
    std::copy_n(built_cell_, 9, s.built_cell);
    std::copy_n(phase_.sums, kMdSums, s.sums);
    s.variables = scheme_->variables;
}

void MdLoop::restore(const MdState& s) {
    owed_ = placed_ = false;
    factor_ = 1.0;
    phase_.step = std::uint64_t(s.step);
    scheme_->variables = s.variables;
    build(s.built_x.data(), s.built_cell);
    unpack(s.x.data(), s.p.data());
    std::copy_n(s.cell, 9, phase_.cell);
    double h[9];
    periodic_cell(h);
    set_rows(h, 0);
    allowed_ = table_.allowance(phase_.cell, strain_);
    evaluate(Want::energies);
    std::copy_n(s.sums, kMdSums, phase_.sums);
    placed_ = true;
    published();
}

void MdLoop::evaluate(Want want) {
    if (want == Want::forces && (!alone_ || scheme_->moves_cell())) want = Want::totals;
    const bool virials = want == Want::virials, energies = want == Want::energies || virials;
    Outputs r;
    r.block_totals = want == Want::forces ? nullptr : blocks_.data();
    double* forces = row_order_ ? f_.data() : packed_[0].reserve(3 * n_);
    r.forces = forces;
    r.energies = !energies ? nullptr : row_order_ ? energies_.data() : packed_[1].reserve(n_);
    if (virials) {
        r.virials = virials_.reserve(9 * n_);
        r.virial_width = 9;
    }
    force_(threads_, r);
    have_totals_ = want != Want::forces;
    if (have_totals_) {
        phase_.energy = 0.0;
        for (double& w : phase_.virial) w = 0.0;
        for (std::int64_t b = 0; b < n_blocks(n_); ++b) {
            phase_.energy += blocks_[7 * b];
            for (int c = 0; c < 6; ++c) phase_.virial[c] += blocks_[7 * b + 1 + c];
        }
    }
    if (!row_order_) {
        const std::int32_t* order = table_.caller_order();
        for (std::int64_t k = 0; k < n_; ++k) {
            for (int c = 0; c < 3; ++c) f_[3 * k + c] = forces[3 * std::int64_t(order[k]) + c];
            if (energies) energies_[k] = packed_[1][order[k]];
        }
    }
    have_energies_ = energies;
    have_virials_ = virials;
}

// p: kick, minus mass times shift, times scale. Sums go to phase_.sums, in the order of blocks.
void MdLoop::momentum_pass(MdKick kick, double scale, const double* shift, bool sums) {
    MdMomentumTask t;
    t.atoms = atoms();
    t.motion = motion_;
    t.kick = kick;
    t.scale = scale;
    if (shift) std::copy_n(shift, 3, t.shift);
    t.sums = sums ? sums_.data() : nullptr;
    md_momentum_compute(t, team_size(threads_, n_, kMomentumNs));
    if (!sums) return;
    for (double& s : phase_.sums) s = 0.0;
    for (std::int64_t b = 0; b < n_sums(); ++b)
        for (int k = 0; k < kMdSums; ++k) phase_.sums[k] += sums_[kMdSums * b + k];
}

// FixCom: takes the velocity of the centre of mass off. The sums must be those of the momenta.
void MdLoop::remove_drift() {
    double u[3];
    for (int c = 0; c < 3; ++c) u[c] = phase_.sums[7 + c] / total_mass_;
    momentum_pass(MdKick::none, 1.0, u, true);
}

// Momenta at the time of the positions, in memory, with their sums.
void MdLoop::complete() {
    if (owed_) {
        owed_ = false;
        momentum_pass(motion_.kick, 1.0, nullptr, true);
    }
    if (factor_ != 1.0) {
        const double s = factor_;
        factor_ = 1.0;
        momentum_pass(MdKick::none, s, nullptr, false);  // the sums are scaled already
    }
}

void MdLoop::drift(MdDriftTask& t) {
    t.built = built_.data();
    t.strain = strain_;
    t.largest = largest_.data();
    t.sums = sums_.data();
    md_drift_compute(t, team_size(threads_, n_, kDriftNs));
}

// With FixCom: first everything that moves the centre of mass, then without it.
void MdLoop::half_steps() {
    MdDriftTask t;
    t.atoms = atoms();
    t.motion = motion_;
    t.owed = owed_;
    t.scale[0] = factor_;
    factor_ = 1.0;
    t.scale[1] = scheme_->begin_step(phase_, t.motion);
    motion_ = t.motion;
    owed_ = false;
    if (scheme_->moves_cell()) {
        double h[9];
        periodic_cell(h);
        set_rows(h, t.atoms.n_total);  // the offsets alone
        allowed_ = table_.allowance(phase_.cell, strain_);
    }
    if (fix_com_) {
        t.split = true;
        t.drift = false;
        drift(t);
        double u[3] = {0.0, 0.0, 0.0};
        for (std::int64_t b = 0; b < n_sums(); ++b)
            for (int c = 0; c < 3; ++c) u[c] += sums_[kMdSums * b + 7 + c];
        for (int c = 0; c < 3; ++c) t.shift[c] = u[c] / (total_mass_ * motion_.dt);
        t.owed = t.first = t.split = false;
        t.scale[0] = t.scale[1] = 1.0;
        t.drift = true;
    }
    drift(t);
}

// A new list where the present one could miss a pair.
void MdLoop::check_list() {
    double most = 0.0, next = 0.0;
    for (std::int64_t k = 0; k < 2 * n_sums(); ++k) {
        if (largest_[k] > most) {
            next = most;
            most = largest_[k];
        } else if (largest_[k] > next) {
            next = largest_[k];
        }
    }
    const double reach = std::sqrt(most);
    if (allowed_ >= 0.0 && reach + std::sqrt(next) <= allowed_) return;
    // Before this step nobody was farther than the skin: this step went beyond the cutoff.
    if (!(reach <= options_.cutoff + options_.skin)) {
        stopped_by_flight();
        return;
    }
    const bool noisy = motion_.kick == MdKick::langevin;
    double* x = packed_[0].reserve(3 * n_);
    double* p = packed_[1].reserve(3 * n_);
    double* noise = packed_[2].reserve(3 * n_);
    const std::int32_t* order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r)
        for (int c = 0; c < 3; ++c) {
            const std::int64_t o = 3 * std::int64_t(order[r]) + c;
            x[o] = x_[4 * r + c];
            p[o] = p_[3 * r + c];
            if (noisy) noise[o] = noise_[3 * r + c];
        }
    build(x, phase_.cell);
    unpack(x, p);
    if (!noisy) return;
    order = table_.caller_order();
    for (std::int64_t r = 0; r < n_; ++r)
        for (int c = 0; c < 3; ++c) noise_[3 * r + c] = noise[3 * std::int64_t(order[r]) + c];
}

// Which atom went so far, and how far.
void MdLoop::stopped_by_flight() {
    const double* rows = table_.moving_rows();
    double far = -1.0;
    for (std::int64_t r = 0; r < n_; ++r) {
        double u2 = 0.0;
        for (int c = 0; c < 3; ++c) {
            const double u = rows[4 * r + c] - built_[4 * r + c];
            u2 += u * u;
        }
        if (u2 <= far) continue;
        far = u2;
        bad_atom_ = table_.caller_order()[r];
        if (!std::isfinite(u2)) break;
    }
    const std::string who = "atom " + std::to_string(bad_atom_);
    failure_ =
        std::isfinite(far)
            ? who + " moved " + number(std::sqrt(far)) +
                  " Angstrom in one step, farther than the potential reaches: atoms overlap, "
                  "or the time step is too long"
            : who + " has a position that is not finite";
}

bool MdLoop::finite() {
    double sum = phase_.energy;
    for (double w : phase_.virial) sum += w;
    return std::isfinite(sum);
}

std::string MdLoop::explain() {
    evaluate(Want::energies);
    const std::int32_t* order = table_.caller_order();
    std::int64_t worst = 0;
    for (std::int64_t r = 0; r < n_; ++r) {
        const double sum = energies_[r] + f_[3 * r] + f_[3 * r + 1] + f_[3 * r + 2];
        if (!std::isfinite(sum)) {
            worst = r;
            break;
        }
    }
    bad_atom_ = order[worst];
    return "atom " + std::to_string(bad_atom_) +
           ": energy or force is not finite; atoms overlap near [" + number(x_[4 * worst]) + ", " +
           number(x_[4 * worst + 1]) + ", " + number(x_[4 * worst + 2]) + "]";
}

// True: done. A force that is not finite shows at once where totals are wanted, else at the next
// step, by where it throws the atom.
bool MdLoop::one_step(Want want) {
    motion_.step = phase_.step;
    half_steps();
    set_rows(nullptr, n_);
    check_list();
    if (!failure_.empty()) return false;
    evaluate(want);
    if (have_totals_ && !finite()) {
        failure_ = explain();
        return false;
    }
    ++phase_.step;
    if (scheme_->wants_sums() || fix_com_) {
        momentum_pass(motion_.kick, 1.0, nullptr, true);
        if (fix_com_) remove_drift();
        factor_ = scheme_->end_step(phase_);
    } else {
        owed_ = true;
    }
    return true;
}

void MdLoop::sample() {
    complete();
    energy();  // with it the virial
    const double trace = phase_.virial[0] + phase_.virial[1] + phase_.virial[2];
    const double row[kMdSample] = {double(phase_.step), phase_.energy, phase_.kinetic(),
                                   phase_.volume(),     trace,         reservoir_energy()};
    samples_.insert(samples_.end(), row, row + kMdSample);
}

// To the last good step, `good` or before: from the state that was saved, now with every force
// checked.
void MdLoop::roll_back(std::int64_t good) {
    std::string text = failure_;
    std::int64_t bad = bad_atom_;
    try {
        for (;;) {
            failure_.clear();
            restore(saved_);
            while (step() < good && one_step(Want::totals)) {
            }
            if (step() == good) break;
            good = step();
            text = failure_;
            bad = bad_atom_;
        }
        complete();
    } catch (...) {
        placed_ = false;
        throw;
    }
    failure_ = text;
    bad_atom_ = bad;
}

MdOutcome MdLoop::run(std::int64_t n, const MdRecord& record, double most_seconds,
                      const std::function<bool()>& pause) {
    if (!placed_) throw std::logic_error("MdLoop::run: no atoms are placed");
    const auto begin = Clock::now();
    auto asked = begin;
    MdOutcome outcome;
    const std::int64_t start = step(), target = start + n;
    failure_.clear();
    save(saved_);
    while (step() < target) {
        const std::int64_t good = step();
        if (good - saved_.step >= kSaveEvery) save(saved_);
        bool done = false;
        try {
            const bool flux = due(record.fluxes, good + 1);
            const bool sampled = due(record.samples, good + 1) || flux;
            done = one_step(flux && record.heat  ? Want::virials
                            : good + 1 == target ? Want::energies
                            : sampled            ? Want::totals
                                                 : Want::forces);
        } catch (const std::invalid_argument& e) {
            failure_ = e.what();
        } catch (const MemoryLimit& e) {
            failure_ = e.what();
        } catch (...) {
            roll_back(good);
            throw;
        }
        if (!done) {
            roll_back(good);
            outcome.failure = failure_;
            outcome.bad_atom = bad_atom_;
            break;
        }
        if (due(record.samples, step())) sample();
        if (due(record.fluxes, step())) sample_fluxes(record.heat);
        const auto now = Clock::now();
        if (std::chrono::duration<double>(now - asked).count() >= kAskEvery) {
            asked = now;
            if (pause()) break;
        }
        if (most_seconds > 0.0 && std::chrono::duration<double>(now - begin).count() > most_seconds)
            break;
    }
    complete();
    outcome.steps = step() - start;
    return outcome;
}

}  // namespace mdkern
