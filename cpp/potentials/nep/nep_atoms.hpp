// Middle of the NEP kernel: from the sums S of a batch of centres of one species to their
// descriptors, through the network, and back to dU/dS. Lanes are centres, so everything is
// vertical and the weights are read once per batch. Include from kernels only.
#pragma once

#include "potentials/nep/nep_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// out[j] = sum_k in[k] w[k ld + j], j < n_out (a multiple of eight is computed), lanes side by
// side. Not gemm(): there lanes are columns and weights are packed; here they are centres, which the
// steps before and after want side by side, and a weight is one number for all of them.
template <class T, class Finish> void product(const T* w, int ld, const T* in, int n_in, int n_out,
                                              const Finish& finish) {
    using V = simd::Vec<T>;
    for (int j = 0; j < n_out; j += 8) {
        V sum[8];
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) sum[c] = T(0);
        for (int k = 0; k < n_in; ++k) {
            const V x = simd::load(in + k * V::width);
#pragma GCC unroll 8
            for (int c = 0; c < 8; ++c) sum[c] = simd::fma(V(w[k * ld + j + c]), x, sum[c]);
        }
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) finish(j + c, sum[c]);
    }
}

// Descriptors of third order and their share of dU/dS_lm of one function n.
template <class T> struct Cubic {
    using V = simd::Vec<T>;
    const NepParams& p;
    const T* s;  // S_lm, lanes side by side
    V at(int i) const { return simd::load(s + i * V::width); }

    V value(int body) const {
        V sum = T(0);
        for (int e = p.bodies[2 * body]; e < p.bodies[2 * body + 1]; ++e) {
            const std::int32_t* i = p.terms + 3 * e;
            sum = simd::fma(V(T(p.term_c[e])) * at(i[0]), at(i[1]) * at(i[2]), sum);
        }
        return sum;
    }
    void slope(int body, V b, V* u) const {
        for (int e = p.bodies[2 * body]; e < p.bodies[2 * body + 1]; ++e) {
            const std::int32_t* i = p.terms + 3 * e;
            const V c = V(T(p.term_c[e])) * b, x = at(i[0]), y = at(i[1]), z = at(i[2]);
            u[i[0]] = simd::fma(c * y, z, u[i[0]]);
            u[i[1]] = simd::fma(c * x, z, u[i[1]]);
            u[i[2]] = simd::fma(c * x, y, u[i[2]]);
        }
    }
};

// S_nb -> S_nlm -> angular descriptors.
template <class T> [[gnu::noinline]] void invariants(const NepParams& p, NepScratch<T>& scratch) {
    using V = simd::Vec<T>;
    const int n_basis = p.n_basis(), n_lm = p.n_lm();
    for (int n = 0; n < p.n_angular; ++n) {
        const T* sums = scratch.sums + n * n_basis * V::width;
        T* s = scratch.harmonics + n * n_basis * V::width;
        for (int i = 0; i < n_lm; ++i) simd::store(s + i * V::width, V(T(0)));
        for (int e = 0; e < p.n_map; ++e) {
            T* to = s + p.map[2 * e] * V::width;
            simd::store(to,
                        simd::fma(V(T(p.map_c[e])), simd::load(sums + p.map[2 * e + 1] * V::width),
                                  simd::load(to)));
        }
        auto put = [&](int block, V q) {
            simd::store(scratch.q + (p.n_radial + block * p.n_angular + n) * V::width, q);
        };
        V first = T(0);
        for (int l = 1; l <= p.l_max; ++l) {
            V q = T(0);
            for (int i = l * l - 1; i < (l + 1) * (l + 1) - 1; ++i) {
                const V x = simd::load(s + i * V::width);
                q = simd::fma(V(T(p.weight[i])) * x, x, q);
            }
            if (l == 1) first = q;
            put(l - 1, q);
        }
        const Cubic<T> cubic{p, s};
        for (int body = 0; body < p.n_bodies; ++body)
            put(p.l_max + body,
                p.bodies[2 * body] < 0 ? V(T(7.0 / 15.0)) * first * first : cubic.value(body));
    }
}

// dU/dq -> dU/dS_nlm -> dU/dS_nb.
template <class T> [[gnu::noinline]] void adjoints(const NepParams& p, NepScratch<T>& scratch) {
    using V = simd::Vec<T>;
    const int n_basis = p.n_basis();
    for (int n = 0; n < p.n_angular; ++n) {
        const T* s = scratch.harmonics + n * n_basis * V::width;
        auto slope_of = [&](int block) {
            return simd::load(scratch.slope_q + (p.n_radial + block * p.n_angular + n) * V::width);
        };
        V u[(kNepMaxL + 1) * (kNepMaxL + 1)];
        for (int l = 1; l <= p.l_max; ++l) {
            V b = slope_of(l - 1);
            if (l == 1)
                for (int body = 0; body < p.n_bodies; ++body)
                    if (p.bodies[2 * body] < 0)  // d(7/15 q^2) = 14/15 q dq
                        b = simd::fma(V(T(14.0 / 15.0)) * slope_of(p.l_max + body),
                                      simd::load(scratch.q + (p.n_radial + n) * V::width), b);
            b = b + b;
            for (int i = l * l - 1; i < (l + 1) * (l + 1) - 1; ++i)
                u[i] = V(T(p.weight[i])) * b * simd::load(s + i * V::width);
        }
        const Cubic<T> cubic{p, s};
        for (int body = 0; body < p.n_bodies; ++body)
            if (p.bodies[2 * body] >= 0) cubic.slope(body, slope_of(p.l_max + body), u);
        T* out = scratch.adjoint + n * n_basis * V::width;
        for (int b = 0; b < n_basis; ++b) simd::store(out + b * V::width, V(T(0)));
        for (int e = 0; e < p.n_map; ++e) {
            T* to = out + p.map[2 * e + 1] * V::width;
            simd::store(to, simd::fma(V(T(p.map_c[e])), u[p.map[2 * e]], simd::load(to)));
        }
    }
}

// Energies of the centres, and dU/dq, with the charges' share where `felt` (dE/dQ of each lane) is
// not null.
template <class T> [[gnu::noinline]] simd::Vec<T> network(const NepJob<T>& job,
                                                          NepScratch<T>& scratch, int type,
                                                          const T* felt) {
    using V = simd::Vec<T>;
    const NepParams& p = job.p;
    const int net = p.one_network ? 0 : type, hidden = padded(p.hidden),
              n_d = padded(p.n_descriptors);
    const T *b0 = job.t.b0 + net * hidden,
            *w1 = (job.task == CentreTask::born ? job.t.w1_charge : job.t.w1) + net * hidden;
    const T* w1_charge = felt ? job.t.w1_charge + net * hidden : w1;
    const V factor = felt ? simd::load(felt) : V(T(0));
    V energy = T(0);
    product(job.t.w0_dh + std::int64_t(net) * p.n_descriptors * hidden, hidden, scratch.q,
            p.n_descriptors, p.hidden, [&](int j, V sum) {
                const auto h = math::tanh_with_derivative(sum - V(b0[j]));
                energy = simd::fma(V(w1[j]), h.value, energy);
                const V last = simd::fma(factor, V(w1_charge[j]), V(w1[j]));
                simd::store(scratch.hidden + j * V::width, last * h.derivative);
            });
    product(job.t.w0_hd + std::int64_t(net) * p.hidden * n_d, n_d, scratch.hidden, p.hidden,
            p.n_descriptors,
            [&](int j, V sum) { simd::store(scratch.slope_q + j * V::width, sum); });
    return energy;
}

// Charges of the centres.
template <class T> [[gnu::noinline]] simd::Vec<T> charge_of(const NepJob<T>& job,
                                                            NepScratch<T>& scratch, int type) {
    using V = simd::Vec<T>;
    const NepParams& p = job.p;
    const int net = p.one_network ? 0 : type, hidden = padded(p.hidden);
    const T *b0 = job.t.b0 + net * hidden, *w1 = job.t.w1_charge + net * hidden;
    V charge = T(0);
    product(job.t.w0_dh + std::int64_t(net) * p.n_descriptors * hidden, hidden, scratch.q,
            p.n_descriptors, p.hidden, [&](int j, V sum) {
                charge = simd::fma(V(w1[j]), math::tanh(sum - V(b0[j])), charge);
            });
    return charge;
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
