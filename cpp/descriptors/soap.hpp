// SOAP power spectrum in DScribe's conventions; the formulas are in src/mdkern/reference/soap.py.
//
// Channels are species, or all species in one (mu2), and behind them the sum over species
// (mu1nu1). Arrays of coefficients have the layout c[channel][lm][n], n padded to n_stride, lm =
// l^2 + (0 for m = 0, 2 m - 1 for cosines, 2 m for sines). Harmonics are those of r / cutoff, so
// that their powers stay near 1; the factor cutoff^l and the square root of pi sqrt(8 / (2l + 1))
// are part of the table.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "descriptors/environments.hpp"

namespace mdkern {

constexpr int kSoapOrder = 8;  // coefficients of a cell of the radial table
constexpr int kSoapMaxL = 20;
constexpr int kSoapTile = 32;  // neighbors that are treated together
constexpr int kSoapGroup = 8;  // the same for a Jacobian

enum class SoapWeight : int { none = 0, poly = 1, pow = 2, exp = 3 };

struct SoapBlock {
    std::int32_t first, second;  // channels
    std::int32_t triangle;       // only n' >= n
    std::int32_t offset;         // of its first feature
};

struct SoapParams {
    int n_max = 1, l_max = 0, n_stride = 8;
    int n_species = 1, n_channels = 1;
    int total = -1;                          // the channel that is the sum of the others
    const std::int32_t* channel = nullptr;   // (n_species)
    const double* species_weight = nullptr;  // (n_species)
    double cutoff = 0.0;                     // of the neighbors, inclusive
    std::int64_t n_cells = 0;
    const double* table = nullptr;      // (n_cells, l_max + 1, kSoapOrder, n_stride)
    const double* harmonics = nullptr;  // (l_max + 1) (l_max + 2) / 2 rows of a, b, f, e
    SoapWeight weighting = SoapWeight::none;
    double c = 1.0, d = 1.0, m = 1.0, r0 = 1.0;
    bool has_w0 = false;
    double w0 = 1.0;
    double switch_width = 0.0;  // the last Angstrom before the cutoff in which weights fall to 0
    int n_blocks = 0;
    const SoapBlock* blocks = nullptr;
    std::int64_t n_features = 0;
};

static inline constexpr std::int64_t soap_lm(const SoapParams& p) {
    return std::int64_t(p.l_max + 1) * (p.l_max + 1);
}
static inline constexpr std::int64_t soap_coefficients(const SoapParams& p) {
    return p.n_channels * soap_lm(p) * p.n_stride;
}
// Two rows for each l: see the kernel of the Jacobian.
static inline constexpr std::int64_t soap_factors(const SoapParams& p) {
    return 2 * std::int64_t(p.l_max + 1) * p.n_stride;
}
// Rows of radial functions in working memory: a tile and one l, or a group and all l.
static inline constexpr std::int64_t soap_radial_rows(const SoapParams& p) {
    const std::int64_t all = std::int64_t(p.l_max + 1) * kSoapGroup;
    return all > kSoapTile ? all : kSoapTile;
}
// Tiles of one center: each holds neighbors of one channel.
static inline constexpr std::int64_t soap_tiles(const SoapParams& p, std::int64_t longest) {
    return longest / kSoapTile + 1 + (p.n_channels < longest ? p.n_channels : longest);
}
// Centers whose densities are made together: neighbors of all of them in the order of the table,
// of which a cell is then in the L1 cache for several of them.
constexpr int kSoapBatch = 4;
static inline constexpr int soap_batch(const SoapParams& p, std::int64_t longest) {
    const std::int64_t n = 24 / soap_tiles(p, longest);
    return n < 1 ? 1 : n > kSoapBatch ? kSoapBatch : int(n);
}
// Doubles of working memory of one thread, for environments of at most `longest` neighbors.
std::int64_t soap_scratch(const SoapParams& p, std::int64_t longest);

struct SoapTask {
    Centers centers;
    double* scratch = nullptr;  // (threads, scratch_stride), 64-byte aligned
    std::int64_t scratch_stride = 0;
    bool density = true;  // whether the kernel needs the coefficients of every center
};

// Rows of features (n_centers, n_features), double or float.
MDKERN_KERNEL(soap_values_compute, (const SoapParams&, const System&, const Neighbors&,
                                    const SoapTask&, int, double*, float*))
// Sums of the coefficients of blocks of kPairBlock centers, (n_blocks, soap_coefficients).
MDKERN_KERNEL(soap_density_compute,
              (const SoapParams&, const System&, const Neighbors&, const SoapTask&, int, double*))
// Features of one set of coefficients.
MDKERN_KERNEL(soap_power_compute, (const SoapParams&, const double*, double*))
// Derivative with respect to the coefficients of features weighted by `weights`.
MDKERN_KERNEL(soap_adjoint_compute, (const SoapParams&, const double* coefficients,
                                     const double* weights, double* scratch, double* out))
// Gradients of sum_cf w_cf D_cf: weights of the center c at weights + weight_row[c] n_features, or
// one adjoint for all centers. energies (n_centers): sum_f w_cf D_cf; null: not wanted.
struct SoapVjpTask {
    const double* weights = nullptr;
    const std::int64_t* weight_row = nullptr;
    const double* adjoint = nullptr;
    double* energies = nullptr;
    PairGradients out;
};
MDKERN_KERNEL(soap_vjp_compute, (const SoapParams&, const System&, const Neighbors&,
                                 const SoapTask&, const SoapVjpTask&, int))
// Blocks (3, n_features) of the Jacobian. mean: coefficients of the average over centers, whose
// derivatives, all in the blocks of one row, are times `factor`; null: every center its own.
// Averages deal out blocks [low, high) to threads.
struct SoapJacobianTask {
    JacobianBlocks blocks;
    const double* mean = nullptr;
    double factor = 1.0;
    bool one_row = false;  // all centers add to the same blocks
    std::int64_t n_blocks = 0;
    // Rows hold all features, or those that an atom of a channel can change. By kind, that is by
    // channel, then all features: the place of each block of features in a row (-1: not there)
    // and the length of a row. Null kind and offset: whole rows, one block after the other.
    const std::int32_t* place = nullptr;   // (n_channels + 1, SoapParams::n_blocks)
    const std::int64_t* width = nullptr;   // (n_channels + 1)
    const std::int32_t* kind = nullptr;    // (n_blocks)
    const std::int64_t* offset = nullptr;  // (n_blocks), into the values
    double* values = nullptr;
    float* values_single = nullptr;
    double* strain = nullptr;  // (n_centers, 9, n_features) instead
};
MDKERN_KERNEL(soap_jacobian_compute, (const SoapParams&, const System&, const Neighbors&,
                                      const SoapTask&, const SoapJacobianTask&, int))

}  // namespace mdkern
