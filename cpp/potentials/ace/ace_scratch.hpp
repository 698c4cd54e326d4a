// Scratch of one thread of the ACE kernel: one walk over the arrays gives their places and, without
// memory, their size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "potentials/ace/ace.hpp"

namespace mdkern {
namespace {

// Neighbors of one element, of a center: places [begin, end), padded to whole lines.
struct AceRun {
    std::int32_t species, begin, end;
};

// Neighbors of one center of a batch.
struct AceLane {
    std::int64_t row;
    int n_runs, n;  // n: places, with those that are padding
    AceRun* runs;
    // By place: unit vector, distance and its inverse, row of the System.
    double *ux, *uy, *uz, *r, *inverse;
    std::int32_t* index;
    // Interval of the table, place within it, 1 / its length, and with one group the element.
    std::int32_t *interval, *species;
    double *x, *rate;
    double *f, *df;  // (channels, room) values and derivatives
    // Inner cutoff of kind zbl: place of the nearest neighbor (-1: none), factor of F, its derivative by the
    // distance.
    int nearest;
    double fade, fade_slope;
};

struct AceScratch {
    static constexpr int kLanes = 8;  // centers of a batch at most
    AceLane lane[kLanes];
    std::int64_t room;  // places of a center
    double* staged[5];  // dx, dy, dz, r^2, species
    std::int32_t* staged_index;
    double* harmonics;          // (lm, room) of one center
    double* weights;            // of one center
    double *line, *line_slope;  // (blocks, neighbors, channels) of a line of neighbors
    // By center in the last index:
    double *values, *slopes;  // of the graph, and dE / d of them; real and imaginary parts
    double* sums;             // G of rows; functions and their weights

    static std::size_t layout(const AceParams& p, std::int64_t largest, char* memory,
                              AceScratch& s) {
        Arena arena{memory};
        s.room = padded_room(largest) + std::int64_t(p.n_species) * kPadLanes;
        const auto room = std::size_t(s.room);
        for (double*& x : s.staged) arena.take(x, room);
        arena.take(s.staged_index, room);
        arena.take(s.harmonics, std::size_t((p.l_max + 1) * (p.l_max + 1)) * room);
        arena.take(s.weights, std::size_t(p.most_weights));
        for (double** x : {&s.line, &s.line_slope})
            arena.take(*x, std::size_t(p.most_blocks * kAceLine * kAceLine));
        for (AceLane& l : s.lane) {
            arena.take(l.runs, std::size_t(p.n_species) + 1);
            double** const arrays[] = {&l.ux, &l.uy, &l.uz, &l.r, &l.inverse, &l.x, &l.rate};
            for (double** x : arrays) arena.take(*x, room);
            arena.take(l.index, room);
            arena.take(l.f, std::size_t(p.most_blocks * kAceLine) * room);
            arena.take(l.df, std::size_t(p.most_blocks * kAceLine) * room);
            arena.take(l.interval, room);
            arena.take(l.species, room);
        }
        const std::size_t values = std::size_t(p.most_values) * (p.real ? 1 : 2) * kLanes;
        arena.take(s.values, values);
        arena.take(s.slopes, values);
        arena.take(s.sums, std::size_t(p.most_rows * (p.real ? 1 : 2) + p.most_functions) * kLanes);
        return arena.used;
    }
};

}  // namespace
}  // namespace mdkern
