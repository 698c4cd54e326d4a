// Deep Potential models: L. Zhang, J. Han, H. Wang, R. Car, W. E, Phys. Rev. Lett. 120, 143001
// (2018); L. Zhang et al., NeurIPS 2018 (DeepPot-SE); D. Lu et al., J. Chem. Theory Comput. 18, 5559
// (2022) for tables of the embedding nets.
//
//   E_i = net_t(i)(x_i) + bias_t(i),  x_i: descriptors side by side, then constants of the type
//   p_ij = dE_i/dr_ij; F_i += p_ij, F_j -= p_ij; W -= r_ij (x) p_ij
//
// The kernel works on blocks of up to kDeepBlock centres of one type: neighbors and descriptors, one
// after the other; the fitting net and its gradient as products of matrices; gradients of the
// descriptors. Each descriptor has a header with its parameters and memory and one with its kernel.
#pragma once

#include "core/dispatch.hpp"
#include "forces/force_blocks.hpp"
#include "potentials/deepmd/dpa1.hpp"
#include "potentials/deepmd/se_a.hpp"
#include "potentials/deepmd/se_r.hpp"
#include "potentials/deepmd/se_t.hpp"

namespace mdkern {

constexpr int kMaxDescriptors = 16;  // side by side

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

struct DeepWork : ForceBlockWork {
    std::int32_t* overflow = nullptr;  // set to 1 when neighbors did not fit into the slots
};

// Bytes of scratch per thread.
template <class T> std::size_t deep_scratch_bytes(const DeepModel<T>& model, std::int64_t largest);

MDKERN_KERNEL(deep_double_compute,
              (CentreTask, const DeepModel<double>&, const System&, const Neighbors&,
               const ForceBlocks&, const DeepWork&, int n_threads, const Outputs&))
MDKERN_KERNEL(deep_single_compute,
              (CentreTask, const DeepModel<float>&, const System&, const Neighbors&,
               const ForceBlocks&, const DeepWork&, int n_threads, const Outputs&))

namespace {

// Working memory of one thread.
template <class T> struct DeepScratch {
    Matrix<T> x;  // (kDeepBlock, padded(width))
    T* g;         // (kDeepBlock, kPadLanes) dE/dE of the fitting nets
    NetTape<T> tape;
    char* descriptor[kMaxDescriptors];  // memory of each

    // Returns the bytes of all.
    std::size_t take(const DeepModel<T>& model, std::int64_t largest, char* memory) {
        Arena arena{memory};
        x.ld = padded(model.width);
        arena.take(x.data, std::size_t(kDeepBlock) * std::size_t(x.ld));
        arena.take(g, std::size_t(kDeepBlock) * kPadLanes);
        take_tape(arena, model.fitting, model.fitting ? (model.one_net ? 1 : model.n_types) : 0,
                  kDeepBlock, false, tape);
        for (int d = 0; d < model.n_descriptors; ++d)
            arena.take(descriptor[d], descriptor_bytes(model.descriptors[d], largest));
        return arena.used;
    }

    static std::size_t descriptor_bytes(const DeepDescriptor<T>& d, std::int64_t largest) {
        Arena arena;
        switch (d.kind) {
            case DeepKind::se_r:
                take<SeRScratch<T>, SeR<T>>(arena, d, largest);
                break;
            case DeepKind::se_t:
                take<SeTScratch<T>, SeT<T>>(arena, d, largest);
                break;
            case DeepKind::dpa1:
                take<Dpa1Scratch<T>, Dpa1<T>>(arena, d, largest);
                break;
            default:
                take<SeAScratch<T>, SeA<T>>(arena, d, largest);
        }
        return arena.used;
    }
    template <class Scratch, class Params>
    static void take(Arena& arena, const DeepDescriptor<T>& d, std::int64_t largest) {
        Scratch scratch;
        scratch.take(arena, *static_cast<const Params*>(d.params), largest);
    }
};

}  // namespace
}  // namespace mdkern
