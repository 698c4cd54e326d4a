// The one binding of all potentials.
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/bindings.hpp"
#include "model/committee.hpp"
#include "model/model_file.hpp"

namespace mdkern {

namespace {

template <class T> bool put_array(Fields& fields, const std::string& name,
                                  const py::handle& value) {
    using Array = py::array_t<T, py::array::c_style>;
    if (!py::isinstance<Array>(value)) return false;
    const auto a = py::reinterpret_borrow<Array>(value);
    fields.put(name, FieldTypeOf<T>::value, {a.shape(), a.shape() + a.ndim()}, a.data());
    return true;
}

// Arrays, numbers and texts as they are; bool is an array of 0 and 1. None is no field.
void put(Fields& fields, const std::string& name, const py::handle& value) {
    if (value.is_none()) return;
    if (py::isinstance<py::dict>(value)) {
        for (const auto& [key, member] : py::reinterpret_borrow<py::dict>(value))
            put(fields, name + "." + key.cast<std::string>(), member);
        return;
    }
    if (py::isinstance<py::list>(value)) {
        std::size_t k = 0;
        for (const py::handle& member : py::reinterpret_borrow<py::list>(value))
            put(fields, name + "." + std::to_string(k++), member);
        return;
    }
    if (py::isinstance<BoolArray>(value)) {
        const auto a = py::reinterpret_borrow<BoolArray>(value);
        return fields.put(name, FieldType::u8, {a.shape(), a.shape() + a.ndim()}, a.data());
    }
    if (py::isinstance<py::bool_>(value)) {
        const auto flag = std::uint8_t(value.cast<bool>());
        return fields.put(name, FieldType::u8, {}, &flag);
    }
    if (py::isinstance<py::int_>(value)) {
        const auto n = value.cast<std::int64_t>();
        return fields.put(name, FieldType::i64, {}, &n);
    }
    if (py::isinstance<py::float_>(value)) {
        const auto x = value.cast<double>();
        return fields.put(name, FieldType::f64, {}, &x);
    }
    if (py::isinstance<py::str>(value)) return fields.put(name, value.cast<std::string>());
    if (put_array<double>(fields, name, value) || put_array<float>(fields, name, value) ||
        put_array<std::int64_t>(fields, name, value) ||
        put_array<std::int32_t>(fields, name, value) ||
        put_array<std::uint8_t>(fields, name, value))
        return;
    throw py::type_error(name + ": expected a number, a text, or a C-contiguous array");
}

std::shared_ptr<Potential> make(const py::dict& values) {
    // pybind11 holds what it hands out as not const; nothing of a potential can be changed.
    return std::const_pointer_cast<Potential>(make_potential(fields_of(values)));
}

using Shared = std::shared_ptr<Potential>;

void run(const Shared& p, PyNeighborTable& neighbors, PyResult& out, int threads) {
    Workspace& space = neighbors.workspace(p);
    const py::gil_scoped_release nogil;
    out.evaluate(*p, neighbors.table, space, threads);
}

py::tuple compute(const Shared& p, PyNeighborTable& neighbors, int virials, int threads) {
    check_virials(*p, virials);
    const TableUse use(neighbors);
    PyResult out(neighbors.table.n(), virials, p->traits().charges, p->traits().n_members);
    run(p, neighbors, out, threads);
    return out.finish();
}

// (charges, half sums (n, 9)), see Outputs::born.
py::tuple born(const Shared& p, PyNeighborTable& neighbors, int threads) {
    const TableUse use(neighbors);
    const std::int64_t n = neighbors.table.n();
    DoubleArray sums(py::array::ShapeContainer{n, std::int64_t(9)});
    PyResult out(n, 0);
    out.view.born = sums.mutable_data();
    run(p, neighbors, out, threads);
    return py::make_tuple(out.energies, sums);
}

DoubleArray descriptors(const Shared& p, PyNeighborTable& neighbors, int threads) {
    const TableUse use(neighbors);
    const std::int64_t n = neighbors.table.n();
    DoubleArray x(py::array::ShapeContainer{n, std::int64_t(p->traits().n_features)});
    PyResult out(n, 0);
    out.view.features = x.mutable_data();
    run(p, neighbors, out, threads);
    return x;
}

py::tuple potential_vjp(const Shared& p, PyNeighborTable& neighbors, const DoubleArray& weights,
                        int threads) {
    const TableUse use(neighbors);
    const std::int64_t n = neighbors.table.n();
    check_shape(weights, "weights", {n, p->traits().n_features});
    PyResult out(n, 0);
    out.view.feature_weights = weights.data();
    run(p, neighbors, out, threads);
    return out.finish();
}

DoubleArray jacobian(const Shared& p, PyNeighborTable& neighbors, const IntArray& centre_at,
                     const IntArray& moving_at, std::int64_t n_centres, std::int64_t n_moving,
                     int threads) {
    const TableUse use(neighbors);
    const std::int64_t n = neighbors.table.n(), width = p->traits().n_features;
    check_shape(centre_at, "centre_at", {n});
    check_shape(moving_at, "moving_at", {n});
    DoubleArray values(py::array::ShapeContainer{n_centres, n_moving, std::int64_t(3), width});
    std::fill_n(values.mutable_data(), values.size(), 0.0);
    PyResult out(n, 0);
    out.view.jacobian = {values.mutable_data(), centre_at.data(), moving_at.data(), n_moving,
                         width};
    run(p, neighbors, out, threads);
    return values;
}

py::array array_of(const Fields::Array& a) {
    constexpr const char* kTypes[] = {"float64", "float32", "int64", "int32", "uint8"};
    return py::array(py::dtype(kTypes[int(a.type)]), a.shape, a.data.get());
}

// ({name: array or text}, [symbol, ...]). Fields are checked by making the potential.
py::tuple read_file(const std::string& path) {
    const ModelFile file = read_model_file(path);
    make_model(file, path);
    py::dict fields;
    file.fields.each([&](const std::string& name, const Fields::Array& a) {
        fields[py::str(name)] = array_of(a);
    });
    file.fields.each_text(
        [&](const std::string& name, const std::string& text) { fields[py::str(name)] = text; });
    return py::make_tuple(fields, file.species);
}

}  // namespace

Fields fields_of(const py::dict& values) {
    Fields fields;
    for (const auto& [key, value] : values) put(fields, key.cast<std::string>(), value);
    return fields;
}

void bind_potential(py::module_& m) {
    py::class_<Potential, Shared>(m, "Potential")
        .def(py::init(&make), py::arg("fields"))
        .def("compute", &compute, py::arg("neighbors"), py::arg("virials"), py::arg("threads"))
        .def("born", &born, py::arg("neighbors"), py::arg("threads"))
        .def("descriptors", &descriptors, py::arg("neighbors"), py::arg("threads"))
        .def("vjp", &potential_vjp, py::arg("neighbors"), py::arg("weights").noconvert(),
             py::arg("threads"))
        .def("jacobian", &jacobian, py::arg("neighbors"), py::arg("centre_at").noconvert(),
             py::arg("moving_at").noconvert(), py::arg("n_centres"), py::arg("n_moving"),
             py::arg("threads"))
        .def_property_readonly("cutoff", [](const Potential& p) { return p.traits().cutoff; })
        .def_property_readonly("list_cutoff",
                               [](const Potential& p) { return list_cutoff(p.traits()); })
        .def_property_readonly("n_features",
                               [](const Potential& p) { return p.traits().n_features; })
        .def_property_readonly("nine_virials",
                               [](const Potential& p) { return p.traits().nine_virials; })
        .def_property_readonly("tabulated",
                               [](const Potential& p) { return p.traits().tabulated; });
    m.def(
        "committee",
        [](const std::vector<Shared>& parts) {
            return std::const_pointer_cast<Potential>(make_committee({parts.begin(), parts.end()}));
        },
        py::arg("parts"));
    m.def("potential_names", &potential_names);
    m.def("read_model_file", &read_file, py::arg("path"));
}

}  // namespace mdkern
