// The one place where kernels open OpenMP regions.
#pragma once

#include <sched.h>

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

// body(k) for k in [0, n), k only after the body of all before[first[k]] ... before[first[k + 1] -
// 1], which are lower. Threads take the next k in order; where those before it were taken long ago,
// nobody waits, and there is no barrier until the end. `done` is scratch, (n).
template <class Body>
inline void parallel_ordered(std::int64_t n, int n_threads, const std::int32_t* first,
                             const std::int32_t* before, std::int32_t* done, const Body& body) {
    if (n_threads <= 1) {
        for (std::int64_t k = 0; k < n; ++k) body(k);
        return;
    }
    for (std::int64_t k = 0; k < n; ++k) done[k] = 0;
    std::int64_t next = 0;
#pragma omp parallel num_threads(n_threads)
    for (;;) {
        const std::int64_t k = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        if (k >= n) break;
        for (std::int32_t b = first[k]; b < first[k + 1]; ++b)
            for (int spins = 0; !__atomic_load_n(&done[before[b]], __ATOMIC_ACQUIRE);)
                if (++spins > 1000) sched_yield();  // its thread may be waiting for this CPU
        body(k);
        __atomic_store_n(&done[k], 1, __ATOMIC_RELEASE);
    }
}

// The same with the number of the thread, for scratch: body(k, thread), thread < n_threads.
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
