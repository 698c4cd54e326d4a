// Embedded-atom method,
//   E = sum_i F_i(rho_i) + 1/2 sum_ij phi_ij(r_ij),  rho_i = sum_j f_{j->i}(r_ij)
// in two passes:
//   1. densities, and from them the embedding energies with their derivatives (own rows),
//   2. forces, which need F' of every row: between the passes, rows behind the real ones get that of
//      the atom that they stand for (Table::forward).
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

enum class Embedding : int { table = 0, zhou2004 = 1 };

struct EamParams {
    int n_species = 1;
    double cutoff = 0.0;
    std::int64_t n_cells = 0;  // cells of the radial tables, from r = 0
    double inverse_dr = 0.0;
    // Rows of eight per (centre i, neighbor j, cell): cubic of f_{j->i}, then cubic of r phi_ij;
    // highest power first, in the fraction of the cell.
    const double* radial = nullptr;  // (n_species, n_species, n_cells, 8)
    Embedding embedding = Embedding::table;
    std::int64_t n_rho = 0;  // cells of the embedding tables, from rho = 0
    double inverse_drho = 0.0, rho_max = 0.0;
    const double* embed = nullptr;  // table: (n_species, n_rho, 4); zhou2004: (n_species, 16)
};

struct EamScratch {
    double* energy = nullptr;       // (n_real) embedding energies F
    double* rows = nullptr;         // (n_total, 4) x, y, z, F'
    double* sums = nullptr;         // (n_total, 4) densities (n_total), then forces and energies
    double* virials = nullptr;      // (n_total, 6) where virials per atom are wanted, else null
    double* tiles = nullptr;        // (n_tiles, 6) virials
    std::int32_t* count = nullptr;  // (n_real) neighbors within the cutoff
    std::int32_t* index = nullptr;  // their rows, where the list has them: row i starts at first[i]
    std::int32_t* beyond = nullptr;  // set to 1 when a density is above rho_max
};

// In this order. Densities of all rows, images included:
MDKERN_KERNEL(eam_density_compute,
              (const EamParams&, const System&, const HalfList&, const EamScratch&, int))
// F and F' of the real rows, whose density is that of their images too; positions of all rows.
MDKERN_KERNEL(eam_embed_compute,
              (const EamParams&, const System&, const HalfList&, const EamScratch&, int))
// Forces and energies of all rows, images included; of `out` it reads only what is wanted.
MDKERN_KERNEL(eam_force_compute, (const EamParams&, const System&, const HalfList&,
                                  const EamScratch&, int, const Outputs&))
// Adds the sums of images to their owners' and writes the results.
MDKERN_KERNEL(eam_finish_compute,
              (const System&, const HalfList&, const EamScratch&, int, const Outputs&))

}  // namespace mdkern
