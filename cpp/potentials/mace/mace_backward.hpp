// A batch of centres backward: from dE/dh' to messages and forces. Include from kernels only.
#pragma once

#include "potentials/mace/mace_block.hpp"
#include "potentials/mace/mace_product.hpp"
#include "potentials/mace/mace_readout.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> void MaceBlock<T>::finish_dh(std::int64_t p, int n) {
    if (t + 1 == model.n_layers) return;
    const MaceLayer<T>& next = model.layers[t + 1];
    const std::int64_t row = std::int64_t(next.up.n_components) * next.k_up;
    T* du = w.a;  // a batch of rows, not longer than those of A
    for (int k = 0; k < n; ++k) {
        T* to = du + k * row;
        const T* own = job.state.du[t + 1] ? job.state.du[t + 1] + (p + k) * row : nullptr;
        for (std::int64_t c = 0; c < row; c += V::width)
            simd::store(to + c, own ? simd::load(own + c) : V(T(0)));
        collect(job.plan, job.state.messages[t + 1], job.plan.row[p + k], row, to);
    }
    T* dh = job.state.dh[t];
    for (int o = 0; o < next.up.n_slots; ++o)
        for (int m = 0; m < next.up.n[o]; ++m) {
            const Matrix<T> to = at_h(dh, p, o, m);
            product_back(n, next.up_w[o], 0, {du + (next.up.first[o] + m) * next.k_up, row},
                         read_only(to), to);
        }
    const std::int64_t next_row = std::int64_t(next.out.n_components) * next.k;
    for_species(p, n, [&](int first, int rows, int species) {
        for (int o = 0; o < next.out.n_slots; ++o) {
            if (next.skip[o].n_in == 0) continue;
            for (int m = 0; m < next.out.n[o]; ++m) {
                const Matrix<T> to = at_h(dh, p + first, next.skip_from[o], m);
                product_back(rows, next.skip[o], species,
                             {job.state.dh[t + 1] + (p + first) * next_row +
                                  (next.out.first[o] + m) * next.k,
                              next_row},
                             read_only(to), to);
            }
        }
    });
}

template <class T> void MaceBlock<T>::backward_batch(std::int64_t p, int n) {
    finish_dh(p, n);
    const std::int64_t x_row = std::int64_t(l.n_x) * l.k, b_row = std::int64_t(l.n_b) * l.k;
    int component = 0;
    for (int o = 0; o < l.out.n_slots; ++o)
        for (int m = 0; m < l.out.n[o]; ++m, ++component)
            product_back(n, l.prod[o], 0, read_only(at_h(job.state.dh[t], p, o, m)), none(),
                         {w.b + component * l.k, b_row});
    const std::int64_t m_row = (l.nonlinear ? y_rows() : l.n_x) * std::int64_t(l.k);
    T* dx = w.m;
    for (int k = 0; k < n; ++k) {
        T* to = dx + k * x_row;
        clear(to, x_row);
        for_parts<T>(l.k, ProductBack<T>{l, polynomial(species_of(p + k)),
                                         job.state.x[t] + (p + k) * x_row, w.b + k * b_row, to});
    }
    double drho[kMaceBatch<T>];
    if (l.nonlinear) {
        nonlinear_back(p, n, drho);
    } else if (l.density) {
        for (int k = 0; k < n; ++k) {
            const T* x = job.state.x[t] + (p + k) * x_row;
            const double f = 1.0 / (1.0 + job.state.rho[t][p + k]);
            drho[k] = -f * dot(dx + k * x_row, x, x_row);
            scale_row(dx + k * x_row, x_row, f);
        }
    }
    for_species(p, n, [&](int first, int rows, int species) {
        for (int o = 0; o < l.n_targets; ++o)
            for (int m = 0; m < l.targets[o].n; ++m) {
                const std::int64_t at =
                    l.nonlinear ? y_at(o, m) : (l.targets[o].first + m) * std::int64_t(l.k);
                product_back(rows, l.lin[o], species, {dx + first * m_row + at, m_row}, none(),
                             at_a(first, o, m));
            }
    });
    pairs_back(p, n, drho);
}

template <class T> void MaceBlock<T>::nonlinear_back(std::int64_t p, int n, double* drho) {
    const std::int64_t row = y_rows() * l.k, x_row = std::int64_t(l.n_x) * l.k;
    const T* y = job.state.y[t] + p * row;
    T *gated = w.a, *residual = w.a;  // A is not there yet, and its rows are not shorter
    for (int o = 0; o < l.n_targets; ++o)
        for (int m = 0; m < l.targets[o].n; ++m) {
            const std::int64_t at = (l.targets[o].first + m) * std::int64_t(l.k);
            product_back(n, l.lin2[o], 0, {w.m + at, x_row}, none(), {gated + at, x_row});
        }
    for (int k = 0; k < n; ++k) gate_back(y + k * row, gated + k * x_row, w.m + k * row);
    clear(residual, n * row);
    add_residual(p, n, residual);
    for (int k = 0; k < n; ++k) {
        const double f = 1.0 / (l.beta * job.state.rho[t][p + k] + l.alpha);
        const T* dy = w.m + k * row;
        drho[k] = -l.beta * f * (dot(dy, y + k * row, row) - dot(dy, residual + k * row, row));
    }
    if (!l.first) {
        T* du = job.state.du[t] + p * u_row;
        clear(du, n * u_row);
        for (int o = 0; o < l.n_targets; ++o) {
            if (l.res[o].n_in == 0) continue;
            for (int m = 0; m < l.targets[o].n; ++m)
                product_back(n, l.res[o], 0, {w.m + y_at(o, m), row}, none(),
                             {du + (l.up.first[l.res_from[o]] + m) * l.k_up, u_row});
        }
    }
    for (int k = 0; k < n; ++k)
        scale_row(w.m + k * row, row, 1.0 / (l.beta * job.state.rho[t][p + k] + l.alpha));
}

template <class T> void MaceBlock<T>::gate_back(const T* y, const T* dx, T* dy) const {
    for (int at = 0; at < l.k; at += V::width) {
        simd::store(dy + at, V(T(l.gate_silu)) * silu<T>(simd::load(y + at)).derivative *
                                 simd::load(dx + at));
        for (int o = 1; o < l.n_targets; ++o) {
            const V s = logistic<T>(simd::load(y + o * l.k + at)), f = T(l.gate_sigmoid);
            V sum = T(0);
            for (int m = 0; m < l.targets[o].n; ++m) {
                const V d = simd::load(dx + (l.targets[o].first + m) * l.k + at);
                sum = simd::fma(d, simd::load(y + y_at(o, m) + at), sum);
                simd::store(dy + y_at(o, m) + at, f * s * d);
            }
            simd::store(dy + o * l.k + at, f * s * (V(T(1)) - s) * sum);
        }
    }
}

template <class T> void MaceBlock<T>::pairs_back(std::int64_t p, int n, const double* drho) {
    const std::int64_t first_entry = job.plan.first_entry[b];
    double* entries = job.state.entries + 4 * first_entry;
    double* virial_entries =
        job.state.virial_entries
            ? job.state.virial_entries + virial_stride_of(job.state.virial_width) * first_entry
            : nullptr;
    for_centres(p, n, [&](int first, int length) {
        for (int k = 0; k < length; ++k) {
            const MaceCentre<T>& c = centre[k];
            // Places without a pair.
            const std::int64_t from = c.n / kLine<T> * l.n_entries * kLine<T>;
            clear(c.s + from, std::int64_t(c.padded_n()) * l.n_entries - from);
            if (t == 0 && model.zbl.on && job.task == MaceTask::energy) {
                const double weight =
                    model.scale * (job.out.centre_weights ? job.out.centre_weights[c.row] : 1.0);
                mace_zbl(job, c, &weight);
            }
            if (l.density)
                for_pairs(c, [&](int g, int pair) {
                    double slope;
                    density(c, g, pair, slope);
                    c.radial[pair] += T(drho[first + k] * slope);
                });
        }
        for_paths([&](int q, int chunk) {
            for (int k = 0; k < length; ++k) path_back(centre[k], q, chunk, first + k);
        });
        for (int k = 0; k < length; ++k)
            mace_pair_forces(job, l, w.angular, centre[k], entries, virial_entries,
                             job.state.virials + 6 * b);
    });
}

template <class T> void MaceBlock<T>::path_back(const MaceCentre<T>& c, int q, int chunk, int k) {
    const MacePath& path = l.paths[q];
    const MaceTarget& target = l.targets[path.target];
    const MaceConvolution<T> o(job, l, c, q, chunk, u, w.exact_rows);
    T* messages = job.state.messages[t];
    if (messages) messages += job.plan.first_entry[b] * u_row;
    convolve_back_path(o, w.a + k * l.a_row + std::int64_t(target.at + path.place) * l.k_up + chunk,
                       std::int64_t(target.n_paths) * l.k_up, messages);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
