// The descriptor se_e2_a; formulas in se_a.hpp. Include from kernels only.
//
// Per neighbor and channel: with tables 5 + 4 FMA forward, 9 + 8 back; lanes are channels, sums of
// four components stay in registers, six coefficients come from memory. Neighbors are taken in the
// order of their steps, so that those of one step find its coefficients in the L1 cache. Exact nets
// work on kDeepChunk neighbors at a time.
#pragma once

#include "nn/embedding.hpp"
#include "potentials/deepmd/environment_kernel.hpp"
#include "potentials/deepmd/outer_product_kernel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Neighbors of a run that a table covers.
template <class T> struct Placed {
    int n;
    const std::int32_t *member, *step;
    const T* u;
};

// Sorts neighbors [begin, end) into those that the table covers, in the order of their steps, and
// the others behind them. Returns the number of the former.
template <class T> int place_in_table(const QuinticTable<T>& table, int begin, int end, const T* x,
                                      std::int32_t* member, std::int32_t* step, T* u) {
    int n = begin, outside = end;
    for (int l = begin; l < end; ++l) {
        const double at = (double(x[4 * l]) - table.lower) * table.inverse_step;
        if (!(at >= 0.0 && at < double(table.n_steps))) {
            member[--outside] = l;
            continue;
        }
        const std::int32_t k = std::int32_t(at);
        int to = n++;
        for (; to > begin && step[to - 1] > k; --to) {
            step[to] = step[to - 1];
            member[to] = member[to - 1];
            u[to] = u[to - 1];
        }
        step[to] = k;
        member[to] = l;
        u[to] = T(at - double(k));
    }
    return n - begin;
}

// t[c][channel] += sum_l G X_c for kVecs vectors of channels.
template <class T, int kVecs>
[[gnu::noinline]] void table_sums(const QuinticTable<T>& table, const Placed<T>& s, const T* x,
                                  int vec, T* t, int ld) {
    using V = simd::Vec<T>;
    V sum[kVecs][4];
#pragma GCC unroll 5
    for (int v = 0; v < kVecs; ++v)
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) sum[v][c] = simd::load(t + c * ld + (vec + v) * V::width);
    const std::int64_t stride = std::int64_t(table.n_blocks) * 6 * kLine<T>;
    for (int k = 0; k < s.n; ++k) {
        const T *c = table.c + s.step[k] * stride, *xl = x + 4 * s.member[k];
        const V u = s.u[k], x0 = xl[0], x1 = xl[1], x2 = xl[2], x3 = xl[3];
#pragma GCC unroll 5
        for (int v = 0; v < kVecs; ++v) {
            const T* a = c + table_place<T>(vec + v);
            V g = simd::load(a + 5 * kLine<T>);
#pragma GCC unroll 5
            for (int q = 4; q >= 0; --q) g = simd::fma(g, u, simd::load(a + q * kLine<T>));
            sum[v][0] = simd::fma(g, x0, sum[v][0]);
            sum[v][1] = simd::fma(g, x1, sum[v][1]);
            sum[v][2] = simd::fma(g, x2, sum[v][2]);
            sum[v][3] = simd::fma(g, x3, sum[v][3]);
        }
    }
#pragma GCC unroll 5
    for (int v = 0; v < kVecs; ++v)
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) simd::store(t + c * ld + (vec + v) * V::width, sum[v][c]);
}

// Sums that fill the registers: with 32 of them five vectors of channels, with 16 two.
template <class T> constexpr int kTableVecs = sizeof(simd::Vec<T>) >= 64 ? 5 : 2;

template <class T> void table_values(const QuinticTable<T>& table, const Placed<T>& s, const T* x,
                                     T* t, int ld) {
    const int vecs = table.n_blocks * kLine<T> / simd::Vec<T>::width,
              parts = (vecs + kTableVecs<T> - 1) / kTableVecs<T>;
    for (int part = 0, v = 0; part < parts; ++part) {
        const int size = (vecs - v + parts - part - 1) / (parts - part);
        if constexpr (kTableVecs<T> == 5) {
            if (size == 5) table_sums<T, 5>(table, s, x, v, t, ld);
            if (size == 4) table_sums<T, 4>(table, s, x, v, t, ld);
            if (size == 3) table_sums<T, 3>(table, s, x, v, t, ld);
        }
        if (size == 2) table_sums<T, 2>(table, s, x, v, t, ld);
        if (size == 1) table_sums<T, 1>(table, s, x, v, t, ld);
        v += size;
    }
}

// dE/dX of one neighbor from sums over channels: a_c = sum G dE/dT_c, b_c = sum dG/dX_0 dE/dT_c.
template <class T>
[[gnu::always_inline]] inline void store_gradient(const simd::Vec<T>* a, const simd::Vec<T>* b,
                                                  const T* x, double scale, double* gx) {
    T g[4], h[4];
    simd::store_sums4(g, a[0], a[1], a[2], a[3]);
    simd::store_sums4(h, b[0], b[1], b[2], b[3]);
    double along = 0.0;
    for (int c = 0; c < 4; ++c) {
        gx[c] = double(g[c]);
        along += double(h[c]) * double(x[c]);
    }
    gx[0] += scale * along;
}

template <class T> [[gnu::noinline]] void table_gradient(const QuinticTable<T>& table,
                                                         const Placed<T>& s, const T* x,
                                                         const T* gt_c, int ld, double* gx) {
    using V = simd::Vec<T>;
    const int vecs = table.n_blocks * kLine<T> / V::width;
    const std::int64_t stride = std::int64_t(table.n_blocks) * 6 * kLine<T>;
    for (int k = 0; k < s.n; ++k) {
        const int l = s.member[k];
        const T* c = table.c + s.step[k] * stride;
        const V u = s.u[k];
        V a[4], b[4];
        for (int q = 0; q < 4; ++q) a[q] = b[q] = V(T(0));
        for (int v = 0; v < vecs; ++v) {
            const T* gt = gt_c + v * V::width;
            V g, d;
            table_jet<T>(c + table_place<T>(v), u, g, d);
#pragma GCC unroll 4
            for (int q = 0; q < 4; ++q) {
                const V w = simd::load(gt + q * ld);
                a[q] = simd::fma(g, w, a[q]);
                b[q] = simd::fma(d, w, b[q]);
            }
        }
        store_gradient<T>(a, b, x + 4 * l, table.inverse_step, gx + 4 * l);
    }
}

// The same with the net itself, for up to kDeepChunk rows of X.
template <class T>
void net_values(const Net<T>& net, const SeAScratch<T>& s, int n, const T* x, T* t, int ld) {
    using V = simd::Vec<T>;
    net_forward(net, n, Matrix<const T>{x, 4}, s.tape);
    const T* g = s.tape.y[net.n_layers - 1];
    for (int v = 0; v < net.n_out(); v += V::width) {
        V sum[4];
        for (int c = 0; c < 4; ++c) sum[c] = simd::load(t + c * ld + v);
        for (int l = 0; l < n; ++l) {
            const V value = simd::load(g + l * std::int64_t(ld) + v);
            for (int c = 0; c < 4; ++c) sum[c] = simd::fma(value, V(x[4 * l + c]), sum[c]);
        }
        for (int c = 0; c < 4; ++c) simd::store(t + c * ld + v, sum[c]);
    }
}

// gx(l): where dE/dX of row l goes.
template <class T, class Place>
void net_gradient(const Net<T>& net, const SeAScratch<T>& s, int n, const T* x, int ld,
                  const T* zeros, const Place& gx) {
    using V = simd::Vec<T>;
    const T one = T(1);
    net_forward(net, n, Matrix<const T>{x, 4}, s.tape);
    const T *values = s.tape.y[net.n_layers - 1],
            *slopes = net_tangent(net, n, Matrix<const T>{&one, 0}, s.tape, zeros);
    for (int l = 0; l < n; ++l) {
        const T *g = values + l * std::int64_t(ld), *d = slopes + l * std::int64_t(ld);
        V a[4], b[4];
        for (int q = 0; q < 4; ++q) a[q] = b[q] = V(T(0));
        for (int v = 0; v < net.n_out(); v += V::width)
            for (int q = 0; q < 4; ++q) {
                const V w = simd::load(s.gt + q * ld + v);
                a[q] = simd::fma(simd::load(g + v), w, a[q]);
                b[q] = simd::fma(simd::load(d + v), w, b[q]);
            }
        store_gradient<T>(a, b, x + 4 * l, 1.0, gx(l));
    }
}

// Rows of X that go through the net of a run: all, or those that its table does not cover, copied.
// The others are placed in the table.
template <class T> struct SeARows {
    const T* rows;
    int n;
    const std::int32_t* place;  // neighbor of each row, where they are copies
};
template <class T> SeARows<T> exact_rows(const SeAScratch<T>& s, int k, const DeepRun& run,
                                         int inside, bool tables) {
    const std::int64_t at = k * s.env.room;
    const T* x = s.env.x + 4 * at;
    if (!tables) return {x + 4 * run.begin, run.end - run.begin, nullptr};
    const std::int32_t* outside = s.member + at + run.begin + inside;
    const int n = run.end - run.begin - inside;
    for (int l = 0; l < n; ++l)
        for (int c = 0; c < 4; ++c) s.outside[4 * l + c] = x[4 * outside[l] + c];
    return {s.outside, n, outside};
}
template <class T> Placed<T> placed(const SeAScratch<T>& s, int k, const DeepRun& run, int inside) {
    const std::int64_t at = k * s.env.room + run.begin;
    return {inside, s.member + at, s.step + at, s.u + at};
}

template <class T> void se_a_values(const SeA<T>& p, const DeepBlock<T>& block, SeAScratch<T>& s,
                                    int column) {
    using V = simd::Vec<T>;
    const int ld = padded(p.n_channels), n_types = p.env.n_types;
    const V scale = T(1.0 / p.env.n_slots);
    for (int k = 0; k < block.n; ++k) {
        environment(p.env, block, s.env, k);
        T* t = s.t + std::int64_t(k) * 4 * ld;
        for (int m = 0; m < 4 * ld; m += V::width) simd::store(t + m, V(T(0)));
        const std::int64_t at = k * s.env.room;
        const T* x = s.env.x + 4 * at;
        for (int r = 0; r < n_types; ++r) {
            const DeepRun& run = s.env.runs[k * std::int64_t(n_types) + r];
            const int net = p.net_of(block.type, run.type);
            if (run.empty > 0) {
                const T* pad = p.padding + std::int64_t(block.type * n_types + run.type) * ld;
                const V times = T(run.empty);
                for (int m = 0; m < ld; m += V::width)
                    simd::store(t + m, simd::fma(times, simd::load(pad + m), simd::load(t + m)));
            }
            std::int32_t& inside = s.inside[k * std::int64_t(n_types) + r];
            if (p.tables) {
                inside = place_in_table(p.tables[net], run.begin, run.end, x, s.member + at,
                                        s.step + at, s.u + at);
                table_values(p.tables[net], placed(s, k, run, inside), x, t, ld);
            }
            const SeARows<T> exact = exact_rows(s, k, run, inside, p.tables != nullptr);
            for (int l = 0; l < exact.n; l += kDeepChunk)
                net_values(p.nets[net], s, exact.n - l < kDeepChunk ? exact.n - l : kDeepChunk,
                           exact.rows + 4 * l, t, ld);
        }
        for (int m = 0; m < 4 * ld; m += V::width) simd::store(t + m, simd::load(t + m) * scale);
        outer_product(t, ld, p.n_channels, p.outer, block.x.row(k) + column);
    }
}

template <class T> void se_a_gradient(const SeA<T>& p, const DeepBlock<T>& block, SeAScratch<T>& s,
                                      int column) {
    const int ld = padded(p.n_channels), n_types = p.env.n_types;
    for (int k = 0; k < block.n; ++k) {
        outer_product_gradient(s.t + std::int64_t(k) * 4 * ld, ld, p.n_channels, p.outer,
                               block.x.row(k) + column, T(1.0 / p.env.n_slots), s.gt);
        const T* x = s.env.x + 4 * (k * s.env.room);
        for (int r = 0; r < n_types; ++r) {
            const DeepRun& run = s.env.runs[k * std::int64_t(n_types) + r];
            const int net = p.net_of(block.type, run.type),
                      inside = s.inside[k * std::int64_t(n_types) + r];
            if (p.tables)
                table_gradient(p.tables[net], placed(s, k, run, inside), x, s.gt, ld, s.env.gx);
            const SeARows<T> exact = exact_rows(s, k, run, inside, p.tables != nullptr);
            for (int l = 0; l < exact.n; l += kDeepChunk)
                net_gradient(p.nets[net], s, exact.n - l < kDeepChunk ? exact.n - l : kDeepChunk,
                             exact.rows + 4 * l, ld, block.zeros, [&](int i) {
                                 const int to =
                                     exact.place ? exact.place[l + i] : run.begin + l + i;
                                 return s.env.gx + 4 * to;
                             });
            add_gradients(p.env, block, s.env, k, run.begin, run.end);
        }
        block.sink.finish_centre(block.row[k]);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
