// What this machine can do at best, as HPL (multiply-adds) and STREAM (memory) would find it: the
// limits that benchmarks measure kernels against. The kernels only work; the caller takes the time.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

// Every thread runs `rounds` rounds of kFmaChains independent recurrences x <- x a + b of full
// vectors, in registers. From x = start they go to the fixed point b / (1 - a) = 1, no overflow,
// and the result tells that the rounds were run. sums[t]: mean over lanes and chains of thread t.
// Operations: 2 x rounds x kFmaChains x lanes x threads.
constexpr int kFmaChains = 12;             // latency 4 x 2 units needs 8; AVX2 has registers for 14
constexpr double kFmaFactor = 1.0 - 1e-4;  // a
MDKERN_KERNEL(limits_fma_compute, (bool single_precision, std::int64_t rounds, double start,
                                   int n_threads, double* sums, int* lanes))

enum class StreamOp : int {
    write = 0,  // a[i] = s                 8 bytes an element, as STREAM counts
    copy = 1,   // a[i] = b[i]             16
    triad = 2,  // a[i] = b[i] + s c[i]    24
    read = 3,   // sum of a[i]              8
};

// Thread t works on its contiguous part of the arrays, `repeats` times over: parts that fit into a
// cache show its bandwidth. sums[t]: of what the thread read (read), else zero. Plain stores, as in
// the kernels.
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
