// Lennard-Jones: phi(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] for r < r_cut, with the usual ways
// to end it at the cutoff.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

enum class LjStyle : int {
    plain = 0,        // phi + e0 (e0 = 0: truncated; e0 = -phi(r_cut): shifted)
    force_shift = 1,  // phi - phi(r_cut) - (r - r_cut) phi'(r_cut)
    smooth = 2,       // phi times ASE's switch, a cubic in r^2 between r_on^2 and r_cut^2
};

// One row of eight per ordered pair of species: a = 4 epsilon sigma^12, b = 4 epsilon sigma^6,
// r_cut^2, e0, then slope (force_shift) or r_on^2 and 1 / (r_cut^2 - r_on^2)^3 (smooth).
struct LjParams {
    LjStyle style = LjStyle::plain;
    int n_species = 1;
    const double* table = nullptr;  // (n_species, n_species, 8)
    bool single_precision =
        false;  // distances and pair terms in float, sums of each row too; totals in double
};
// Scratch: 4 n_total + 8 n_species^2 floats where single_precision is set, else unused.
MDKERN_KERNEL(lennard_jones_compute,
              (const LjParams&, const System&, const Neighbors&, float*, int, const Outputs&))

}  // namespace mdkern
