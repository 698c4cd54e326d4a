// Shared by the bindings: argument types, checks, and the list of binders. No arithmetic here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bindings/own_atoms.hpp"
#include "core/errors.hpp"
#include "core/fields.hpp"
#include "core/pool.hpp"
#include "model/potential.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

namespace py = pybind11;

using DoubleArray = py::array_t<double, py::array::c_style>;
using Int64Array = py::array_t<std::int64_t, py::array::c_style>;
using IntArray = py::array_t<std::int32_t, py::array::c_style>;
using BoolArray = py::array_t<bool, py::array::c_style>;

// A new array; a large one in memory from the pool, which takes it back when the last reference is
// gone. Of the types above: to make one of them of another type counts references, for which a
// function that ends without Python's lock has no right.
template <class T>
py::array_t<T, py::array::c_style> new_array(const py::array::ShapeContainer& shape) {
    using Array = py::array_t<T, py::array::c_style>;
    std::size_t bytes = sizeof(T);
    for (auto n : *shape) bytes *= std::size_t(n);
    if (bytes < kPoolSmallest) return Array(shape);
    std::unique_ptr<void, void (*)(void*)> block(pool_take(bytes), pool_give);
    const py::capsule owner(block.get(), pool_give);
    return Array(shape, static_cast<T*>(block.release()), owner);
}

// Throws std::invalid_argument unless the array has this shape; -1 accepts any length.
void check_shape(const py::array& a, const char* name, std::initializer_list<std::int64_t> shape);

// Positions, cell, pbc and species of one system; the arrays stay alive with the caller.
AtomsView atoms_view(const DoubleArray& positions, const DoubleArray& cell, const BoolArray& pbc,
                     const IntArray* species);

void bind_runtime(py::module_& m);
void bind_neighbors(py::module_& m);
void bind_snapshot(py::module_& m);
void bind_potential(py::module_& m);
void bind_nets(py::module_& m);
void bind_limits(py::module_& m);
void bind_md(py::module_& m);
void bind_relax_cell(py::module_& m);
void bind_relax(py::module_& m);
void bind_relax_batch(py::module_& m);
void bind_evaluate(py::module_& m);
void bind_text(py::module_& m);
void bind_soap(py::module_& m);
void bind_acsf(py::module_& m);
void bind_bispectrum(py::module_& m);

// Fields from a dict: numbers, texts, arrays, and dicts and lists of such, which become groups.
Fields fields_of(const py::dict& values);

// A table together with the options it is built with, as Python holds it, and the workspaces of the
// potentials that are evaluated on it.
struct PyNeighborTable {
    NeighborTable table;
    TableOptions options;
    DoubleArray radii, cutoff_table;  // keep the memory of the options alive
    OwnAtoms atoms;
    std::int64_t builds = 0;
    Buffer<double> descriptor_scratch, descriptor_rows;  // of descriptors
    std::recursive_mutex lock;                           // of TableUse

    // The potential's workspace of this table: made at its first evaluation, kept as long as the
    // potential lives.
    Workspace& workspace(const std::shared_ptr<const Potential>& potential);

private:
    struct Place {
        std::weak_ptr<const Potential> potential;
        std::unique_ptr<Workspace> space;
    };
    std::vector<Place> places_;
};

// Keeps other threads off a table as long as it lives: every binding that reads or changes one
// begins with it. It never waits, as whoever has the table may be waiting for Python's lock, and a
// thread may take it again: the force of a potential in Python is evaluated inside a run.
class TableUse {
public:
    explicit TableUse(PyNeighborTable& t) : held_(t.lock, std::try_to_lock) {
        if (!held_)
            throw InUse("the neighbor table is in use by another thread; expected one per thread");
    }

private:
    std::unique_lock<std::recursive_mutex> held_;
};

// Throws std::invalid_argument unless the potential has virials of so many components.
void check_virials(const Potential& potential, int virial_width);

// Output arrays of a potential.
struct PyResult {
    DoubleArray energies, forces;
    std::optional<DoubleArray> virials, charges, deviation,
        members;  // an empty array takes time too
    std::unique_ptr<double[]> blocks;
    Outputs view;
    std::int64_t n_blocks = 0;
    bool overflow = false;
    // virial_width: components of the virials of atoms: 6, 9 (see Outputs), or 0 for none. n_members: of a
    // committee whose deviation is wanted, else 0.
    PyResult(std::int64_t n, int virial_width, bool want_charges = false, int n_members = 0);
    void evaluate(const Potential& potential, NeighborTable& table, Workspace& space, int threads) {
        space.overflow = 0;
        potential.compute(table, space, view, threads);
        overflow = space.overflow != 0;
    }
    // (energy, energies, forces, virial (6), virials (n, virial_width) or None, charges or None, overflow,
    // (deviation (n), members (n_members, kMemberNumbers)) or None)
    py::tuple finish();
};

}  // namespace mdkern
