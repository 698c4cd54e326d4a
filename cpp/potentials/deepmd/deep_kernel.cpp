// The frame of Deep Potential models; formulas in deep.hpp.
//
// Flops per atom of the standard model (100 channels, axis 16, 240-240-240, 92 neighbors), tables:
// 0.4 M in the descriptor, 2.0 M in the fitting net, whose weights (8 MB per type, both ways) are
// read once per block of centres.
#include "potentials/deepmd/deep.hpp"

#include "potentials/deepmd/dpa1_kernel.hpp"
#include "potentials/deepmd/se_a_kernel.hpp"
#include "potentials/deepmd/se_r_kernel.hpp"
#include "potentials/deepmd/se_t_kernel.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Columns of a descriptor, or the gradient of its neighbors.
template <class T> void run_descriptor(const DeepDescriptor<T>& d, bool gradient,
                                       const DeepBlock<T>& block, char* memory) {
    const auto run = [&](const auto& p, auto scratch, const auto& values, const auto& back) {
        Arena arena{memory};
        scratch.take(arena, p, block.work.largest);
        gradient ? back(p, block, scratch, d.column) : values(p, block, scratch, d.column);
    };
    switch (d.kind) {
        case DeepKind::se_r:
            return run(*static_cast<const SeR<T>*>(d.params), SeRScratch<T>(), se_r_values<T>,
                       se_r_gradient<T>);
        case DeepKind::se_t:
            return run(*static_cast<const SeT<T>*>(d.params), SeTScratch<T>(), se_t_values<T>,
                       se_t_gradient<T>);
        case DeepKind::dpa1:
            return run(*static_cast<const Dpa1<T>*>(d.params), Dpa1Scratch<T>(), dpa1_values<T>,
                       dpa1_gradient<T>);
        default:
            return run(*static_cast<const SeA<T>*>(d.params), SeAScratch<T>(), se_a_values<T>,
                       se_a_gradient<T>);
    }
}

// One block of rows on one thread.
template <class T> class Block : ForceBlock {
public:
    Block(CentreTask task_, const DeepModel<T>& model_, const System& s_, const Neighbors& list_,
          const ForceBlocks& plan, const DeepWork& work_, const Outputs& out_, std::int64_t block,
          int thread)
        : ForceBlock(s_, block), task(task_), model(model_), list(list_), work(work_), out(out_) {
        scratch.take(model, work.largest, work.scratch + thread * work.scratch_bytes);
        if (task == CentreTask::descriptor) return;
        open(plan, block, work, thread);
    }

    void run() {
        for_batches(model.n_types, kDeepBlock,
                    task == CentreTask::jacobian ? &out.jacobian : nullptr,
                    [&](int type, const std::int64_t* rows, int n) { centres(type, rows, n); });
        finish(out);
    }

private:
    void centres(int type, const std::int64_t* rows, int n) {
        if (task == CentreTask::energy) {
            for (int k = 0; k < n; ++k) energy[rows[k] - begin] = model.bias[type];
            if (model.silent && model.silent[type]) return;
        }
        const DeepBlock<T> block{s, list, work, model.zeros, type, n, rows, scratch.x, sink};
        for (int d = 0; d < model.n_descriptors; ++d)
            run_descriptor(model.descriptors[d], false, block, scratch.descriptor[d]);
        const int first = model.width - model.n_tail;
        for (int k = 0; k < n && model.n_tail > 0; ++k)
            for (int c = 0; c < model.n_tail; ++c)
                scratch.x.row(k)[first + c] = model.tail[type * model.n_tail + c];
        const auto place = [&](int k, int c) -> T& { return scratch.x.row(k)[c]; };
        if (task == CentreTask::descriptor) return write_features(out, rows, n, model.width, place);
        if (task == CentreTask::jacobian) return write_jacobian(block);
        if (task == CentreTask::vjp)
            read_weights(out, rows, n, model.width, place);
        else
            fit(type, rows, n);
        for (int d = 0; d < model.n_descriptors; ++d)
            run_descriptor(model.descriptors[d], true, block, scratch.descriptor[d]);
    }

    // Energies, and dE/dx in place of x.
    void fit(int type, const std::int64_t* rows, int n) {
        const Net<T>& net = model.fitting[model.one_net ? 0 : type];
        net_forward(net, n, Matrix<const T>{scratch.x.data, scratch.x.ld}, scratch.tape);
        const T* e = scratch.tape.y[net.n_layers - 1];
        for (int k = 0; k < n; ++k) {
            energy[rows[k] - begin] += double(e[k * kPadLanes]);
            const T share = out.centre_weights ? T(out.centre_weights[rows[k]]) : T(1);
            for (int c = 0; c < kPadLanes; ++c)
                scratch.g[k * kPadLanes + c] = c == 0 ? share : T(0);
        }
        net_backward(net, n, scratch.g, scratch.x, scratch.tape, model.zeros);
    }
    // One unit vector dE/dx after the other.
    void write_jacobian(const DeepBlock<T>& block) {
        for (int d = 0; d < model.n_descriptors; ++d) {
            const int last =
                d + 1 < model.n_descriptors ? model.descriptors[d + 1].column : model.width;
            for (int c = model.descriptors[d].column; c < last; ++c) {
                for (int k = 0; k < block.n; ++k)
                    for (int x = 0; x < model.width; ++x) scratch.x.row(k)[x] = T(x == c);
                sink.feature = c;
                run_descriptor(model.descriptors[d], true, block, scratch.descriptor[d]);
            }
        }
    }

    CentreTask task;
    const DeepModel<T>& model;
    const Neighbors& list;
    const DeepWork& work;
    const Outputs& out;
    DeepScratch<T> scratch;
    GradientSink<double> sink{*this, list, task, out.jacobian};
};

template <class T> void compute(CentreTask task, const DeepModel<T>& model, const System& s,
                                const Neighbors& list, const ForceBlocks& plan,
                                const DeepWork& work, int n_threads, const Outputs& out) {
    parallel_for_thread(plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        Block<T>(task, model, s, list, plan, work, out, b, thread).run();
    });
    gather_entries(task, s, plan, work, n_threads, out);
}

}  // namespace

void deep_double_compute(CentreTask task, const DeepModel<double>& model, const System& s,
                         const Neighbors& list, const ForceBlocks& plan, const DeepWork& work,
                         int n_threads, const Outputs& out) {
    compute(task, model, s, list, plan, work, n_threads, out);
}
void deep_single_compute(CentreTask task, const DeepModel<float>& model, const System& s,
                         const Neighbors& list, const ForceBlocks& plan, const DeepWork& work,
                         int n_threads, const Outputs& out) {
    compute(task, model, s, list, plan, work, n_threads, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
