// A batch of centres forward: A, x, B, h', readouts, u of the next layer. Include from kernels only.
#pragma once

#include "potentials/mace/mace_block.hpp"
#include "potentials/mace/mace_product.hpp"
#include "potentials/mace/mace_readout.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> void MaceBlock<T>::start() {
    const std::int64_t first = job.plan.first_entry[b], n = job.plan.first_entry[b + 1];
    if (job.state.entries)
        for (std::int64_t e = 4 * first; e < 4 * n; ++e) job.state.entries[e] = 0.0;
    const int stride = virial_stride_of(job.state.virial_width);
    if (job.state.virial_entries)
        for (std::int64_t e = stride * first; e < stride * n; ++e)
            job.state.virial_entries[e] = 0.0;
    for (int c = 0; c < 6; ++c) job.state.virials[6 * b + c] = 0.0;
    for (std::int64_t p = begin; p < end; ++p) job.state.energies[p] = model.energy[species_of(p)];
}

template <class T> void MaceBlock<T>::forward_batch(std::int64_t p, int n) {
    for_centres(p, n, [&](int first, int length) {
        for (int k = 0; k < length; ++k) {
            const MaceCentre<T>& c = centre[k];
            if (t == 0 && model.zbl.on && job.task == MaceTask::energy)
                job.state.energies[c.place] += model.scale * mace_zbl(job, c, nullptr);
            if (!l.density) continue;
            double sum = 0.0, slope;
            for_pairs(c, [&](int g, int pair) { sum += density(c, g, pair, slope); });
            job.state.rho[t][c.place] = sum;
        }
        for_paths([&](int q, int chunk) {
            for (int k = 0; k < length; ++k) sum_path(centre[k], q, chunk, first + k);
        });
    });
    to_x(p, n);
    to_h(p, n);
    for (int k = 0; k < n; ++k) read(p + k);
    if (t + 1 == model.n_layers) return;
    const MaceLayer<T>& next = model.layers[t + 1];
    const std::int64_t row = std::int64_t(next.up.n_components) * next.k_up;
    for (int o = 0; o < next.up.n_slots; ++o)
        for (int m = 0; m < next.up.n[o]; ++m)
            product(n, next.up_w[o], 0, read_only(at_h(job.state.h[t], p, o, m)), none(),
                    {job.state.u[t + 1] + p * row + (next.up.first[o] + m) * next.k_up, row});
}

template <class T> void MaceBlock<T>::sum_path(const MaceCentre<T>& c, int q, int chunk, int k) {
    const MacePath& path = l.paths[q];
    const MaceTarget& target = l.targets[path.target];
    const MaceConvolution<T> o(job, l, c, q, chunk, u, w.exact_rows);
    convolve_path(o, w.a + k * l.a_row + std::int64_t(target.at + path.place) * l.k_up + chunk,
                  std::int64_t(target.n_paths) * l.k_up);
}

template <class T> void MaceBlock<T>::to_x(std::int64_t p, int n) {
    const std::int64_t x_row = std::int64_t(l.n_x) * l.k;
    T* x = job.state.x[t] + p * x_row;
    if (l.nonlinear) return to_x_nonlinear(p, n, x);
    for_species(p, n, [&](int first, int rows, int species) {
        for (int o = 0; o < l.n_targets; ++o)
            for (int m = 0; m < l.targets[o].n; ++m)
                product(rows, l.lin[o], species, read_only(at_a(first, o, m)), none(),
                        {x + first * x_row + (l.targets[o].first + m) * l.k, x_row});
    });
    for (int k = 0; l.density && k < n; ++k)
        scale_row(x + k * x_row, x_row, 1.0 / (1.0 + job.state.rho[t][p + k]));
}

template <class T> void MaceBlock<T>::add_residual(std::int64_t p, int n, T* y) {
    const std::int64_t row = y_rows() * l.k;
    for_species(p, n, [&](int first, int rows, int species) {
        for (int o = 0; o < l.n_targets; ++o) {
            if (l.res[o].n_in == 0) continue;
            for (int m = 0; m < l.targets[o].n; ++m) {
                const Matrix<T> to{y + first * row + y_at(o, m), row};
                product(rows, l.res[o], 0, own_u(p + first, species, l.up.first[l.res_from[o]] + m),
                        read_only(to), to);
            }
        }
    });
}

template <class T> void MaceBlock<T>::to_x_nonlinear(std::int64_t p, int n, T* x) {
    const std::int64_t row = y_rows() * l.k, x_row = std::int64_t(l.n_x) * l.k;
    T* y = job.state.y[t] + p * row;
    for (int o = 0; o < l.n_targets; ++o)
        for (int m = 0; m < l.targets[o].n; ++m)
            product(n, l.lin[o], 0, read_only(at_a(0, o, m)), none(), {y + y_at(o, m), row});
    for (int k = 0; k < n; ++k)
        scale_row(y + k * row, row, 1.0 / (l.beta * job.state.rho[t][p + k] + l.alpha));
    add_residual(p, n, y);
    for (int k = 0; k < n; ++k) gate(y + k * row, w.m + k * x_row);
    for (int o = 0; o < l.n_targets; ++o)
        for (int m = 0; m < l.targets[o].n; ++m) {
            const std::int64_t at = (l.targets[o].first + m) * std::int64_t(l.k);
            product(n, l.lin2[o], 0, {w.m + at, x_row}, none(), {x + at, x_row});
        }
}

template <class T> void MaceBlock<T>::gate(const T* y, T* x) const {
    for (int at = 0; at < l.k; at += V::width) {
        const V s = V(T(l.gate_silu)) * silu<T>(simd::load(y + at)).value;
        simd::store(x + at, s);
        for (int o = 1; o < l.n_targets; ++o) {
            const V g = V(T(l.gate_sigmoid)) * logistic<T>(simd::load(y + o * l.k + at));
            for (int m = 0; m < l.targets[o].n; ++m)
                simd::store(x + (l.targets[o].first + m) * l.k + at,
                            g * simd::load(y + y_at(o, m) + at));
        }
    }
}

template <class T> void MaceBlock<T>::to_h(std::int64_t p, int n) {
    const std::int64_t x_row = std::int64_t(l.n_x) * l.k, b_row = std::int64_t(l.n_b) * l.k;
    for (int k = 0; k < n; ++k)
        for_parts<T>(l.k, Product<T>{l, polynomial(species_of(p + k)),
                                     job.state.x[t] + (p + k) * x_row, w.b + k * b_row});
    for_species(p, n, [&](int first, int rows, int species) {
        int component = 0;
        for (int o = 0; o < l.out.n_slots; ++o)
            for (int m = 0; m < l.out.n[o]; ++m, ++component) {
                const Matrix<const T> from{w.b + first * b_row + component * l.k, b_row};
                const Matrix<T> to = at_h(job.state.h[t], p + first, o, m);
                if (l.first && l.species_skip) {
                    const T* table =
                        l.species_skip + (std::int64_t(species) * l.out.n_slots + o) * l.k;
                    product(rows, l.prod[o], 0, from, m == 0 ? Matrix<const T>{table, 0} : none(),
                            to);
                    continue;
                }
                product(rows, l.prod[o], 0, from, none(), to);
                if (l.first || l.skip[o].n_in == 0) continue;
                product(rows, l.skip[o], species, input(p + first, l.skip_from[o], m),
                        read_only(to), to);
            }
    });
}

template <class T> void MaceBlock<T>::read(std::int64_t place) {
    const std::int64_t row = std::int64_t(l.out.n_components) * l.k;
    const T* h = job.state.h[t] + place * row;
    const std::int64_t i = job.plan.row[place];
    const std::int64_t caller = job.s.order ? job.s.order[i] : i;
    int before = 0, width = 0;
    for (int k = 0; k < model.n_layers; ++k) {
        if (k < t) before += model.layers[k].channels;
        width += model.layers[k].channels;
    }
    if (job.task == MaceTask::features) {
        double* to = job.out.features + caller * width + before;
        for (int k = 0; k < l.channels; ++k) to[k] = double(h[k]);
        return;
    }
    T* dh = job.state.dh[t] + place * row;
    clear(dh, row);
    if (job.task == MaceTask::weighted) {
        const double* from = job.out.feature_weights + caller * width + before;
        for (int k = 0; k < l.channels; ++k) dh[k] = T(from[k]);
        return;
    }
    const double weight = model.scale * (job.out.centre_weights ? job.out.centre_weights[i] : 1.0);
    for (int r = 0; r < model.n_readouts; ++r)
        if (model.readouts[r].layer == t)
            job.state.energies[place] +=
                model.scale * read_out(model.readouts[r], l.k, h, T(weight), dh, w.row);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
