// The atoms that a calculator's results belong to. Never changed once made.
#pragma once

#include <vector>

#include "bindings/bindings.hpp"

namespace mdkern {

struct Snapshot {
    OwnAtoms atoms;
    std::vector<std::int64_t> numbers;

    Snapshot(const DoubleArray& r, const Int64Array& z, const DoubleArray& c, const BoolArray& p);
    // Names of the arrays that differ, byte by byte: ASE asks several times a step.
    py::list changes(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                     const BoolArray& p) const;
    // Copies (positions, numbers, cell, pbc).
    py::tuple arrays() const;
};

}  // namespace mdkern
