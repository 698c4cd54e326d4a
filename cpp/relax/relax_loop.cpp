#include "relax/relax_loop.hpp"

#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "math/matrix3.hpp"

namespace mdkern {

namespace {

constexpr double kAskEvery = 0.2;     // seconds between two questions whether to pause
constexpr double kMostVolumes = 8.0;  // by how much the volume may change

using Clock = std::chrono::steady_clock;

// Why a step cannot be taken; does not leave run().
struct Failure {
    std::string text;
    std::int64_t atom;
};

double volume(const double* cell) { return std::fabs(matrix3::determinant(cell)); }

// With cell = first cell F^T.
CellState deformed(const double* first_cell, const double* cell, CellCoordinates kind) {
    CellState s;
    std::copy_n(first_cell, 9, s.first_cell);
    double transposed[9];
    if (!matrix3::solve(first_cell, cell, transposed))
        throw std::invalid_argument(
            "first_cell: spans no volume; expected one that does, as the cell is to relax");
    matrix3::transpose(transposed, s.deformation);
    if (!(matrix3::determinant(s.deformation) > 0.0))
        throw std::invalid_argument(
            "cell: its vectors have the other handedness than those of the first cell, or span no "
            "volume; expected a cell that is near the first one");
    if (kind == CellCoordinates::logarithm && !matrix3::logarithm(s.deformation, s.logarithm))
        throw std::invalid_argument(
            "cell: its deformation has no real logarithm; expected a cell that is near the first "
            "one");
    return s;
}

}  // namespace

RelaxLoop::RelaxLoop(std::shared_ptr<const Potential> potential, double skin, int threads)
    : potential_(std::move(potential)),
      traits_(potential_->traits()),
      space_(potential_->workspace()),
      threads_(threads) {
    expect(skin >= 0.0 && std::isfinite(skin), "skin", skin, "zero or a positive finite number");
    options_.cutoff = traits_.cutoff;
    options_.list_cutoff = list_cutoff(traits_);
    options_.skin = skin;
    options_.tight = true;
    trace_.reserve(kRelaxTrace * kMostTrace);
}

void RelaxLoop::set_optimizer(std::unique_ptr<Optimizer> optimizer) {
    if (placed_) {
        optimizer->start(3 * n_rows_);
        if (std::strcmp(optimizer->name(), optimizer_->name()) == 0)
            optimizer->restore(optimizer_->state());
    }
    optimizer_ = std::move(optimizer);
}

AtomsView RelaxLoop::view(const Geometry& at) const {
    return {n_, at.x.data(), at.cell, pbc_, species_.data()};
}

void RelaxLoop::reserve() {
    n_rows_ = filter_.n_rows();
    rows_.start(3 * n_rows_);
    for (Geometry& g : geometry_) {
        g.x.reserve(3 * n_);
        g.q.reserve(3 * n_rows_);
    }
    for (Results& r : results_) {
        r.energies.reserve(n_);
        r.forces.reserve(3 * n_);
        r.g.reserve(3 * n_rows_);
        if (traits_.charges) r.charges.reserve(n_);
    }
    built_x_.reserve(3 * n_);
    old_.reserve(3 * n_);
    adjusted_.reserve(3 * n_);
    blocks_.reserve(7 * n_blocks(n_) + 1);
}

// --- the surface
void RelaxLoop::move(const double* q) {
    const Geometry& from = geometry_[now_];
    int next = 0;
    while (next == now_ || next == good_geometry_) ++next;
    Geometry& to = geometry_[next];
    for (std::int64_t i = 0; i < 3 * n_rows_; ++i) {
        if (std::isfinite(q[i])) continue;
        const std::int64_t row = i / 3;
        throw Failure{row < n_ ? "atom " + std::to_string(row) +
                                     ": the optimizer's step is not finite; atoms overlap, or the "
                                     "energy does not change from step to step"
                               : "the cell: the optimizer's step is not finite",
                      row < n_ ? row : -1};
    }
    std::copy_n(q, 3 * n_rows_, to.q.data());
    std::copy_n(from.x.data(), 3 * n_, to.x.data());
    std::copy_n(from.cell, 9, to.cell);
    try {
        filter_.place(to.q.data(), constraints_, to.x.data(), to.cell, old_.data());
    } catch (const std::runtime_error& e) {
        throw Failure{e.what(), -1};
    }
    to.filter = filter_.state();
    check_move(from, to, q);
    now_ = next;
}

void RelaxLoop::check_move(const Geometry& from, const Geometry& to, const double* asked) const {
    if (filter_.moves_cell()) {
        const double v = volume(to.cell);
        if (!(v <= kMostVolumes * placed_volume_ && kMostVolumes * v >= placed_volume_))
            throw Failure{(v > placed_volume_ ? "the cell explodes" : "the cell collapses") +
                              std::string(": its volume went from ") + number(placed_volume_) +
                              " to " + number(v) + " Angstrom^3, by more than " +
                              number(kMostVolumes) + "-fold",
                          -1};
    }
    // Of the undeformed cell: how the cell takes atoms along does not count.
    const double reach = options_.cutoff + options_.skin;
    for (std::int64_t i = 0; i < n_; ++i) {
        double u2 = 0.0;
        for (int c = 0; c < 3; ++c) {
            const double u = asked[3 * i + c] - from.q[3 * i + c];
            u2 += u * u;
        }
        if (u2 <= reach * reach || u2 <= 1.0) continue;
        throw Failure{"atom " + std::to_string(i) + " would move " + number(std::sqrt(u2)) +
                          " Angstrom in one step, farther than the potential reaches: atoms "
                          "overlap, or maxstep is too large",
                      i};
    }
}

void RelaxLoop::update(const Geometry& at, bool build) {
    if (build)
        table_.build(view(at), options_, threads_);
    else if (!table_.update(view(at), options_, threads_))
        return;
    ++builds_;
    std::copy_n(at.x.data(), 3 * n_, built_x_.data());
    std::copy_n(at.cell, 9, built_cell_);
}

void RelaxLoop::compute(Results& r, double* deviation, double* members) {
    Outputs out;
    out.energies = r.energies.data();
    out.forces = r.forces.data();
    out.block_totals = blocks_.data();
    if (traits_.charges) out.charges = r.charges.data();
    out.deviation = deviation;
    out.members = members;
    potential_->compute(table_, *space_, out, threads_);
    r.potential = 0.0;
    for (double& w : r.virial) w = 0.0;
    for (std::int64_t b = 0; b < n_blocks(n_); ++b) {
        r.potential += blocks_[7 * b];
        for (int c = 0; c < 6; ++c) r.virial[c] += blocks_[7 * b + 1 + c];
    }
}

void RelaxLoop::evaluate(const Geometry& at, Results& r, bool build) {
    update(at, build);
    table_left_ = false;
    compute(r, nullptr, nullptr);
    r.energy = filter_.energy(r.potential, at.cell);
    const double* f = r.forces.data();
    double virial[6];
    std::copy_n(r.virial, 6, virial);
    if (!constraints_.empty()) {
        std::copy_n(f, 3 * n_, adjusted_.data());
        for (const auto& c : constraints_) {
            c->adjust_forces(n_, at.cell, adjusted_.data());
            c->adjust_virial(at.cell, virial);
        }
        f = adjusted_.data();
    }
    filter_.forces(f, virial, at.cell, r.g.data());
    rows_.set_threads(threads_);
    r.largest = std::sqrt(rows_.largest2(r.g.data()));
    check_finite(at, r);
}

void RelaxLoop::check_finite(const Geometry& at, const Results& r) const {
    double sum = r.energy + r.largest;
    for (const double w : r.virial) sum += w;
    if (std::isfinite(sum)) return;
    std::int64_t worst = -1;
    for (std::int64_t i = 0; i < n_ && worst < 0; ++i) {
        const double* f = r.forces.data() + 3 * i;
        if (!std::isfinite(r.energies[i] + f[0] * f[0] + f[1] * f[1] + f[2] * f[2])) worst = i;
    }
    if (worst < 0) throw Failure{"the virial or a force on the cell is not finite", -1};
    const double* x = at.x.data() + 3 * worst;
    throw Failure{"atom " + std::to_string(worst) +
                      ": energy or force is not finite; atoms overlap near [" + number(x[0]) +
                      ", " + number(x[1]) + ", " + number(x[2]) + "]",
                  worst};
}

void RelaxLoop::evaluate() {
    int next = 0;
    if (next == good_) ++next;
    evaluate(geometry_[now_], results_[next], false);
    now_results_ = next;
}

// --- the caller's side
void RelaxLoop::settle(bool build) {
    placed_ = false;
    int next = 0;
    if (next == good_) ++next;
    try {
        evaluate(geometry_[now_], results_[next], build);
    } catch (const Failure& e) {
        throw std::invalid_argument(e.text);
    }
    good_geometry_ = now_;
    good_ = now_results_ = next;
    placed_ = true;
}

void RelaxLoop::place(const AtomsView& atoms, const double* first_cell) {
    if (!optimizer_) throw std::logic_error("RelaxLoop::place: no optimizer is set");
    placed_ = false;
    for (const auto& c : constraints_) c->check(atoms.n);
    n_ = atoms.n;
    std::copy_n(atoms.pbc, 3, pbc_);
    std::int32_t* species = species_.reserve(n_ + 1);
    if (atoms.species)
        std::copy_n(atoms.species, n_, species);
    else
        std::fill_n(species, n_, 0);
    filter_.start(cell_options_, n_, first_cell ? first_cell : atoms.cell);
    reserve();
    now_ = good_geometry_ = 0;
    Geometry& at = geometry_[now_];
    std::copy_n(atoms.positions, 3 * n_, at.x.data());
    std::copy_n(atoms.cell, 9, at.cell);
    // The deformation of the same cell is exactly one, which solving for it would not give.
    if (first_cell && filter_.moves_cell() && std::memcmp(first_cell, at.cell, sizeof at.cell) != 0)
        filter_.restore(deformed(first_cell, at.cell, cell_options_.kind));
    at.filter = filter_.state();
    filter_.coordinates(at.x.data(), at.q.data());
    placed_volume_ = volume(at.cell);
    optimizer_->start(3 * n_rows_);
    n_traced_ = steps_ = 0;
    space_->overflow = 0;
    settle(true);
}

bool RelaxLoop::is_at(const double* x, const double* cell) const {
    const Geometry& at = geometry_[good_geometry_];
    return placed_ && (n_ == 0 || std::memcmp(x, at.x.data(), 3 * n_ * sizeof(double)) == 0) &&
           std::memcmp(cell, at.cell, sizeof at.cell) == 0;
}

void RelaxLoop::go_on(const double* x, const double* cell) {
    if (!placed_) throw std::logic_error("RelaxLoop::go_on: no atoms are placed");
    placed_ = false;  // what is thrown on the way leaves something that was never evaluated
    for (const auto& c : constraints_) c->check(n_);
    Geometry& at = geometry_[now_];
    if (filter_.moves_cell() && std::memcmp(cell, at.cell, sizeof at.cell) != 0) {
        filter_.restore(deformed(filter_.state().first_cell, cell, cell_options_.kind));
        placed_volume_ = volume(cell);
    }
    std::copy_n(x, 3 * n_, at.x.data());
    std::copy_n(cell, 9, at.cell);
    at.filter = filter_.state();
    filter_.coordinates(at.x.data(), at.q.data());
    settle(false);
}

RelaxState RelaxLoop::state() const {
    if (!placed_) throw std::logic_error("RelaxLoop::state: no atoms are placed");
    const Geometry& at = geometry_[good_geometry_];
    RelaxState s;
    s.x.assign(at.x.data(), at.x.data() + 3 * n_);
    s.q.assign(at.q.data(), at.q.data() + 3 * n_rows_);
    s.built_x.assign(built_x_.data(), built_x_.data() + 3 * n_);
    std::copy_n(at.cell, 9, s.cell);
    std::copy_n(built_cell_, 9, s.built_cell);
    s.filter = at.filter;
    s.optimizer = optimizer_->state();
    return s;
}

void RelaxLoop::restore(const RelaxState& s) {
    if (!placed_) throw std::logic_error("RelaxLoop::restore: no atoms are placed");
    placed_ = false;
    optimizer_->restore(s.optimizer);
    Geometry& at = geometry_[now_];
    // The list is that of the former run: built there, then brought up to date.
    std::copy_n(s.built_x.data(), 3 * n_, at.x.data());
    std::copy_n(s.built_cell, 9, at.cell);
    update(at, true);
    std::copy_n(s.x.data(), 3 * n_, at.x.data());
    std::copy_n(s.cell, 9, at.cell);
    std::copy_n(s.q.data(), 3 * n_rows_, at.q.data());
    try {
        filter_.restore(s.filter);
    } catch (const std::runtime_error& e) {
        throw std::invalid_argument(std::string("state of the cell: ") + e.what());
    }
    at.filter = s.filter;
    placed_volume_ = volume(filter_.moves_cell() ? s.filter.first_cell : s.cell);
    settle(false);
}

// To the last good step after a failure. The optimizer has seen the bad one: it starts anew.
void RelaxLoop::go_back() {
    now_ = good_geometry_;
    now_results_ = good_;
    filter_.restore(geometry_[now_].filter);
    optimizer_->start(3 * n_rows_);
    table_left_ = true;
}

RelaxOutcome RelaxLoop::run(std::int64_t n, double fmax, double most_seconds, bool traced,
                            const std::function<bool()>& pause) {
    if (!placed_) throw std::logic_error("RelaxLoop::run: no atoms are placed");
    const auto begin = Clock::now();
    auto asked = begin;
    RelaxOutcome outcome;
    for (;;) {
        outcome.converged = converged(fmax);
        if (outcome.converged || outcome.steps >= n) break;
        if (traced && n_traced_ == kMostTrace) break;
        try {
            optimizer_->step(*this, threads_);
            evaluate();
        } catch (const Failure& e) {
            outcome.failure = e.text;
            outcome.bad_atom = e.atom;
        } catch (const std::invalid_argument& e) {
            outcome.failure = e.what();
        } catch (const MemoryLimit& e) {
            outcome.failure = e.what();
        } catch (...) {
            go_back();
            throw;
        }
        if (!outcome.failure.empty()) {
            go_back();
            break;
        }
        good_geometry_ = now_;
        good_ = now_results_;
        ++outcome.steps;
        ++steps_;
        const auto now = Clock::now();
        if (traced) {
            double* row = trace_.data() + kRelaxTrace * n_traced_++;
            row[0] = energy();
            row[1] = largest_force();
            row[2] =
                std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
                    .count();
        }
        if (pause && std::chrono::duration<double>(now - asked).count() >= kAskEvery) {
            asked = now;
            if (pause()) break;
        }
        if (most_seconds > 0.0 && std::chrono::duration<double>(now - begin).count() > most_seconds)
            break;
    }
    return outcome;
}

void RelaxLoop::positions(double* x) const {
    std::copy_n(geometry_[good_geometry_].x.data(), 3 * n_, x);
}

void RelaxLoop::cell(double* h) const { std::copy_n(geometry_[good_geometry_].cell, 9, h); }

void RelaxLoop::results(double* energies, double* forces, double* virial) const {
    const Results& r = results_[good_];
    std::copy_n(r.energies.data(), n_, energies);
    std::copy_n(r.forces.data(), 3 * n_, forces);
    std::copy_n(r.virial, 6, virial);
}

void RelaxLoop::deviation(double* deviation, double* members) {
    if (table_left_) update(geometry_[good_geometry_], false);
    table_left_ = false;
    compute(results_[good_], deviation, members);
}

}  // namespace mdkern
