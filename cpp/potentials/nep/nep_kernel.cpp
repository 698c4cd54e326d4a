// NEP in one pass over blocks of rows; formulas in nep.hpp.
//
// A block of rows is worked on in batches of as many centres of one species as a vector has lanes:
//   1. nep_pairs.hpp, nep_forward.hpp: neighbors of each centre, its radial descriptors and S_nb;
//      lanes are neighbors
//   2. nep_atoms.hpp: invariants of the batch, network, dU/dq and dU/dS_nb; lanes are centres
//   3. nep_backward.hpp: p_ij of each centre, added to the block's own rows of forces; lanes are
//      neighbors
// What pass 3 needs of pass 1 stays in the thread's scratch, some 12 kB per centre of the batch.
//
// Operations, with K functions f_k, M = (L+1)^2 - 1, D descriptors and H neurons:
//   radial neighbor   60 + 4 K_R forward, 20 + 6 K_R back
//   angular neighbor  50 + 4 n_A K_A + 2 n_A M forward, 100 + 4 n_A M + 6 M back
//   centre            4 D H + 40 H + some 60 n_A L^2
#include "potentials/nep/nep.hpp"

#include "potentials/nep/nep_atoms.hpp"
#include "potentials/nep/nep_backward.hpp"
#include "potentials/nep/nep_forward.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> void forward(const NepJob<T>& job, NepScratch<T>& scratch, int l) {
    gather(job, scratch, scratch.lane[l]);
    measure(job, scratch, scratch.lane[l]);
    // Common sizes of the radial basis, unrolled.
    switch (job.p.k_radial) {
        case 9:
            radial_sums<T, 9>(job, scratch, l);
            break;
        case 11:
            radial_sums<T, 11>(job, scratch, l);
            break;
        case 13:
            radial_sums<T, 13>(job, scratch, l);
            break;
        case 17:
            radial_sums<T, 17>(job, scratch, l);
            break;
        default:
            radial_sums<T, 0>(job, scratch, l);
    }
    switch (job.p.l_max) {
        case 1:
            return angular_forward<T, 1>(job, scratch, l);
        case 2:
            return angular_forward<T, 2>(job, scratch, l);
        case 3:
            return angular_forward<T, 3>(job, scratch, l);
        case 4:
            return angular_forward<T, 4>(job, scratch, l);
        case 5:
            return angular_forward<T, 5>(job, scratch, l);
        case 6:
            return angular_forward<T, 6>(job, scratch, l);
        case 7:
            return angular_forward<T, 7>(job, scratch, l);
        default:
            return angular_forward<T, 8>(job, scratch, l);
    }
}

template <class T> void backward(const NepJob<T>& job, NepScratch<T>& scratch, int l,
                                 GradientSink<T>& sink) {
    switch (job.p.k_radial) {
        case 9:
            radial_backward<T, 9>(job, scratch, l, sink);
            break;
        case 11:
            radial_backward<T, 11>(job, scratch, l, sink);
            break;
        case 13:
            radial_backward<T, 13>(job, scratch, l, sink);
            break;
        case 17:
            radial_backward<T, 17>(job, scratch, l, sink);
            break;
        default:
            radial_backward<T, 0>(job, scratch, l, sink);
    }
    switch (job.p.l_max) {
        case 1:
            return angular_backward<T, 1>(job, scratch, l, sink);
        case 2:
            return angular_backward<T, 2>(job, scratch, l, sink);
        case 3:
            return angular_backward<T, 3>(job, scratch, l, sink);
        case 4:
            return angular_backward<T, 4>(job, scratch, l, sink);
        case 5:
            return angular_backward<T, 5>(job, scratch, l, sink);
        case 6:
            return angular_backward<T, 6>(job, scratch, l, sink);
        case 7:
            return angular_backward<T, 7>(job, scratch, l, sink);
        default:
            return angular_backward<T, 8>(job, scratch, l, sink);
    }
}

// One block of rows on one thread.
template <class T> class Block : ForceBlock {
    using V = simd::Vec<T>;

public:
    Block(const NepJob<T>& j, const ForceBlocks& plan, const Outputs& o, std::int64_t block,
          int thread)
        : ForceBlock(j.s, block), job(j), out(o) {
        NepScratch<T>::layout(job.p, job.work.largest,
                              job.work.scratch + thread * job.work.scratch_bytes, scratch);
        if (job.task == CentreTask::descriptor || job.task == CentreTask::charge) return;
        open(plan, block, job.work, thread);
    }

    void run() {
        for_batches(job.p.n_types, V::width,
                    job.task == CentreTask::jacobian ? &out.jacobian : nullptr,
                    [&](int type, const std::int64_t* rows, int n) { batch(type, rows, n); });
        finish(out);
    }

private:
    void batch(int type, const std::int64_t* rows, int n) {
        for (int l = 0; l < n; ++l) {
            scratch.lane[l].row = rows[l];
            forward(job, scratch, l);
        }
        for (int l = n; l < V::width; ++l) copy_lane(l);
        invariants(job.p, scratch);
        const int width = job.p.n_descriptors;
        const auto slope = [&](int l, int d) -> T& { return scratch.slope_q[d * V::width + l]; };
        T energies[V::width];
        for (T& e : energies) e = T(0);
        if (job.task == CentreTask::descriptor)
            return write_features(out, rows, n, width,
                                  [&](int l, int d) { return scratch.q[d * V::width + l]; });
        if (job.task == CentreTask::charge) return write_charges(type, rows, n);
        if (job.task == CentreTask::jacobian) return write_jacobian(rows, n);
        if (job.task == CentreTask::vjp) {
            read_weights(out, rows, n, width, slope);
            for (int l = n; l < V::width; ++l)
                for (int d = 0; d < width; ++d) slope(l, d) = slope(0, d);
        } else {
            simd::store(energies, network(job, scratch, type, read_felt(rows, n)));
        }
        adjoints(job.p, scratch);
        for (int l = 0; l < n; ++l) {
            GradientSink<T> sink(*this, job.list, job.task, out.jacobian, job.p.dipole);
            backward(job, scratch, l, sink);
            sink.finish_centre(rows[l]);
            double e = scratch.lane[l].energy;
            e += double(energies[l]);
            if (job.task == CentreTask::energy) e -= job.t.bias[job.p.one_network ? 0 : type];
            energy[rows[l] - begin] = e;
        }
    }

    // Lanes without a centre repeat the first one: finite numbers that nobody reads.
    void copy_lane(int l) {
        auto copy = [&](T* x, int n) {
            for (int k = 0; k < n; ++k) x[k * V::width + l] = x[k * V::width];
        };
        copy(scratch.q, job.p.n_radial);
        copy(scratch.sums, job.p.n_angular * job.p.n_basis());
    }
    void write_charges(int type, const std::int64_t* rows, int n) {
        T charges[V::width];
        simd::store(charges, charge_of(job, scratch, type));
        for (int l = 0; l < n; ++l) job.work.charges[rows[l]] = double(charges[l]);
    }
    // dE/dQ of the batch, or null without charges.
    const T* read_felt(const std::int64_t* rows, int n) {
        if (!job.work.charge_slope) return nullptr;
        for (int l = 0; l < V::width; ++l)
            felt[l] = l < n ? T(job.work.charge_slope[rows[l]]) : T(0);
        return felt;
    }
    // One unit vector dU/dq after the other.
    void write_jacobian(const std::int64_t* rows, int n) {
        const int width = job.p.n_descriptors;
        for (int d = 0; d < width; ++d) {
            for (int k = 0; k < width * V::width; ++k)
                scratch.slope_q[k] = k / V::width == d ? T(1) : T(0);
            adjoints(job.p, scratch);
            for (int l = 0; l < n; ++l) {
                GradientSink<T> sink(*this, job.list, job.task, out.jacobian, job.p.dipole);
                sink.feature = d;
                backward(job, scratch, l, sink);
                sink.finish_centre(rows[l]);
            }
        }
    }

    const NepJob<T>& job;
    const Outputs& out;
    NepScratch<T> scratch;
    T felt[V::width];
};

template <class T> void compute(CentreTask task, const NepParams& p, const NepTables<T>& t,
                                const System& s, const Neighbors& list, const ForceBlocks& plan,
                                const NepWork& work, int n_threads, const Outputs& out) {
    const NepJob<T> job{p, t, s, list, work, task};
    parallel_for_thread(plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        Block<T>(job, plan, out, b, thread).run();
    });
    gather_entries(task, s, plan, work, n_threads, out);
}

}  // namespace

void nep_double_compute(CentreTask task, const NepParams& p, const NepTables<double>& t,
                        const System& s, const Neighbors& list, const ForceBlocks& plan,
                        const NepWork& work, int n_threads, const Outputs& out) {
    compute(task, p, t, s, list, plan, work, n_threads, out);
}
void nep_single_compute(CentreTask task, const NepParams& p, const NepTables<float>& t,
                        const System& s, const Neighbors& list, const ForceBlocks& plan,
                        const NepWork& work, int n_threads, const Outputs& out) {
    compute(task, p, t, s, list, plan, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
