// ACE on blocks of rows; formulas in ace.hpp. A batch of centers of one element: neighbors, channels and A of each
// (ace_pairs.hpp), products with a center per lane (ace_products.hpp), then gradients of the neighbors of each
// (ace_backward.hpp).
#include "potentials/ace/ace_backward.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace MDKERN_ISA {
namespace {

// One block of rows on one thread.
template <bool kReal> class Block : ForceBlock {
public:
    Block(const AceJob& j, const ForceBlocks& plan, const Outputs& o, std::int64_t block,
          int thread)
        : ForceBlock(j.s, block), job(j), out(o) {
        AceScratch::layout(job.p, job.work.largest,
                           job.work.scratch + thread * job.work.scratch_bytes, scratch);
        if (job.task == CentreTask::descriptor) return;
        open(plan, block, job.work, thread);
    }

    void run() {
        for_batches(job.p.n_species, W, job.task == CentreTask::jacobian ? &out.jacobian : nullptr,
                    [&](int type, const std::int64_t* rows, int n) { batch(type, rows, n); });
        finish(out);
    }

private:
    void batch(int type, const std::int64_t* rows, int n) {
        const AceCenter& c = job.p.centers[type];
        for (int l = 0; l < n; ++l) {
            AceLane& lane = scratch.lane[l];
            lane.row = rows[l];
            gather(job, c, scratch, lane);
            fade(job.p, type, lane);
            locate(job, c, lane);
            radial(job, c, scratch, lane);
            with_l_max(job.p.l_max, [&](auto l_max) MDKERN_BODY {
                harmonics<decltype(l_max)::value>(job.p, scratch, lane);
            });
            sum_neighbors(job, c, scratch, l);
        }
        // Lanes without a center repeat the first one: finite numbers that nobody reads.
        for (int v = 0; v < c.n_vectors; ++v)
            for (int l = n; l < W; ++l) scratch.values[v * W + l] = scratch.values[v * W];
        double energies[W] = {};
        if (job.task == CentreTask::energy) {
            energy_and_slopes(c, n, energies);
        } else {
            const AceFunctions& f = c.functions;
            evaluate_graph<kReal>(f.graph, scratch.values);
            if (job.task == CentreTask::descriptor) return write(f, rows, n);
            if (job.task == CentreTask::jacobian) return write_jacobian(c, rows, n);
            read(f, rows, n);
            slopes_of_functions<kReal>(f, 0, f.n, scratch.sums, scratch.values, scratch.slopes);
            descend_graph<kReal>(f.graph, scratch.values, scratch.slopes);
        }
        for (int l = 0; l < n; ++l) {
            gradients(c, l, 0);
            energy[rows[l] - begin] = energies[l];
        }
    }

    // Energies of the batch, and dE/dA.
    void energy_and_slopes(const AceCenter& c, int n, double* energies) {
        const AceProgram& program = c.program;
        const AceEmbedding& e = c.embedding;
        V rho[kAceMaxDensities];
        evaluate_graph<kReal>(program.graph, scratch.values);
        in_densities(e.n, [&](auto p) MDKERN_BODY {
            densities<kReal, decltype(p)::value>(program.forward, e.n, scratch.values, scratch.sums,
                                                 rho);
        });
        const V f = embed(e, rho);
        // E = F fade(rho_core or nearest) + core, of which F's and the core's factor are:
        V core = 0.0, slope = 0.0, factor = 1.0, core_factor = 1.0;
        for (int g = 0; g < c.n_groups; ++g)
            if (c.groups[g].core >= 0)
                core = core + simd::load(scratch.values + core_vector(c, g) * W);
        V total;
        if (job.p.near) {
            double fades[W];
            for (int l = 0; l < W; ++l) fades[l] = scratch.lane[l < n ? l : 0].fade;
            factor = simd::load(fades);
            core_factor = V(1.0) - factor;
            total = simd::fma(f, factor, core * core_factor);
            simd::store(nearest_slope, f - core);
        } else if (e.core) {
            factor = fall(core, e.rho_cut, e.drho_cut, slope);
            core_factor = simd::fma(f, slope, V(1.0));
            total = simd::fma(f, factor, core);
        } else {
            total = f;
        }
        simd::store(energies, total + V(c.e0));
        for (int p = 0; p < e.n; ++p) rho[p] = rho[p] * factor;
        in_densities(e.n, [&](auto p) MDKERN_BODY {
            slopes_of_terms<kReal, decltype(p)::value>(program, e.n, rho, scratch.values,
                                                       scratch.sums, scratch.slopes);
        });
        descend_graph<kReal>(program.graph, scratch.values, scratch.slopes);
        for (int g = 0; g < c.n_groups; ++g)
            if (c.groups[g].core >= 0)
                simd::store(scratch.slopes + core_vector(c, g) * W, core_factor);
    }
    static std::int64_t core_vector(const AceCenter& c, int g) {
        return c.groups[g].vector + 2 * c.groups[g].core;
    }
    template <class Body> [[gnu::always_inline]] static void in_densities(int n, const Body& body) {
        if (n == 1) return body(Count<1>());
        if (n == 2) return body(Count<2>());
        if (n == 4) return body(Count<4>());
        body(Count<0>());
    }

    // Gradients of the neighbors of a center.
    void gradients(const AceCenter& c, int l, std::int64_t feature) {
        GradientSink<double> sink(*this, job.list, job.task, out.jacobian);
        sink.feature = feature;
        take_weights(job, c, scratch, l);
        const AceLane& lane = scratch.lane[l];
        const double of_nearest =
            job.task == CentreTask::energy ? nearest_slope[l] * lane.fade_slope : 0.0;
        with_l_max(job.p.l_max, [&](auto l_max) MDKERN_BODY {
            pair_gradients<decltype(l_max)::value>(job, c, scratch, lane, of_nearest, sink);
        });
        sink.finish_centre(lane.row);
    }

    void write(const AceFunctions& f, const std::int64_t* rows, int n) {
        evaluate_functions<kReal>(f, scratch.values, scratch.sums);
        write_features(out, rows, n, job.p.n_features, [&](int k, int c) {
            const int at = c - f.feature;
            return at >= 0 && at < f.n ? scratch.sums[at * W + k] : 0.0;
        });
    }
    void read(const AceFunctions& f, const std::int64_t* rows, int n) {
        for (int k = 0; k < f.n; ++k)
            for (int l = 0; l < W; ++l) {
                const std::int64_t of = caller(rows[l < n ? l : 0]) * job.p.n_features;
                scratch.sums[k * W + l] = out.feature_weights[of + f.feature + k];
            }
    }
    // One function after the other.
    void write_jacobian(const AceCenter& c, const std::int64_t* rows, int n) {
        (void)rows;
        const AceFunctions& f = c.functions;
        for (int k = 0; k < f.n; ++k) simd::store(scratch.sums + k * W, V(1.0));
        for (int k = 0; k < f.n; ++k) {
            slopes_of_functions<kReal>(f, k, k + 1, scratch.sums, scratch.values, scratch.slopes);
            descend_graph<kReal>(f.graph, scratch.values, scratch.slopes);
            for (int l = 0; l < n; ++l) gradients(c, l, f.feature + k);
        }
    }

    const AceJob& job;
    const Outputs& out;
    AceScratch scratch;
    double nearest_slope[W] = {};
};

}  // namespace

void ace_compute(CentreTask task, const AceParams& p, const System& s, const Neighbors& list,
                 const ForceBlocks& plan, const ForceBlockWork& work, int n_threads,
                 const Outputs& out) {
    const AceJob job{p, s, list, work, task};
    parallel_for_thread(plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        if (p.real)
            Block<true>(job, plan, out, b, thread).run();
        else
            Block<false>(job, plan, out, b, thread).run();
    });
    gather_entries(task, s, plan, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
