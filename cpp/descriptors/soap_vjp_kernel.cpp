// Gradients of weighted sums of SOAP features in adjoint form: weights -> derivatives by the
// coefficients (as much work as the power spectrum) -> one more pass over the neighbors.
//
// Per neighbor the second pass costs 28 L N operations for F and its slope, 4 L^2 N for sums over
// n, and about 25 L^2 for harmonics and their gradients.
#include "descriptors/soap_tile.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using namespace soap;

namespace {

// Weights of one block and l as two square matrices [n][n'], [n'][n]; of a triangle as one that is
// symmetric, its diagonal doubled.
void unpack_weights(const SoapParams& p, bool triangle, const double* w, const Work& k) {
    const int N = p.n_max, stride = p.n_stride;
    for (int n = 0; n < N; ++n)
        for (int i = N; i < stride; ++i)
            k.pack[n * stride + i] = k.transposed[n * stride + i] = 0.0;
    if (triangle) {
        for (int n = 0; n < N; ++n) {
            double* row = k.pack + n * stride;
            for (int i = n; i < N; ++i) row[i] = w[i - n];
            for (int i = n + 1; i < N; ++i) k.pack[i * stride + n] = w[i - n];
            row[n] = 2.0 * w[0];
            w += N - n;
        }
    } else {
        for (int n = 0; n < N; ++n, w += N)
            for (int i = 0; i < N; ++i) {
                k.pack[n * stride + i] = w[i];
                k.transposed[i * stride + n] = w[i];
            }
    }
}

// out[m][n'] += sum_n c[m][n] w[n][n'] for M rows
template <int M>
void spread_rows(const SoapParams& p, const double* c, const double* w, double* out) {
    for (int v = 0; v < p.n_max; v += W) {
        V sum[M];
        for (int m = 0; m < M; ++m) sum[m] = simd::load(out + m * p.n_stride + v);
        for (int n = 0; n < p.n_max; ++n) {
            const V row = simd::load(w + n * p.n_stride + v);
            for (int m = 0; m < M; ++m) sum[m] = simd::fma(row, V(c[m * p.n_stride + n]), sum[m]);
        }
        for (int m = 0; m < M; ++m) simd::store(out + m * p.n_stride + v, sum[m]);
    }
}
template <int M = kRows>
void spread(const SoapParams& p, const double* c, const double* w, double* out, int rows) {
    if constexpr (M > 0) {
        if (rows >= M) {
            spread_rows<M>(p, c, w, out);
            spread<M>(p, c + M * p.n_stride, w, out + M * p.n_stride, rows - M);
        } else {
            spread<M - 1>(p, c, w, out, rows);
        }
    }
}

// b = d(sum_f w_f p_f) / dc of the channels that are present; the sum of channels is handed down.
void adjoint(const SoapParams& p, const double* c, const double* weights,
             const std::int32_t* present, const Work& k, double* b) {
    const std::int64_t size = soap_lm(p) * p.n_stride;
    for (std::int64_t i = 0; i < p.n_channels * size; ++i) b[i] = 0.0;
    for (int q = 0; q < p.n_blocks; ++q) {
        const SoapBlock& block = p.blocks[q];
        if (present && !(present[block.first] && present[block.second])) continue;
        const std::int64_t per_l = block_size(p, block);
        for (int l = 0; l <= p.l_max; ++l) {
            const std::int64_t at = std::int64_t(l) * l * p.n_stride;
            unpack_weights(p, block.triangle, weights + block.offset + l * per_l, k);
            const std::int64_t one = block.first * size + at, two = block.second * size + at;
            spread(p, c + one, k.pack, b + two, 2 * l + 1);
            if (!block.triangle) spread(p, c + two, k.transposed, b + one, 2 * l + 1);
        }
    }
    if (p.total >= 0)
        for (int ch = 0; ch < p.n_channels; ++ch)
            if (ch != p.total)
                for (std::int64_t i = 0; i < size; ++i) b[ch * size + i] += b[p.total * size + i];
}

// sums over n of b times F and slope, for the rows m of one l and a vector of neighbors: G = 8
// values of n at a time
struct Angular {
    V a[2 * kSoapMaxL + 1], da[2 * kSoapMaxL + 1];
};
void contract(const SoapParams& p, const Work& k, int l, int t, const double* b, Angular& o) {
    const int rows = 2 * l + 1, groups = p.n_stride / 8;
    const auto base =
        (simd::load_int<double>(kLanes) + simd::set_int<double>(t)) * simd::set_int<double>(groups);
    for (int g = 0; g < groups; ++g) {
        V f[8], df[8];
        simd::load_rows8(k.f + 8 * g, base, f);
        simd::load_rows8(k.df + 8 * g, base, df);
        for (int m = 0; m < rows; ++m) {
            const double* c = b + m * p.n_stride + 8 * g;
            V a = g ? o.a[m] : V(0.0), da = g ? o.da[m] : V(0.0);
            for (int n = 0; n < 8; ++n) {
                const V cn = c[n];
                a = simd::fma(cn, f[n], a);
                da = simd::fma(cn, df[n], da);
            }
            o.a[m] = a;
            o.da[m] = da;
        }
    }
}

// Sums over l and m for a vector of neighbors.
struct Sums {
    V e, er, h, gx, gy, gz;
};
void add_angular(const SoapParams& p, int l, const Parts& y, const Angular& o, Sums& s) {
    const int at = l * (l + 1) / 2, up = at - l;
    const double* h = p.harmonics + 4 * at;
    s.e = simd::fma(y.q[at], o.a[0], s.e);
    s.er = simd::fma(y.q[at], o.da[0], s.er);
    if (l > 0) s.gz = simd::fma(V(h[2]) * y.q[up], o.a[0], s.gz);
    if (l > 1) s.h = simd::fma(V(h[3]) * y.q[up + 1], o.a[0], s.h);
    for (int m = 1; m <= l; ++m) {
        const V c = o.a[2 * m - 1], d = o.a[2 * m], q = y.q[at + m];
        const V t = simd::fma(c, y.a[m], d * y.b[m]);
        const V dt = simd::fma(o.da[2 * m - 1], y.a[m], o.da[2 * m] * y.b[m]);
        s.e = simd::fma(q, t, s.e);
        s.er = simd::fma(q, dt, s.er);
        if (m < l) s.gz = simd::fma(V(h[4 * m + 2]) * y.q[up + m], t, s.gz);
        if (m + 1 < l) s.h = simd::fma(V(h[4 * m + 3]) * y.q[up + m + 1], t, s.h);
        const V mq = V(double(m)) * q;
        s.gx = simd::fma(mq, simd::fma(c, y.a[m - 1], d * y.b[m - 1]), s.gx);
        s.gy = simd::fma(mq, simd::fnma(c, y.b[m - 1], d * y.a[m - 1]), s.gy);
    }
}

// Gradients of the neighbors [j, j + n), into x, y, z of `sums`.
void tile_gradients(const SoapParams& p, const Work& k, int n, const double* b) {
    constexpr int kVectors = kSoapTile / W;
    Parts y[kVectors];
    Sums s[kVectors];
    Angular o;
    int vectors = 0;
    for (int t = 0; t < n; t += W, ++vectors) {
        harmonic_parts(p.l_max, p.harmonics, simd::load(k.ux + t), simd::load(k.uy + t),
                       simd::load(k.uz + t), V(1.0), y[vectors]);
        const V zero = 0.0;
        s[vectors] = {zero, zero, zero, zero, zero, zero};
    }
    for (int l = 0; l <= p.l_max; ++l) {
        radial<true>(p, l, k.cell, k.u, nullptr, n, k.f, k.df);
        for (int v = 0; v < vectors; ++v) {
            contract(p, k, l, v * W, b + l * l * p.n_stride, o);
            add_angular(p, l, y[v], o, s[v]);
        }
    }
    const V per_r = 2.0 * double(p.n_cells) / p.cutoff, scale = 1.0 / p.cutoff;
    for (int v = 0; v < vectors; ++v) {
        const int t = v * W;
        const V w = simd::load(k.w + t), ux = simd::load(k.ux + t), uy = simd::load(k.uy + t),
                uz = simd::load(k.uz + t);
        // Radial part along r / |r| = u cutoff / |r|.
        const V slope = simd::fma(w * per_r, s[v].er, simd::load(k.dw + t) * s[v].e) *
                        simd::load(k.inverse_r + t) * V(p.cutoff);
        const V side = w * scale;
        simd::store(k.sums + t, simd::fma(slope, ux, side * simd::fnma(ux, s[v].h, s[v].gx)));
        simd::store(k.sums + kSoapTile + t,
                    simd::fma(slope, uy, side * simd::fnma(uy, s[v].h, s[v].gy)));
        simd::store(k.sums + 2 * kSoapTile + t, simd::fma(slope, uz, side * s[v].gz));
    }
}

}  // namespace

void soap_adjoint_compute(const SoapParams& p, const double* c, const double* weights,
                          double* scratch, double* out) {
    Work batch[kSoapBatch];
    take_work(p, scratch, 0, batch);
    const Work& k = batch[0];
    adjoint(p, c, weights, nullptr, k, out);
}

void soap_vjp_compute(const SoapParams& p, const System& s, const Neighbors& list,
                      const SoapTask& task, const SoapVjpTask& vjp, int n_threads) {
    const std::int64_t size = soap_lm(p) * p.n_stride;
    each_center(p, s, list, task, n_threads, [&](std::int64_t c, const Work& k) {
        const std::int64_t row = task.centers.row[c];
        double* pairs = vjp.out.pairs + 3 * list.first[row];
        for (std::int64_t i = 0; i < 3 * std::int64_t(list.count[row]); ++i) pairs[i] = 0.0;
        const double* b = vjp.adjoint;
        if (!b) {
            adjoint(p, k.c, vjp.weights + vjp.weight_row[c] * p.n_features, k.present, k,
                    k.adjoint);
            b = k.adjoint;
        }
        if (vjp.energies) {  // quadratic in the coefficients: twice the value is b . c
            double e = 0.0;
            for (int ch = 0; ch < p.n_channels; ++ch) {
                if (ch == p.total || !k.present[ch]) continue;
                V sum = 0.0;
                for (std::int64_t i = ch * size; i < (ch + 1) * size; i += W)
                    sum = simd::fma(simd::load(b + i), simd::load(k.c + i), sum);
                e += simd::sum(sum);
            }
            vjp.energies[task.centers.output[c]] = 0.5 * e;
        }
        double total[3] = {0, 0, 0}, virial[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
        for (int ch = 0; ch < p.n_channels; ++ch) {
            if (ch == p.total) continue;
            for (int j = k.start[ch]; j < k.start[ch + 1]; j += kSoapTile) {
                const int left = k.start[ch + 1] - j, n = left < kSoapTile ? left : kSoapTile;
                geometry(p, k, j, n);
                tile_gradients(p, k, n, b + ch * size);
                for (int t = 0; t < n; ++t) {
                    if (k.source[j + t] < 0) continue;  // moves with the center
                    const double r[3] = {k.x[j + t], k.y[j + t], k.z[j + t]};
                    for (int x = 0; x < 3; ++x) {
                        const double g = k.sums[x * kSoapTile + t];
                        pairs[3 * k.source[j + t] + x] = g;
                        total[x] += g;
                        for (int y = 0; y < 3; ++y) virial[3 * y + x] -= r[y] * g;
                    }
                }
            }
        }
        for (int x = 0; x < 3; ++x) vjp.out.sums[3 * c + x] = total[x];
        for (int x = 0; x < 9; ++x) vjp.out.virial[9 * c + x] = virial[x];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
