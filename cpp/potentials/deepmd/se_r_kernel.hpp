// The descriptor se_e2_r; formulas in se_r.hpp. Include from kernels only.
#pragma once

#include "nn/embedding.hpp"
#include "potentials/deepmd/environment_kernel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// x[m] += times row[m].
template <class T> void add_times(T* x, int n, double times, const T* row) {
    using V = simd::Vec<T>;
    for (int m = 0; m < n; m += V::width) {
        const auto live = simd::first_n<T>(n - m);
        simd::store(x + m,
                    simd::fma(V(T(times)), simd::load(row + m, live), simd::load(x + m, live)),
                    live);
    }
}

template <class T> void se_r_values(const SeR<T>& p, const DeepBlock<T>& block, SeRScratch<T>& s,
                                    int column) {
    using V = simd::Vec<T>;
    const int n_types = p.env.n_types, n = p.n_channels, ld = padded(n);
    for (int k = 0; k < block.n; ++k) {
        environment(p.env, block, s.env, k);
        T* x = block.x.row(k) + column;
        for (int m = 0; m < n; ++m) x[m] = T(0);
        const T* rows = s.env.x + 4 * (k * s.env.room);
        for (int r = 0; r < n_types; ++r) {
            const DeepRun& run = s.env.runs[k * std::int64_t(n_types) + r];
            const int excluded = p.env.sel[run.type] - run.empty - (run.end - run.begin);
            add_times(x, n, run.empty,
                      p.padding + (block.type * n_types + run.type) * std::int64_t(ld));
            add_times(x, n, excluded, p.at_zero + run.type * std::int64_t(ld));
            const Net<T>& net = p.nets[run.type];
            for (int l = run.begin; l < run.end; l += kDeepChunk) {
                const int part = run.end - l < kDeepChunk ? run.end - l : kDeepChunk;
                const auto g =
                    embed_rows(net, p.table(run.type), part, Matrix<const T>{rows + 4 * l, 4},
                               s.tape, block.zeros, false);
                for (int i = 0; i < part; ++i)
                    add_times(x, n, 1.0, g.values + i * std::int64_t(ld));
            }
        }
        const V scale = T(0.2 / p.env.n_slots);
        for (int m = 0; m < n; m += V::width) {
            const auto live = simd::first_n<T>(n - m);
            simd::store(x + m, scale * simd::load(x + m, live), live);
        }
    }
}

template <class T> void se_r_gradient(const SeR<T>& p, const DeepBlock<T>& block, SeRScratch<T>& s,
                                      int column) {
    using V = simd::Vec<T>;
    const int n_types = p.env.n_types, n = p.n_channels, ld = padded(n);
    const double scale = 0.2 / p.env.n_slots;
    for (int k = 0; k < block.n; ++k) {
        const T *g = block.x.row(k) + column, *rows = s.env.x + 4 * (k * s.env.room);
        for (int r = 0; r < n_types; ++r) {
            const DeepRun& run = s.env.runs[k * std::int64_t(n_types) + r];
            const Net<T>& net = p.nets[run.type];
            for (int l = run.begin; l < run.end; l += kDeepChunk) {
                const int part = run.end - l < kDeepChunk ? run.end - l : kDeepChunk;
                const T* slopes =
                    embed_rows(net, p.table(run.type), part, Matrix<const T>{rows + 4 * l, 4},
                               s.tape, block.zeros, true)
                        .slopes;
                for (int i = 0; i < part; ++i) {
                    V sum = T(0);
                    for (int m = 0; m < n; m += V::width) {
                        const auto live = simd::first_n<T>(n - m);
                        sum = simd::fma(simd::load(slopes + i * std::int64_t(ld) + m, live),
                                        simd::load(g + m, live), sum);
                    }
                    double* gx = s.env.gx + 4 * (l + i);
                    gx[0] = scale * double(simd::sum(sum));
                    gx[1] = gx[2] = gx[3] = 0.0;
                }
            }
            add_gradients(p.env, block, s.env, k, run.begin, run.end);
        }
        block.sink.finish_centre(block.row[k]);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
