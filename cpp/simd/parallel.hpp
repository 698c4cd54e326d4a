// Parallel loops. Results must not depend on which thread runs an iteration, nor on how many
// threads there are.
#pragma once

#include <cstdint>

#include "core/team.hpp"

namespace mdkern {
#if defined(MDKERN_ISA)  // in a kernel; other sources have a copy of their own
namespace MDKERN_ISA {
#endif

// body(thread) on the threads of a team: each takes its parts of the work from counters that all
// share. One thread runs it without more ado.
template <class Body> inline void on_team(int n_threads, const Body& body) {
    if (n_threads <= 1) return body(0);
    struct Call {
        static void run(void* context, int thread) { (*static_cast<const Body*>(context))(thread); }
    };
    team_run(n_threads, &Call::run, const_cast<void*>(static_cast<const void*>(&body)));
}

// The iterations of a loop, dealt to threads: each begins with a contiguous part of its own, the
// same one in every loop, so that it finds in its cache what it wrote there before; who is done
// takes from the others.
class Shares {
public:
    static constexpr int kMost = 64;

    Shares(std::int64_t n, int n_threads, std::int64_t chunk_size)
        : n_shares(n_threads < kMost ? n_threads : kMost), chunk(chunk_size) {
        for (int s = 0; s < n_shares; ++s) {
            share[s].next = n * s / n_shares;
            share[s].end = n * (s + 1) / n_shares;
        }
    }
    template <class Body> void take(int thread, const Body& body) {
        for (int o = 0; o < n_shares; ++o) {
            Share& mine = share[(thread + o) % n_shares];
            for (;;) {
                // A look first: what is empty is not written.
                if (__atomic_load_n(&mine.next, __ATOMIC_RELAXED) >= mine.end) break;
                const std::int64_t begin = __atomic_fetch_add(&mine.next, chunk, __ATOMIC_RELAXED);
                const std::int64_t end = begin + chunk < mine.end ? begin + chunk : mine.end;
                for (std::int64_t k = begin; k < end; ++k) body(k);
            }
        }
    }

private:
    struct alignas(64) Share {
        std::int64_t next, end;
    };
    Share share[kMost];
    const int n_shares;
    const std::int64_t chunk;
};

// body(k, thread) for k in [0, n); thread < n_threads says whose scratch may be used. Threads take
// `chunk` iterations at a time, or with 0 so many that each takes several times. The body must not
// throw, and what it writes must not depend on who runs it.
template <class Body> inline void parallel_for_thread(std::int64_t n, int n_threads, int chunk,
                                                      const Body& body) {
    if (n_threads > n) n_threads = int(n);
    if (n_threads <= 1) {
        for (std::int64_t k = 0; k < n; ++k) body(k, 0);
        return;
    }
    constexpr int kParts = 8;  // of a thread's share
    const std::int64_t some = n / (kParts * std::int64_t(n_threads));
    Shares shares(n, n_threads, chunk > 0 ? chunk : some > 0 ? some : 1);
    on_team(n_threads,
            [&](int thread) { shares.take(thread, [&](std::int64_t k) { body(k, thread); }); });
}

template <class Body> inline void parallel_for(std::int64_t n, int n_threads, int chunk,
                                               const Body& body) {
    parallel_for_thread(n, n_threads, chunk, [&](std::int64_t k, int) { body(k); });
}

// body(k) for k in [0, n), each after those that `before` has for it from first[k] up to, and without,
// first[k + 1]; these are lower than k. Threads take the next k in order; where those before it were taken long ago,
// nobody waits. `done` is scratch, (n).
template <class Body>
inline void parallel_ordered(std::int64_t n, int n_threads, const std::int32_t* first,
                             const std::int32_t* before, std::int32_t* done, const Body& body) {
    if (n_threads <= 1) {
        for (std::int64_t k = 0; k < n; ++k) body(k);
        return;
    }
    for (std::int64_t k = 0; k < n; ++k) done[k] = 0;
    std::int64_t next = 0;
    on_team(n_threads, [&](int) {
        for (;;) {
            const std::int64_t k = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (k >= n) break;
            for (std::int32_t b = first[k]; b < first[k + 1]; ++b)
                for (std::int64_t looks = -1000;
                     !__atomic_load_n(&done[before[b]], __ATOMIC_ACQUIRE); ++looks)
                    if (looks >= 0) team_wait(looks);  // its thread may be waiting for this CPU
            body(k);
            __atomic_store_n(&done[k], 1, __ATOMIC_RELEASE);
        }
    });
}

#if defined(MDKERN_ISA)
}  // namespace MDKERN_ISA
#endif
}  // namespace mdkern
