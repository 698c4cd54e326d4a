// Atom-centered symmetry functions in DScribe's conventions; formulas in
// src/mdkern/reference/acsf.py.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "descriptors/environments.hpp"

namespace mdkern {

constexpr int kAcsfTile = 128;  // triplets that are treated together

// Functions of triplets, G4 (closed: with the third side) or G5, each the product of a function of
// the distances, exp(-eta s), and one of the angle, (1 + lambda cos)^zeta. Every distinct one is
// computed once, as a power of an earlier one where that is possible. The factors 2^(1 - zeta) are
// applied to sums and weights.
struct AcsfAngular {
    int n = 0;
    const std::int32_t *eta_of = nullptr, *angle_of = nullptr;  // (n)
    const double* factor = nullptr;                             // (n) 2^(1 - zeta)
    int n_eta = 0, n_angle = 0, n_lambda = 0;
    const double* eta = nullptr;               // (n_eta)
    const std::int32_t* eta_power = nullptr;   // (n_eta, 2) earlier one and exponent; -1: by exp
    const double* zeta = nullptr;              // (n_angle)
    const std::int32_t* zeta_power = nullptr;  // (n_angle, 2) earlier one (-1: 1 + lambda cos) and
                                               // exponent; exponent 0: by exp and log
    const std::int32_t* lambda_of = nullptr;   // (n_angle)
    const double* lambda = nullptr;            // (n_lambda)
    int offset = 0;                            // of the first feature of a pair of species
};

struct AcsfParams {
    int n_species = 1;
    double cutoff = 0.0;
    const std::int32_t* group = nullptr;  // (n_species) 0, 1, ...
    int n2 = 0, n3 = 0;
    const double *g2 = nullptr, *g3 = nullptr;  // (n2, 2) eta, R_s; (n3) kappa
    AcsfAngular closed, open;
    std::int64_t n_features = 0;

    int n_radial() const { return 1 + n2 + n3; }
    // First feature of a pair of species, a >= b.
    std::int64_t pair_offset(int a, int b) const {
        return std::int64_t(n_species) * n_radial() +
               std::int64_t(a * (a + 1) / 2 + b) * (closed.n + open.n);
    }
};

// Doubles of working memory of one thread, for environments of at most `longest` neighbors.
std::int64_t acsf_scratch(const AcsfParams& p, std::int64_t longest, bool jacobian);

struct AcsfTask {
    Centers centers;
    double* scratch = nullptr;  // (threads, scratch_stride), 64-byte aligned
    std::int64_t scratch_stride = 0;
};
MDKERN_KERNEL(acsf_values_compute, (const AcsfParams&, const System&, const Neighbors&,
                                    const AcsfTask&, int, double*, float*))
// weights, weight_row and energies as for SOAP
struct AcsfVjpTask {
    const double* weights = nullptr;
    const std::int64_t* weight_row = nullptr;
    double* energies = nullptr;
    PairGradients out;
};
MDKERN_KERNEL(acsf_vjp_compute, (const AcsfParams&, const System&, const Neighbors&,
                                 const AcsfTask&, const AcsfVjpTask&, int))
struct AcsfJacobianTask {
    JacobianBlocks blocks;
    double* values = nullptr;
    float* values_single = nullptr;
    double* strain = nullptr;  // (n_centers, 9, n_features) instead
};
MDKERN_KERNEL(acsf_jacobian_compute, (const AcsfParams&, const System&, const Neighbors&,
                                      const AcsfTask&, const AcsfJacobianTask&, int))

}  // namespace mdkern
