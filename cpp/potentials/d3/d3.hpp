// DFT-D3 dispersion (Grimme, Antony, Ehrlich, Krieg, J. Chem. Phys. 132, 154104 (2010)),
//   E = -1/2 sum_ij C6_ij g_ij(r_ij),  C6_ij = sum_pq W_p(CN_i) W_q(CN_j) C6_pq
// and, where s9 is not zero, triangles. Each real row gathers what belongs to it, in three passes over
// the places within its cutoff:
//   1. coordination numbers CN; rows behind the real ones get that of their atom (Table::forward),
//      and every place its weights W,
//   2. energies, the forces of pairs at fixed C6, and D_i = dE/dCN_i, which is forwarded as well,
//   3. forces by the coordination numbers, results.
// All lengths in Angstrom, energies in eV.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "potentials/d3/columns.hpp"

namespace mdkern {

constexpr int kMostReferences = 7;  // of an element
constexpr int kD3Row = 12;          // doubles per row of D3Scratch::rows

enum class D3Damping : int { bj = 0, zero = 1, general = 2 };

struct D3Params {
    int n_species = 1;
    double cutoff = 0.0, cn_cutoff = 0.0, abc_cutoff = 0.0;  // inclusive
    double width = 0.0, cn_width = 0.0, abc_width = 0.0;
    // zero: alp = 14 and bet = 0, so that even powers are enough.
    D3Damping damping = D3Damping::bj;
    double s6 = 1.0, s9 = 0.0, alp = 14.0;  // s9 for C6 in eV Angstrom^6
    // Rows of eight per pair of species:
    //   bj       R^6, R^8, s8 Q, unused,
    //   others   1 / (rs6 R0), 1 / (rs8 R0), s8 Q, bet R0,
    // and then the sum of covalent radii, R0, and for all but bj
    // (rs6 R0)^2, (rs8 R0)^2. Q is C8 / C6.
    const double* pair = nullptr;         // (n_species, n_species, 8)
    const std::int32_t* first = nullptr;  // (n_species + 1) references of each species
    const double* ref_cn = nullptr;       // (n_references)
    const double* c6 = nullptr;           // (n_references, n_references)
    int n_references = 0;
};

struct D3Scratch {
    std::int64_t stride = 0;    // of the following, places and room for vectors
    double* weights = nullptr;  // (kMostReferences, stride) W of each place by species
    double* slope = nullptr;    // (stride) ln(2) D of each place, all species together
    double* radius =
        nullptr;           // (stride) 16 rcov / ln(2) of each, written where they were sorted anew
    double* cn = nullptr;  // (n_total) by row
    double* by_cn = nullptr;  // (n_total) D by row
    double* rows = nullptr;   // (n_real, kD3Row) force, energy, virial as dE/dstrain
    // For virials of nine components, else null: what D is where its energies are found, sum of r0 dE/dCN
    // with r0 relative to the row, (n_total, 3); and the virials, (n_real, 9).
    double *moments = nullptr, *nine = nullptr;
    std::int32_t* runs = nullptr;  // (n_threads, n_runs, 2)
    std::int64_t n_runs = 0;
    double* near = nullptr;  // (n_threads, kD3Near, n_near) neighbors for triangles
    std::int64_t n_near = 0;
};
constexpr int kD3Near = 9 + kMostReferences;  // columns: see Near

// Places are those of all species together in what is about coordination numbers (their part of a pair does
// not depend on the species but by one length), and by species in what is about pairs.
MDKERN_KERNEL(d3_radius_compute, (const D3Params&, const System&, const Places&, const D3Scratch&))
MDKERN_KERNEL(d3_count_compute,
              (const D3Params&, const System&, const Places&, const D3Scratch&, int))
MDKERN_KERNEL(d3_weigh_compute, (const D3Params&, const Places&, const D3Scratch&, int))
// totals: whether energies and virials are wanted.
MDKERN_KERNEL(d3_pairs_compute,
              (const D3Params&, const System&, const Places&, const D3Scratch&, bool totals, int))
// Between pairs and triangles, for virials of nine components: moments of the pairs, and the virials so far.
MDKERN_KERNEL(d3_moments_compute,
              (const D3Params&, const System&, const Places&, const D3Scratch&, int))
// After d3_finish_compute, when moments have been forwarded: adds what coordination numbers carry, and writes
// the results.
MDKERN_KERNEL(d3_nine_compute, (const D3Params&, const System&, const Places&, const D3Scratch&,
                                int, const Outputs&))
// Adds triangles to what pairs have added up to.
MDKERN_KERNEL(d3_triangles_compute,
              (const D3Params&, const System&, const Places&, const D3Scratch&, bool totals, int))
MDKERN_KERNEL(d3_finish_compute, (const D3Params&, const System&, const Places&, const D3Scratch&,
                                  int, const Outputs&))

}  // namespace mdkern
