// See mace_net.hpp. Columns in registers, so that each weight is read once.
#include "potentials/mace/mace_net.hpp"

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;

// `live` of N vectors of columns.
template <int N, class Load, class Store>
void columns(int n_in, int n_out, const double* w, const double* x, const double* dx,
             const Load& load, const Store& store) {
    V value[N], slope[N];
    for (int v = 0; v < N; ++v) slope[v] = 0.0;
    load(value);
    for (int i = 0; i < n_in; ++i, w += n_out) {
        const V a = x[i], b = dx[i];
        for (int v = 0; v < N; ++v) {
            const V y = simd::load(w + v * V::width);
            value[v] = simd::fma(a, y, value[v]);
            slope[v] = simd::fma(b, y, slope[v]);
        }
    }
    store(value, slope);
}

}  // namespace

void mace_net_compute(int n_in, int n_out, const double* w, const double* b, const double* x,
                      const double* dx, double* value, double* slope) {
    constexpr int kVectors = 4;
    int at = 0;
    for (; at + kVectors * V::width <= n_out; at += kVectors * V::width)
        columns<kVectors>(
            n_in, n_out, w + at, x, dx,
            [&](V* to) {
                for (int v = 0; v < kVectors; ++v)
                    to[v] = b ? simd::load(b + at + v * V::width) : V(0.0);
            },
            [&](const V* y, const V* dy) {
                for (int v = 0; v < kVectors; ++v) {
                    simd::store(value + at + v * V::width, y[v]);
                    simd::store(slope + at + v * V::width, dy[v]);
                }
            });
    for (; at < n_out; ++at) {
        double y = b ? b[at] : 0.0, dy = 0.0;
        for (int i = 0; i < n_in; ++i) {
            y += x[i] * w[std::int64_t(i) * n_out + at];
            dy += dx[i] * w[std::int64_t(i) * n_out + at];
        }
        value[at] = y;
        slope[at] = dy;
    }
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
