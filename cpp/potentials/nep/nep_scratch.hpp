// Scratch of one thread of the NEP kernel: one walk over the arrays gives their places and, without
// memory, their size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "potentials/nep/nep.hpp"

namespace mdkern {
namespace {

// Neighbors of one centre of a batch. They are grouped by species: run r is species[r], up to
// end[r] among those within the radial cutoff and up to a_end[r] among those within the angular.
template <class T> struct NepLane {
    std::int64_t row;
    double energy;  // of the repulsion
    int n, n_angular, n_runs;
    int stride;  // of g and dg: n_angular, padded
    std::int32_t *species, *end, *a_end;
    // Within the radial cutoff: vector, 1/d, fc', fc x', x, row of the System.
    T *dx, *dy, *dz, *inverse, *dfc, *slope, *x;
    std::int32_t* index;
    // Within the angular cutoff: unit vector, d, 1/d, g_n and g_n' (n, stride), row.
    T *ux, *uy, *uz, *d, *a_inverse, *g, *dg;
    std::int32_t* a_index;
};

template <class T> struct NepScratch {
    static constexpr int kLanes = 64 / int(sizeof(T));  // centres of a batch at most
    NepLane<T> lane[kLanes];
    // Of one centre at a time.
    double *staged[4], *staged_species;  // dx, dy, dz, r^2
    T* fc;                               // then the radial slope of p_ij
    T* basis;                            // (padded basis, stride)
    // By centre in the last index: descriptors, dU/dq, hidden layer; S_nb, S_nlm, dU/dS_nb.
    T *q, *slope_q, *hidden, *sums, *harmonics, *adjoint;

    static std::size_t layout(const NepParams& p, std::int64_t largest, char* memory,
                              NepScratch& s) {
        Arena arena{memory};
        const std::size_t room = std::size_t(padded_room(largest));
        for (double*& x : s.staged) arena.take(x, room);
        arena.take(s.staged_species, room);
        arena.take(s.fc, room);
        for (NepLane<T>& l : s.lane) {
            T** const arrays[] = {&l.dx, &l.dy, &l.dz, &l.inverse, &l.dfc, &l.slope,
                                  &l.x,  &l.ux, &l.uy, &l.uz,      &l.d,   &l.a_inverse};
            for (T** x : arrays) arena.take(*x, room);
            arena.take(l.g, room * p.n_angular);
            arena.take(l.dg, room * p.n_angular);
            arena.take(l.index, room);
            arena.take(l.a_index, room);
            std::int32_t** const runs[] = {&l.species, &l.end, &l.a_end};
            for (std::int32_t** x : runs) arena.take(*x, std::size_t(p.n_types));
        }
        arena.take(s.basis, room * p.n_basis());
        arena.take(s.q, std::size_t(padded(p.n_descriptors)) * kLanes);
        arena.take(s.slope_q, std::size_t(padded(p.n_descriptors)) * kLanes);
        arena.take(s.hidden, std::size_t(padded(p.hidden)) * kLanes);
        T** const tensors[] = {&s.sums, &s.harmonics, &s.adjoint};
        for (T** x : tensors) arena.take(*x, std::size_t(p.n_angular) * p.n_basis() * kLanes);
        return arena.used;
    }
};

}  // namespace
}  // namespace mdkern
