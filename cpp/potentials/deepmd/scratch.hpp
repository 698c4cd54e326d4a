// Scratch of one thread of the Deep Potential kernel: `carve` hands out its arrays and, without
// memory, counts their bytes.
#pragma once

#include "potentials/deepmd/kinds_scratch.hpp"

namespace mdkern {
namespace {

template <class T> struct SeAScratch {
    DeepEnvScratch<T> env;
    T* t;        // (kDeepBlock, 4, padded(n_channels))
    T* gt;       // (4, padded(n_channels)) dE/dT
    T* outside;  // (room, 4) X of neighbors that the table does not cover
    // (kDeepBlock, room): neighbors of each run in the order of their steps, those outside behind;
    // steps, and places within them.
    std::int32_t *member, *step;
    T* u;
    std::int32_t* inside;  // (kDeepBlock, n_types) neighbors of a run that the table covers
    NetTape<T> tape;

    void carve(Arena& arena, const SeA<T>& p, std::int64_t largest) {
        env.carve(arena, p.env, largest, false);
        const std::size_t ld = std::size_t(padded(p.n_channels)), room = std::size_t(env.room);
        arena.take(t, 4 * ld * kDeepBlock);
        arena.take(gt, 4 * ld);
        arena.take(outside, 4 * room);
        const std::size_t placed = p.tables ? room * kDeepBlock : 0;
        arena.take(member, placed);
        arena.take(step, placed);
        arena.take(u, placed);
        arena.take(inside, std::size_t(kDeepBlock) * p.env.n_types);
        take_tape(arena, p.nets, p.n_nets(), kDeepChunk, true, tape);
    }
};

template <class T> struct DeepScratch {
    Matrix<T> x;  // (kDeepBlock, padded(width))
    T* g;         // (kDeepBlock, kPadLanes) dE/dE of the fitting nets
    NetTape<T> tape;
    char* descriptor[kMaxDescriptors];  // memory of each

    // Returns the bytes of all.
    std::size_t carve(const DeepModel<T>& model, std::int64_t largest, char* memory) {
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
                carve<SeRScratch<T>, SeR<T>>(arena, d, largest);
                break;
            case DeepKind::se_t:
                carve<SeTScratch<T>, SeT<T>>(arena, d, largest);
                break;
            case DeepKind::dpa1:
                carve<Dpa1Scratch<T>, Dpa1<T>>(arena, d, largest);
                break;
            default:
                carve<SeAScratch<T>, SeA<T>>(arena, d, largest);
        }
        return arena.used;
    }
    template <class Scratch, class Params>
    static void carve(Arena& arena, const DeepDescriptor<T>& d, std::int64_t largest) {
        Scratch scratch;
        scratch.carve(arena, *static_cast<const Params*>(d.params), largest);
    }
};

}  // namespace
}  // namespace mdkern
