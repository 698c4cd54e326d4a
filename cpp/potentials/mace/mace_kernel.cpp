// MACE, layer by layer on blocks of rows; formulas in mace.hpp.
//
// Forward, a batch of centres: neighbors and T (mace_pairs.hpp), A (mace_convolution.hpp), x = A W as
// products of matrices, B (mace_product.hpp), h', readouts, u of the next layer. Backward the same the
// other way round; A is not needed again, as it is linear in all that it consists of, and R, T and u are
// made or read again. Messages dE/du_j go to entries of the block, one row for each atom that it touches,
// so that no two threads meet; each atom sums its own in the order of blocks.
#include "potentials/mace/mace.hpp"

#include "potentials/mace/mace_backward.hpp"
#include "potentials/mace/mace_forward.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

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
