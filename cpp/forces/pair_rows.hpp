// Parameters of a formula of pairs: a row of eight numbers for each ordered pair of species. Include from kernels
// only.
#pragma once

#include <cstdint>

#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

// kMixed: several species, so every lane loads the row of its own pair. Otherwise the one row stays in registers.
template <class T, bool kMixed> struct PairRows {
    const T* table;  // (n_species, n_species, 8)
    int n_species;

    struct Centre {
        simd::Int<T> species_row;
        simd::Vec<T> c[8];
    };
    Centre begin(T species) const {
        Centre centre;
        centre.species_row = simd::set_int<T>(kMixed ? std::int32_t(species) * n_species : 0);
        for (int k = 0; k < 8; ++k) centre.c[k] = kMixed ? T(0) : table[k];
        return centre;
    }
    void load(const Centre& centre, simd::Vec<T> species, simd::Vec<T>* c) const {
        if constexpr (kMixed) {
            simd::load_rows8(table, centre.species_row + simd::to_int(species), c);
        } else {
            for (int k = 0; k < 8; ++k) c[k] = centre.c[k];
        }
    }
    // The first four numbers of the row alone.
    void load_four(const Centre& centre, simd::Vec<T> species, simd::Vec<T>* c) const {
        if constexpr (kMixed) {
            const simd::Int<T> row = centre.species_row + simd::to_int(species);
            simd::load_rows(table, row + row, c[0], c[1], c[2], c[3]);
        } else {
            for (int k = 0; k < 4; ++k) c[k] = centre.c[k];
        }
    }
};

}  // namespace MDKERN_ISA
}  // namespace mdkern
