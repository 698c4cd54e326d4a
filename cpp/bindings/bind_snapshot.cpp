#include "bindings/snapshot.hpp"

#include <algorithm>
#include <cstring>

namespace mdkern {

namespace {

AtomsView checked(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                  const BoolArray& p) {
    const AtomsView a = atoms_view(r, c, p, nullptr);
    check_shape(z, "numbers", {a.n});
    return a;
}

template <class T> bool differ(const T* a, const T* b, std::int64_t n) {
    return n > 0 && std::memcmp(a, b, std::size_t(n) * sizeof(T)) != 0;
}

}  // namespace

Snapshot::Snapshot(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                   const BoolArray& p)
    : atoms(checked(r, z, c, p)), numbers(z.data(), z.data() + z.size()) {}

py::list Snapshot::changes(const DoubleArray& r, const Int64Array& z, const DoubleArray& c,
                           const BoolArray& p) const {
    const AtomsView mine = atoms.view(), other = checked(r, z, c, p);
    const bool all = mine.n != other.n;
    py::list out;
    if (all || differ(mine.positions, other.positions, 3 * mine.n)) out.append("positions");
    if (all || differ(numbers.data(), z.data(), mine.n)) out.append("numbers");
    if (all || differ(mine.cell, other.cell, 9)) out.append("cell");
    if (all || differ(mine.pbc, other.pbc, 3)) out.append("pbc");
    return out;
}

py::tuple Snapshot::arrays() const {
    const AtomsView a = atoms.view();
    DoubleArray r(py::array::ShapeContainer{a.n, std::int64_t(3)}),
        c(py::array::ShapeContainer{3, 3});
    Int64Array z(a.n);
    BoolArray p(3);
    std::copy_n(a.positions, 3 * a.n, r.mutable_data());
    std::copy(numbers.begin(), numbers.end(), z.mutable_data());
    std::copy_n(a.cell, 9, c.mutable_data());
    std::copy_n(a.pbc, 3, p.mutable_data());
    return py::make_tuple(r, z, c, p);
}

void bind_snapshot(py::module_& m) {
    py::class_<Snapshot>(m, "Snapshot")
        .def(
            py::init<const DoubleArray&, const Int64Array&, const DoubleArray&, const BoolArray&>(),
            py::arg("positions").noconvert(), py::arg("numbers").noconvert(),
            py::arg("cell").noconvert(), py::arg("pbc").noconvert())
        .def("changes", &Snapshot::changes, py::arg("positions").noconvert(),
             py::arg("numbers").noconvert(), py::arg("cell").noconvert(),
             py::arg("pbc").noconvert())
        .def_property_readonly("cell",
                               [](const Snapshot& s) {
                                   DoubleArray c(py::array::ShapeContainer{3, 3});
                                   std::copy_n(s.atoms.view().cell, 9, c.mutable_data());
                                   return c;
                               })
        .def("arrays", &Snapshot::arrays);
}

}  // namespace mdkern
