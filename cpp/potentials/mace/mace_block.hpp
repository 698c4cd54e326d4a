// One block of rows of one layer on one thread: what its ways forward (mace_forward.hpp) and back
// (mace_backward.hpp) share. Include from kernels only.
#pragma once

#include "nn/gemm.hpp"
#include "potentials/mace/mace_convolution.hpp"

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
        for_runs(int(end - begin), kMaceBatch<T>,
                 [&](int first, int n) { forward_batch(begin + first, n); });
    }
    void backward() {
        T* messages = job.state.messages[t];
        if (messages) {
            const std::int64_t first = job.plan.first_entry[b], n = job.plan.first_entry[b + 1];
            clear(messages + first * u_row, (n - first) * u_row);
        }
        for_runs(int(end - begin), kMaceBatch<T>,
                 [&](int first, int n) { backward_batch(begin + first, n); });
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
    // body(first, length) for runs of at most `most` among n.
    template <class Body> static void for_runs(int n, int most, const Body& body) {
        for (int first = 0; first < n; first += most)
            body(first, n - first < most ? n - first : most);
    }
    // Of a batch of n places from p on: body(first, length) for runs of centres whose pairs are in memory,
    // in `centre`, at a time. Without tables that is one, as the R of all its pairs take their place.
    template <class Body> void for_centres(std::int64_t p, int n, const Body& body) {
        for_runs(n, model.exact ? 1 : kMaceSub, [&](int first, int length) {
            for (int k = 0; k < length; ++k) {
                mace_gather(job, w, t, k, p + first + k, centre[k]);
                mace_angular(job, l, w.angular, centre[k]);
                if (model.exact) exact(centre[k]);
            }
            body(first, length);
        });
    }
    static void clear(T* x, std::int64_t n) {
        for (std::int64_t k = 0; k < n; k += V::width) simd::store(x + k, V(T(0)));
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
    void start();

    // The R of all paths and pairs of a centre, where there are no tables.
    void exact(MaceCentre<T>& c) {
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

    void forward_batch(std::int64_t p, int n);
    template <class Body> void for_paths(const Body& body) const {
        for (int q = 0; q < l.n_paths; ++q)
            for (int chunk = 0; chunk < l.k_up; chunk += mace_chunk<T>(l.k_up)) body(q, chunk);
    }
    void sum_path(const MaceCentre<T>& c, int q, int chunk, int k);
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
    // Rows of k channels of y: scalars, gates, and the components of the other targets as x has them.
    std::int64_t y_rows() const { return l.n_x + l.n_gates; }
    std::int64_t y_at(int o, int m) const {
        return (l.targets[o].first + m + (o > 0 ? l.n_gates : 0)) * std::int64_t(l.k);
    }

    void to_x(std::int64_t p, int n);
    // Rows of u of the centres themselves: of the first layer, by species.
    Matrix<const T> own_u(std::int64_t p, int species, int component) const {
        if (l.first) return {u + species * u_row + component * l.k_up, 0};
        return {u + p * u_row + component * l.k_up, u_row};
    }
    // y += u res of the centres' own u.
    void add_residual(std::int64_t p, int n, T* y);
    void to_x_nonlinear(std::int64_t p, int n, T* x);
    void gate(const T* y, T* x) const;
    // dE/dy from dE/dx of the gated features, in rows of y.
    void gate_back(const T* y, const T* dx, T* dy) const;

    const T* polynomial(int species) const {
        return job.tables.product[std::int64_t(t) * model.n_species + species];
    }
    void to_h(std::int64_t p, int n);
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
    void read(std::int64_t place);

    // dE/dh' of this layer, complete: what the next layer's u and self connections give.
    void finish_dh(std::int64_t p, int n);

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
    void backward_batch(std::int64_t p, int n);
    double dot(const T* x, const T* y, std::int64_t length) const {
        V sum = T(0);
        for (std::int64_t c = 0; c < length; c += V::width)
            sum = simd::fma(simd::load(x + c), simd::load(y + c), sum);
        return double(simd::sum(sum));
    }
    // dE/dx in w.m becomes dE/d(A lin), in rows of y; also dE/drho, and dE/du of the centres' own.
    void nonlinear_back(std::int64_t p, int n, double* drho);

    void pairs_back(std::int64_t p, int n, const double* drho);
    void path_back(const MaceCentre<T>& c, int q, int chunk, int k);

    const MaceJob<T>& job;
    const MaceModel<T>& model;
    const MaceLayer<T>& l;
    const int t;
    const std::int64_t b, begin;
    std::int64_t end, u_row;
    const T* u;
    MaceScratch<T> w;
    MaceCentre<T> centre[kMaceSub];
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
