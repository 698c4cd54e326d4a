#include <cstring>
#include <vector>

#include "bindings/bindings.hpp"

namespace mdkern {

namespace {

using Int64Array = py::array_t<std::int64_t, py::array::c_style>;

// The atoms that a calculator's results belong to, compared byte by byte: ASE asks several times a
// step whether they changed.
struct Snapshot {
    std::vector<double> positions;
    std::vector<std::int64_t> numbers;
    double cell[9] = {};
    bool pbc[3] = {};
    std::int64_t n = -1;

    void store(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
               const BoolArray& p) {
        check(r, z, c, p);
        n = r.shape(0);
        positions.assign(r.data(), r.data() + 3 * n);
        numbers.assign(z.data(), z.data() + n);
        std::memcpy(cell, c.data(), sizeof cell);
        std::memcpy(pbc, p.data(), sizeof pbc);
    }
    py::list changes(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                     const BoolArray& p) const {
        check(r, z, c, p);
        py::list out;
        if (n < 0 || r.shape(0) != n) {
            for (const char* name : {"positions", "numbers", "cell", "pbc"}) out.append(name);
            return out;
        }
        if (n > 0 && std::memcmp(r.data(), positions.data(), 3 * n * sizeof(double)) != 0)
            out.append("positions");
        if (n > 0 && std::memcmp(z.data(), numbers.data(), n * sizeof(std::int64_t)) != 0)
            out.append("numbers");
        if (std::memcmp(c.data(), cell, sizeof cell) != 0) out.append("cell");
        if (std::memcmp(p.data(), pbc, sizeof pbc) != 0) out.append("pbc");
        return out;
    }
    static void check(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                      const BoolArray& p) {
        check_shape(r, "positions", {-1, 3});
        check_shape(z, "numbers", {r.shape(0)});
        check_shape(c, "cell", {3, 3});
        check_shape(p, "pbc", {3});
    }
    py::tuple arrays() const {
        DoubleArray r(py::array::ShapeContainer{n, std::int64_t(3)}),
            c(py::array::ShapeContainer{3, 3});
        Int64Array z(n);
        BoolArray p(3);
        std::copy(positions.begin(), positions.end(), r.mutable_data());
        std::copy(numbers.begin(), numbers.end(), z.mutable_data());
        std::copy_n(cell, 9, c.mutable_data());
        std::copy_n(pbc, 3, p.mutable_data());
        return py::make_tuple(r, z, c, p);
    }
};

}  // namespace

void bind_snapshot(py::module_& m) {
    py::class_<Snapshot>(m, "Snapshot")
        .def(py::init<>())
        .def("store", &Snapshot::store, py::arg("positions").noconvert(),
             py::arg("numbers").noconvert(), py::arg("cell").noconvert(),
             py::arg("pbc").noconvert())
        .def("changes", &Snapshot::changes, py::arg("positions").noconvert(),
             py::arg("numbers").noconvert(), py::arg("cell").noconvert(),
             py::arg("pbc").noconvert())
        .def("clear", [](Snapshot& s) { s.n = -1; })
        .def("arrays", &Snapshot::arrays)
        .def_property_readonly("n_atoms", [](const Snapshot& s) { return s.n; });
}

}  // namespace mdkern
