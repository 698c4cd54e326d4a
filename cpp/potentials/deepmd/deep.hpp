// Deep Potential models: L. Zhang, J. Han, H. Wang, R. Car, W. E, Phys. Rev. Lett. 120, 143001
// (2018); L. Zhang et al., NeurIPS 2018 (DeepPot-SE); D. Lu et al., J. Chem. Theory Comput. 18, 5559
// (2022) for tables of the embedding nets.
//
//   E_i = net_t(i)(x_i) + bias_t(i),  x_i: descriptors side by side, then constants of the type
//   p_ij = dE_i/dr_ij; F_i += p_ij, F_j -= p_ij; W -= r_ij (x) p_ij
//
// The kernel works on blocks of up to kDeepBlock centres of one type: neighbors and descriptors, one
// after the other; the fitting net and its gradient as products of matrices; gradients of the
// descriptors. A descriptor is three functions (descriptor.hpp); its parameters are a struct here.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "forces/force_blocks.hpp"
#include "nn/dense.hpp"
#include "nn/quintic_table.hpp"

namespace mdkern {

constexpr int kDeepBlock = 128;
constexpr int kMaxDescriptors = 16;  // side by side

// Neighbors of a centre and their rows of the environment matrix, with u = (r - r_cut_smth) / (r_cut
// - r_cut_smth), w = 1 - 10 u^3 + 15 u^4 - 6 u^5, s = w / (r + protection), q = s / (r +
// protection):
//   X = ((s - mean) / std_0, q dx / std_1, q dy / std_2, q dz / std_3)
// Each type has sel slots. An empty one has X = (-mean / std_0, 0, 0, 0), a neighbor of an excluded
// pair X = 0. Neighbors of a removed pair leave an empty slot.
struct DeepEnv {
    int n_types = 1, n_slots = 0;
    int n_listed = 0;  // the nearest of all types, from which slots are filled
    double r_cut = 0.0, r_cut_smth = 0.0, protection = 0.0;
    bool by_type = true;                     // false: the slots are shared by all types
    const std::int32_t* sel = nullptr;       // (n_types)
    const double* mean = nullptr;            // (n_types) of the centre
    const double* inverse_std = nullptr;     // (n_types, 4)
    const std::uint8_t* excluded = nullptr;  // (n_types, n_types)
    const std::uint8_t* removed = nullptr;   // (n_types, n_types)
};

// How T T_<^T lies in x, T_< the first `axis` rows of T: row m begins at begin(m). The first `axis`
// rows are symmetric: with `half` their lower triangle alone is kept, and the fitting net has the
// sums of the weights of equal numbers, 1480 instead of 1600 for 100 channels and axis 16.
struct OuterRows {
    int axis = 0;
    bool half = false;
    constexpr int begin(int m) const {
        if (!half) return m * axis;
        return m < axis ? m * (m + 1) / 2 : m * axis - axis * (axis - 1) / 2;
    }
    constexpr int columns(int m) const { return half && m < axis ? m + 1 : axis; }
};

// Smooth edition with angles, se_e2_a: T = 1/N sum over slots G(X_0) X, x = T T_<^T.
template <class T> struct SeA {
    DeepEnv env;
    int n_channels = 0;
    OuterRows outer;
    bool one_side = true;          // net of the neighbor's type, else of (centre, neighbor)
    const Net<T>* nets = nullptr;  // one side: (n_types), else net (t_i, t_j) at t_i + t_j n_types
    const QuinticTable<T>* tables = nullptr;  // as nets, or null
    const T* padding = nullptr;  // (n_types, n_types, padded(n_channels)) X_0 G of an empty slot
    int n_nets() const { return one_side ? env.n_types : env.n_types * env.n_types; }
    int net_of(int centre, int neighbor) const {
        return one_side ? neighbor : centre + neighbor * env.n_types;
    }
};

enum class DeepKind : int { se_a = 0, se_r, se_t, dpa1 };

template <class T> struct DeepDescriptor {
    DeepKind kind = DeepKind::se_a;
    int column = 0;                // where its part of x begins
    const void* params = nullptr;  // SeA<T>, ...
};

template <class T> struct DeepModel {
    int n_types = 1, n_descriptors = 0, width = 0, n_tail = 0;  // width: columns of x
    const DeepDescriptor<T>* descriptors = nullptr;
    const T* tail = nullptr;               // (n_types, n_tail) last columns of x
    bool one_net = false;                  // the same fitting net for all types
    const Net<T>* fitting = nullptr;       // (n_types) or (1)
    const double* bias = nullptr;          // (n_types)
    const std::uint8_t* silent = nullptr;  // (n_types) types with the bias alone
    const T* zeros = nullptr;              // as many as any row
};

using DeepTask = CentreTask;

struct DeepWork : ForceBlockWork {
    std::int32_t* overflow = nullptr;  // set to 1 when neighbors did not fit into the slots
};

// Bytes of scratch per thread.
template <class T> std::size_t deep_scratch_bytes(const DeepModel<T>& model, std::int64_t largest);

MDKERN_KERNEL(deep_double_compute,
              (DeepTask, const DeepModel<double>&, const System&, const Neighbors&,
               const ForceBlocks&, const DeepWork&, int n_threads, const Outputs&))
MDKERN_KERNEL(deep_single_compute,
              (DeepTask, const DeepModel<float>&, const System&, const Neighbors&,
               const ForceBlocks&, const DeepWork&, int n_threads, const Outputs&))

}  // namespace mdkern
