#include <cmath>

#include "bindings/bindings.hpp"

namespace mdkern {

namespace {

using Int64Array = py::array_t<std::int64_t, py::array::c_style>;

// The arrays for the letters asked for, of n_pairs pairs, in the order asked.
struct Output {
    explicit Output(const std::string& letters, std::int64_t n_pairs) : quantities(letters) {
        using Shape = py::array::ShapeContainer;
        for (char q : letters) {
            if (q == 'i') arrays[0] = Int64Array(n_pairs), task.i = pointer<std::int64_t>(arrays[0]);
            else if (q == 'j') arrays[1] = Int64Array(n_pairs), task.j = pointer<std::int64_t>(arrays[1]);
            else if (q == 'S') arrays[2] = Int64Array(Shape{n_pairs, std::int64_t(3)}), task.S = pointer<std::int64_t>(arrays[2]);
            else if (q == 'd') arrays[3] = DoubleArray(n_pairs), task.d = pointer<double>(arrays[3]);
            else arrays[4] = DoubleArray(Shape{n_pairs, std::int64_t(3)}), task.D = pointer<double>(arrays[4]);
        }
    }
    template <class T> static T* pointer(py::object& a) {
        return n_items(a) ? static_cast<T*>(py::reinterpret_borrow<py::array>(a).mutable_data()) : nullptr;
    }
    static py::ssize_t n_items(py::object& a) { return py::reinterpret_borrow<py::array>(a).size(); }
    const py::object& array(char q) const { return arrays[q == 'i' ? 0 : q == 'j' ? 1 : q == 'S' ? 2 : q == 'd' ? 3 : 4]; }
    py::object result() const {
        if (quantities.size() == 1) return array(quantities[0]);
        py::tuple t(quantities.size());
        for (std::size_t k = 0; k < quantities.size(); ++k) t[k] = array(quantities[k]);
        return t;
    }
    std::string quantities;
    py::object arrays[5];
    FillTask task;
};

double check_quantities(const std::string& q) {
    if (q.empty()) throw std::invalid_argument("quantities: ''; expected one or more of the letters 'ijdDS'");
    double bytes = 12.0;
    for (std::size_t k = 0; k < q.size(); ++k) {
        if (std::string("ijdDS").find(q[k]) == std::string::npos)
            throw std::invalid_argument("quantities: '" + q + "' has the letter '" + q[k] + "'; expected letters of 'ijdDS'");
        if (q.find(q[k]) == k) bytes += q[k] == 'D' || q[k] == 'S' ? 24.0 : 8.0;
    }
    return bytes;
}

// cutoff: of every pair, or the largest. radii: one per atom. table: per pair of species.
void set_rule(TableOptions& o, double cutoff, const py::object& radii, const py::object& table, DoubleArray& keep_radii,
              DoubleArray& keep_table) {
    o.cutoff = cutoff;
    if (!radii.is_none()) {
        keep_radii = radii.cast<DoubleArray>();
        o.kind = CutoffKind::radii;
        o.radii = keep_radii.data();
    } else if (!table.is_none()) {
        keep_table = table.cast<DoubleArray>();
        check_shape(keep_table, "cutoff table", {keep_table.shape(0), keep_table.shape(0)});
        o.kind = CutoffKind::types;
        o.table = keep_table.data();
        o.n_types = int(keep_table.shape(0));
    }
}

void check_rule(const TableOptions& o, const DoubleArray& radii, const IntArray* species, std::int64_t n) {
    if (o.kind == CutoffKind::radii) check_shape(radii, "cutoff", {n});
    if (o.kind != CutoffKind::types) return;
    if (!species) throw std::invalid_argument("species: missing; expected one per atom with a cutoff per pair of species");
    for (std::int64_t i = 0; i < n; ++i)
        if (species->data()[i] < 0 || species->data()[i] >= o.n_types)
            throw std::invalid_argument("species[" + std::to_string(i) + "] is " + std::to_string(species->data()[i]) +
                                        "; expected 0 to " + std::to_string(o.n_types - 1));
}

constexpr std::size_t kKeep = std::size_t(64) << 20;  // scratch kept between calls of neighbor_list, per thread

py::object neighbor_list(const std::string& quantities, const DoubleArray& positions, const DoubleArray& cell,
                         const BoolArray& pbc, double cutoff, const py::object& radii, const py::object& species_or_none,
                         const py::object& table_or_none, bool self_interaction, double max_pairs, int threads) {
    thread_local NeighborTable table;
    IntArray species;
    if (!species_or_none.is_none()) species = species_or_none.cast<IntArray>();
    const IntArray* s = species_or_none.is_none() ? nullptr : &species;
    const AtomsView atoms = atoms_view(positions, cell, pbc, s);
    TableOptions o;
    DoubleArray keep_radii, keep_table;
    o.bytes_per_pair = check_quantities(quantities);
    set_rule(o, cutoff, radii, table_or_none, keep_radii, keep_table);
    check_rule(o, keep_radii, s, atoms.n);
    o.self_interaction = self_interaction;
    o.exact = true;
    o.max_pairs = max_pairs;
    std::int64_t n_pairs;
    {
        py::gil_scoped_release nogil;
        table.build(atoms, o, threads);
        n_pairs = table.offsets(false)[atoms.n];
    }
    Output out(quantities, n_pairs);
    {
        py::gil_scoped_release nogil;
        table.fill(false, out.task, threads);
        table.release_if_larger(kKeep);
    }
    return out.result();
}

}  // namespace

void bind_neighbors(py::module_& m) {
    m.def("neighbor_list", &neighbor_list, py::arg("quantities"), py::arg("positions").noconvert(), py::arg("cell").noconvert(),
          py::arg("pbc").noconvert(), py::arg("cutoff"), py::arg("radii"), py::arg("species"), py::arg("table"),
          py::arg("self_interaction"), py::arg("max_pairs"), py::arg("threads"));

    py::class_<PyNeighborTable>(m, "NeighborTable")
        .def(py::init([](double cutoff, double skin, const py::object& radii, const py::object& table, bool self_interaction, bool half,
                         bool exact) {
                 auto t = std::make_unique<PyNeighborTable>();
                 set_rule(t->options, cutoff, radii, table, t->radii, t->cutoff_table);
                 t->options.skin = skin;
                 t->options.self_interaction = self_interaction;
                 t->options.half = half;
                 t->options.exact = exact;
                 return t;
             }),
             py::arg("cutoff"), py::arg("skin"), py::kw_only(), py::arg("radii") = py::none(), py::arg("table") = py::none(),
             py::arg("self_interaction") = false, py::arg("half") = false, py::arg("exact") = false)
        .def(
            "update",
            [](PyNeighborTable& t, const DoubleArray& positions, const DoubleArray& cell, const BoolArray& pbc,
               const IntArray& species, int threads) {
                const AtomsView atoms = atoms_view(positions, cell, pbc, &species);
                check_rule(t.options, t.radii, &species, atoms.n);
                py::gil_scoped_release nogil;
                const bool rebuilt = t.table.update(atoms, t.options, threads);
                t.builds += rebuilt;
                return rebuilt;
            },
            py::arg("positions").noconvert(), py::arg("cell").noconvert(), py::arg("pbc").noconvert(),
            py::arg("species").noconvert(), py::arg("threads"))
        .def(
            "arrays",
            [](PyNeighborTable& t, const std::string& quantities, int threads) {
                check_quantities(quantities);
                const bool skin = t.options.skin > 0.0;
                std::int64_t n_pairs;
                {
                    py::gil_scoped_release nogil;
                    if (skin) t.table.prune(threads);
                    n_pairs = t.table.offsets(skin)[t.table.n()];
                }
                Output out(quantities, n_pairs);
                Int64Array first(t.table.n() + 1);
                std::copy_n(t.table.offsets(skin), t.table.n() + 1, first.mutable_data());
                {
                    py::gil_scoped_release nogil;
                    t.table.fill(skin, out.task, threads);
                }
                return py::make_tuple(first, out.result());
            },
            py::arg("quantities"), py::arg("threads"))
        .def_property_readonly("n_atoms", [](const PyNeighborTable& t) { return t.table.n(); })
        .def_property_readonly("n_images", [](const PyNeighborTable& t) { return t.table.system().n_total - t.table.n(); })
        .def_property_readonly("n_listed", [](const PyNeighborTable& t) { return t.table.neighbors().n_pairs; })
        .def_property_readonly("n_builds", [](const PyNeighborTable& t) { return t.builds; });
}

}  // namespace mdkern
