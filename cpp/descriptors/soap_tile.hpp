// Pieces that the SOAP kernels share: neighbors by channel, harmonics, radial functions, densities.
//
// Operations per neighbor, with L = l_max + 1 and N = n_max: radial functions 14 L N, sums into the
// coefficients 2 L^2 N, harmonics about 5 L^2. Registers hold one vector over n of up to kRows rows
// m, so a neighbor costs L N / width loads of table rows times kSoapOrder and one broadcast per
// harmonic. Include from kernels only.
#pragma once

#include "descriptors/near.hpp"
#include "descriptors/soap_scratch.hpp"
#include "math/cutoffs.hpp"
#include "math/harmonics.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace soap {

using V = simd::Vec<double>;
constexpr int W = V::width;
constexpr int kRows = W == 8 ? 14 : 8;  // rows of coefficients that stay in registers

using Work = SoapWork;

inline void take_work(const SoapParams& p, double* scratch, std::int64_t longest, Work* batch) {
    Arena arena{reinterpret_cast<char*>(scratch)};
    take_batch(arena, p, longest, batch);
}

// Neighbors of a row within the cutoff, and the atom on it, grouped by channel.
inline void gather(const SoapParams& p, const System& s, const Neighbors& list, std::int64_t row,
                   Work& k) {
    pack(s, list, row, p.cutoff, p.channel, p.n_channels, true, k);
    for (int ch = 0; ch < p.n_channels; ++ch) k.present[ch] = k.start[ch + 1] > k.start[ch];
    if (p.total >= 0) k.present[p.total] = k.n > 0;
}

// w(r) and its slope, without the weight of the species.
inline void weight(const SoapParams& p, V r, V& w, V& dw) {
    const auto centre = r == V(0.0);
    w = V(p.c);
    dw = V(0.0);
    if (p.weighting == SoapWeight::none) {
        w = V(1.0);
    } else if (p.weighting == SoapWeight::poly) {
        const V x = simd::min(r / V(p.r0), V(1.0));
        const V t = simd::fma(x * x, simd::fma(x, V(2.0), V(-3.0)), V(1.0));
        const V lt = math::log(simd::max(t, V(1e-300)));
        const auto in = V(0.0) < t;
        w = simd::keep(in, w * math::exp(lt * V(p.m)));
        dw = simd::keep(
            in, V(6.0 * p.c * p.m / p.r0) * x * (x - V(1.0)) * math::exp(lt * V(p.m - 1.0)));
    } else if (p.weighting == SoapWeight::pow) {
        const V q = math::exp(math::log(r / V(p.r0)) * V(p.m));
        const V inverse = V(1.0) / (V(p.d) + q);
        w = w * inverse;
        dw = select(centre, V(0.0), -(w * inverse) * V(p.m) * q / r);
    } else {
        const V e = math::exp(-r / V(p.r0));
        const V inverse = V(1.0) / (V(p.d) + e);
        w = w * inverse;
        dw = w * inverse * e / V(p.r0);
    }
    if (p.has_w0) w = select(centre, V(p.w0), w);
    if (p.switch_width > 0.0) {
        const V x = (r - V(p.cutoff - p.switch_width)) / V(p.switch_width);
        const auto f = math::quintic_switch(x);
        dw = simd::fma(dw, f.value, w * f.derivative / V(p.switch_width));
        w = w * f.value;
    }
}

// Place in the radial table, weight and scaled vector of the neighbors [j, j + n), to slot `at` and
// on.
inline void geometry(const SoapParams& p, const Work& k, int j, int n, int at = 0) {
    const V scale = 1.0 / p.cutoff, per_cell = double(p.n_cells) / p.cutoff;
    const V last = double(p.n_cells - 1);
    const bool plain = p.weighting == SoapWeight::none && !p.has_w0 && p.switch_width <= 0.0;
    for (int t = 0; t < n; t += W) {
        const auto live = simd::first_n<double>(n - t);
        const V x = simd::load(k.x + j + t, live), y = simd::load(k.y + j + t, live),
                z = simd::load(k.z + j + t, live);
        const V r = simd::sqrt(simd::fma(x, x, simd::fma(y, y, z * z)));
        const V place = r * per_cell, cell = simd::min(simd::floor(place), last);
        simd::store(k.u + at + t, simd::fma(V(2.0), place - cell, V(-1.0)));
        simd::store_int(k.cell + at + t, simd::to_int(cell));
        simd::store(k.ux + at + t, x * scale);
        simd::store(k.uy + at + t, y * scale);
        simd::store(k.uz + at + t, z * scale);
        simd::store(k.inverse_r + at + t, select(r == V(0.0), V(0.0), V(1.0) / r));
        const V of_species =
            simd::gather(p.species_weight, simd::load_int<double>(k.species + j + t, live));
        if (plain) {
            simd::store(k.w + at + t, of_species);
            continue;
        }
        V w, dw;
        weight(p, r, w, dw);
        simd::store(k.w + at + t, w * of_species);
        simd::store(k.dw + at + t, dw * of_species);
    }
    if (plain)
        for (int t = 0; t < n; ++t) k.dw[at + t] = 0.0;
}

using Parts = HarmonicParts<V, kSoapMaxL>;

// Harmonics times weight of a tile, s[lm][tile]; its neighbors are in the slots from `at` on.
inline void harmonics(const SoapParams& p, const Work& k, int n, int at_slot, double* to) {
    Parts o;
    for (int t = 0; t < n; t += W) {
        const int slot = at_slot + t;
        harmonic_parts(p.l_max, p.harmonics, simd::load(k.ux + slot), simd::load(k.uy + slot),
                       simd::load(k.uz + slot), simd::load(k.w + slot), o);
        for (int l = 0; l <= p.l_max; ++l) {
            const int at = l * (l + 1) / 2;
            double* s = to + l * l * kSoapTile + t;
            simd::store(s, o.q[at]);
            for (int m = 1; m <= l; ++m) {
                simd::store(s + (2 * m - 1) * kSoapTile, o.q[at + m] * o.a[m]);
                simd::store(s + 2 * m * kSoapTile, o.q[at + m] * o.b[m]);
            }
        }
    }
}

// F_nl of n neighbors and one l: row to[i] of f for neighbor i (i itself where `to` is null); with
// kSlope also dF / du, u the variable of the table. Rows of the table have kStride values; 0:
// p.n_stride.
template <int kStride, bool kSlope>
inline void radial_rows(const SoapParams& p, const double* table, const std::int32_t* cell,
                        const double* u, const std::int32_t* to, int n, double* f, double* df) {
    const int stride = kStride ? kStride : p.n_stride;
    const std::int64_t per_cell = std::int64_t(p.l_max + 1) * kSoapOrder * stride;
    // The second pass reads whole rows; their ends are zeros of the table.
    const int end = kSlope ? stride : p.n_max;
    for (int i = 0; i < n; ++i) {
        const double* at = table + cell[i] * per_cell;
        const V x = u[i];
        const std::int64_t row = std::int64_t(to ? to[i] : i) * stride;
        for (int v = 0; v < (kStride == W ? W : end); v += W) {
            const double* c = at + v;
            V y = simd::load(c + (kSoapOrder - 1) * stride), dy = V(0.0);
            for (int o = kSoapOrder - 2; o >= 0; --o) {
                if constexpr (kSlope) dy = simd::fma(dy, x, y);
                y = simd::fma(y, x, simd::load(c + o * stride));
            }
            simd::store(f + row + v, y);
            if constexpr (kSlope) simd::store(df + row + v, dy);
        }
    }
}
// Not inlined: the loop wants all registers for its own pointers.
template <bool kSlope>
[[gnu::noinline]] void radial(const SoapParams& p, int l, const std::int32_t* cell, const double* u,
                              const std::int32_t* to, int n, double* f, double* df) {
    const double* table = p.table + std::int64_t(l) * kSoapOrder * p.n_stride;
    if (p.n_stride == 8)
        radial_rows<8, kSlope>(p, table, cell, u, to, n, f, df);
    else
        radial_rows<0, kSlope>(p, table, cell, u, to, n, f, df);
}

// c[m][n] += sum_j s[m][j] f[j][n] for M rows and one vector of n.
template <int M>
inline void add_rows(const double* s, const double* f, int stride, int n, double* c) {
    V sum[M];
    for (int m = 0; m < M; ++m) sum[m] = simd::load(c + m * stride);
    for (int j = 0; j < n; ++j) {
        const V row = simd::load(f + j * stride);
        for (int m = 0; m < M; ++m) sum[m] = simd::fma(row, V(s[m * kSoapTile + j]), sum[m]);
    }
    for (int m = 0; m < M; ++m) simd::store(c + m * stride, sum[m]);
}
// `rows` of them, as a block of the largest size that fits, repeatedly.
template <int M = kRows>
inline void add_block(const double* s, const double* f, int stride, int n, double* c, int rows) {
    if constexpr (M > 0) {
        if (rows >= M) {
            add_rows<M>(s, f, stride, n, c);
            add_block<M>(s + M * kSoapTile, f, stride, n, c + M * stride, rows - M);
        } else {
            add_block<M - 1>(s, f, stride, n, c, rows);
        }
    }
}

// Slots of all tiles by cell of the table.
inline int sort_slots(const SoapParams& p, const Work& k, const SoapTileOf* tiles, int n_tiles) {
    for (std::int64_t i = 0; i <= p.n_cells; ++i) k.count[i] = 0;
    for (int q = 0; q < n_tiles; ++q)
        for (int t = 0; t < tiles[q].n; ++t) ++k.count[k.cell[q * kSoapTile + t] + 1];
    for (std::int64_t i = 0; i < p.n_cells; ++i) k.count[i + 1] += k.count[i];
    const int n = k.count[p.n_cells];
    for (int q = 0; q < n_tiles; ++q)
        for (int t = 0; t < tiles[q].n; ++t) {
            const int slot = q * kSoapTile + t;
            const int to = k.count[k.cell[slot]]++;
            k.order[to] = slot;
            k.sorted_cell[to] = k.cell[slot];
            k.sorted_u[to] = k.u[slot];
        }
    return n;
}

// Coefficients of all present channels of the neighbors that were gathered around n centers.
inline void density(const SoapParams& p, const Work* batch, int n) {
    const Work& k = batch[0];
    const std::int64_t lm = soap_lm(p), size = lm * p.n_stride;
    auto* tiles = reinterpret_cast<SoapTileOf*>(k.tiles);
    int n_tiles = 0;
    for (int i = 0; i < n; ++i)
        for (int ch = 0; ch < p.n_channels; ++ch) {
            if (!batch[i].present[ch]) continue;
            double* c = batch[i].c + ch * size;
            for (std::int64_t e = 0; e < size; ++e) c[e] = 0.0;
            if (ch == p.total) continue;
            for (int j = batch[i].start[ch]; j < batch[i].start[ch + 1]; j += kSoapTile) {
                const int left = batch[i].start[ch + 1] - j,
                          count = left < kSoapTile ? left : kSoapTile, slot = n_tiles * kSoapTile;
                tiles[n_tiles] = {i, ch, j, count};
                geometry(p, batch[i], j, count, slot);
                harmonics(p, k, count, slot, k.s + n_tiles * lm * kSoapTile);
                ++n_tiles;
            }
        }
    const int n_slots = sort_slots(p, k, tiles, n_tiles);
    for (int l = 0; l <= p.l_max; ++l) {
        radial<false>(p, l, k.sorted_cell, k.sorted_u, k.order, n_slots, k.f, nullptr);
        for (int q = 0; q < n_tiles; ++q) {
            const double* s = k.s + (q * lm + l * l) * kSoapTile;
            const double* f = k.f + q * kSoapTile * p.n_stride;
            double* c = batch[tiles[q].center].c + tiles[q].channel * size + l * l * p.n_stride;
            for (int v = 0; v < p.n_max; v += W)
                add_block(s, f + v, p.n_stride, tiles[q].n, c + v, 2 * l + 1);
        }
    }
    if (p.total < 0) return;
    for (int i = 0; i < n; ++i)
        for (int ch = 0; ch < p.n_channels; ++ch) {
            if (ch == p.total || !batch[i].present[ch]) continue;
            const double* c = batch[i].c + ch * size;
            double* sum = batch[i].c + p.total * size;
            for (std::int64_t e = 0; e < size; ++e) sum[e] += c[e];
        }
}

// body(c, work) for every center, batch by batch.
template <class Body>
inline void each_center(const SoapParams& p, const System& s, const Neighbors& list,
                        const SoapTask& task, int n_threads, const Body& body) {
    const std::int64_t size = soap_batch(p, task.centers.longest), n = task.centers.n;
    parallel_for_thread((n + size - 1) / size, n_threads, 2, [&](std::int64_t b, int thread) {
        Work batch[kSoapBatch];
        take_work(p, task.scratch + thread * task.scratch_stride, task.centers.longest, batch);
        const std::int64_t first = b * size, count = n - first < size ? n - first : size;
        for (std::int64_t i = 0; i < count; ++i)
            gather(p, s, list, task.centers.row[first + i], batch[i]);
        if (task.density) density(p, batch, int(count));
        for (std::int64_t i = 0; i < count; ++i) body(first + i, batch[i]);
    });
}

// out[r][n'] = sum_m a[m][r] b[m][n'] (+ sum_m b2 a2, where kTwo) for R rows and one vector of n'.
template <int R, bool kTwo>
inline void product_rows(const double* a, const double* b, const double* a2, const double* b2,
                         int stride, int terms, V* sum) {
    for (int r = 0; r < R; ++r) sum[r] = V(0.0);
    for (int m = 0; m < terms; ++m) {
        const V row = simd::load(b + m * stride);
        for (int r = 0; r < R; ++r) sum[r] = simd::fma(row, V(a[m * stride + r]), sum[r]);
        if constexpr (kTwo) {
            const V row2 = simd::load(b2 + m * stride);
            for (int r = 0; r < R; ++r) sum[r] = simd::fma(row2, V(a2[m * stride + r]), sum[r]);
        }
    }
}

// Features of one block and l: n rows of n', those with n' >= n where triangle. Two products are
// added, a b + a2 b2, where kTwo. `out` begins with feature (n, n') = (0, 0).
template <int R, bool kTwo>
inline double* product_chunk(const SoapParams& p, bool triangle, int n, const double* a,
                             const double* b, const double* a2, const double* b2, int terms,
                             double* out) {
    const int N = p.n_max;
    double* row[R];
    for (int r = 0; r < R; ++r) {  // row[r] + n' is the place of (n + r, n')
        row[r] = triangle ? out - (n + r) : out;
        out += triangle ? N - n - r : N;
    }
    for (int v = triangle ? n / W * W : 0; v < N; v += W) {
        V sum[R];
        product_rows<R, kTwo>(a + n, b + v, kTwo ? a2 + n : nullptr, kTwo ? b2 + v : nullptr,
                              p.n_stride, terms, sum);
        const auto upto = simd::first_n<double>(N - v);
        for (int r = 0; r < R; ++r) {
            if (triangle && n + r > v) {
                if (n + r < v + W)
                    simd::store(row[r] + v, sum[r],
                                upto & simd::not_(simd::first_n<double>(n + r - v)));
            } else if (v + W <= N) {
                simd::store(row[r] + v, sum[r]);
            } else {
                simd::store(row[r] + v, sum[r], upto);
            }
        }
    }
    return out;
}
template <bool kTwo>
inline void product(const SoapParams& p, bool triangle, const double* a, const double* b,
                    const double* a2, const double* b2, int terms, double* out) {
    int n = 0;
    for (; n + 8 <= p.n_max; n += 8)
        out = product_chunk<8, kTwo>(p, triangle, n, a, b, a2, b2, terms, out);
    for (; n + 4 <= p.n_max; n += 4)
        out = product_chunk<4, kTwo>(p, triangle, n, a, b, a2, b2, terms, out);
    for (; n < p.n_max; ++n) out = product_chunk<1, kTwo>(p, triangle, n, a, b, a2, b2, terms, out);
}

static inline std::int64_t block_size(const SoapParams& p, const SoapBlock& block) {
    return block.triangle ? p.n_max * (p.n_max + 1) / 2 : p.n_max * p.n_max;
}

// Power spectrum of coefficients c; blocks of absent channels are zero.
inline void power(const SoapParams& p, const double* c, const std::int32_t* present, double* out) {
    const std::int64_t size = soap_lm(p) * p.n_stride;
    for (int k = 0; k < p.n_blocks; ++k) {
        const SoapBlock& block = p.blocks[k];
        const std::int64_t per_l = block_size(p, block);
        double* to = out + block.offset;
        if (present && !(present[block.first] && present[block.second])) {
            for (std::int64_t i = 0; i < per_l * (p.l_max + 1); ++i) to[i] = 0.0;
            continue;
        }
        const double *a = c + block.first * size, *b = c + block.second * size;
        for (int l = 0; l <= p.l_max; ++l) {
            const std::int64_t at = std::int64_t(l) * l * p.n_stride;
            product<false>(p, block.triangle, a + at, b + at, nullptr, nullptr, 2 * l + 1,
                           to + l * per_l);
        }
    }
}

inline void convert(const double* from, std::int64_t n, float* to) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = float(from[i]);
}

}  // namespace soap
}  // namespace MDKERN_ISA
}  // namespace mdkern
