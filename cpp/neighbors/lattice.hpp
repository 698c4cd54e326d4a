// The periodic lattice of a cell: a reduced basis, in which few images are needed, and the way back
// to the caller's vectors.
#pragma once

#include <cstdint>

namespace mdkern {

struct Lattice {
    double user[9];  // caller's cell, rows are the vectors; rows of open directions are set to zero
    double basis[9];          // reduced periodic vectors; open directions completed by unit vectors
                              // orthogonal to them
    double inverse[9];        // fractional coordinates in the basis: f = r @ inverse
    double height[3];         // spacing of the lattice planes of the basis
    double length;            // longest vector of the basis
    std::int32_t to_user[9];  // S_user = S_basis @ to_user
    bool pbc[3];
};

// Throws std::invalid_argument for non-finite entries and for periodic vectors that are linearly
// dependent. Open directions may have any finite vector, also zero.
Lattice make_lattice(const double* cell, const bool* pbc);

// Strain between two cells with the same pbc: F with basis_from @ F = basis_to (row vectors, so r
// -> r @ F), and a lower bound of F's smallest singular value, 1 - |F - 1|.
void strain_between(const Lattice& from, const double* cell_to, double* f, double* sigma_min);

// No vector gets shorter than by this factor under r -> r F, and nearly so short the one that shrinks most: within 0.5 % for
// strains of 1 %, exact for strains along one direction and for equal ones along all.
double least_stretch(const double* f);

}  // namespace mdkern
