// Working memory of one thread for MACE.
#pragma once

#include "core/arena.hpp"
#include "potentials/mace/mace.hpp"

namespace mdkern {

// Centres whose pairs are in memory at a time: their messages and a path of the table should stay in the
// L2 cache. And those whose A is, for products with matrices.
constexpr int kMaceSub = 8;
template <class T> constexpr int kMaceBatch = sizeof(T) == 4 ? 32 : 16;

namespace {

template <class T> struct MaceScratch {
    std::int64_t room = 0;  // pairs of a centre
    std::int32_t *index, *place, *slot, *source, *interval;
    double *dx, *dy, *dz, *r;
    double* kind;  // species of the neighbors of one centre
    T *ux, *uy, *uz, *frac, *rate, *radial, *angular;
    T *t, *s;
    T *a, *m, *b, *row;
    T* exact_rows;
    double* exact_density;

    // Returns the bytes of all.
    std::size_t take(const MaceModel<T>& model, std::int64_t largest, char* memory) {
        Arena arena{memory};
        int entries = 1, lm = 1, n_x = 1, n_b = 1, k = 1;
        std::size_t a_row = 1, functions = 1;
        for (int l = 0; l < model.n_layers; ++l) {
            const MaceLayer<T>& layer = model.layers[l];
            const auto greatest = [](auto& to, auto x) { to = x > to ? x : to; };
            greatest(entries, layer.n_entries);
            greatest(lm, (layer.l_max + 1) * (layer.l_max + 1));
            greatest(n_x, layer.n_x + layer.n_gates);
            greatest(n_b, layer.n_b);
            greatest(k, layer.k);
            greatest(k, layer.k_up);
            // These rows also hold u of the next layer, and y of non-linear blocks.
            greatest(a_row, std::size_t(layer.a_row));
            greatest(a_row, std::size_t(layer.up.n_components) * layer.k_up);
            greatest(a_row, std::size_t(layer.n_x + layer.n_gates) * layer.k);
            greatest(functions, std::size_t(layer.n_paths) * layer.k_up);
        }
        room = padded_room(largest);
        const std::size_t pairs = std::size_t(room) * kMaceSub;
        for (std::int32_t** x : {&index, &place, &slot, &source, &interval}) arena.take(*x, pairs);
        for (double** x : {&dx, &dy, &dz, &r}) arena.take(*x, pairs);
        for (T** x : {&ux, &uy, &uz, &frac, &rate, &radial}) arena.take(*x, pairs);
        arena.take(kind, std::size_t(room));
        arena.take(angular, std::size_t(lm) * kPadLanes);
        arena.take(t, pairs * std::size_t(entries));
        arena.take(s, pairs * std::size_t(entries));
        arena.take(a, kMaceBatch<T> * a_row);
        arena.take(m, std::size_t(kMaceBatch<T>) * n_x * k);
        arena.take(b, std::size_t(kMaceBatch<T>) * n_b * k);
        arena.take(row, std::size_t(4 * kMaceMaxHidden + k));
        arena.take(exact_rows, model.exact ? std::size_t(room) * functions * 6 : 0);
        arena.take(exact_density, model.exact ? std::size_t(room) * 6 : 0);
        return arena.used;
    }
};

}  // namespace
}  // namespace mdkern
