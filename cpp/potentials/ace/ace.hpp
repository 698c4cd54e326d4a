// Atomic cluster expansion (ACE): Drautz, Phys. Rev. B 99, 014104 (2019); Lysogorskiy et al., npj Comput.
// Mater. 7, 97 (2021); GRACE/FS: Bochkarev, Lysogorskiy, Drautz, Phys. Rev. X 14, 021036 (2024).
//
//   A_gclm = sum_(j in g) f_c(r_ij) Y_lm        g: element of j, or all of them (GRACE)
//   rho_p = sum_t c_tp Re prod_k A_k            sum over products of A, each of any rank
//   E_i = F(rho) P(rho_core) + rho_core + e0    F: see AceEmbedding
//   p_ij = dE_i/dr_ij; F_i += p_ij, F_j -= p_ij; W -= r_ij (x) p_ij
//
// A channel c of l is R_nl; those of l = 0 also are the g_k of rank 1 and the core repulsion h, so that all that
// depends on neighbors is one kind of sum. Channels are read from tables.
//
// Products are made from a graph: values are the A, the number one, and nodes, each a product of two values
// before it. A term of rho is the product of two values, the row and the entry, of which it is
// the coefficient; so G_up = sum_k c_kp v_k over the entries of row u gives rho_p += Re v_u G_up, and no product that
// is only part of rho is kept. Values are real (GRACE), or complex (.yace) with m >= 0, where A_l,-m = (-1)^m conj A_lm
// are entries that are conjugated.
#pragma once

#include "core/arena.hpp"
#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/force_blocks.hpp"

namespace mdkern {

constexpr int kAceMaxL = 12;
constexpr int kAceMaxDensities = 16;
constexpr int kAceLine = 8;   // channels, and neighbors, that a table is read for at a time
constexpr int kAceTerms = 6;  // of the polynomials in tables

// Channels of one element of the center and one of the neighbor: polynomials of degree five on intervals.
struct AceTable {
    double cutoff2 = 0.0;
    double inverse_bin = 0.0;           // bins of the map: intervals begin and end at their ends
    int n_bins = 0;                     // the interval `n_bins` is that of everything beyond
    int n_blocks = 0;                   // lines of channels
    const std::int32_t* map = nullptr;  // (n_bins + 1) interval of each bin
    const double* place = nullptr;      // (n_intervals, 2) where each begins, 1 / its length
    const double* rows = nullptr;       // (n_intervals, n_blocks, kAceTerms, kAceLine)
    const double* scale = nullptr;      // (n_blocks, kAceLine) factors of the channels, or null
};

// Where the A of one group of neighbors are: channels first[l] to first[l + 1] have this l.
struct AceGroup {
    int first[kAceMaxL + 2] = {};
    int n_channels() const { return first[kAceMaxL + 1]; }
    int vector = 0;  // of the first of its values
    int weight = 0;  // place of its first weight of a center
    int core = -1;   // channel of the core repulsion, or -1
};

// f of every density and what goes with it. f(x) = sgn(x) ((q e^-a + a)^m - s e^-a), a = |x| (shifted and scaled);
// or sgn(x) ((1 - g) a^m + L g a), g = e^(-(10^6 a)^3). m = 1: x.
struct AceEmbedding {
    int n = 0;
    bool shifted = true;
    double w[kAceMaxDensities], m[kAceMaxDensities], q[kAceMaxDensities], s[kAceMaxDensities],
        l[kAceMaxDensities];
    double rho_cut = 0.0, drho_cut = 0.0;
    bool core = false;  // the density of cores switches F off
};

// Entries [begin, middle) of `value`, and [middle, end) conjugated.
struct AceRow {
    std::int32_t value, begin, middle, end;
};
struct AceRows {
    int n = 0;
    const AceRow* row = nullptr;
    const std::int32_t* entry = nullptr;  // values
    const double* c = nullptr;            // (n_entries, n_densities)
};
// a b, of which b is conjugated where `conjugate` is 1.
struct AceNode {
    std::int32_t a, b, conjugate;
};
// Term of a function: c Re a b.
struct AceLeaf {
    std::int32_t a, b, conjugate;
    double c;
};
// Values: n_a of A, one, then nodes.
struct AceGraph {
    int n_a = 0, n_nodes = 0;
    const AceNode* node = nullptr;
    int n_values() const { return n_a + 1 + n_nodes; }
};
struct AceProgram {
    AceGraph graph;
    AceRows forward, backward;  // by row, and the same by entry
};
struct AceFunctions {
    AceGraph graph;
    int n = 0, feature = 0;               // functions, and the first one's feature
    const std::int32_t* first = nullptr;  // (n + 1) leaves
    const AceLeaf* leaf = nullptr;
};

// All of one element of the center.
struct AceCenter {
    double e0 = 0.0;
    int n_groups = 0;
    const AceGroup* groups = nullptr;
    const AceTable* tables = nullptr;  // (n_species)
    int n_vectors = 0, n_weights = 0;  // of all groups
    AceEmbedding embedding;
    AceProgram program;
    AceFunctions functions;
};

struct AceParams {
    int n_species = 1, l_max = 0, n_features = 0;
    bool real = false, one_group = false;
    int most_blocks = 0, most_vectors = 0, most_weights = 0, most_values = 0, most_rows = 0,
        most_functions = 0;
    const AceCenter* centers = nullptr;  // (n_species)
    const double* norms = nullptr;       // of harmonics, at l (l + 1) / 2 + m; see math/sphere.hpp
    // Inner cutoff of kind zbl: r_in - d_in and d_in of each ordered pair, or null.
    const double *near = nullptr, *width = nullptr;
};

// Bytes of scratch per thread.
std::size_t ace_scratch_bytes(const AceParams& p, std::int64_t largest);

MDKERN_KERNEL(ace_compute,
              (CentreTask, const AceParams&, const System&, const Neighbors&, const ForceBlocks&,
               const ForceBlockWork&, int n_threads, const Outputs&))

}  // namespace mdkern
