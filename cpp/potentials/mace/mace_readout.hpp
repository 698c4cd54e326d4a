// Energies of one atom from its scalar features, and the pair repulsion. Include from kernels only.
#pragma once

#include "nn/activation.hpp"
#include "potentials/mace/mace_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> math::WithDerivative<T> mace_activate(Activation kind, simd::Vec<T> x) {
    const Layer<T> plain;
    if (kind == Activation::tanh) return activate<Activation::tanh>(x, plain);
    if (kind == Activation::sigmoid) return activate<Activation::sigmoid>(x, plain);
    return activate<Activation::silu>(x, plain);
}

// to[j] = sum_i x[i] w[i, j] (+ bias[j]) for padded n columns.
template <class T> void vector_times_matrix(const T* x, int rows, const T* w, int n, const T* bias,
                                            T* to) {
    using V = simd::Vec<T>;
    for (int j = 0; j < n; j += V::width) {
        V sum = bias ? simd::load(bias + j) : V(T(0));
        for (int i = 0; i < rows; ++i)
            sum = simd::fma(V(x[i]), simd::load(w + std::int64_t(i) * n + j), sum);
        simd::store(to + j, sum);
    }
}

// The readout's energy; dh += weight dE/dh. scratch: 4 rows of kMaceMaxHidden and one of k.
template <class T> double read_out(const MaceReadout<T>& r, int k, const T* h, T weight, T* dh,
                                   T* scratch) {
    using V = simd::Vec<T>;
    if (r.hidden == 0) {
        V sum = T(0);
        for (int c = 0; c < k; c += V::width) {
            const V w = simd::load(r.w2 + c);
            sum = simd::fma(w, simd::load(h + c), sum);
            simd::store(dh + c, simd::fma(V(weight), w, simd::load(dh + c)));
        }
        return double(simd::sum(sum)) + r.bias;
    }
    T *a = scratch, *slope = a + r.hidden, *a2 = slope + r.hidden, *slope2 = a2 + r.hidden,
      *out = slope2 + r.hidden;
    const V f = T(r.factor);
    const auto act = [&](T* x, T* d) {
        for (int j = 0; j < r.hidden; j += V::width) {
            const auto y = mace_activate<T>(r.activation, simd::load(x + j));
            simd::store(x + j, f * y.value);
            simd::store(d + j, f * y.derivative);
        }
    };
    vector_times_matrix<T>(h, k, r.w1, r.hidden, nullptr, a);
    act(a, slope);
    if (r.mid) {
        vector_times_matrix<T>(a, r.hidden, r.mid, r.hidden, r.mid_bias, a2);
        act(a2, slope2);
    }
    const T* last = r.mid ? a2 : a;
    V sum = T(0);
    for (int j = 0; j < r.hidden; j += V::width) {
        const V w = simd::load(r.w2 + j);
        sum = simd::fma(w, simd::load(last + j), sum);
        if (r.mid)
            simd::store(slope2 + j, w * simd::load(slope2 + j));
        else
            simd::store(slope + j, w * simd::load(slope + j));
    }
    if (r.mid) {
        vector_times_matrix<T>(slope2, r.hidden, r.mid_transposed, r.hidden, nullptr, a);
        for (int j = 0; j < r.hidden; j += V::width)
            simd::store(slope + j, simd::load(a + j) * simd::load(slope + j));
    }
    vector_times_matrix<T>(slope, r.hidden, r.w1_transposed, k, nullptr, out);
    for (int c = 0; c < k; c += V::width)
        simd::store(dh + c, simd::fma(V(weight), simd::load(out + c), simd::load(dh + c)));
    return double(simd::sum(sum)) + r.bias;
}

// 1/2 sum_j of the repulsion: its energy; where `weight` is there, weight dE/dr is added to c.radial.
//   14.3996 Z_i Z_j / r sum_q c_q exp(-d_q r / a) f(r / range)
template <class T> double mace_zbl(const MaceJob<T>& job, const MaceCentre<T>& c,
                                   const double* weight) {
    using D = simd::Vec<double>;
    const MaceZbl& z = job.model->zbl;
    const double decay[4] = {3.2, 0.9423, 0.4028, 0.2016};
    double energy = 0.0;
    for (int k = 0; k < c.n; ++k) {
        const std::int64_t pair = std::int64_t(c.species) * job.model->n_species +
                                  int(job.s.rows[4 * std::int64_t(c.index[k]) + 3]);
        const double r = c.r[k], t = r / z.range[pair];
        if (t >= 1.0) continue;
        double phi = 0.0, dphi = 0.0;
        for (int q = 0; q < 4; ++q) {
            const double rate = decay[q] * z.inverse[pair];
            const double e = z.c[q] * simd::sum(math::exp(D(-rate * r))) / D::width;
            phi += e;
            dphi -= rate * e;
        }
        double tp = 1.0;
        for (int q = 1; q < int(z.p); ++q) tp *= t;
        const double p = z.p;
        const double f =
            1.0 - t * tp * (0.5 * (p + 1) * (p + 2) - t * (p * (p + 2) - t * 0.5 * p * (p + 1)));
        const double df = -0.5 * p * (p + 1) * (p + 2) * tp * (1.0 - t) * (1.0 - t) / z.range[pair];
        const double v = z.charge[pair] / r;
        energy += v * phi * f;
        if (weight) c.radial[k] += T(*weight * v * (dphi * f + phi * df - phi * f / r));
    }
    return energy;
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
