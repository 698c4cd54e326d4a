#include <cmath>
#include <cstring>
#include <exception>
#include <optional>
#include <vector>

#include "bindings/snapshot.hpp"
#include "core/errors.hpp"
#include "core/threads.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

// NumPy's type of T, made at import: a thread that waits for a static variable of C++ keeps Python's
// lock, or its garbage collector, from whoever makes it.
template <class T> PyObject* numpy_type() {
    static PyObject* const type = py::dtype::of<T>().release().ptr();
    return type;
}

// A new array (n) or (n, columns). Small ones through NumPy's own C function: five of them are a
// good part of the call for a molecule.
template <class T> py::object pair_array(std::int64_t n, int columns, T*& pointer) {
    const std::size_t bytes = sizeof(T) * std::size_t(n) * columns;
    const int n_dims = columns == 1 ? 1 : 2;
    py::object array;
    if (bytes < kPoolSmallest) {
        const auto& numpy = py::detail::npy_api::get();
        PyObject* type = numpy_type<T>();
        const Py_intptr_t dims[2] = {Py_intptr_t(n), columns};
        Py_INCREF(type);  // the call takes a reference
        array = py::reinterpret_steal<py::object>(numpy.PyArray_NewFromDescr_(
            numpy.PyArray_Type_, type, n_dims, dims, nullptr, nullptr, 0, nullptr));
        if (!array) throw py::error_already_set();
    } else {
        py::array::ShapeContainer shape{n};
        if (n_dims == 2) shape->push_back(columns);
        array = new_array<T>(shape);
    }
    pointer = n > 0 ? reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data) : nullptr;
    return array;
}

// The arrays for the letters asked for, of n_pairs pairs, in the order asked.
class Output {
public:
    // Without i, should it come later.
    Output(const std::string& quantities, std::int64_t n_pairs, bool i_later = false)
        : quantities_(quantities), n_pairs_(n_pairs) {
        for (char q : quantities) {
            if (q == 'i' && !i_later)
                make_i();
            else if (q == 'j')
                arrays_[1] = pair_array(n_pairs, 1, task.j);
            else if (q == 'S')
                arrays_[2] = pair_array(n_pairs, 3, task.S);
            else if (q == 'd')
                arrays_[3] = pair_array(n_pairs, 1, task.d);
            else if (q == 'D')
                arrays_[4] = pair_array(n_pairs, 3, task.D);
        }
    }
    bool wants_i() const { return quantities_.find('i') != std::string::npos; }
    void make_i() { arrays_[0] = pair_array(n_pairs_, 1, task.i); }
    py::object result() const {
        if (quantities_.size() == 1) return array(quantities_[0]);
        auto t = py::reinterpret_steal<py::object>(PyTuple_New(Py_ssize_t(quantities_.size())));
        if (!t) throw py::error_already_set();
        for (std::size_t k = 0; k < quantities_.size(); ++k)
            PyTuple_SET_ITEM(t.ptr(), Py_ssize_t(k), array(quantities_[k]).inc_ref().ptr());
        return t;
    }
    FillTask task;

private:
    const py::object& array(char q) const {
        return arrays_[q == 'i' ? 0 : q == 'j' ? 1 : q == 'S' ? 2 : q == 'd' ? 3 : 4];
    }
    std::string quantities_;
    std::int64_t n_pairs_;
    py::object arrays_[5];
};

// Bytes of output per pair.
double check_quantities(const std::string& q) {
    if (q.empty())
        throw std::invalid_argument("quantities: ''; expected one or more of the letters 'ijdDS'");
    static constexpr char kLetters[] = "ijdDS";
    double bytes = 0.0;
    unsigned seen = 0;
    for (char c : q) {
        const char* place = c ? std::strchr(kLetters, c) : nullptr;
        if (!place)
            throw std::invalid_argument("quantities: '" + q + "' has the letter '" + c +
                                        "'; expected letters of 'ijdDS'");
        const unsigned bit = 1u << (place - kLetters);
        if (!(seen & bit)) bytes += c == 'D' || c == 'S' ? 24.0 : 8.0;
        seen |= bit;
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
// Whether other threads cannot write arrays while this one has the lock: free-threaded Python has none.
#if defined(Py_GIL_DISABLED)
constexpr bool kHasGil = false;
#else
constexpr bool kHasGil = true;
#endif
// Working memory that stays with the thread between calls. Beside a result that is not much larger
// only little may stay: it adds to the peak. Beside a much smaller one the peak is that of the
// build.
constexpr double kKeep = double(64 << 20), kKeepAnyway = double(4 << 20), kKeepShare = 0.15,
                 kMuchSmaller = 0.5;

py::object make_list(const std::string& quantities, AtomsView atoms, TableOptions& o, int threads) {
    thread_local NeighborTable table;
    thread_local OwnAtoms own;
    const double bytes = check_quantities(quantities);
    o.exact = true;
    o.bytes_per_pair = bytes + 4.0;
    // Handing the GIL over costs more than a small list.
    const bool release = atoms.n > kGilAtoms || o.cutoff > 15.0;
    if (release || !kHasGil) {
        own.take(atoms);
        atoms = own.view();
    }
    std::int64_t n_pairs;
    bool lean;
    {
        std::optional<py::gil_scoped_release> nogil;
        if (release) nogil.emplace();
        table.build(atoms, o, threads);
        n_pairs = table.offsets(false, threads)[atoms.n];
        const double scratch = table.bytes(), result = bytes * double(n_pairs);
        lean =
            scratch > kKeepAnyway &&
            (scratch > kKeep || (scratch > kKeepShare * result && kMuchSmaller * scratch < result));
        if (lean) {
            table.release_build();
            own.release();
        }
    }
    Output out(quantities, n_pairs, lean);
    {
        std::optional<py::gil_scoped_release> nogil;
        if (release) nogil.emplace();
        table.fill(false, out.task, threads);
        if (lean) table.release_list();
    }
    if (lean) {  // i needs nothing but the offsets: its memory comes after that of the list is gone
        if (out.wants_i()) {
            out.task = {};
            out.make_i();
            py::gil_scoped_release nogil;
            table.fill(false, out.task, threads);
        }
        table = NeighborTable();
    }
    return out.result();
}

py::object neighbor_list(const std::string& quantities, const DoubleArray& positions,
                         const DoubleArray& cell, const BoolArray& pbc, double cutoff,
                         const py::object& radii, const py::object& species_or_none,
                         const py::object& table_or_none, bool self_interaction, double max_pairs,
                         int threads) {
    IntArray species;
    if (!species_or_none.is_none()) species = species_or_none.cast<IntArray>();
    const IntArray* s = species_or_none.is_none() ? nullptr : &species;
    const AtomsView atoms = atoms_view(positions, cell, pbc, s);
    TableOptions o;
    DoubleArray keep_radii, keep_table;
    set_rule(o, cutoff, radii, table_or_none, keep_radii, keep_table);
    check_rule(o, keep_radii, s, atoms.n);
    o.self_interaction = self_interaction;
    o.max_pairs = max_pairs;
    return make_list(quantities, atoms, o, threads);
}

// The data of an array that is C-contiguous, aligned, of exactly this type and shape (a negative
// length: any, returned); null otherwise.
template <class T>
const T* plain_data(PyObject* object, int n_dims, std::int64_t& rows, std::int64_t columns) {
    const auto& numpy = py::detail::npy_api::get();
    PyObject* type = numpy_type<T>();
    if (Py_TYPE(object) != numpy.PyArray_Type_) return nullptr;
    const auto* a = py::detail::array_proxy(object);
    constexpr int plain =
        py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if (a->descr != type || (a->flags & plain) != plain || a->nd != n_dims) return nullptr;
    if (n_dims == 2 && a->dimensions[1] != columns) return nullptr;
    if (rows >= 0 && a->dimensions[0] != rows) return nullptr;
    rows = a->dimensions[0];
    return reinterpret_cast<const T*>(a->data);
}

// neighbor_list for the usual arguments, without the machinery that converts others: for a molecule
// that would take as long as the list. None: something is unusual or wrong, and neighbor_list will
// do it or say it.
PyObject* quick_list(PyObject*, PyObject* const* arguments, Py_ssize_t n_arguments) {
    if (n_arguments != 7) Py_RETURN_NONE;
    std::int64_t n = -1, three = 3;
    AtomsView atoms;
    atoms.positions = plain_data<double>(arguments[1], 2, n, 3);
    atoms.cell = plain_data<double>(arguments[2], 2, three, 3);
    atoms.pbc = plain_data<bool>(arguments[3], 1, three, 1);
    atoms.n = n;
    if (!atoms.positions || !atoms.cell || !atoms.pbc) Py_RETURN_NONE;
    if (!PyUnicode_Check(arguments[0]) || !PyFloat_Check(arguments[4]) ||
        !PyBool_Check(arguments[5]) || !PyLong_Check(arguments[6]))
        Py_RETURN_NONE;
    Py_ssize_t length = 0;
    const char* letters = PyUnicode_AsUTF8AndSize(arguments[0], &length);
    const long threads = PyLong_AsLong(arguments[6]);
    const double cutoff = PyFloat_AS_DOUBLE(arguments[4]);
    if (PyErr_Occurred() || threads < 0 || threads > 65536 || !(cutoff >= 0.0) ||
        !std::isfinite(cutoff)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    try {
        TableOptions o;
        o.cutoff = cutoff;
        o.self_interaction = arguments[5] == Py_True;
        return make_list(std::string(letters, std::size_t(length)), atoms, o, int(threads))
            .release()
            .ptr();
    } catch (...) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
}

PyMethodDef quick_list_method = {
    "neighbor_list_quick", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&quick_list)),
    METH_FASTCALL,
    "neighbor_list_quick(quantities: str, positions: numpy.typing.NDArray[numpy.float64], cell: "
    "numpy.typing.NDArray[numpy.float64], pbc: numpy.typing.NDArray[numpy.bool_], cutoff: "
    "typing.Any, "
    "self_interaction: bool, threads: int) -> typing.Any\n"};

// One structure of a batch and the rule of its cutoffs.
struct BatchItem {
    DoubleArray radii, table;
    IntArray species;
    OwnAtoms atoms;
    TableOptions options;
};

BatchItem batch_item(const py::handle& entry, double bytes_per_pair, bool self_interaction) {
    const auto t =
        entry.cast<py::tuple>();  // (positions, cell, pbc, cutoff, radii, species, table)
    BatchItem b;
    const bool has_species = !t[5].is_none();
    if (has_species) b.species = t[5].cast<IntArray>();
    const IntArray* species = has_species ? &b.species : nullptr;
    b.atoms.take(atoms_view(t[0].cast<DoubleArray>(), t[1].cast<DoubleArray>(),
                            t[2].cast<BoolArray>(), species));
    set_rule(b.options, t[3].cast<double>(), t[4], t[6], b.radii, b.table);
    check_rule(b.options, b.radii, species, b.atoms.view().n);
    b.options.self_interaction = self_interaction;
    b.options.exact = true;
    b.options.bytes_per_pair = bytes_per_pair + 4.0;
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
            atoms += items.back().atoms.view().n;
        }
        // A structure large enough for a team of its own gets it; small ones share the team.
        const int team = std::min(n, team_size(threads, atoms, 300.0));
        {
            py::gil_scoped_release nogil;
            parallel_for(n, team, 1, [&](std::int64_t k) {
                try {
                    tables[k].build(items[k].atoms.view(), items[k].options,
                                    team > 1 ? 1 : threads);
                    tables[k].offsets(false, 1);
                } catch (...) {  // nothing may leave the region
                    errors[k] = std::current_exception();
                }
            });
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
            parallel_for(n, team, 1, [&](std::int64_t k) {
                tables[k].fill(false, outputs[k].task, team > 1 ? 1 : threads);
            });
        }
        for (int k = 0; k < n; ++k) results.append(outputs[k].result());
    }
    return results;
}

// Whether the list was built anew.
bool update(PyNeighborTable& t, AtomsView atoms, const IntArray& species, int threads) {
    check_shape(species, "species", {atoms.n});
    check_rule(t.options, t.radii, &species, atoms.n);
    atoms.species = species.data();
    const py::gil_scoped_release nogil;
    const bool rebuilt = t.table.update(atoms, t.options, threads);
    t.builds += rebuilt;
    return rebuilt;
}

// A property of a table, read while no other thread has it.
template <class Read> auto of_table(Read read) {
    return [read](PyNeighborTable& t) {
        const TableUse use(t);
        return read(t);
    };
}

}  // namespace

void bind_neighbors(py::module_& m) {
    numpy_type<double>();
    numpy_type<std::int64_t>();
    numpy_type<bool>();
    m.def("neighbor_list", &neighbor_list, py::arg("quantities"), py::arg("positions").noconvert(),
          py::arg("cell").noconvert(), py::arg("pbc").noconvert(), py::arg("cutoff"),
          py::arg("radii"), py::arg("species"), py::arg("table"), py::arg("self_interaction"),
          py::arg("max_pairs"), py::arg("threads"));

    m.add_object("neighbor_list_quick", py::reinterpret_steal<py::object>(PyCFunction_NewEx(
                                            &quick_list_method, nullptr, nullptr)));

    m.def("neighbor_list_batch", &neighbor_list_batch, py::arg("quantities"), py::arg("inputs"),
          py::arg("self_interaction"), py::arg("threads"));

    py::class_<PyNeighborTable>(m, "NeighborTable")
        .def(py::init([](double cutoff, double skin, const py::object& radii,
                         const py::object& table, bool self_interaction, bool half, bool exact,
                         double list_cutoff) {
                 auto t = std::make_unique<PyNeighborTable>();
                 set_rule(t->options, cutoff, radii, table, t->radii, t->cutoff_table);
                 t->options.skin = skin;
                 t->options.self_interaction = self_interaction;
                 t->options.half = half;
                 t->options.exact = exact;
                 t->options.list_cutoff = list_cutoff;
                 return t;
             }),
             py::arg("cutoff"), py::arg("skin"), py::kw_only(), py::arg("radii") = py::none(),
             py::arg("table") = py::none(), py::arg("self_interaction") = false,
             py::arg("half") = false, py::arg("exact") = false, py::arg("list_cutoff") = -1.0)
        .def(
            "update",
            [](PyNeighborTable& t, const DoubleArray& positions, const DoubleArray& cell,
               const BoolArray& pbc, const IntArray& species, int threads) {
                const TableUse use(t);
                t.atoms.take(atoms_view(positions, cell, pbc, &species));
                return update(t, t.atoms.view(), species, threads);
            },
            py::arg("positions").noconvert(), py::arg("cell").noconvert(),
            py::arg("pbc").noconvert(), py::arg("species").noconvert(), py::arg("threads"))
        .def(
            "update",
            [](PyNeighborTable& t, const Snapshot& snapshot, const IntArray& species, int threads) {
                const TableUse use(t);
                return update(t, snapshot.atoms.view(), species, threads);
            },
            py::arg("atoms"), py::arg("species").noconvert(), py::arg("threads"))
        .def(
            "arrays",
            [](PyNeighborTable& t, const std::string& quantities, int threads) {
                check_quantities(quantities);
                const TableUse use(t);
                const bool skin = t.options.skin > 0.0;
                if (skin && !t.options.exact)  // positions from which pairs are pruned are not kept
                    throw std::invalid_argument(
                        "exact: False, of a table with a skin; expected True for arrays");
                std::int64_t n_pairs;
                {
                    py::gil_scoped_release nogil;
                    if (skin) t.table.prune(threads);
                    n_pairs = t.table.offsets(skin, threads)[t.table.n()];
                }
                Output out(quantities, n_pairs);
                Int64Array first(t.table.n() + 1);
                std::copy_n(t.table.offsets(skin, threads), t.table.n() + 1, first.mutable_data());
                {
                    py::gil_scoped_release nogil;
                    t.table.fill(skin, out.task, threads);
                }
                return py::make_tuple(first, out.result());
            },
            py::arg("quantities"), py::arg("threads"))
        .def_property_readonly("species", of_table([](const PyNeighborTable& t) {
                                   const System s = t.table.system();
                                   IntArray out(s.n_real);
                                   for (std::int64_t i = 0; i < s.n_real; ++i)
                                       out.mutable_data()[s.order[i]] =
                                           std::int32_t(s.rows[4 * i + 3]);
                                   return out;
                               }))
        .def_property_readonly("n_atoms",
                               of_table([](const PyNeighborTable& t) { return t.table.n(); }))
        .def_property_readonly("n_images", of_table([](const PyNeighborTable& t) {
                                   return t.table.system().n_total - t.table.n();
                               }))
        .def_property_readonly("n_listed", of_table([](const PyNeighborTable& t) {
                                   return t.table.neighbors().n_pairs;
                               }))
        .def_property_readonly("n_builds",
                               of_table([](const PyNeighborTable& t) { return t.builds; }));
}

}  // namespace mdkern
