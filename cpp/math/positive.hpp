// Dense positive definite matrices of some hundred rows.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"

namespace mdkern {

// Solves a x = b by Cholesky's factors; a (n, n), symmetric, row by row. positive = false, and x is
// undefined: `a` is not positive definite. `factors` is scratch, (n, n).
struct PositiveTask {
    std::int64_t n = 0;
    const double *a = nullptr, *b = nullptr;
    double *x = nullptr, *factors = nullptr;
    bool* positive = nullptr;
};
MDKERN_KERNEL(solve_positive_compute, (const PositiveTask&, int))

}  // namespace mdkern
