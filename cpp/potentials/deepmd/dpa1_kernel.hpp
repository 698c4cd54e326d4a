// The descriptor dpa1 (se_atten); formulas in dpa1.hpp. Include from kernels only.
//
// G of all neighbors of a centre is kept, (n, channels), since attention mixes them; the gradient
// makes it again instead of keeping that of a whole block of centres. Embedding nets work on
// kDeepChunk neighbors of one type at a time.
#pragma once

#include "nn/embedding.hpp"
#include "potentials/deepmd/attention_kernel.hpp"
#include "potentials/deepmd/environment_kernel.hpp"
#include "potentials/deepmd/outer_product_kernel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> const DeepRun* runs_of(const Dpa1<T>& p, const Dpa1Scratch<T>& s, int k) {
    return s.env.runs + std::int64_t(k) * p.env.n_types;
}

// 1 / |u|, as DeePMD-kit limits it.
inline double inverse_length(const double* u) {
    const simd::Vec<double> r2 = u[0] * u[0] + u[1] * u[1] + u[2] * u[2];
    double lanes[simd::Vec<double>::width];
    simd::store(lanes,
                simd::Vec<double>(1.0) / simd::max(simd::sqrt(r2), simd::Vec<double>(1e-12)));
    return lanes[0];
}

// Adds to dE/dX what comes from the direction of neighbor i, u = X / |X|: (gu - u (u . gu)) / |X|.
template <class T>
void add_direction(const Dpa1Scratch<T>& s, const T* x, int i, int room, double* gx) {
    const double d[3] = {double(x[1]), double(x[2]), double(x[3])}, inverse = inverse_length(d);
    double along = 0.0;
    for (int c = 0; c < 3; ++c)
        along += double(s.unit[c * room + i]) * double(s.gunit[c * room + i]);
    for (int c = 0; c < 3; ++c)
        gx[1 + c] +=
            inverse * (double(s.gunit[c * room + i]) - double(s.unit[c * room + i]) * along);
}

// G of neighbors [first, first + n) of type `type`, rows from `to` on; their derivatives too.
template <class T> void embed_chunk(const Dpa1<T>& p, const DeepBlock<T>& block,
                                    const Dpa1Scratch<T>& s, int k, int type, int first, int n,
                                    int to, bool derivatives) {
    using V = simd::Vec<T>;
    const int ld = padded(p.n_channels), n_in = padded(1 + p.n_constants);
    const std::int64_t pair = block.type * p.env.n_types + type, at = k * s.env.room + first;
    for (int i = 0; i < n; ++i) {
        T* row = s.input + i * std::int64_t(n_in);
        row[0] = s.env.x[4 * (at + i)];
        for (int c = 0; c < p.n_constants; ++c) row[1 + c] = p.constants[pair * p.n_constants + c];
    }
    const Embedded<T> embedded =
        embed_rows(p.net, p.table(block.type, type), n, Matrix<const T>{s.input, n_in}, s.tape,
                   block.zeros, derivatives, s.direction);
    const T *values = embedded.values, *slopes = embedded.slopes;
    for (int i = 0; i < n; ++i) {
        const std::int64_t from = i * std::int64_t(ld), row = (to + i) * std::int64_t(ld);
        const V w = p.smooth ? T(s.env.w[at + i]) : T(1);
        for (int m = 0; m < p.n_channels; m += V::width) {
            const V g = simd::load(values + from + m);
            const V f = p.factor ? simd::load(p.factor + pair * ld + m) : V(T(0));
            const V times = simd::fma(w, f, V(T(1)));
            simd::store(s.g[0] + row + m, g * times);
            if (!derivatives) continue;
            simd::store(s.slope + row + m, simd::load(slopes + from + m) * times);
            simd::store(s.bend + row + m, g * f);
        }
    }
}

// G behind all layers for the neighbors of centre k, with members, switches and directions. Returns
// their number.
template <class T> int embed(const Dpa1<T>& p, const DeepBlock<T>& block, const Dpa1Scratch<T>& s,
                             int k, bool derivatives) {
    const std::int64_t at = k * s.env.room;
    for (int c = 0; c < padded(1 + p.n_constants); ++c) s.direction[c] = T(c == 0);
    int n = 0;
    for (int r = 0; r < p.env.n_types; ++r) {
        const DeepRun& run = runs_of(p, s, k)[r];
        for (int l = run.begin; l < run.end; l += kDeepChunk) {
            const int part = run.end - l < kDeepChunk ? run.end - l : kDeepChunk;
            embed_chunk(p, block, s, k, run.type, l, part, n, derivatives);
            for (int i = 0; i < part; ++i) s.member[n + i] = l + i;
            n += part;
        }
    }
    const int room = int(s.env.room);
    for (int i = 0; i < room; ++i) s.w[i] = i < n ? T(s.env.w[at + s.member[i]]) : T(0);
    if (p.n_layers == 0) return n;
    const int wide = room > padded(p.hidden) ? room : padded(p.hidden);
    for (int c = 0; c < wide + kPanel<T>; ++c) s.zeros[c] = T(0);
    for (int i = 0; i < room; ++i) {
        double u[3] = {0.0, 0.0, 0.0};
        for (int c = 0; c < 3 && i < n; ++c) u[c] = double(s.env.x[4 * (at + s.member[i]) + 1 + c]);
        const double inverse = inverse_length(u);
        for (int c = 0; c < 3; ++c) s.unit[c * room + i] = T(u[c] * inverse);
    }
    for (int l = 0; l < p.n_layers; ++l) attention_values(p, s, l, n, p.env.n_slots - n);
    return n;
}

template <class T> void dpa1_values(const Dpa1<T>& p, const DeepBlock<T>& block, Dpa1Scratch<T>& s,
                                    int column) {
    using V = simd::Vec<T>;
    const int ld = padded(p.n_channels);
    for (int k = 0; k < block.n; ++k) {
        environment(p.env, block, s.env, k);
        const int n = embed(p, block, s, k, false);
        T* t = s.t + std::int64_t(k) * 4 * ld;
        int empty = p.env.n_slots;
        for (int r = 0; r < p.env.n_types; ++r) empty += runs_of(p, s, k)[r].empty;
        const T *g = s.g[p.n_layers], *x = s.env.x + 4 * (k * s.env.room);
        const V scale = T(1.0 / p.env.n_slots);
        for (int m = 0; m < p.n_channels; m += V::width) {
            V sum[4] = {T(0), T(0), T(0), T(0)};
            if (p.padding)
                sum[0] = V(T(empty)) * simd::load(p.padding + block.type * std::int64_t(ld) + m);
            for (int i = 0; i < n; ++i) {
                const V value = simd::load(g + i * std::int64_t(ld) + m);
                const T* row = x + 4 * s.member[i];
                for (int c = 0; c < 4; ++c) sum[c] = simd::fma(value, V(row[c]), sum[c]);
            }
            for (int c = 0; c < 4; ++c) simd::store(t + c * ld + m, sum[c] * scale);
        }
        T* to = block.x.row(k) + column;
        outer_product(t, ld, p.n_channels, p.outer, to);
        for (int c = 0; c < p.n_tail; ++c)
            to[p.outer.begin(p.n_channels) + c] = p.tail[block.type * p.n_tail + c];
    }
}

template <class T> void dpa1_gradient(const Dpa1<T>& p, const DeepBlock<T>& block,
                                      Dpa1Scratch<T>& s, int column) {
    using V = simd::Vec<T>;
    const int ld = padded(p.n_channels), room = int(s.env.room);
    for (int k = 0; k < block.n; ++k) {
        outer_product_gradient(s.t + std::int64_t(k) * 4 * ld, ld, p.n_channels, p.outer,
                               block.x.row(k) + column, T(1.0 / p.env.n_slots), s.gt);
        const int n = embed(p, block, s, k, true);
        const std::int64_t at = k * s.env.room;
        const T *g = s.g[p.n_layers], *x = s.env.x + 4 * at;
        for (int i = 0; i < room; ++i) s.gw[i] = T(0);
        for (int i = 0; i < 3 * room; ++i) s.gunit[i] = T(0);
        for (int i = 0; i < n; ++i) {
            const T* row = x + 4 * s.member[i];
            V sum[4] = {T(0), T(0), T(0), T(0)};
            for (int m = 0; m < p.n_channels; m += V::width) {
                const V value = simd::load(g + i * std::int64_t(ld) + m);
                V back = T(0);
                for (int c = 0; c < 4; ++c) {
                    const V gt = simd::load(s.gt + c * ld + m);
                    sum[c] = simd::fma(value, gt, sum[c]);
                    back = simd::fma(V(row[c]), gt, back);
                }
                simd::store(s.gg + i * std::int64_t(ld) + m, back);
            }
            T gx[4];
            simd::store_sums4(gx, sum[0], sum[1], sum[2], sum[3]);
            for (int c = 0; c < 4; ++c) s.env.gx[4 * s.member[i] + c] = double(gx[c]);
        }
        for (int l = p.n_layers; l-- > 0;) attention_gradient(p, s, l, n);
        for (int i = 0; i < n; ++i) {
            const std::int64_t row = i * std::int64_t(ld);
            V along = T(0), bent = T(0);
            for (int m = 0; m < p.n_channels; m += V::width) {
                const auto live = simd::first_n<T>(p.n_channels - m);
                const V back = simd::load(s.gg + row + m, live);
                along = simd::fma(back, simd::load(s.slope + row + m, live), along);
                bent = simd::fma(back, simd::load(s.bend + row + m, live), bent);
            }
            const int l = s.member[i];
            s.env.gx[4 * l] += double(simd::sum(along));
            const double gw = p.smooth ? double(s.gw[i]) + double(simd::sum(bent)) : 0.0;
            s.bent[l] = gw * s.env.dw[at + l];
            if (p.n_layers > 0 && p.dotr) add_direction(s, x + 4 * l, i, room, s.env.gx + 4 * l);
        }
        for (int r = 0; r < p.env.n_types; ++r) {
            const DeepRun& run = runs_of(p, s, k)[r];
            add_gradients(p.env, block, s.env, k, run.begin, run.end, s.bent);
        }
        block.sink.finish_centre(block.row[k]);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
