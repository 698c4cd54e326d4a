// What descriptors of Deep Potential models have in common: the block of centres that they work on,
// and neighbors with their rows of the environment matrix. Include from kernels only.
//
// A descriptor NAME with parameters Name<T> has working memory and two functions:
//   NameScratch<T>::take(Arena&, const Name<T>&, largest)  pieces for up to `largest` neighbors
//   name_values(params, block, scratch, column)            writes its columns of x, from `column` on
//   name_gradient(params, block, scratch, column)          reads dE/dx there, adds the gradients of
//                                                          the neighbors to the block's sink
// deep_kernel.cpp calls them by DeepKind; the memory keeps its contents from one to the other.
#pragma once

#include "forces/gradient_sink.hpp"
#include "forces/near.hpp"
#include "math/cutoffs.hpp"
#include "nn/dense_net.hpp"
#include "potentials/deepmd/deep.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Up to kDeepBlock centres of one type.
template <class T> struct DeepBlock {
    const System& s;
    const Neighbors& list;
    const DeepWork& work;
    const T* zeros;
    int type, n;
    const std::int64_t* row;  // (n) centres
    Matrix<T> x;              // (n, ..) descriptors, then dE/dx
    GradientSink<double>& sink;
};

// stays[k] = 1 for the neighbors that have a slot: the nearest n_listed of all, of these the nearest
// sel of each type. Shell sort by distance: this is rare.
inline void select_nearest(const DeepEnv& env, int n, const double* r2, const double* species,
                           std::int32_t* order, std::int32_t* stays) {
    for (int k = 0; k < n; ++k) {
        order[k] = k;
        stays[k] = 0;
    }
    const auto before = [&](std::int32_t a, std::int32_t b) {
        return r2[a] < r2[b] || (r2[a] == r2[b] && a < b);
    };
    for (int gap = n / 2; gap > 0; gap /= 2)
        for (int k = gap; k < n; ++k) {
            const std::int32_t moving = order[k];
            int at = k;
            for (; at >= gap && before(moving, order[at - gap]); at -= gap)
                order[at] = order[at - gap];
            order[at] = moving;
        }
    std::int32_t used[kMaxSpecies];
    for (int t = 0; t < env.n_types; ++t) used[t] = 0;
    for (int k = 0; k < n && k < env.n_listed; ++k) {
        const int t = int(species[order[k]]);
        if (env.by_type && used[t] == env.sel[t]) continue;
        ++used[t];
        stays[order[k]] = 1;
    }
}

// Neighbors of centre k of the block within the cutoff, by type; selected where there are too many.
template <class T> int gather_neighbors(const DeepEnv& env, const DeepBlock<T>& block,
                                        DeepEnvScratch<T>& e, int k) {
    using V = simd::Vec<double>;
    const std::int64_t i = block.row[k], at = k * e.room;
    const V limit = env.r_cut * env.r_cut;
    const std::int32_t* begin = block.list.index + block.list.first[i];
    int n = gather_near(
        block.s.rows, i, begin, begin + block.list.count[i],
        [&](const Listed<double>& v) MDKERN_BODY { return v.r2 < limit; },
        [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t*, int to)
            MDKERN_BODY {
                v.keep_vectors(within, e.dx + at + to, e.dy + at + to, e.dz + at + to);
                simd::compress_store(e.r2 + to, v.r2, within);
                simd::compress_store(e.species + to, v.w, within);
                simd::compress_store(e.index + at + to, v.j, within);
            });
    DeepRun* runs = e.runs + std::int64_t(k) * env.n_types;
    const auto count = [&] {
        for (int t = 0; t < env.n_types; ++t) runs[t] = {t, 0, 0, env.by_type ? env.sel[t] : 0};
        for (int l = 0; l < n; ++l) ++runs[int(e.species[l])].end;
    };
    count();
    bool over = n > env.n_listed;
    for (int t = 0; t < env.n_types && env.by_type; ++t) over = over || runs[t].end > env.sel[t];
    if (over) {
        __atomic_store_n(block.work.overflow, 1, __ATOMIC_RELAXED);
        select_nearest(env, n, e.r2, e.species, e.order, e.stays);
        int kept = 0;
        for (int l = 0; l < n; ++l) {
            if (!e.stays[l]) continue;
            double* const arrays[] = {e.dx + at, e.dy + at, e.dz + at, e.r2, e.species};
            for (double* a : arrays) a[kept] = a[l];
            e.index[at + kept++] = e.index[at + l];
        }
        n = kept;
        count();
    }
    // Runs by type, in order; those of excluded and removed pairs are empty.
    const int centre = block.type * env.n_types;
    for (int t = 0, first = 0; t < env.n_types; ++t) {
        const int of_type = runs[t].end;
        const bool removed = env.removed && env.removed[centre + t],
                   excluded = env.excluded && env.excluded[centre + t];
        if (!removed) runs[t].empty -= of_type;
        runs[t].begin = first;
        runs[t].end = removed || excluded ? first : first + of_type;
        first += of_type;
    }
    for (int l = n; l < n + kPadLanes; ++l) {
        e.dx[at + l] = e.dy[at + l] = e.dz[at + l] = 0.0;
        e.r2[l] = 4.0 * env.r_cut * env.r_cut;
        e.index[at + l] = std::int32_t(i);
    }
    return n;
}

// Rows of the environment matrix of centre k. Lanes beyond the last neighbor act on nothing.
template <class T> void environment(const DeepEnv& env, const DeepBlock<T>& block,
                                    DeepEnvScratch<T>& e, int k) {
    using V = simd::Vec<double>;
    const int n = gather_neighbors(env, block, e, k);
    const std::int64_t at = k * e.room;
    const double* std4 = env.inverse_std + 4 * block.type;
    const V mean = env.mean[block.type], protection = env.protection, start = env.r_cut_smth,
            inverse = 1.0 / (env.r_cut - env.r_cut_smth);
    for (int l = 0; l < n; l += V::width) {
        const V r2 = simd::load(e.r2 + l), r = simd::sqrt(r2), one_r = V(1.0) / r,
                one_p = V(1.0) / (r + protection);
        const auto w = math::quintic_switch((r - start) * inverse);
        const V dw = w.derivative * inverse;
        const V s = w.value * one_p, q = s * one_p;
        simd::store(e.q + at + l, q);
        simd::store(e.ds + at + l, (dw - s) * one_p * one_r);
        simd::store(e.dq + at + l, (dw - s - s) * one_p * one_p * one_r);
        if (e.w) {
            simd::store(e.w + at + l, w.value);
            simd::store(e.dw + at + l, dw * one_r);
        }
        double row[4][V::width];
        simd::store(row[0], (s - mean) * V(std4[0]));
        simd::store(row[1], q * simd::load(e.dx + at + l) * V(std4[1]));
        simd::store(row[2], q * simd::load(e.dy + at + l) * V(std4[2]));
        simd::store(row[3], q * simd::load(e.dz + at + l) * V(std4[3]));
        T* x = e.x + 4 * (at + l);
        for (int v = 0; v < V::width; ++v)
            for (int c = 0; c < 4; ++c) x[4 * v + c] = T(row[c][v]);
    }
}

// Gradients of neighbors [begin, end) of centre k from dE/dX in e.gx. `slope`, where there is one,
// is more of dE/dr over r.
template <class T> void add_gradients(const DeepEnv& env, const DeepBlock<T>& block,
                                      DeepEnvScratch<T>& e, int k, int begin, int end,
                                      const double* slope = nullptr) {
    using V = simd::Vec<double>;
    const std::int64_t at = k * e.room;
    const double* std4 = env.inverse_std + 4 * block.type;
    const std::int32_t own = std::int32_t(block.row[k]);
    for (int l = begin; l < end; l += V::width) {
        const auto live = simd::first_n<double>(end - l);
        double g[4][V::width];
        std::int32_t index[V::width];
        for (int v = 0; v < V::width; ++v) {
            const bool on = l + v < end;
            for (int c = 0; c < 4; ++c) g[c][v] = on ? e.gx[4 * (l + v) + c] : 0.0;
            index[v] = on ? e.index[at + l + v] : own;
        }
        const V dx = simd::load(e.dx + at + l, live), dy = simd::load(e.dy + at + l, live),
                dz = simd::load(e.dz + at + l, live), q = simd::load(e.q + at + l, live);
        const V g0 = simd::load(g[0]) * V(std4[0]), gx = simd::load(g[1]) * V(std4[1]),
                gy = simd::load(g[2]) * V(std4[2]), gz = simd::load(g[3]) * V(std4[3]);
        const V along = simd::fma(gx, dx, simd::fma(gy, dy, gz * dz));
        V f =
            simd::fma(g0, simd::load(e.ds + at + l, live), along * simd::load(e.dq + at + l, live));
        if (slope) f = f + simd::load(slope + l, live);
        block.sink.add(index, dx, dy, dz, simd::fma(f, dx, gx * q), simd::fma(f, dy, gy * q),
                       simd::fma(f, dz, gz * q));
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
