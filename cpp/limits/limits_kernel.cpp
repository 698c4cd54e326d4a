#include "limits/limits.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

template <class T> double fma_chains(std::int64_t rounds, T start) {
    using V = simd::Vec<T>;
    const V a = T(kFmaFactor), b = T(1) - T(kFmaFactor);
    V x[kFmaChains];
    for (int k = 0; k < kFmaChains; ++k) x[k] = start + T(k);
    for (std::int64_t r = 0; r < rounds; ++r)
        for (int k = 0; k < kFmaChains; ++k) x[k] = simd::fma(x[k], a, b);
    V total = T(0);
    for (int k = 0; k < kFmaChains; ++k) total = total + x[k];
    return double(simd::sum(total)) / (V::width * kFmaChains);
}

using V = simd::Vec<double>;
constexpr int kUnroll = 8;  // vectors in flight: the latency of additions must not show

double read(const double* a, std::int64_t n) {
    V x[kUnroll];
    for (int k = 0; k < kUnroll; ++k) x[k] = 0.0;
    std::int64_t i = 0;
    for (; i + kUnroll * V::width <= n; i += kUnroll * V::width)
        for (int k = 0; k < kUnroll; ++k) x[k] = x[k] + simd::load(a + i + k * V::width);
    for (; i < n; i += V::width) x[0] = x[0] + simd::load(a + i, simd::first_n<double>(n - i));
    for (int k = 1; k < kUnroll; ++k) x[0] = x[0] + x[k];
    return simd::sum(x[0]);
}

template <StreamOp kOp>
void write(double* a, const double* b, const double* c, V s, std::int64_t n) {
    auto value = [&](std::int64_t i, auto... mask) {
        if constexpr (kOp == StreamOp::copy) return simd::load(b + i, mask...);
        if constexpr (kOp == StreamOp::triad)
            return simd::fma(s, simd::load(c + i, mask...), simd::load(b + i, mask...));
        return s;
    };
    std::int64_t i = 0;
    for (; i + V::width <= n; i += V::width) simd::store(a + i, value(i));
    const auto rest = simd::first_n<double>(n - i);
    simd::store(a + i, value(i, rest), rest);
}

void stream(const StreamTask& t, std::int64_t thread, int n_threads) {
    // Parts begin on cache lines.
    const std::int64_t lines = (t.n + 7) / 8;
    const std::int64_t begin = 8 * (lines * thread / n_threads);
    const std::int64_t last = 8 * (lines * (thread + 1) / n_threads);
    const std::int64_t n = (last < t.n ? last : t.n) - begin;
    double *a = t.a + begin, total = 0.0;
    const double *b = t.b + begin, *c = t.c + begin;
    for (std::int64_t r = 0; r < t.repeats; ++r) {
        if (t.op == StreamOp::write)
            write<StreamOp::write>(a, b, c, t.s, n);
        else if (t.op == StreamOp::copy)
            write<StreamOp::copy>(a, b, c, t.s, n);
        else if (t.op == StreamOp::triad)
            write<StreamOp::triad>(a, b, c, t.s, n);
        else
            total = read(a, n);
#if defined(__GNUC__)
        asm volatile("" : : "r"(a), "r"(&total) : "memory");  // repeats must not be merged
#endif
    }
    t.sums[thread] = total;
}

}  // namespace

void limits_fma_compute(bool single_precision, std::int64_t rounds, double start, int n_threads,
                        double* sums, int* lanes) {
    *lanes = single_precision ? simd::Vec<float>::width : simd::Vec<double>::width;
    parallel_for(n_threads, n_threads, 0, [&](std::int64_t t) {
        sums[t] = single_precision ? fma_chains<float>(rounds, float(start))
                                   : fma_chains<double>(rounds, start);
    });
}

void limits_stream_compute(const StreamTask& task, int n_threads) {
    parallel_for(n_threads, n_threads, 0, [&](std::int64_t t) { stream(task, t, n_threads); });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
