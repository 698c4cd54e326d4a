// The one place where kernels open OpenMP regions.
#pragma once

#include <cstdint>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace mdkern {
namespace MDKERN_ISA {

// body(k) for k in [0, n). One thread runs a plain loop: even an inactive region costs 0.1 us,
// which small systems feel. `chunk` iterations at a time go to whichever thread is free; 0 gives
// every thread one contiguous part. The body must not throw, and what it writes must not depend on
// who runs it.
template <class Body> inline void parallel_for(std::int64_t n, int n_threads, int chunk,
                                               const Body& body) {
    if (n_threads <= 1) {
        for (std::int64_t k = 0; k < n; ++k) body(k);
    } else if (chunk > 0) {
#pragma omp parallel for num_threads(n_threads) schedule(dynamic, chunk)
        for (std::int64_t k = 0; k < n; ++k) body(k);
    } else {
#pragma omp parallel for num_threads(n_threads) schedule(static)
        for (std::int64_t k = 0; k < n; ++k) body(k);
    }
}

// The same with body(k, thread), 0 <= thread < n_threads, for bodies with scratch per thread.
template <class Body> inline void parallel_for_thread(std::int64_t n, int n_threads, int chunk,
                                                      const Body& body) {
#if defined(_OPENMP)
    const auto numbered = [&](std::int64_t k) {
        body(k, n_threads > 1 ? omp_get_thread_num() : 0);
    };
#else
    const auto numbered = [&](std::int64_t k) { body(k, 0); };
#endif
    parallel_for(n, n_threads, chunk, numbered);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
