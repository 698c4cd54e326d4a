// Behler-Parrinello networks in one pass over blocks of rows; formulas in behler_parrinello.hpp.
//
// Centre by centre: its neighbors, and their factors; the functions, of triplets in tiles of those whose
// third side is in reach; the nets; and back from dE/dG. Tiles stay in the thread's scratch, so that the
// way back has cosines and third sides, unless a centre has too many: then they are made again. The nets
// have a single row here: next to thousands of triplets their 2,000 products are nothing.
//
// Operations, with Q factors and F functions of a set, T triplets in reach of P pairs of neighbors:
//   pair of neighbors   14 + Q to find it, 30 + 6 Q to spread its gradients
//   triplet             60 to 80 for the third side's cutoff function, 26 Q for the Gaussians, some 8 for each
//                       factor of the angle both ways, 2 F + Q forward, 4 F + 7 Q back
#include "potentials/behler_parrinello/behler_parrinello.hpp"

#include "forces/gradient_sink.hpp"
#include "forces/near.hpp"
#include "nn/dense_net.hpp"
#include "potentials/behler_parrinello/symmetry_triplets.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

struct Job {
    CentreTask task;
    const BehlerParrinelloParams& p;
    const System& s;
    const Neighbors& list;
    const BehlerParrinelloWork& work;
    const Outputs& out;
};

// Neighbors of row i within reach, grouped by species as the list is.
void gather(const Job& job, std::int64_t i, double reach, SymmetryScratch& k) {
    SymmetryNeighbors& all = k.all;
    const V limit = reach * reach;
    const std::int32_t* begin = job.list.index + job.list.first[i];
    all.n = gather_near(
        job.s.rows, i, begin, begin + job.list.count[i],
        [&](const Listed<double>& v) MDKERN_BODY { return v.r2 < limit; },
        [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t*, int at)
            MDKERN_BODY {
                v.keep_vectors(within, all.x + at, all.y + at, all.z + at);
                simd::compress_store(all.r + at, v.r2, within);
                simd::compress_store(k.staged_species + at, v.w, within);
                simd::compress_store(all.index + at, v.j, within);
            });
    for (int s = 0, at = 0; s <= job.p.n_species; ++s) {
        while (at < all.n && k.staged_species[at] < double(s)) ++at;
        all.start[s] = at;
    }
    // What stands behind the last one is beyond every cutoff.
    for (int at = all.n; at < all.n + kPadLanes; ++at) {
        all.x[at] = all.y[at] = all.z[at] = 0.0;
        all.r[at] = 4.0 * reach * reach;
        all.index[at] = std::int32_t(i);
    }
    for_vectors(all.n + W, [&](int at) MDKERN_BODY {
        const V r2 = simd::load(all.r + at), r = simd::sqrt(r2);
        simd::store(all.r + at, r);
        simd::store(all.inverse + at, V(1.0) / r);
    });
}

// Those within reach of triplets.
void gather_triplets(const Job& job, std::int64_t i, double reach, SymmetryScratch& k) {
    const SymmetryNeighbors& all = k.all;
    SymmetryNeighbors& near = k.near;
    int n = 0;
    near.start[0] = 0;
    for (int s = 0; s < job.p.n_species; ++s) {
        for (int at = all.start[s]; at < all.start[s + 1]; at += W) {
            const auto live =
                simd::first_n<double>(all.start[s + 1] - at) & (simd::load(all.r + at) < V(reach));
            simd::compress_store(near.x + n, simd::load(all.x + at), live);
            simd::compress_store(near.y + n, simd::load(all.y + at), live);
            simd::compress_store(near.z + n, simd::load(all.z + at), live);
            simd::compress_store(near.r + n, simd::load(all.r + at), live);
            simd::compress_store(near.inverse + n, simd::load(all.inverse + at), live);
            n += simd::compress_store(near.index + n, simd::load_int<double>(all.index + at), live);
        }
        near.start[s + 1] = n;
    }
    near.n = n;
    for (int at = n; at < n + kPadLanes; ++at) {
        near.x[at] = near.y[at] = near.z[at] = 0.0;
        near.r[at] = 2.0 * reach;
        near.inverse[at] = 1.0;
        near.index[at] = std::int32_t(i);
    }
}

class Block : ForceBlock {
public:
    Block(const Job& j, const ForceBlocks& plan, std::int64_t block, int thread)
        : ForceBlock(j.s, block),
          job(j),
          p(j.p),
          room(padded_room(j.work.largest)),
          tape((k.layout(p, j.work.largest, j.work.scratch + thread * j.work.scratch_bytes), k),
               SymmetryScratch::tile_bytes(p)) {
        if (job.task == CentreTask::descriptor) return;
        open(plan, block, job.work, thread);
    }

    void run() {
        for_batches(p.n_species, 1, job.task == CentreTask::jacobian ? &job.out.jacobian : nullptr,
                    [&](int type, const std::int64_t* rows, int) { centre(type, rows[0]); });
        finish(job.out);
    }

private:
    void centre(int type, std::int64_t i) {
        const SymmetryElement& e = p.elements[type];
        values(e, i);
        const auto place = [&](int, int c) -> double& { return k.features[c]; };
        const auto weight = [&](int, int c) -> double& { return k.weights[c]; };
        switch (job.task) {
            case CentreTask::descriptor:
                return write_features(job.out, &i, 1, p.n_features, place);
            case CentreTask::vjp:
                read_weights(job.out, &i, 1, p.n_features, weight);
                return gradients(e, i, 0);
            case CentreTask::jacobian:
                for (int f = 0; f < e.n_features; ++f) {
                    for (int c = 0; c < e.n_features; ++c) k.weights[c] = c == f ? 1.0 : 0.0;
                    gradients(e, i, f);
                }
                return;
            default:
                energy[i - begin] = evaluate(e, type);
                if (job.out.centre_weights)
                    for (int c = 0; c < e.n_features; ++c)
                        k.weights[c] *= job.out.centre_weights[i];
                return gradients(e, i, 0);
        }
    }

    // Functions of a centre.
    void values(const SymmetryElement& e, std::int64_t i) {
        for (int c = 0; c < padded(p.n_features); ++c) k.features[c] = 0.0;
        gather(job, i, e.reach, k);
        factors_of(k.all);
        for (int of = 0; of < p.n_species; ++of) {
            const int at = k.all.start[of], n = k.all.start[of + 1] - at;
            for (int f = e.radial_first[of]; f < e.radial_first[of + 1]; ++f) {
                radial(e, f, at, n);
                V sum = 0.0;
                for_vectors(n, [&](int t) MDKERN_BODY {
                    sum = sum + simd::load(k.gx + t, simd::first_n<double>(n - t));
                });
                k.features[e.radial[2 * f + 1]] += e.radial_weight[f] * simd::sum(sum);
            }
        }
        tape.clear();
        if (e.n_sets == 0) return;
        gather_triplets(job, i, e.near_reach, k);
        if (k.near.n < k.all.n) factors_of(k.near);
        for (int c = 0; c < p.n_cutoffs; ++c)
            for_vectors(k.near.n + W, [&](int t) MDKERN_BODY {
                const std::int64_t at = c * room + t;
                const V fc = simd::load(k.fc + at), live = simd::select(V(0.0) < fc, fc, V(1.0));
                simd::store(k.near_fc + at, fc);
                simd::store(k.log_slope + at,
                            simd::load(k.dfc + at) * simd::load(k.near.inverse + t) / live);
            });
        for (int q = 0; q < e.n_near; ++q) {
            if (!e.listed[q]) continue;
            const RadialFactor& f = p.factors[e.near[q]];
            radial_row(f, k.near.r, k.near.inverse, k.near.n + W, k.fc + f.cutoff * room,
                       k.dfc + f.cutoff * room, k.factor + q * room, k.slope + q * room);
        }
        Triplets triplets{p, e, k, room};
        for (int which = 0; which < e.n_sets; ++which)
            triplets.for_tiles(which, tape,
                               [&](const TripletTile& tile) { triplets.add_values(tile); });
    }
    // One vector more than there are neighbors: a run of a species may end inside of it.
    void factors_of(const SymmetryNeighbors& of) {
        for (int c = 0; c < p.n_cutoffs; ++c)
            cutoff_row(p.cutoffs[c], of.r, of.n + W, k.fc + c * room, k.dfc + c * room);
    }
    // Value of radial function f at n neighbors from `at` on into gx; its slopes stay for the way back.
    void radial(const SymmetryElement& e, int f, int at, int n) {
        const RadialFactor& factor = p.factors[e.radial[2 * f]];
        const std::int64_t cut = factor.cutoff * room + at;
        radial_row(factor, k.all.r + at, k.all.inverse + at, n, k.fc + cut, k.dfc + cut, k.gx,
                   k.radial_slope + f * room + at);
    }

    // Energy of a centre, and dE/dG.
    double evaluate(const SymmetryElement& e, int type) {
        const int n = e.n_features;
        bool inside = true;
        for (int c = 0; c < n; ++c)
            inside = inside && k.features[c] >= e.lower[c] && k.features[c] <= e.upper[c];
        if (!inside) __atomic_store_n(job.work.overflow, 1, __ATOMIC_RELAXED);
        double sum = p.bias[type];
        for (int c = 0; c < n; ++c) k.weights[c] = 0.0;
        for (int m = 0; m < p.n_members; ++m) {
            const Net<double>& net = p.nets[m * p.n_species + type];
            net_forward(net, 1, Matrix<const double>{k.features, 0}, k.net);
            sum += p.scale[m] * k.net.y[net.n_layers - 1][0];
            for (int c = 0; c < kPadLanes; ++c) k.output[c] = c == 0 ? p.scale[m] : 0.0;
            net_backward(net, 1, k.output, Matrix<double>{k.back, padded(n)}, k.net, p.zeros);
            for (int c = 0; c < n; ++c) k.weights[c] += k.back[c];
        }
        return sum;
    }

    // Gradients of sum_c weights_c G_c, of the centre whose functions were last made.
    void gradients(const SymmetryElement& e, std::int64_t i, std::int64_t feature) {
        GradientSink<double> sink(*this, job.list, job.task, job.out.jacobian);
        sink.feature = feature;
        const SymmetryNeighbors& all = k.all;
        for (int of = 0; of < p.n_species; ++of) {
            const int at = all.start[of], n = all.start[of + 1] - at;
            const int first = e.radial_first[of], last = e.radial_first[of + 1];
            for (int f = first; f < last; ++f)
                k.of_function[f] = e.radial_weight[f] * k.weights[e.radial[2 * f + 1]];
            // Where the last vector goes beyond the run, the next run comes after it.
            for_vectors(n, [&](int t) MDKERN_BODY {
                V pull = 0.0;
                for (int f = first; f < last; ++f)
                    pull = simd::fma(V(k.of_function[f]),
                                     simd::load(k.radial_slope + f * room + at + t), pull);
                simd::store(k.pull + at + t, pull);
            });
        }
        for_vectors(all.n, [&](int t) MDKERN_BODY {
            const V pull = simd::keep(simd::first_n<double>(all.n - t), simd::load(k.pull + t));
            const V x = simd::load(all.x + t), y = simd::load(all.y + t), z = simd::load(all.z + t);
            sink.add(all.index + t, x, y, z, pull * x, pull * y, pull * z);
        });
        if (e.n_sets > 0) triplet_gradients(e, sink);
        sink.finish_centre(i);
    }
    void triplet_gradients(const SymmetryElement& e, GradientSink<double>& sink) {
        const SymmetryNeighbors& near = k.near;
        for (double* g : {k.gx, k.gy, k.gz})
            for (int t = 0; t < near.n + kPadLanes; ++t) g[t] = 0.0;
        Triplets triplets{p, e, k, room};
        const auto back = [&](const TripletTile& tile) { triplets.add_gradients(tile); };
        if (tape.kept()) {
            tape.each(back);
        } else {
            for (int which = 0; which < e.n_sets; ++which) triplets.for_tiles(which, tape, back);
        }
        for_vectors(near.n, [&](int t) MDKERN_BODY {
            sink.add(near.index + t, simd::load(near.x + t), simd::load(near.y + t),
                     simd::load(near.z + t), simd::load(k.gx + t), simd::load(k.gy + t),
                     simd::load(k.gz + t));
        });
    }

    const Job& job;
    const BehlerParrinelloParams& p;
    SymmetryScratch k;
    const std::int64_t room;
    TripletTape tape;
};

}  // namespace

void behler_parrinello_compute(CentreTask task, const BehlerParrinelloParams& p, const System& s,
                               const Neighbors& list, const ForceBlocks& plan,
                               const BehlerParrinelloWork& work, int n_threads,
                               const Outputs& out) {
    const Job job{task, p, s, list, work, out};
    parallel_for_thread(plan.n_blocks, n_threads, 1,
                        [&](std::int64_t b, int thread) { Block(job, plan, b, thread).run(); });
    gather_entries(task, s, plan, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
