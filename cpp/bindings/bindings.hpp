// Shared by the bindings: argument types, checks, and the list of binders. No arithmetic here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <string>

#include "bindings/own_atoms.hpp"
#include "core/errors.hpp"
#include "core/pool.hpp"
#include "forces/force_blocks.hpp"
#include "neighbors/table.hpp"
#include "potentials/coulomb.hpp"

namespace mdkern {

namespace py = pybind11;

using DoubleArray = py::array_t<double, py::array::c_style>;
using Int64Array = py::array_t<std::int64_t, py::array::c_style>;
using IntArray = py::array_t<std::int32_t, py::array::c_style>;
using BoolArray = py::array_t<bool, py::array::c_style>;

// A new array; a large one in memory from the pool, which takes it back when the last reference is
// gone.
template <class T> py::array_t<T> new_array(const py::array::ShapeContainer& shape) {
    std::size_t bytes = sizeof(T);
    for (auto n : *shape) bytes *= std::size_t(n);
    if (bytes < kPoolSmallest) return py::array_t<T>(shape);
    auto* data = static_cast<T*>(pool_take(bytes));
    return py::array_t<T>(shape, data, py::capsule(data, [](void* block) { pool_give(block); }));
}

// Throws std::invalid_argument unless the array has this shape; -1 accepts any length.
void check_shape(const py::array& a, const char* name, std::initializer_list<std::int64_t> shape);

// Positions, cell, pbc and species of one system; the arrays stay alive with the caller.
AtomsView atoms_view(const DoubleArray& positions, const DoubleArray& cell, const BoolArray& pbc,
                     const IntArray* species);

void bind_runtime(py::module_& m);
void bind_neighbors(py::module_& m);
void bind_snapshot(py::module_& m);
void bind_lennard_jones(py::module_& m);
void bind_morse(py::module_& m);
void bind_buckingham(py::module_& m);
void bind_eam(py::module_& m);
void bind_nep(py::module_& m);
void bind_deepmd(py::module_& m);
void bind_deepmd_kinds(py::module_& m);
void bind_pair_tab(py::module_& m);
void bind_limits(py::module_& m);
void bind_md(py::module_& m);
void bind_evaluate(py::module_& m);
void bind_text(py::module_& m);
void bind_soap(py::module_& m);
void bind_acsf(py::module_& m);

// A table together with the options it is built with, as Python holds it, and everything that an
// evaluation on it changes: potentials themselves stay as they were made, and threads share them.
struct PyNeighborTable {
    NeighborTable table;
    TableOptions options;
    DoubleArray radii, cutoff_table;  // keep the memory of the options alive
    OwnAtoms atoms;
    std::int64_t builds = 0;
    // Scratch of the potential that reads the table: reused from step to step, given back with the
    // table.
    Buffer<double> scratch_energy, scratch_rows, scratch_sums, scratch_virials, scratch_tiles;
    Buffer<float> scratch_single;
    Buffer<std::int32_t> scratch_count, scratch_index;
    Buffer<char> scratch_bytes;
    // Of potentials that scatter over blocks of rows; made anew when the table was.
    ForceBlockPlan plan;
    std::int64_t plan_of_build = -1;
    Coulomb coulomb;  // of potentials with charges
    // Set to 1 by a model that has no room for all neighbors and leaves the farthest out, or whose
    // tables end before a density.
    std::int32_t overflow = 0;
    std::recursive_mutex lock;  // of TableUse
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

// One evaluation of a potential on a table, into buffers of the caller, without Python: what
// molecular dynamics calls in every step. A potential without one is reached through its method
// `compute`. Nothing in it changes once it is made: what does belongs to the table.
struct ForceStep {
    virtual ~ForceStep() = default;
    virtual void compute(PyNeighborTable& neighbors, int threads, const Result& out) const = 0;
    // Whether it is faster, and possible, without energies and totals: out.block_totals == nullptr.
    virtual bool forces_alone() const { return false; }
    // Charges (n) of the last evaluation on this table, in the caller's order, where the model has some.
    virtual bool has_charges() const { return false; }
    virtual void charges(const PyNeighborTable&, double*) const {}
};

// Output arrays of a potential and the scratch that every potential shares.
struct PyResult {
    DoubleArray energies, forces, virials, charges;
    std::unique_ptr<double[]> blocks;
    Result view;
    std::int64_t n_blocks = 0;
    bool with_charges, overflow = false;
    PyResult(std::int64_t n, bool want_virials, bool want_charges = false);
    void evaluate(const ForceStep& step, PyNeighborTable& neighbors, int threads) {
        neighbors.overflow = 0;
        step.compute(neighbors, threads, view);
        overflow = neighbors.overflow != 0;
        if (with_charges) step.charges(neighbors, charges.mutable_data());
    }
    // (energy, energies, forces, virial (6), virials or None, charges or None, overflow)
    py::tuple finish();
};

// The same evaluation for Python, into new arrays.
py::tuple evaluate(const ForceStep& step, PyNeighborTable& neighbors, bool virials, int threads);

}  // namespace mdkern
