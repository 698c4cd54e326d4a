// Positions and cell as one set of coordinates that an optimizer moves: rows of three numbers, the atoms' first,
// then, where the cell relaxes, three rows of the cell. As ASE's UnitCellFilter and FrechetCellFilter have them.
#pragma once

#include <cstdint>

namespace mdkern {

enum class CellCoordinates {
    none,         // positions alone
    deformation,  // factor * F with cell = cell_0 F^T; positions of the undeformed cell (UnitCellFilter)
    logarithm,    // factor * log F (FrechetCellFilter)
};

struct CellOptions {
    CellCoordinates kind = CellCoordinates::none;
    double mask[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};  // of the strain, 1: relaxes, 0: stays
    bool hydrostatic = false, constant_volume = false;
    double pressure = 0.0;  // eV / Angstrom^3
    double factor = 0.0;    // 0: the number of atoms
};

class CellFilter {
public:
    // The cell of this moment is the undeformed one.
    void start(const CellOptions& options, std::int64_t n, const double* cell);
    std::int64_t n_rows() const;  // n, or n + 3
    // Coordinates (n_rows, 3) of positions (n, 3) in a cell (9).
    void coordinates(const double* x, const double* cell, double* q) const;
    // Positions and cell of coordinates. `x` and `cell` are not changed by constraints.
    void place(const double* q, double* x, double* cell) const;
    // Forces by the coordinates (n_rows, 3) from forces of atoms (n, 3) and the virial -dE/d(strain) (6: xx, yy,
    // zz, yz, xz, xy) in eV, all of them after constraints. `q` are the coordinates where they were evaluated.
    void forces(const double* q, const double* f, const double* virial, const double* cell, double* g) const;
    // The energy with its term of pressure and volume.
    double energy(double energy, const double* cell) const;

private:
    CellOptions options_;
    std::int64_t n_ = 0;
    double first_cell_[9] = {};
};

}  // namespace mdkern
