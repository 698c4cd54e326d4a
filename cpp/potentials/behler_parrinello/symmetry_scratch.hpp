// Scratch of one thread of the kernel of symmetry functions: one walk over the arrays gives their places
// and, without memory, their size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "potentials/behler_parrinello/behler_parrinello.hpp"

namespace mdkern {
namespace {

constexpr int kTriplets = 128;  // of a tile
constexpr int kTripletRoom = kTriplets + kPadLanes;
constexpr std::size_t kTape = 768 << 10;  // bytes of tiles that are kept

// Neighbors of a centre, by species: those of s are [start[s], start[s + 1]). Behind the last one
// come places that whole vectors may read.
struct SymmetryNeighbors {
    int n = 0;
    std::int32_t* start = nullptr;
    std::int32_t* index = nullptr;
    double *x = nullptr, *y = nullptr, *z = nullptr, *r = nullptr, *inverse = nullptr;
    void take(Arena& arena, int n_species, std::size_t room) {
        arena.take(start, std::size_t(n_species) + 1);
        arena.take(index, room);
        for (double** a : {&x, &y, &z, &r, &inverse}) arena.take(*a, room);
    }
};

// Lanes of a vector of pairs (j, k ...) that are triplets, and where the first of them stands.
struct TripletSegment {
    std::int32_t j, k, at;
    std::uint32_t live;
};

// Triplets of a set. Rows of kTripletRoom numbers: cosine; product of R(r_j) R(r_k) of each factor, of a
// plain set times the Gaussian of the third side; if closed, R and R'/r of the third side of each
// factor, of a plain set fc and fc'/r.
struct TripletTile {
    std::size_t bytes;  // with this header
    int set, n, n_segments;
    TripletSegment* segments;
    double *cosine, *product, *third, *third_slope;
};

struct SymmetryScratch {
    double* staged_species;
    SymmetryNeighbors all, near;
    double *fc, *dfc;             // (n_cutoffs, room)
    double *near_fc, *log_slope;  // (n_cutoffs, room) of the near neighbors: fc, fc' / (fc r)
    double *factor, *slope;       // (most_near, room) R and R'/r of the near neighbors
    double *gx, *gy, *gz;         // gradients of the near neighbors
    double* pull;                 // dE/dr / r of all neighbors
    double *features, *weights;   // dE/dG
    double *a, *da;               // (most_angles, kTripletRoom)
    double* radial_slope;         // (most_radial, room) R'/r of the functions of neighbors
    double* of_function;          // (most_functions) weight of each function of a set
    double* u;                    // (most_factors, kTripletRoom)
    double *turn, *push, *twist, *pull_both;  // (kTripletRoom) slopes of a tile
    double *theta, *steep, *row, *side, *squares, *cut;
    char* tape;
    char* spare;  // of the tile that is not kept
    // Of the nets.
    NetTape<double> net;
    double *output, *back;

    static std::size_t tile_bytes(const BehlerParrinelloParams& p) {
        Arena arena;
        TripletTile tile;
        SymmetrySet largest;
        largest.n_factors = p.most_factors;
        largest.closed = true;
        take_tile(arena, largest, tile);
        return arena.used;
    }
    static void take_tile(Arena& arena, const SymmetrySet& set, TripletTile& tile) {
        constexpr std::size_t kRow = kTripletRoom;
        const std::size_t rows = std::size_t(set.n_factors) * kRow;
        const std::size_t third_rows = !set.closed ? 0 : set.plain ? kRow : rows;
        arena.take(tile.segments, std::size_t(kTriplets));
        arena.take(tile.cosine, kRow);
        arena.take(tile.product, rows);
        arena.take(tile.third, third_rows);
        arena.take(tile.third_slope, third_rows);
    }
    std::size_t layout(const BehlerParrinelloParams& p, std::int64_t largest, char* memory) {
        Arena arena{memory};
        const std::size_t room = std::size_t(padded_room(largest)), tile = kTripletRoom;
        arena.take(staged_species, room);
        all.take(arena, p.n_species, room);
        near.take(arena, p.n_species, room);
        for (double** a_row : {&fc, &dfc, &near_fc, &log_slope})
            arena.take(*a_row, room * p.n_cutoffs);
        for (double** a_row : {&factor, &slope}) arena.take(*a_row, room * p.most_near);
        for (double** a_row : {&gx, &gy, &gz, &pull}) arena.take(*a_row, room);
        for (double** a_row : {&features, &weights})
            arena.take(*a_row, std::size_t(padded(p.n_features)));
        for (double** a_row : {&a, &da}) arena.take(*a_row, tile * p.most_angles);
        arena.take(radial_slope, room * std::size_t(p.most_radial));
        arena.take(of_function, std::size_t(p.most_functions) + std::size_t(p.most_radial));
        arena.take(u, tile * p.most_factors);
        for (double** a_row :
             {&turn, &push, &twist, &pull_both, &theta, &steep, &row, &side, &squares, &cut})
            arena.take(*a_row, tile);
        arena.take(tape, kTape);
        arena.take(spare, tile_bytes(p));
        take_tape(arena, p.nets, p.n_members * p.n_species, 1, false, net);
        arena.take(output, std::size_t(kPadLanes));
        arena.take(back, std::size_t(padded(p.n_features)));
        return arena.used;
    }
};

}  // namespace
}  // namespace mdkern
