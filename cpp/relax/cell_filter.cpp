#include "relax/cell_filter.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"
#include "math/matrix3.hpp"

namespace mdkern {

namespace {

bool any_adjusts_cell(const Constraints& constraints) {
    for (const auto& c : constraints)
        if (c->adjusts_cell()) return true;
    return false;
}

// out = rows * m^T: a deformation applied to each of n rows.
void deform_rows(std::int64_t n, const double* rows, const double* m, double* out) {
    double t[9];
    matrix3::transpose(m, t);
    for (std::int64_t i = 0; i < n; ++i) matrix3::row_times(rows + 3 * i, t, out + 3 * i);
}

void subtract_mean_trace(double* a) {
    const double third = matrix3::trace(a) / 3.0;
    for (int k = 0; k < 9; k += 4) a[k] -= third;
}

}  // namespace

void CellFilter::start(const CellOptions& options, std::int64_t n, const double* cell) {
    double unused[9];
    if (options.kind != CellCoordinates::none) {
        if (!(std::fabs(matrix3::determinant(cell)) > 0.0) || !matrix3::inverse(cell, unused))
            throw std::invalid_argument(
                "cell: volume " + number(std::fabs(matrix3::determinant(cell))) +
                "; expected three vectors that span a volume, as the cell is to relax");
        for (const double m : options.mask)
            if (m != 0.0 && m != 1.0)
                throw std::invalid_argument("mask: " + number(m) + "; expected 0 or 1");
        if (!std::isfinite(options.pressure))
            throw std::invalid_argument("pressure: " + number(options.pressure) +
                                        "; expected a finite number");
        if (!(options.factor >= 0.0) || !std::isfinite(options.factor))
            throw std::invalid_argument(
                "factor: " + number(options.factor) +
                "; expected a positive number, or 0 for the number of atoms");
    }
    options_ = options;
    n_ = n;
    factor_ = options.factor > 0.0 ? options.factor : double(std::max<std::int64_t>(n, 1));
    masked_ = std::any_of(options.mask, options.mask + 9, [](double m) { return m != 1.0; });
    std::copy_n(cell, 9, state_.first_cell);
    matrix3::identity(state_.deformation);
    std::fill_n(state_.logarithm, 9, 0.0);
    matrix3::identity(inverse_);
}

void CellFilter::restore(const CellState& state) {
    CellState copy = state;
    if (moves_cell()) settle(copy);
}

// The state of a step becomes the filter's, which is not changed where there is none.
void CellFilter::settle(const CellState& state) {
    double inverse[9];
    if (!(matrix3::determinant(state.deformation) > 0.0) ||
        !matrix3::inverse(state.deformation, inverse))
        throw std::runtime_error(
            "the step turns the cell inside out: the determinant of its deformation is " +
            number(matrix3::determinant(state.deformation)));
    state_ = state;
    std::copy_n(inverse, 9, inverse_);
}

void CellFilter::coordinates(const double* x, double* q) const {
    if (!moves_cell()) {
        std::copy_n(x, 3 * n_, q);
        return;
    }
    deform_rows(n_, x, inverse_, q);
    const double* rows =
        options_.kind == CellCoordinates::logarithm ? state_.logarithm : state_.deformation;
    for (int k = 0; k < 9; ++k) q[3 * n_ + k] = factor_ * rows[k];
}

void CellFilter::place(double* q, const Constraints& constraints, double* x, double* cell,
                       double* old) {
    if (!moves_cell()) {
        if (!constraints.empty()) std::copy_n(x, 3 * n_, old);
        std::copy_n(q, 3 * n_, x);
        for (const auto& c : constraints) c->adjust_positions(n_, cell, old, x);
        if (!constraints.empty()) std::copy_n(x, 3 * n_, q);
        return;
    }
    CellState next = state_;
    double wanted[9], rows[9], transposed[9], new_cell[9];
    for (int k = 0; k < 9; ++k) rows[k] = q[3 * n_ + k] / factor_;
    if (options_.kind == CellCoordinates::logarithm) {
        std::copy_n(rows, 9, next.logarithm);
        matrix3::exponential(rows, wanted);
    } else {
        std::copy_n(rows, 9, wanted);
    }
    if (masked_)
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                const double one = i == j ? 1.0 : 0.0;
                wanted[3 * i + j] = one + (wanted[3 * i + j] - one) * options_.mask[3 * j + i];
            }
    for (const double w : wanted)
        if (!std::isfinite(w))
            throw std::runtime_error("the step asks for a cell that is not finite");
    matrix3::transpose(wanted, transposed);
    matrix3::multiply(state_.first_cell, transposed, new_cell);
    std::copy_n(wanted, 9, next.deformation);
    const bool adjusted = any_adjusts_cell(constraints);
    if (adjusted) {
        // Constraints change the cell but not the deformation of the positions that were asked for, as in ASE.
        for (const auto& c : constraints) c->adjust_cell(cell, new_cell);
        if (!matrix3::solve(state_.first_cell, new_cell, transposed))
            throw std::runtime_error("the first cell spans no volume");
        matrix3::transpose(transposed, next.deformation);
    }
    // Without masks and constraints of the cell, the logarithm of what was placed is what was asked for.
    if (options_.kind == CellCoordinates::logarithm && (masked_ || adjusted) &&
        !matrix3::logarithm(next.deformation, next.logarithm))
        throw std::runtime_error(
            "the deformation of the cell has no real logarithm: it is turned by half a circle or "
            "inside out");
    double carry[9];
    if (!constraints.empty() && !matrix3::solve(cell, new_cell, carry))
        throw std::runtime_error("the cell spans no volume");
    settle(next);
    if (!constraints.empty())
        for (std::int64_t i = 0; i < n_; ++i) matrix3::row_times(x + 3 * i, carry, old + 3 * i);
    deform_rows(n_, q, wanted, x);
    std::copy_n(new_cell, 9, cell);
    for (const auto& c : constraints) c->adjust_positions(n_, cell, old, x);
    if (masked_ || !constraints.empty()) coordinates(x, q);
}

void CellFilter::forces(const double* f, const double* virial, const double* cell,
                        double* g) const {
    if (!moves_cell()) {
        std::copy_n(f, 3 * n_, g);
        return;
    }
    double v[9], work[9], transposed[9];
    for (std::int64_t i = 0; i < n_; ++i)
        matrix3::row_times(f + 3 * i, state_.deformation, g + 3 * i);
    matrix3::of_voigt(virial, v);
    const double pv = options_.pressure * std::fabs(matrix3::determinant(cell));
    for (int k = 0; k < 9; k += 4) v[k] -= pv;
    const bool log = options_.kind == CellCoordinates::logarithm;
    matrix3::transpose(inverse_, transposed);
    // UnitCellFilter projects behind this product, FrechetCellFilter before it.
    if (!log) {
        matrix3::multiply(v, transposed, work);
        std::copy_n(work, 9, v);
    }
    if (options_.hydrostatic) {
        const double third = matrix3::trace(v) / 3.0;
        for (int k = 0; k < 9; ++k) v[k] = k % 4 == 0 ? third : 0.0;
    }
    if (masked_)
        for (int k = 0; k < 9; ++k) v[k] *= options_.mask[k];
    if (log) {
        matrix3::multiply(v, transposed, work);
        matrix3::transpose(state_.logarithm, transposed);
        matrix3::exponential_derivative(transposed, work, v);
    }
    if (options_.constant_volume) subtract_mean_trace(v);
    for (int k = 0; k < 9; ++k) g[3 * n_ + k] = v[k] / factor_;
}

double CellFilter::energy(double energy, const double* cell) const {
    return moves_cell() ? energy + options_.pressure * std::fabs(matrix3::determinant(cell))
                        : energy;
}

}  // namespace mdkern
