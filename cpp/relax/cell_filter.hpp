// Positions and cell as one set of coordinates that an optimizer moves: rows of three numbers, the atoms' first,
// then, where the cell relaxes, three rows of the cell. As ASE's UnitCellFilter and FrechetCellFilter (3.29) have
// them, but that the rows of a logarithm are those of log F: ASE adds a constant, log(number of atoms), to their diagonal.
//
// How a loop uses it:
//   filter.start(options, n, cell);  filter.coordinates(x, q);
//   evaluate; constraints adjust forces and virial; filter.forces(f, virial, cell, g);
//   the optimizer changes q;  filter.place(q, constraints, x, cell, old);  evaluate; ...
// With F the deformation, cell = first cell * F^T and x = (undeformed position) * F^T.
#pragma once

#include <cstdint>

#include "relax/constraints.hpp"

namespace mdkern {

enum class CellCoordinates {
    none,         // positions alone
    deformation,  // factor * F; positions of the undeformed cell (UnitCellFilter)
    logarithm,    // factor * log F (FrechetCellFilter)
};

struct CellOptions {
    CellCoordinates kind = CellCoordinates::none;
    // Of F^T, 1: relaxes, 0: stays as it was at the start. Three by three as ASE takes it.
    double mask[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    bool hydrostatic = false, constant_volume = false;
    double pressure = 0.0;  // eV / Angstrom^3
    double factor = 0.0;    // 0: the number of atoms
};

// All that a continued run needs to go on with the same bits.
struct CellState {
    double first_cell[9] = {}, deformation[9] = {}, logarithm[9] = {};
};

class CellFilter {
public:
    // The cell of this moment is the undeformed one. Throws std::invalid_argument for options that make no sense,
    // and where the cell relaxes but spans no volume.
    void start(const CellOptions& options, std::int64_t n, const double* cell);
    bool moves_cell() const { return options_.kind != CellCoordinates::none; }
    std::int64_t n_rows() const { return moves_cell() ? n_ + 3 : n_; }
    const CellOptions& options() const { return options_; }

    // Coordinates (n_rows, 3) of positions (n, 3) in the present cell.
    void coordinates(const double* x, double* q) const;
    // Positions (n, 3) and cell of coordinates, as constraints let them be; `x` and `cell` are those of before when it
    // is called. `q` becomes the coordinates of what was placed, which differ by constraints and masks. `old` (n, 3) is
    // scratch; null is allowed without constraints. Throws std::runtime_error for a step that cannot be: `x`,
    // `cell` and the filter are then as before.
    void place(double* q, const Constraints& constraints, double* x, double* cell, double* old);
    // Forces by the coordinates (n_rows, 3) from forces of atoms (n, 3) and virial -dE/d(strain) (6: xx, yy, zz, yz, xz,
    // xy) in eV, both after constraints, in the cell that was placed last.
    void forces(const double* f, const double* virial, const double* cell, double* g) const;
    // The energy with its term of pressure and volume, where the cell relaxes.
    double energy(double energy, const double* cell) const;

    CellState state() const { return state_; }
    // Behind start(): goes on with the deformation of a former run.
    void restore(const CellState& state);

private:
    void settle(const CellState& state);

    CellOptions options_;
    std::int64_t n_ = 0;
    double factor_ = 1.0;
    bool masked_ = false;
    CellState state_;
    double inverse_[9] = {};  // of the deformation
};

}  // namespace mdkern
