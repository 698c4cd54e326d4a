// MACE, layer by layer on blocks of rows; formulas in mace.hpp.
//
// Forward, a batch of centres: neighbors and T (mace_pairs.hpp), A (mace_convolution.hpp), x = A W as
// products of matrices, B (mace_product.hpp), h', readouts, u of the next layer. Backward the same the
// other way round; A is not needed again, as it is linear in all that it consists of, and R, T and u are
// made or read again. Messages dE/du_j go to entries of the block, one row for each atom that it touches,
// so that no two threads meet; each atom sums its own in the order of blocks.
#include "potentials/mace/mace.hpp"

#include "nn/activation.hpp"
#include "nn/gemm.hpp"
#include "potentials/mace/mace_convolution.hpp"
#include "potentials/mace/mace_product.hpp"
#include "potentials/mace/mace_readout.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> class MaceBlock {
    using V = simd::Vec<T>;

public:
    MaceBlock(const MaceJob<T>& j, int layer, std::int64_t block, int thread)
        : job(j),
          model(*j.model),
          l(j.model->layers[layer]),
          t(layer),
          b(block),
          begin(block * mace_block_rows(j.s.n_real)) {
        const std::int64_t last = begin + mace_block_rows(j.s.n_real);
        end = last < j.s.n_real ? last : j.s.n_real;
        w.take(model, j.plan.largest, j.state.scratch + thread * j.state.scratch_bytes);
        u_row = std::int64_t(l.up.n_components) * l.k_up;
        u = l.first ? l.species_up : j.state.u[t];
    }

    void forward() {
        if (t == 0) start();
        for (std::int64_t p = begin; p < end; p += kMaceBatch<T>) {
            const std::int64_t n = end - p < kMaceBatch<T> ? end - p : kMaceBatch<T>;
            forward_batch(p, int(n));
        }
    }
    void backward() {
        T* messages = job.state.messages[t];
        if (messages) {
            const std::int64_t first = job.plan.first_entry[b], n = job.plan.first_entry[b + 1];
            for (std::int64_t k = first * u_row; k < n * u_row; k += V::width)
                simd::store(messages + k, V(T(0)));
        }
        for (std::int64_t p = begin; p < end; p += kMaceBatch<T>) {
            const std::int64_t n = end - p < kMaceBatch<T> ? end - p : kMaceBatch<T>;
            backward_batch(p, int(n));
        }
    }

private:
    static void product(int m, const MaceLinear<T>& x, int species, Matrix<const T> from,
                        Matrix<const T> first, Matrix<T> to) {
        gemm<T>(m, x.n_out, x.n_in, from, x.of(species), first, to, NoFinish());
    }
    static void product_back(int m, const MaceLinear<T>& x, int species, Matrix<const T> from,
                             Matrix<const T> first, Matrix<T> to) {
        gemm<T>(m, x.n_in, x.n_out, from, x.back_of(species), first, to, NoFinish());
    }
    Matrix<const T> none() const { return {model.zeros, 0}; }
    int species_of(std::int64_t place) const {
        return int(job.s.rows[4 * std::int64_t(job.plan.row[place]) + 3]);
    }
    // body(first, rows, species) for the runs of one species among n places from p on, relative to p.
    template <class Body> void for_species(std::int64_t p, int n, const Body& body) const {
        for (int k = 0; k < n;) {
            const int species = species_of(p + k);
            int stop = k + 1;
            while (stop < n && species_of(p + stop) == species) ++stop;
            body(k, stop - k, species);
            k = stop;
        }
    }
    void start() {
        const std::int64_t first = job.plan.first_entry[b], n = job.plan.first_entry[b + 1];
        if (job.state.entries)
            for (std::int64_t e = 4 * first; e < 4 * n; ++e) job.state.entries[e] = 0.0;
        if (job.state.virial_entries)
            for (std::int64_t e = 8 * first; e < 8 * n; ++e) job.state.virial_entries[e] = 0.0;
        for (int c = 0; c < 6; ++c) job.state.virials[6 * b + c] = 0.0;
        for (std::int64_t p = begin; p < end; ++p)
            job.state.energies[p] = model.energy[species_of(p)];
    }

    // The R of all paths and pairs of a centre, where there are no tables.
    void exact(MaceCentre<T>& c) {
        if (!model.exact) return;
        for (int k = 0; k < c.n; ++k)
            model.exact(model.radial, t, c.species,
                        int(job.s.rows[4 * std::int64_t(c.index[k]) + 3]), c.r[k], c.n, k,
                        w.exact_rows, w.exact_density);
    }
    // Density and its derivative by the distance, of pair k of a group.
    double density(const MaceCentre<T>& c, int group, int k, double& slope) const {
        const double* q = w.exact_density + 6 * k;
        double x = 0.0, rate = 1.0;
        if (!model.exact) q = c.table[group]->density + 6 * c.table[group]->find(c.r[k], x, rate);
        double value = q[5];
        slope = 0.0;
        for (int d = 4; d >= 0; --d) {
            slope = slope * x + value;
            value = value * x + q[d];
        }
        slope *= rate;
        return value;
    }
    template <class Body> static void for_pairs(const MaceCentre<T>& c, const Body& body) {
        for (int g = 0; g < c.n_groups; ++g)
            for (int k = c.begin[g]; k < c.begin[g + 1]; ++k) body(g, k);
    }

    void forward_batch(std::int64_t p, int n) {
        for (int first = 0; first < n; first += kMaceSub) {
            const int sub = n - first < kMaceSub ? n - first : kMaceSub;
            for (int k = 0; k < sub; ++k) {
                MaceCentre<T>& c = centre[k];
                mace_gather(job, w, t, k, p + first + k, c);
                mace_angular(job, l, w.angular, c);
                if (t == 0 && model.zbl.on && job.task == MaceTask::energy)
                    job.state.energies[c.place] += model.scale * mace_zbl(job, c, nullptr);
                if (model.exact) {
                    exact(c);
                    for_paths([&](int q, int chunk) { sum_path(c, q, chunk, first + k); });
                }
                if (!l.density) continue;
                double sum = 0.0, slope;
                for_pairs(c, [&](int g, int k2) { sum += density(c, g, k2, slope); });
                job.state.rho[t][c.place] = sum;
            }
            if (model.exact) continue;
            for_paths([&](int q, int chunk) {
                for (int k = 0; k < sub; ++k) sum_path(centre[k], q, chunk, first + k);
            });
        }
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
    template <class Body> void for_paths(const Body& body) const {
        for (int q = 0; q < l.n_paths; ++q)
            for (int chunk = 0; chunk < l.k_up; chunk += mace_chunk<T>(l.k_up)) body(q, chunk);
    }
    void sum_path(const MaceCentre<T>& c, int q, int chunk, int k) {
        const MacePath& path = l.paths[q];
        const MaceTarget& target = l.targets[path.target];
        const MaceConvolution<T> o(job, l, c, q, chunk, u, w.exact_rows);
        convolve_path(o, w.a + k * l.a_row + std::int64_t(target.at + path.place) * l.k_up + chunk,
                      std::int64_t(target.n_paths) * l.k_up);
    }
    // Rows of component m of irreps o of what is made as h of this layer is.
    Matrix<T> at_h(T* h, std::int64_t p, int o, int m) const {
        const std::int64_t row = std::int64_t(l.out.n_components) * l.k;
        return {h + p * row + (l.out.first[o] + m) * l.k, row};
    }
    static Matrix<const T> read_only(Matrix<T> x) { return {x.data, x.ld}; }
    void scale_row(T* row, std::int64_t length, double factor) const {
        const V f = T(factor);
        for (std::int64_t k = 0; k < length; k += V::width)
            simd::store(row + k, f * simd::load(row + k));
    }
    // A, or its gradient, of component m of target o.
    Matrix<T> at_a(int first, int o, int m) const {
        const MaceTarget& target = l.targets[o];
        return {w.a + first * l.a_row + std::int64_t(target.at + m * target.n_paths) * l.k_up,
                l.a_row};
    }
    // x, or y: rows of target o, component m, where the first target has `wide` times as many channels.
    std::int64_t y_rows() const { return l.n_x + l.n_gates; }
    std::int64_t y_at(int o, int m) const {
        return (l.targets[o].first + m + (o > 0 ? l.n_gates : 0)) * std::int64_t(l.k);
    }

    void to_x(std::int64_t p, int n) {
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
    // Rows of u of the centres themselves: of the first layer, by species.
    Matrix<const T> own_u(std::int64_t p, int species, int component) const {
        if (l.first) return {u + species * u_row + component * l.k_up, 0};
        return {u + p * u_row + component * l.k_up, u_row};
    }
    // to = from of a matrix, with what the centres' own u give added to it. l.targets and the slots of u
    // are the same irreps in the same order, as far as there is a matrix.
    void add_residual(std::int64_t p, int n, T* y, bool add) {
        const std::int64_t row = y_rows() * l.k;
        for_species(p, n, [&](int first, int rows, int species) {
            for (int o = 0; o < l.n_targets; ++o) {
                if (l.res[o].n_in == 0) continue;
                for (int m = 0; m < l.targets[o].n; ++m) {
                    const Matrix<T> to{y + first * row + y_at(o, m), row};
                    product(rows, l.res[o], 0,
                            own_u(p + first, species, l.up.first[l.res_from[o]] + m),
                            add ? read_only(to) : none(), to);
                }
            }
        });
    }
    void to_x_nonlinear(std::int64_t p, int n, T* x) {
        const std::int64_t row = y_rows() * l.k, x_row = std::int64_t(l.n_x) * l.k;
        T* y = job.state.y[t] + p * row;
        for (int o = 0; o < l.n_targets; ++o)
            for (int m = 0; m < l.targets[o].n; ++m)
                product(n, l.lin[o], 0, read_only(at_a(0, o, m)), none(), {y + y_at(o, m), row});
        for (int k = 0; k < n; ++k)
            scale_row(y + k * row, row, 1.0 / (l.beta * job.state.rho[t][p + k] + l.alpha));
        add_residual(p, n, y, true);
        for (int k = 0; k < n; ++k) gate(y + k * row, w.m + k * x_row);
        for (int o = 0; o < l.n_targets; ++o)
            for (int m = 0; m < l.targets[o].n; ++m) {
                const std::int64_t at = (l.targets[o].first + m) * std::int64_t(l.k);
                product(n, l.lin2[o], 0, {w.m + at, x_row}, none(), {x + at, x_row});
            }
    }
    void gate(const T* y, T* x) const {
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
    // dE/dy from dE/dx of the gated features, in rows of y.
    void gate_back(const T* y, const T* dx, T* dy) const {
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

    const T* polynomial(int species) const {
        return job.tables.product[std::int64_t(t) * model.n_species + species];
    }
    void to_h(std::int64_t p, int n) {
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
                        product(rows, l.prod[o], 0, from,
                                m == 0 ? Matrix<const T>{table, 0} : none(), to);
                        continue;
                    }
                    product(rows, l.prod[o], 0, from, none(), to);
                    if (l.first || l.skip[o].n_in == 0) continue;
                    product(rows, l.skip[o], species, input(p + first, l.skip_from[o], m),
                            read_only(to), to);
                }
        });
    }
    // h of the layer before, or its gradient.
    Matrix<T> input_of(T* h, std::int64_t p, int o, int m) const {
        const MaceLayer<T>& last = model.layers[t - 1];
        const std::int64_t row = std::int64_t(last.out.n_components) * last.k;
        return {h + p * row + (last.out.first[o] + m) * last.k, row};
    }
    Matrix<const T> input(std::int64_t p, int o, int m) const {
        return read_only(input_of(job.state.h[t - 1], p, o, m));
    }

    // Energies by the readouts of this layer and dE/dh', or features.
    void read(std::int64_t place) {
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
        for (std::int64_t k = 0; k < row; k += V::width) simd::store(dh + k, V(T(0)));
        if (job.task == MaceTask::weighted) {
            const double* from = job.out.feature_weights + caller * width + before;
            for (int k = 0; k < l.channels; ++k) dh[k] = T(from[k]);
            return;
        }
        const double weight =
            model.scale * (job.out.centre_weights ? job.out.centre_weights[i] : 1.0);
        for (int r = 0; r < model.n_readouts; ++r)
            if (model.readouts[r].layer == t)
                job.state.energies[place] +=
                    model.scale * read_out(model.readouts[r], l.k, h, T(weight), dh, w.row);
    }

    // dE/dh' of this layer, complete: what the next layer's u and self connections give.
    void finish_dh(std::int64_t p, int n) {
        if (t + 1 == model.n_layers) return;
        const MaceLayer<T>& next = model.layers[t + 1];
        const std::int64_t row = std::int64_t(next.up.n_components) * next.k_up;
        T* du = w.a;  // a batch of rows, not longer than those of A
        for (int k = 0; k < n; ++k) {
            T* to = du + k * row;
            const T* own = job.state.du[t + 1] ? job.state.du[t + 1] + (p + k) * row : nullptr;
            for (std::int64_t c = 0; c < row; c += V::width)
                simd::store(to + c, own ? simd::load(own + c) : V(T(0)));
            collect(job.state.messages[t + 1], job.plan.row[p + k], row, to);
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

public:
    // to += the messages of a home, in the order of blocks.
    static void collect(const MacePlan& plan, const T* messages, std::int64_t home,
                        std::int64_t row, T* to) {
        for (std::int64_t e = plan.start[home]; e < plan.start[home + 1]; ++e) {
            const T* from = messages + plan.entry[e] * row;
            for (std::int64_t c = 0; c < row; c += V::width)
                simd::store(to + c, simd::load(to + c) + simd::load(from + c));
        }
    }

private:
    void collect(const T* messages, std::int64_t home, std::int64_t row, T* to) const {
        collect(job.plan, messages, home, row, to);
    }

    void backward_batch(std::int64_t p, int n) {
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
            for (std::int64_t c = 0; c < x_row; c += V::width) simd::store(to + c, V(T(0)));
            for_parts<T>(l.k,
                         ProductBack<T>{l, polynomial(species_of(p + k)),
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
    double dot(const T* x, const T* y, std::int64_t length) const {
        V sum = T(0);
        for (std::int64_t c = 0; c < length; c += V::width)
            sum = simd::fma(simd::load(x + c), simd::load(y + c), sum);
        return double(simd::sum(sum));
    }
    // From dE/dx in w.m, dE/dM in w.m in rows of y, dE/drho, and dE/du of the centres' own.
    void nonlinear_back(std::int64_t p, int n, double* drho) {
        const std::int64_t row = y_rows() * l.k, x_row = std::int64_t(l.n_x) * l.k;
        const T* y = job.state.y[t] + p * row;
        T *gated = w.a, *residual = w.a;  // A is not there yet, and its rows are not shorter
        for (int o = 0; o < l.n_targets; ++o)
            for (int m = 0; m < l.targets[o].n; ++m) {
                const std::int64_t at = (l.targets[o].first + m) * std::int64_t(l.k);
                product_back(n, l.lin2[o], 0, {w.m + at, x_row}, none(), {gated + at, x_row});
            }
        for (int k = 0; k < n; ++k) gate_back(y + k * row, gated + k * x_row, w.m + k * row);
        for (std::int64_t c = 0; c < n * row; c += V::width) simd::store(residual + c, V(T(0)));
        add_residual(p, n, residual, false);
        for (int k = 0; k < n; ++k) {
            const double f = 1.0 / (l.beta * job.state.rho[t][p + k] + l.alpha);
            const T* dy = w.m + k * row;
            drho[k] = -l.beta * f * (dot(dy, y + k * row, row) - dot(dy, residual + k * row, row));
        }
        if (!l.first) {
            T* du = job.state.du[t] + p * u_row;
            for (std::int64_t c = 0; c < n * u_row; c += V::width) simd::store(du + c, V(T(0)));
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

    void pairs_back(std::int64_t p, int n, const double* drho) {
        const std::int64_t first_entry = job.plan.first_entry[b];
        double* entries = job.state.entries + 4 * first_entry;
        double* virial_entries =
            job.state.virial_entries ? job.state.virial_entries + 8 * first_entry : nullptr;
        for (int first = 0; first < n; first += kMaceSub) {
            const int sub = n - first < kMaceSub ? n - first : kMaceSub;
            for (int k = 0; k < sub; ++k) {
                MaceCentre<T>& c = centre[k];
                mace_gather(job, w, t, k, p + first + k, c);
                mace_angular(job, l, w.angular, c);
                // Places without a pair.
                const std::int64_t from = c.n / kLine<T> * l.n_entries * kLine<T>,
                                   to = std::int64_t(c.padded_n()) * l.n_entries;
                for (std::int64_t e = from; e < to; ++e) c.s[e] = T(0);
                if (model.exact) {
                    exact(c);
                    for_paths([&](int q, int chunk) { path_back(c, q, chunk, first + k); });
                }
                if (t == 0 && model.zbl.on && job.task == MaceTask::energy) {
                    const double weight =
                        job.out.centre_weights ? job.out.centre_weights[c.row] : 1.0;
                    zbl_weight = model.scale * weight;
                    mace_zbl(job, c, &zbl_weight);
                }
                if (l.density)
                    for_pairs(c, [&](int g, int k2) {
                        double slope;
                        density(c, g, k2, slope);
                        c.radial[k2] += T(drho[first + k] * slope);
                    });
            }
            if (!model.exact)
                for_paths([&](int q, int chunk) {
                    for (int k = 0; k < sub; ++k) path_back(centre[k], q, chunk, first + k);
                });
            for (int k = 0; k < sub; ++k)
                mace_pair_forces(job, l, w.angular, centre[k], entries, virial_entries,
                                 job.state.virials + 6 * b);
        }
    }
    void path_back(const MaceCentre<T>& c, int q, int chunk, int k) {
        const MacePath& path = l.paths[q];
        const MaceTarget& target = l.targets[path.target];
        const MaceConvolution<T> o(job, l, c, q, chunk, u, w.exact_rows);
        T* messages = job.state.messages[t];
        if (messages) messages += job.plan.first_entry[b] * u_row;
        convolve_back_path(
            o, w.a + k * l.a_row + std::int64_t(target.at + path.place) * l.k_up + chunk,
            std::int64_t(target.n_paths) * l.k_up, messages);
    }

    const MaceJob<T>& job;
    const MaceModel<T>& model;
    const MaceLayer<T>& l;
    const int t;
    const std::int64_t b, begin;
    std::int64_t end, u_row;
    const T* u;
    double zbl_weight = 0.0;
    MaceScratch<T> w;
    MaceCentre<T> centre[kMaceSub];
};

template <class T> void forward(const MaceJob<T>& job, int t, int n_threads) {
    parallel_for_thread(job.plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        MaceBlock<T>(job, t, b, thread).forward();
    });
}
template <class T> void backward(const MaceJob<T>& job, int t, int n_threads) {
    parallel_for_thread(job.plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        MaceBlock<T>(job, t, b, thread).backward();
    });
}
template <class T> void collect(const MaceJob<T>& job, int t, int n_threads) {
    using V = simd::Vec<T>;
    const MaceLayer<T>& l = job.model->layers[t];
    const std::int64_t row = std::int64_t(l.up.n_components) * l.k_up, n = job.s.n_real;
    parallel_for(job.s.n_homes - n, n_threads, 0, [&](std::int64_t k) {
        T* to = job.state.du[t] + (n + k) * row;
        for (std::int64_t c = 0; c < row; c += V::width) simd::store(to + c, V(T(0)));
        MaceBlock<T>::collect(job.plan, job.state.messages[t], n + k, row, to);
    });
}

}  // namespace

void mace_forward_double_compute(const MaceJob<double>& job, int t, int n_threads) {
    forward(job, t, n_threads);
}
void mace_forward_single_compute(const MaceJob<float>& job, int t, int n_threads) {
    forward(job, t, n_threads);
}
void mace_backward_double_compute(const MaceJob<double>& job, int t, int n_threads) {
    backward(job, t, n_threads);
}
void mace_backward_single_compute(const MaceJob<float>& job, int t, int n_threads) {
    backward(job, t, n_threads);
}
void mace_collect_double_compute(const MaceJob<double>& job, int t, int n_threads) {
    collect(job, t, n_threads);
}
void mace_collect_single_compute(const MaceJob<float>& job, int t, int n_threads) {
    collect(job, t, n_threads);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
