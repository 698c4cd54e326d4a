// Working memory of one thread of the SOAP kernels.
#pragma once

#include "descriptors/scratch.hpp"
#include "descriptors/soap.hpp"

namespace mdkern {
namespace {

struct SoapTileOf {
    std::int32_t center, channel, begin, n;  // of the batch; neighbors [begin, begin + n)
};

// Working memory of one thread, carved out of one allocation. Of a batch every center has neighbors
// and coefficients of its own, and shares the rest.
struct SoapWork : Near {
    std::int32_t* present;                          // (n_channels)
    double* c;                                      // coefficients
    double *u, *w, *dw, *ux, *uy, *uz, *inverse_r;  // of tiles
    std::int32_t *cell, *order, *count;             // cells, slots by cell, slots of each cell
    std::int32_t* sorted_cell;                      // of the slots by cell
    double* sorted_u;
    std::int32_t* tiles;        // (tiles, 4) SoapTileOf
    double* s;                  // (tiles, lm, tile) harmonics times weight
    double *f, *df;             // radial functions of tiles, one l
    double* sums;               // (6, tile)
    double* adjoint;            // derivatives by the coefficients
    double *pack, *transposed;  // weights of a block
    double* features;           // (n_features)
    double* dc;                 // (9) derivatives of the coefficients, summed over neighbors
    // Of a Jacobian, for kSoapGroup neighbors and all l: derivatives of one neighbor's
    // coefficients, and their parts that multiply dF and F; F and dF of one neighbor, and those
    // parts summed over m with the coefficients.
    double *change, *along, *across, *radial, *summed;
    std::int32_t* visited;  // blocks of the present center
};

inline void take_batch(Arena& arena, const SoapParams& p, std::int64_t longest, SoapWork* batch) {
    const int n = soap_batch(p, longest);
    const std::int64_t lm = soap_lm(p), tiles = n * soap_tiles(p, longest);
    const std::int64_t slots = tiles * kSoapTile + 16;
    const std::int64_t rows = soap_radial_rows(p) > slots ? soap_radial_rows(p) : slots;
    SoapWork k;
    for (double** v : {&k.u, &k.w, &k.dw, &k.ux, &k.uy, &k.uz, &k.inverse_r})
        arena.take(*v, std::size_t(slots));
    arena.take(k.cell, std::size_t(slots));
    arena.take(k.order, std::size_t(slots));
    arena.take(k.sorted_cell, std::size_t(slots));
    arena.take(k.sorted_u, std::size_t(slots));
    arena.take(k.count, std::size_t(p.n_cells + 1));
    arena.take(k.tiles, std::size_t(4 * tiles));
    arena.take(k.s, std::size_t(tiles * lm * kSoapTile));
    arena.take(k.f, std::size_t(p.n_stride * rows));
    arena.take(k.df, std::size_t(p.n_stride * soap_radial_rows(p)));
    arena.take(k.sums, std::size_t(6 * kSoapTile));
    arena.take(k.adjoint, std::size_t(soap_coefficients(p)));
    arena.take(k.dc, std::size_t(9 * soap_coefficients(p)));
    arena.take(k.change, std::size_t(3 * lm * p.n_stride));
    arena.take(k.along, std::size_t(3 * lm * kSoapGroup));
    arena.take(k.across, std::size_t(3 * lm * kSoapGroup));
    arena.take(k.radial, std::size_t(soap_factors(p)));
    arena.take(k.summed, std::size_t(3 * p.n_channels * soap_factors(p)));
    arena.take(k.visited, std::size_t(longest) + 1);
    arena.take(k.pack, std::size_t(p.n_max * p.n_stride));
    arena.take(k.transposed, std::size_t(p.n_max * p.n_stride));
    arena.take(k.features, std::size_t(p.n_features));
    for (int i = 0; i < n; ++i) {
        batch[i] = k;
        batch[i].Near::take(arena, longest, p.n_channels);
        arena.take(batch[i].present, std::size_t(p.n_channels + 2));
        arena.take(batch[i].c, std::size_t(soap_coefficients(p)));
    }
}

}  // namespace
}  // namespace mdkern
