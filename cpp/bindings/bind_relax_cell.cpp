// Cells and constraints of relaxations: what mdkern.optimize makes of ASE's constraints, and the filter itself for
// tests against ASE's.
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/relax_cell.hpp"
#include "math/matrix3.hpp"

namespace mdkern {

CellOptions cell_options(const std::string& kind, const DoubleArray& mask, bool hydrostatic,
                         bool constant_volume, double pressure, double factor) {
    CellOptions o;
    if (kind == "deformation")
        o.kind = CellCoordinates::deformation;
    else if (kind == "logarithm")
        o.kind = CellCoordinates::logarithm;
    else if (kind != "none")
        throw std::invalid_argument("kind: '" + kind +
                                    "'; expected 'none', 'deformation' or 'logarithm'");
    check_shape(mask, "mask", {3, 3});
    std::copy_n(mask.data(), 9, o.mask);
    o.hydrostatic = hydrostatic;
    o.constant_volume = constant_volume;
    o.pressure = pressure;
    o.factor = factor;
    return o;
}

Constraints constraints_of(const std::vector<PyConstraint>& list, std::int64_t n) {
    for (const auto& c : list) c->check(n);
    return Constraints(list.begin(), list.end());
}

namespace {

PyConstraint held(const std::shared_ptr<const Constraint>& made) {
    return std::const_pointer_cast<Constraint>(made);
}

DoubleArray copy_of(const double* values, const std::vector<py::ssize_t>& shape) {
    return DoubleArray(py::array::ShapeContainer(shape), values);
}

struct PyCellFilter {
    CellFilter filter;
    std::int64_t n;
    PyCellFilter(std::int64_t n_atoms, const DoubleArray& cell, const CellOptions& options)
        : n(n_atoms) {
        check_shape(cell, "cell", {3, 3});
        filter.start(options, n, cell.data());
    }
    DoubleArray coordinates(const DoubleArray& x) const {
        check_shape(x, "positions", {n, 3});
        DoubleArray q = new_array<double>({filter.n_rows(), std::int64_t(3)});
        filter.coordinates(x.data(), q.mutable_data());
        return q;
    }
    py::tuple place(const DoubleArray& wanted, const DoubleArray& positions,
                    const DoubleArray& cell, const std::vector<PyConstraint>& list) {
        check_shape(wanted, "coordinates", {filter.n_rows(), 3});
        check_shape(positions, "positions", {n, 3});
        check_shape(cell, "cell", {3, 3});
        DoubleArray q = copy_of(wanted.data(), {filter.n_rows(), 3}),
                    x = copy_of(positions.data(), {n, 3}), h = copy_of(cell.data(), {3, 3}),
                    old = new_array<double>({n, std::int64_t(3)});
        filter.place(q.mutable_data(), constraints_of(list, n), x.mutable_data(), h.mutable_data(),
                     old.mutable_data());
        return py::make_tuple(q, x, h);
    }
    DoubleArray forces(const DoubleArray& f, const DoubleArray& virial,
                       const DoubleArray& cell) const {
        check_shape(f, "forces", {n, 3});
        check_shape(virial, "virial", {6});
        check_shape(cell, "cell", {3, 3});
        DoubleArray g = new_array<double>({filter.n_rows(), std::int64_t(3)});
        filter.forces(f.data(), virial.data(), cell.data(), g.mutable_data());
        return g;
    }
};

// A function of one or two matrices; None where it has no value.
template <class... A, class Call> py::object matrix_of(Call call, const A&... a) {
    (check_shape(a, "matrix", {3, 3}), ...);
    DoubleArray out = new_array<double>({std::int64_t(3), std::int64_t(3)});
    if (!call(a.data()..., out.mutable_data())) return py::none();
    return out;
}

}  // namespace

void bind_relax_cell(py::module_& m) {
    py::class_<Constraint, PyConstraint>(m, "Constraint")
        .def(
            "adjust_positions",
            [](const Constraint& c, const DoubleArray& cell, const DoubleArray& old,
               const DoubleArray& positions) {
                const std::int64_t n = positions.shape(0);
                check_shape(positions, "positions", {-1, 3});
                check_shape(old, "old", {n, 3});
                check_shape(cell, "cell", {3, 3});
                c.check(n);
                DoubleArray x = copy_of(positions.data(), {n, 3});
                c.adjust_positions(n, cell.data(), old.data(), x.mutable_data());
                return x;
            },
            py::arg("cell").noconvert(), py::arg("old").noconvert(),
            py::arg("positions").noconvert())
        .def(
            "adjust_forces",
            [](const Constraint& c, const DoubleArray& cell, const DoubleArray& forces) {
                check_shape(forces, "forces", {-1, 3});
                check_shape(cell, "cell", {3, 3});
                const std::int64_t n = forces.shape(0);
                c.check(n);
                DoubleArray f = copy_of(forces.data(), {n, 3});
                c.adjust_forces(n, cell.data(), f.mutable_data());
                return f;
            },
            py::arg("cell").noconvert(), py::arg("forces").noconvert())
        .def(
            "adjust_cell",
            [](const Constraint& c, const DoubleArray& old, const DoubleArray& cell) {
                check_shape(old, "old", {3, 3});
                check_shape(cell, "cell", {3, 3});
                DoubleArray h = copy_of(cell.data(), {3, 3});
                c.adjust_cell(old.data(), h.mutable_data());
                return h;
            },
            py::arg("old").noconvert(), py::arg("cell").noconvert())
        .def(
            "adjust_virial",
            [](const Constraint& c, const DoubleArray& cell, const DoubleArray& virial) {
                check_shape(cell, "cell", {3, 3});
                check_shape(virial, "virial", {6});
                DoubleArray v = copy_of(virial.data(), {6});
                c.adjust_virial(cell.data(), v.mutable_data());
                return v;
            },
            py::arg("cell").noconvert(), py::arg("virial").noconvert());
    m.def(
        "fix_atoms",
        [](const Int64Array& index) {
            check_shape(index, "index", {-1});
            return held(fix_atoms({index.data(), index.data() + index.size()}));
        },
        py::arg("index").noconvert());

    m.def(
        "fix_com",
        [](const DoubleArray& masses) {
            check_shape(masses, "masses", {-1});
            return held(fix_com({masses.data(), masses.data() + masses.size()}));
        },
        py::arg("masses").noconvert());
    m.def(
        "fix_cartesian",
        [](const Int64Array& index, const BoolArray& stays) {
            check_shape(index, "index", {-1});
            check_shape(stays, "stays", {3});
            return held(fix_cartesian({index.data(), index.data() + index.size()}, stays.data()));
        },
        py::arg("index").noconvert(), py::arg("stays").noconvert());
    m.def(
        "fix_symmetry",
        [](const DoubleArray& rotations, const Int64Array& map, bool positions, bool cell) {
            check_shape(rotations, "rotations", {-1, 3, 3});
            check_shape(map, "map", {rotations.shape(0), -1});
            return held(fix_symmetry({rotations.data(), rotations.data() + rotations.size()},
                                     {map.data(), map.data() + map.size()}, map.shape(1), positions,
                                     cell));
        },
        py::arg("rotations").noconvert(), py::arg("map").noconvert(), py::arg("positions"),
        py::arg("cell"));

    py::class_<PyCellFilter>(m, "CellFilter")
        .def(py::init([](std::int64_t n, const DoubleArray& cell, const std::string& kind,
                         const DoubleArray& mask, bool hydrostatic, bool constant_volume,
                         double pressure, double factor) {
                 return PyCellFilter(
                     n, cell,
                     cell_options(kind, mask, hydrostatic, constant_volume, pressure, factor));
             }),
             py::arg("n"), py::arg("cell").noconvert(), py::arg("kind"),
             py::arg("mask").noconvert(), py::arg("hydrostatic"), py::arg("constant_volume"),
             py::arg("pressure"), py::arg("factor"))
        .def("coordinates", &PyCellFilter::coordinates, py::arg("positions").noconvert())
        .def("place", &PyCellFilter::place, py::arg("coordinates").noconvert(),
             py::arg("positions").noconvert(), py::arg("cell").noconvert(), py::arg("constraints"))
        .def("forces", &PyCellFilter::forces, py::arg("forces").noconvert(),
             py::arg("virial").noconvert(), py::arg("cell").noconvert())
        .def(
            "energy",
            [](const PyCellFilter& f, double energy, const DoubleArray& cell) {
                check_shape(cell, "cell", {3, 3});
                return f.filter.energy(energy, cell.data());
            },
            py::arg("energy"), py::arg("cell").noconvert());

    m.def(
        "matrix3_exponential",
        [](const DoubleArray& a) {
            return matrix_of(
                [](const double* x, double* e) {
                    matrix3::exponential(x, e);
                    return true;
                },
                a);
        },
        py::arg("matrix").noconvert());
    m.def(
        "matrix3_exponential_derivative",
        [](const DoubleArray& a, const DoubleArray& w) {
            return matrix_of(
                [](const double* x, const double* y, double* d) {
                    matrix3::exponential_derivative(x, y, d);
                    return true;
                },
                a, w);
        },
        py::arg("matrix").noconvert(), py::arg("direction").noconvert());
    m.def(
        "matrix3_logarithm", [](const DoubleArray& a) { return matrix_of(matrix3::logarithm, a); },
        py::arg("matrix").noconvert());
    m.def(
        "matrix3_inverse", [](const DoubleArray& a) { return matrix_of(matrix3::inverse, a); },
        py::arg("matrix").noconvert());
}

}  // namespace mdkern
