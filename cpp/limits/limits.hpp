// What this machine can do at best, as HPL (multiply-adds) and STREAM (memory) would find it: the
// limits that benchmarks measure kernels against. The kernels only work; the caller takes the time
// and counts.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

// Every thread runs `rounds` rounds of kFmaChains independent recurrences x <- x a + b of full
// vectors, in registers. From x = start they go to the fixed point b / (1 - a) = 1 without
// overflow, and the result tells whether all rounds were run. sums[t]: mean over the lanes and
// chains of thread t. Operations: 2 x rounds x kFmaChains x lanes x threads.
constexpr int kFmaChains = 12;              // latency 4 x 2 units needs 8; more than 14 do not fit into AVX2's registers
constexpr double kFmaFactor = 1.0 - 1e-4;   // a
MDKERN_KERNEL(limits_fma_compute, (bool single_precision, std::int64_t rounds, double start, int
n_threads, double* sums, int* lanes))

enum class StreamOp : int {
    write = 0,  // a[i] = s                 8 bytes an element, as STREAM counts: what the program asks for
    copy = 1,   // a[i] = b[i]             16
    triad = 2,  // a[i] = b[i] + s c[i]    24
    read = 3,   // sum of a[i]              8
};

// Thread t works on its contiguous part of the arrays, `repeats` times over: with parts that fit
// into a cache, its bandwidth. sums[t]: of what the thread read last (read), else untouched. Plain
// stores, as the kernels use.
struct StreamTask {
    StreamOp op = StreamOp::write;
    double* a = nullptr;
    const double *b = nullptr, *c = nullptr;
    double s = 0.0;
    std::int64_t n = 0, repeats = 1;
    double* sums = nullptr;
};
MDKERN_KERNEL(limits_stream_compute, (const StreamTask&, int))

}  // namespace mdkern
