// Scratch of one thread of the Deep Potential kernel: `carve` hands out its arrays and, without
// memory, counts their bytes.
#pragma once

#include "deepmd/deep.hpp"

namespace mdkern {
namespace {

// A run of neighbors of one type: [begin, end) of the centre's arrays, and its slots without one.
struct DeepRun {
    int type, begin, end, empty;
};

// Arrays (kDeepBlock, room), of one centre after the other.
template <class T> struct DeepEnvScratch {
    std::int64_t room = 0;
    double *dx, *dy, *dz;    // r_j - r_i
    double *q, *ds, *dq;     // q, s'/r, q'/r
    double* w;               // switch and w'/r; only where wanted (dpa1)
    double* dw;
    std::int32_t* index;     // rows of the System; the row itself beyond the last neighbor
    T* x;                    // (.., 4) X
    DeepRun* runs;           // (kDeepBlock, n_types): one for each type
    // Of one centre at a time.
    double *r2, *species, *gx;  // gx: (room, 4) dE/dX
    std::int32_t *order, *stays;

    void carve(Carver& carver, const DeepEnv& env, std::int64_t largest, bool wants_switch) {
        // A compressed store may write a vector beyond the last neighbor.
        room = (largest + 2 * kDenseLanes) / kDenseLanes * kDenseLanes;
        const std::size_t n = std::size_t(room) * kDeepBlock;
        double** const arrays[] = {&dx, &dy, &dz, &q, &ds, &dq};
        for (double** a : arrays) carver.take(*a, n);
        carver.take(w, wants_switch ? n : 0);
        carver.take(dw, wants_switch ? n : 0);
        if (!wants_switch) w = dw = nullptr;
        carver.take(index, n);
        carver.take(x, 4 * n);
        carver.take(runs, std::size_t(kDeepBlock) * env.n_types);
        carver.take(r2, std::size_t(room));
        carver.take(species, std::size_t(room));
        carver.take(gx, 4 * std::size_t(room));
        carver.take(order, std::size_t(room));
        carver.take(stays, std::size_t(room));
    }
};

constexpr int kDeepChunk = 64;  // neighbors that go through an embedding net together

template <class T> struct SeAScratch {
    DeepEnvScratch<T> env;
    T* t;           // (kDeepBlock, 4, padded(n_channels))
    T* gt;          // (4, padded(n_channels)) dE/dT
    T* outside;     // (room, 4) X of neighbors that the table does not cover
    // (kDeepBlock, room): neighbors of each run in the order of their steps, those outside behind;
    // steps, and places within them.
    std::int32_t *member, *step;
    T* u;
    std::int32_t* inside;  // (kDeepBlock, n_types) neighbors of a run that the table covers
    NetTape<T> tape;

    void carve(Carver& carver, const SeA<T>& p, std::int64_t largest) {
        env.carve(carver, p.env, largest, false);
        const std::size_t ld = std::size_t(padded(p.n_channels)), room = std::size_t(env.room);
        carver.take(t, 4 * ld * kDeepBlock);
        carver.take(gt, 4 * ld);
        carver.take(outside, 4 * room);
        const std::size_t placed = p.tables ? room * kDeepBlock : 0;
        carver.take(member, placed);
        carver.take(step, placed);
        carver.take(u, placed);
        carver.take(inside, std::size_t(kDeepBlock) * p.env.n_types);
        carve_tape(carver, p.nets, p.n_nets(), kDeepChunk, true, tape);
    }
};

template <class T> struct DeepScratch {
    Matrix<T> x;  // (kDeepBlock, padded(width))
    T* g;         // (kDeepBlock, kDenseLanes) dE/dE of the fitting nets
    NetTape<T> tape;
    char* descriptor[kMaxDescriptors];  // memory of each

    // Returns the bytes of all.
    std::size_t carve(const DeepModel<T>& model, std::int64_t largest, char* memory) {
        Carver carver{memory};
        x.ld = padded(model.width);
        carver.take(x.data, std::size_t(kDeepBlock) * std::size_t(x.ld));
        carver.take(g, std::size_t(kDeepBlock) * kDenseLanes);
        carve_tape(carver, model.fitting, model.fitting ? (model.one_net ? 1 : model.n_types) : 0,
                   kDeepBlock, false, tape);
        for (int d = 0; d < model.n_descriptors; ++d) {
            descriptor[d] = carver.memory + carver.used;
            carver.used += descriptor_bytes(model.descriptors[d], largest);
        }
        return carver.used;
    }

    static std::size_t descriptor_bytes(const DeepDescriptor<T>& d, std::int64_t largest) {
        Carver carver;
        switch (d.kind) {
            default: {
                SeAScratch<T> scratch;
                scratch.carve(carver, *static_cast<const SeA<T>*>(d.params), largest);
            }
        }
        return carver.used;
    }
};

}  // namespace
}  // namespace mdkern
