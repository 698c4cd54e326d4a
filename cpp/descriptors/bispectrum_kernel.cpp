// See bispectrum.hpp.
#include "forces/force_block.hpp"
#include "simd/parallel.hpp"
// After these, which have names of their own for vectors:
#include "descriptors/bispectrum_batch.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

// --- SNAP ----------------------------------------------------------------------------------------

class SnapBlock final : ForceBlock {
public:
    SnapBlock(const SnapParams& params, const System& system, const Neighbors& neighbors,
              const ForceBlocks& plan, const ForceBlockWork& job, const Outputs& outputs,
              std::int64_t block, int thread)
        : ForceBlock(system, block), p(params), list(neighbors), out(outputs) {
        work.take(job.scratch + std::int64_t(thread) * std::int64_t(job.scratch_bytes), p.basis,
                  job.largest, W);
        open(plan, block, job, thread);
    }

    void run() {
        for_batches(p.basis.n_species, W, nullptr,
                    [&](int type, const std::int64_t* rows, int n) { batch(type, rows, n); });
        double w[12];
        sums.store(w);
        for (int c = 0; c < 6; ++c) virial[c] -= w[3 + c];
        finish(out);
    }

private:
    void batch(int type, const std::int64_t* rows, int n) {
        BispectrumBatch batch(p.basis, s, list, work);
        batch.begin(rows, n);
        const double* c = p.coefficients + type * (1 + p.basis.n_features);
        V e;
        if (p.basis.quadratic) {
            batch.components();
            e = batch.slopes_of([&](int i) { return V(c[1 + i]); }) + V(c[0]);
            batch.spread_slopes();
            batch.adjoint();
        } else {
            batch.same_slopes(p.slopes + std::int64_t(type) * p.basis.n_slopes());
            e = batch.adjoint() + V(p.shift[type]);
        }
        double lanes[W];
        simd::store(lanes, e);
        V share = 1.0;
        if (out.centre_weights) {
            double w[W];
            for (int l = 0; l < W; ++l) w[l] = out.centre_weights[batch.row[l]];
            share = simd::load(w);
        }
        V fx = 0.0, fy = 0.0, fz = 0.0;
        batch.gradients([&](int q, V dx, V dy, V dz, V px, V py, V pz) MDKERN_BODY {
            px = px * share;
            py = py * share;
            pz = pz * share;
            std::int32_t slot[W];
            for (int l = 0; l < W; ++l) {
                const std::int32_t at = work.source[q * W + l];
                slot[l] = slots[at < 0 ? batch.row[l] : list.index[list.first[batch.row[l]] + at]];
            }
            simd::subtract_rows(entries, slot, px, py, pz);
            fx = fx + px;
            fy = fy + py;
            fz = fz + pz;
            sums.add_virial(dx, dy, dz, px, py, pz);
            if (virial_entries) add_virials<double>(slot, dx, dy, dz, px, py, pz);
        });
        double own[3][W];
        simd::store(own[0], fx);
        simd::store(own[1], fy);
        simd::store(own[2], fz);
        for (int l = 0; l < n; ++l) {
            energy[rows[l] - begin] = lanes[l];
            for (int x = 0; x < 3; ++x) entries[4 * std::int64_t(slots[rows[l]]) + x] += own[x][l];
        }
    }

    const SnapParams& p;
    const Neighbors& list;
    const Outputs& out;
    BispectrumWork work;
    GradientSums<double> sums = {};
};

// --- the descriptor ------------------------------------------------------------------------------

// body(batch, first, n) for the centers, W at a time; of batch.k.weights nothing is set.
template <class Body>
void for_center_batches(const BispectrumParams& p, const System& s, const Neighbors& list,
                        const BispectrumTask& task, int n_threads, const Body& body) {
    parallel_for_thread(
        (task.centers.n + W - 1) / W, n_threads, 1, [&](std::int64_t b, int thread) {
            BispectrumWork work;
            work.take(reinterpret_cast<char*>(task.scratch + thread * task.scratch_stride), p,
                      task.centers.longest, W);
            std::int64_t rows[W] = {};  // at -O2 GCC does not see that there is one at least
            const std::int64_t first = b * W;
            const int n = task.centers.n - first < W ? int(task.centers.n - first) : W;
            for (int l = 0; l < n; ++l) rows[l] = task.centers.row[first + l];
            BispectrumBatch batch(p, s, list, work);
            batch.begin(rows, n);
            body(batch, first, n);
        });
}

// Features of the lanes' centres from their components: feature(f, values).
template <class Feature> void each_feature(const BispectrumBatch& batch, const Feature& feature) {
    const int m = batch.p.n_components;
    for (int a = 0; a < m; ++a) feature(a, simd::load(batch.k.b + W * a));
    if (!batch.p.quadratic) return;
    int f = m;
    for (int a = 0; a < m; ++a)
        for (int q = a; q < m; ++q) {
            const V x = simd::load(batch.k.b + W * a) * simd::load(batch.k.b + W * q);
            feature(f++, q == a ? V(0.5) * x : x);
        }
}

// Y for the weights of features in k.weights. Returns the weighted sums where they are wanted.
V weigh(const BispectrumBatch& batch, bool energy) {
    const auto weight = [&](int f) { return simd::load(batch.k.weights + W * f); };
    if (batch.p.quadratic) {
        batch.components();
        const V e = batch.slopes_of(weight);
        batch.spread_slopes();
        batch.adjoint();
        return e;
    }
    const int m = batch.p.n_components;
    for (int c = 0; c < m; ++c) simd::store(batch.k.slope + W * c, weight(c));
    batch.spread_slopes();
    V e = batch.adjoint();
    for (int c = 0; energy && c < m; ++c) e = simd::fnma(weight(c), batch.zero(c), e);
    return e;
}

template <class T> void write_block(const BispectrumBatch& batch, int lane, std::int64_t f,
                                    const JacobianBlocks& blocks, std::int64_t c, T* values) {
    const BispectrumWork& k = batch.k;
    const std::int64_t nf = batch.p.n_features, own = blocks.attach ? blocks.own[c] : -1;
    const std::int64_t* pair = blocks.pair + batch.list.first[batch.row[lane]];
    const std::int64_t room = W * std::int64_t(batch.first[batch.p.n_blocks]);
    double total[3] = {0, 0, 0};
    for (std::int64_t at = lane; at < room; at += W) {
        if (k.source[at] < 0) continue;
        const std::int64_t block = pair[k.source[at]];
        for (int x = 0; x < 3; ++x) {
            const double g = k.gradients[x * room + at];
            total[x] += g;
            if (block >= 0) values[(3 * block + x) * nf + f] += T(g);
        }
    }
    for (int x = 0; own >= 0 && x < 3; ++x) values[(3 * own + x) * nf + f] -= T(total[x]);
}

void write_strain(const BispectrumBatch& batch, int lane, std::int64_t f, double* out) {
    const BispectrumWork& k = batch.k;
    const std::int64_t room = W * std::int64_t(batch.first[batch.p.n_blocks]);
    const double* r[3] = {k.x, k.y, k.z};
    for (int a = 0; a < 3; ++a)
        for (int x = 0; x < 3; ++x) {
            double sum = 0.0;
            for (std::int64_t at = lane; at < room; at += W)
                if (k.source[at] >= 0) sum += r[a][at] * k.gradients[x * room + at];
            out[(3 * a + x) * batch.p.n_features + f] = sum;
        }
}

// Gradients of the present Y into k.gradients, (3, room).
void keep_gradients(const BispectrumBatch& batch) {
    const std::int64_t room = W * std::int64_t(batch.first[batch.p.n_blocks]);
    double* g = batch.k.gradients;
    batch.gradients([&](int q, V, V, V, V px, V py, V pz) MDKERN_BODY {
        simd::store(g + q * W, px);
        simd::store(g + room + q * W, py);
        simd::store(g + 2 * room + q * W, pz);
    });
}

}  // namespace

void snap_compute(const SnapParams& p, const System& s, const Neighbors& list,
                  const ForceBlocks& plan, const ForceBlockWork& work, int n_threads,
                  const Outputs& out) {
    parallel_for_thread(plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        SnapBlock(p, s, list, plan, work, out, b, thread).run();
    });
    gather_entries(CentreTask::energy, s, plan, work, n_threads, out);
}

void bispectrum_values_compute(const BispectrumParams& p, const System& s, const Neighbors& list,
                               const BispectrumTask& task, int n_threads, double* out,
                               float* single) {
    for_center_batches(
        p, s, list, task, n_threads, [&](const BispectrumBatch& batch, std::int64_t first, int n) {
            batch.components();
            each_feature(batch, [&](int f, V x) {
                double lanes[W];
                simd::store(lanes, x);
                for (int l = 0; l < n; ++l) {
                    const std::int64_t at = task.centers.output[first + l] * p.n_features + f;
                    if (single)
                        single[at] = float(lanes[l]);
                    else
                        out[at] = lanes[l];
                }
            });
        });
}

void bispectrum_vjp_compute(const BispectrumParams& p, const System& s, const Neighbors& list,
                            const BispectrumTask& task, const BispectrumVjpTask& vjp,
                            int n_threads) {
    for_center_batches(
        p, s, list, task, n_threads, [&](const BispectrumBatch& batch, std::int64_t first, int n) {
            const BispectrumWork& k = batch.k;
            for (int l = 0; l < W; ++l) {
                const double* w =
                    vjp.weights + vjp.weight_row[first + (l < n ? l : 0)] * p.n_features;
                for (std::int64_t f = 0; f < p.n_features; ++f) k.weights[f * W + l] = w[f];
            }
            double e[W];
            simd::store(e, weigh(batch, vjp.energies != nullptr));
            keep_gradients(batch);
            const std::int64_t room = W * std::int64_t(batch.first[p.n_blocks]);
            for (int l = 0; l < n; ++l) {
                const std::int64_t row = batch.row[l], c = first + l;
                double* pairs = vjp.out.pairs + 3 * list.first[row];
                for (std::int64_t i = 0; i < 3 * std::int64_t(list.count[row]); ++i) pairs[i] = 0.0;
                double total[3] = {0, 0, 0}, virial[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
                for (std::int64_t at = l; at < room; at += W) {
                    if (k.source[at] < 0) continue;
                    const double r[3] = {k.x[at], k.y[at], k.z[at]};
                    for (int x = 0; x < 3; ++x) {
                        const double g = k.gradients[x * room + at];
                        pairs[3 * k.source[at] + x] = g;
                        total[x] += g;
                        for (int y = 0; y < 3; ++y) virial[3 * y + x] -= r[y] * g;
                    }
                }
                for (int x = 0; x < 3; ++x) vjp.out.sums[3 * c + x] = total[x];
                for (int x = 0; x < 9; ++x) vjp.out.virial[9 * c + x] = virial[x];
                if (vjp.energies) vjp.energies[task.centers.output[c]] = e[l];
            }
        });
}

void bispectrum_jacobian_compute(const BispectrumParams& p, const System& s, const Neighbors& list,
                                 const BispectrumTask& task, const BispectrumJacobianTask& job,
                                 int n_threads) {
    const auto clear = [&](auto* values, std::int64_t c) {
        const std::int64_t m = 3 * job.blocks.count[c] * p.n_features;
        for (std::int64_t i = 0; i < m; ++i) values[3 * job.blocks.first[c] * p.n_features + i] = 0;
    };
    for_center_batches(
        p, s, list, task, n_threads, [&](const BispectrumBatch& batch, std::int64_t first, int n) {
            for (int l = 0; !job.strain && job.blocks.first && l < n; ++l) {
                if (job.values_single)
                    clear(job.values_single, first + l);
                else
                    clear(job.values, first + l);
            }
            double* weights = batch.k.weights;
            for (std::int64_t f = 0; f < p.n_features; ++f) simd::store(weights + W * f, V(0.0));
            // One feature after the other, as weights of which one is not zero.
            for (std::int64_t f = 0; f < p.n_features; ++f) {
                simd::store(weights + W * f, V(1.0));
                weigh(batch, false);
                keep_gradients(batch);
                simd::store(weights + W * f, V(0.0));
                for (int l = 0; l < n; ++l) {
                    const std::int64_t c = first + l;
                    if (job.strain)
                        write_strain(batch, l, f,
                                     job.strain + 9 * task.centers.output[c] * p.n_features);
                    else if (job.values_single)
                        write_block(batch, l, f, job.blocks, c, job.values_single);
                    else
                        write_block(batch, l, f, job.blocks, c, job.values);
                }
            }
        });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
