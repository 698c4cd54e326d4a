#include <cmath>
#include <exception>
#include <optional>
#include <vector>

#include "bindings/bindings.hpp"
#include "core/errors.hpp"
#include "core/threads.hpp"

namespace mdkern {

namespace {

// The arrays for the letters asked for, of n_pairs pairs, in the order asked.
struct Output {
    explicit Output(const std::string& letters, std::int64_t n_pairs) : quantities(letters) {
        for (char q : letters) {
            if (q == 'i')
                make(0, {n_pairs}, task.i);
            else if (q == 'j')
                make(1, {n_pairs}, task.j);
            else if (q == 'S')
                make(2, {n_pairs, 3}, task.S);
            else if (q == 'd')
                make(3, {n_pairs}, task.d);
            else
                make(4, {n_pairs, 3}, task.D);
        }
    }
    template <class T> void make(int k, std::initializer_list<std::int64_t> shape, T*& pointer) {
        auto a = new_array<T>(py::array::ShapeContainer(shape.begin(), shape.end()));
        pointer = a.size() ? a.mutable_data() : nullptr;
        arrays[k] = std::move(a);
    }
    const py::object& array(char q) const {
        return arrays[q == 'i' ? 0 : q == 'j' ? 1 : q == 'S' ? 2 : q == 'd' ? 3 : 4];
    }
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
    if (q.empty())
        throw std::invalid_argument("quantities: ''; expected one or more of the letters 'ijdDS'");
    double bytes = 12.0;
    for (std::size_t k = 0; k < q.size(); ++k) {
        if (std::string("ijdDS").find(q[k]) == std::string::npos)
            throw std::invalid_argument("quantities: '" + q + "' has the letter '" + q[k] +
                                        "'; expected letters of 'ijdDS'");
        if (q.find(q[k]) == k) bytes += q[k] == 'D' || q[k] == 'S' ? 24.0 : 8.0;
    }
    return bytes;
}

// cutoff: of every pair, or the largest. radii: one per atom. table: per pair of species.
void set_rule(TableOptions& o, double cutoff, const py::object& radii, const py::object& table,
              DoubleArray& keep_radii, DoubleArray& keep_table) {
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

void check_rule(const TableOptions& o, const DoubleArray& radii, const IntArray* species,
                std::int64_t n) {
    if (o.kind == CutoffKind::radii) check_shape(radii, "cutoff", {n});
    if (o.kind != CutoffKind::types) return;
    if (!species)
        throw std::invalid_argument(
            "species: missing; expected one per atom with a cutoff per pair of species");
    for (std::int64_t i = 0; i < n; ++i)
        if (species->data()[i] < 0 || species->data()[i] >= o.n_types)
            throw std::invalid_argument("species[" + std::to_string(i) + "] is " +
                                        std::to_string(species->data()[i]) + "; expected 0 to " +
                                        std::to_string(o.n_types - 1));
}

constexpr std::int64_t kGilAtoms = 128;
constexpr std::size_t kKeep = std::size_t(64)
                              << 20;  // scratch kept between calls of neighbor_list, per thread

py::object neighbor_list(const std::string& quantities, const DoubleArray& positions,
                         const DoubleArray& cell, const BoolArray& pbc, double cutoff,
                         const py::object& radii, const py::object& species_or_none,
                         const py::object& table_or_none, bool self_interaction, double max_pairs,
                         int threads) {
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
    // Handing the GIL over costs more than a small list.
    const bool release = atoms.n > kGilAtoms || cutoff > 15.0;
    {
        std::optional<py::gil_scoped_release> nogil;
        if (release) nogil.emplace();
        table.build(atoms, o, threads);
        n_pairs = table.offsets(false)[atoms.n];
        table.release_build_if_larger(kKeep / 8);
    }
    Output out(quantities, n_pairs);
    {
        std::optional<py::gil_scoped_release> nogil;
        if (release) nogil.emplace();
        table.fill(false, out.task, threads);
        table.release_if_larger(kKeep);
    }
    return out.result();
}

// One structure of a batch: its arrays, kept alive, and its view.
struct BatchItem {
    DoubleArray positions, cell, radii, table;
    BoolArray pbc;
    IntArray species;
    AtomsView atoms;
    TableOptions options;
};

BatchItem batch_item(const py::handle& entry, double bytes_per_pair, bool self_interaction) {
    const auto t =
        entry.cast<py::tuple>();  // (positions, cell, pbc, cutoff, radii, species, table)
    BatchItem b;
    b.positions = t[0].cast<DoubleArray>();
    b.cell = t[1].cast<DoubleArray>();
    b.pbc = t[2].cast<BoolArray>();
    const bool has_species = !t[5].is_none();
    if (has_species) b.species = t[5].cast<IntArray>();
    b.atoms = atoms_view(b.positions, b.cell, b.pbc, has_species ? &b.species : nullptr);
    set_rule(b.options, t[3].cast<double>(), t[4], t[6], b.radii, b.table);
    check_rule(b.options, b.radii, has_species ? &b.species : nullptr, b.atoms.n);
    b.options.self_interaction = self_interaction;
    b.options.exact = true;
    b.options.bytes_per_pair = bytes_per_pair;
    return b;
}

// Structures are built in groups: threads take different structures, then the group's arrays are
// allocated, then filled.
py::list neighbor_list_batch(const std::string& quantities, const py::list& inputs,
                             bool self_interaction, int threads) {
    constexpr std::size_t kGroup = 64;
    const double bytes = check_quantities(quantities);
    py::list results;
    std::vector<NeighborTable> tables(std::min(kGroup, inputs.size()));
    for (std::size_t begin = 0; begin < inputs.size(); begin += kGroup) {
        const int n = int(std::min(kGroup, inputs.size() - begin));
        std::vector<BatchItem> items;
        std::vector<std::exception_ptr> errors(n);
        std::int64_t atoms = 0;
        for (int k = 0; k < n; ++k) {
            try {
                items.push_back(batch_item(inputs[begin + k], bytes, self_interaction));
            } catch (const std::invalid_argument& e) {
                throw std::invalid_argument("structure " + std::to_string(begin + k) + ": " +
                                            e.what());
            }
            atoms += items.back().atoms.n;
        }
        // A structure large enough for a team of its own gets it; small ones share the team.
        const int team = std::min(n, team_size(threads, atoms, 256));
        {
            py::gil_scoped_release nogil;
#pragma omp parallel for num_threads(team) schedule(dynamic, 1) if (team > 1)
            for (int k = 0; k < n; ++k) {
                try {
                    tables[k].build(items[k].atoms, items[k].options, team > 1 ? 1 : threads);
                    tables[k].offsets(false);
                } catch (...) {  // nothing may leave the region
                    errors[k] = std::current_exception();
                }
            }
        }
        for (int k = 0; k < n; ++k) {
            if (!errors[k]) continue;
            try {
                std::rethrow_exception(errors[k]);
            } catch (const std::invalid_argument& e) {
                throw std::invalid_argument("structure " + std::to_string(begin + k) + ": " +
                                            e.what());
            } catch (const MemoryLimit& e) {
                throw MemoryLimit("structure " + std::to_string(begin + k) + ": " + e.what());
            }
        }
        std::vector<Output> outputs;
        for (int k = 0; k < n; ++k) outputs.emplace_back(quantities, tables[k].neighbors().n_pairs);
        {
            py::gil_scoped_release nogil;
#pragma omp parallel for num_threads(team) schedule(dynamic, 1) if (team > 1)
            for (int k = 0; k < n; ++k)
                tables[k].fill(false, outputs[k].task, team > 1 ? 1 : threads);
        }
        for (int k = 0; k < n; ++k) results.append(outputs[k].result());
    }
    return results;
}

}  // namespace

void bind_neighbors(py::module_& m) {
    m.def("neighbor_list", &neighbor_list, py::arg("quantities"), py::arg("positions").noconvert(),
          py::arg("cell").noconvert(), py::arg("pbc").noconvert(), py::arg("cutoff"),
          py::arg("radii"), py::arg("species"), py::arg("table"), py::arg("self_interaction"),
          py::arg("max_pairs"), py::arg("threads"));

    m.def("neighbor_list_batch", &neighbor_list_batch, py::arg("quantities"), py::arg("inputs"),
          py::arg("self_interaction"), py::arg("threads"));

    py::class_<PyNeighborTable>(m, "NeighborTable")
        .def(py::init([](double cutoff, double skin, const py::object& radii,
                         const py::object& table, bool self_interaction, bool half, bool exact) {
                 auto t = std::make_unique<PyNeighborTable>();
                 set_rule(t->options, cutoff, radii, table, t->radii, t->cutoff_table);
                 t->options.skin = skin;
                 t->options.self_interaction = self_interaction;
                 t->options.half = half;
                 t->options.exact = exact;
                 return t;
             }),
             py::arg("cutoff"), py::arg("skin"), py::kw_only(), py::arg("radii") = py::none(),
             py::arg("table") = py::none(), py::arg("self_interaction") = false,
             py::arg("half") = false, py::arg("exact") = false)
        .def(
            "update",
            [](PyNeighborTable& t, const DoubleArray& positions, const DoubleArray& cell,
               const BoolArray& pbc, const IntArray& species, int threads) {
                const AtomsView atoms = atoms_view(positions, cell, pbc, &species);
                check_rule(t.options, t.radii, &species, atoms.n);
                py::gil_scoped_release nogil;
                const bool rebuilt = t.table.update(atoms, t.options, threads);
                t.builds += rebuilt;
                return rebuilt;
            },
            py::arg("positions").noconvert(), py::arg("cell").noconvert(),
            py::arg("pbc").noconvert(), py::arg("species").noconvert(), py::arg("threads"))
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
        .def_property_readonly("species",
                               [](const PyNeighborTable& t) {
                                   const System s = t.table.system();
                                   IntArray out(s.n_real);
                                   for (std::int64_t i = 0; i < s.n_real; ++i)
                                       out.mutable_data()[s.order[i]] =
                                           std::int32_t(s.rows[4 * i + 3]);
                                   return out;
                               })
        .def_property_readonly("n_atoms", [](const PyNeighborTable& t) { return t.table.n(); })
        .def_property_readonly(
            "n_images",
            [](const PyNeighborTable& t) { return t.table.system().n_total - t.table.n(); })
        .def_property_readonly("n_listed",
                               [](const PyNeighborTable& t) { return t.table.neighbors().n_pairs; })
        .def_property_readonly("n_builds", [](const PyNeighborTable& t) { return t.builds; });
}

}  // namespace mdkern
