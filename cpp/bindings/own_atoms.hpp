// Copies of the caller's atoms. Kernels run without Python's lock, and while they do, other threads
// may move the atoms or change the cell; they must not find one position here and another there, as
// when they count and then fill.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/buffers.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

class OwnAtoms {
public:
    OwnAtoms() = default;
    // As they are now; to be called under Python's lock. Without one (free-threaded Python) others may
    // write meanwhile: then each number is one that was there. The species stay with the caller.
    explicit OwnAtoms(const AtomsView& atoms) { take(atoms); }
    void take(const AtomsView& atoms) {
        n_ = atoms.n;
        species_ = atoms.species;
        std::copy_n(atoms.positions, 3 * n_, positions_.reserve(3 * n_));
        std::copy_n(atoms.cell, 9, cell_);
        std::copy_n(atoms.pbc, 3, pbc_);
    }
    AtomsView view() const { return {n_, positions_.data(), cell_, pbc_, species_}; }
    void release() { positions_ = {}; }

private:
    std::int64_t n_ = 0;
    Buffer<double> positions_;
    double cell_[9] = {};
    bool pbc_[3] = {};
    const std::int32_t* species_ = nullptr;
};

}  // namespace mdkern
