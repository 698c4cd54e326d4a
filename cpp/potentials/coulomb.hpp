// Coulomb interaction of the charges that a model gives its atoms, as GPUMD's charge models have
// it. With alpha = pi / r_cut and K = e^2 / (4 pi eps0):
//
//   mode 1  E = K/2 sum_ij q_i q_j erfc(alpha r)/r - K alpha/sqrt(pi) sum_i q_i^2
//             + 4 pi K/V sum_k exp(-k^2 / 4 alpha^2)/k^2 |S(k)|^2,  S(k) = sum_i q_i exp(i k r_i),
//           k over half of the reciprocal vectors with 0 < k < 2 pi alpha (Ewald 1921)
//   mode 2  the sum over k alone
//   mode 3  the sum over pairs alone, erfc(alpha r)/r + A r + B with value and slope 0 at r_cut
//
// Waves: k = n1 b1 + n2 b2 + n3 b3, exp(i k r) a product of three powers. A "line" is all waves of
// one n1, n2; entry n3 >= 0 of a line holds both k(n3) and k(-n3), which share all products: four
// fused operations forward for two k, eight back, per atom. So the sum costs 6 per atom and k; the
// number of k grows with the volume.
#pragma once

#include <vector>

#include "core/buffers.hpp"
#include "core/dispatch.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace mdkern {

constexpr double kCoulomb = 14.399645;  // eV Angstrom, with the digits of GPUMD
constexpr int kAtomsPerWaveBlock = 64, kWaveGroups = 16;
constexpr int kCoulombRow = 12;  // see CoulombRows

struct CoulombParams {
    int mode = 0;  // 0: no charges
    int n_types = 1;
    double r_cut = 0.0;           // largest of any pair; alpha = pi / r_cut
    const double* rc2 = nullptr;  // (n_types, n_types) squared cutoff of the sum over pairs
};

// Results by row of the System, (n_real, kCoulombRow): potential dE/dq, energy, force (3), virial
// of the pairs (6), one unused.
struct CoulombRows {
    const double* charge = nullptr;  // (n_total)
    double* rows = nullptr;
};

struct CoulombPairs {
    double alpha = 0.0, self = 0.0;               // self: K alpha / sqrt(pi), or 0
    double shift_value = 0.0, shift_slope = 0.0;  // added to erfc(alpha r)/r: value + slope r
    int n_types = 1;
    const double* rc2 = nullptr;
};

struct Waves {
    double b[9] = {};           // rows: reciprocal vectors
    std::int32_t most[3] = {};  // largest n1, |n2|, n3
    std::int64_t n_lines = 0, n_entries = 0;
    double inverse_4alpha2 = 0.0;
    const std::int32_t* line = nullptr;   // (n_lines, 2) n1, n2
    const std::int64_t* first = nullptr;  // (n_lines + 1) entries of each line
    const double* weight = nullptr;       // (n_entries, 2) of k(n3) and k(-n3): 4 pi K/V exp()/k^2
};

// Sums over pairs; writes all of `rows`.
MDKERN_KERNEL(coulomb_pairs_compute, (const System&, const Neighbors&, const CoulombPairs&,
                                      const CoulombRows&, int n_threads))
// sums: (kWaveGroups, n_entries, 4) of Re/Im(q exp(i (n1 b1 + n2 b2) r)) times Re/Im(exp(i n3 b3
// r)): rr, ii, ri, ir. powers: (n_threads, 2 (sum of most + 3) kAtomsPerWaveBlock).
MDKERN_KERNEL(waves_sum_compute, (const System&, const Waves&, const CoulombRows&, double* powers,
                                  double* sums, int n_threads))
// From the sums (their groups are added up first where `add` is set) to the coefficients that
// atoms see, (n_entries, 8). component 0: of the energy; 1 .. 6: of one component of the virial.
// totals: (n_lines, 6) virial, written with component 0.
MDKERN_KERNEL(waves_coefficients_compute, (const Waves&, int component, double* sums,
                                           double* coefficients, double* totals, int n_threads))
// Adds potential, energy and force of the waves to `rows`; with virials instead component - 1 of
// each atom, (n_real, 6) in the caller's order.
MDKERN_KERNEL(waves_apply_compute,
              (const System&, const Waves&, const CoulombRows&, const double* coefficients,
               double* powers, int component, double* virials, int n_threads))
// Adds the rows to the results of a potential that has written its own.
MDKERN_KERNEL(coulomb_add_compute,
              (const System&, const CoulombRows&, const Outputs&, int n_threads))

// One evaluation in steps, and its memory, reused from step to step.
class Coulomb {
public:
    // (n_real) by row: the charges as the model gives them, to be written before begin().
    double* raw(std::int64_t n_real);
    // Charges less their mean, and what they feel, from the table's rows and a list of its pairs.
    void begin(const CoulombParams&, const Table&, const Neighbors&, int n_threads);
    // dE/d(raw charge) by row.
    const double* slope() const { return slope_.data(); }
    // Adds energies, forces and virials to those of the rest of the model.
    void finish(const Table&, const Outputs&, int n_threads);
    const double* charges() const { return charge_.data(); }  // by row

private:
    void make_waves(double r_cut, const double* cell);
    CoulombRows rows() { return {charge_.data(), rows_.data()}; }

    // value of each of n rows less the mean over the atoms of all processes.
    void subtract_mean(const Table&, std::int64_t n, std::int64_t stride, const double* values,
                       double* differences);

    bool waved_ = false;
    double n_everywhere_ = 0.0;  // atoms of all processes
    double seen_[10] = {};       // cell and cutoff of the waves
    Waves waves_;
    std::vector<std::int32_t> line_;
    std::vector<std::int64_t> first_;
    std::vector<double> weight_;
    Buffer<double> raw_, charge_, slope_, rows_, powers_, sums_, coefficients_, totals_;
};

}  // namespace mdkern
