#include <algorithm>
#include <optional>

#include "bindings/bindings.hpp"
#include "md/integrate.hpp"
#include "md/loop.hpp"

namespace mdkern {

namespace {

// Forces by a potential that is only reached through Python; returns what it returned.
py::object python_force(const py::object& potential, const py::object& table, int threads,
                        std::int64_t n, const Outputs& out) {
    const py::object r = potential.attr("compute")(table, py::arg("threads") = threads);
    const auto forces = r.attr("forces").cast<DoubleArray>();
    const auto virial = r.attr("virial").cast<DoubleArray>();
    check_shape(forces, "forces", {n, 3});
    check_shape(virial, "virial", {6});
    std::copy_n(forces.data(), 3 * n, out.forces);
    std::fill_n(out.block_totals, 7 * n_blocks(n), 0.0);
    if (n > 0) {
        out.block_totals[0] = r.attr("energy").cast<double>();
        std::copy_n(virial.data(), 6, out.block_totals + 1);
    }
    if (!out.energies) return r;
    const auto energies = r.attr("energies").cast<DoubleArray>();
    check_shape(energies, "energies", {n});
    std::copy_n(energies.data(), n, out.energies);
    return r;
}

// The loop with what it reads: the table and the potential, kept alive as Python objects. Whoever
// has the table has the loop.
struct PyMdLoop {
    py::object table, potential;
    std::shared_ptr<const Potential> native;  // null: the potential is reached through Python
    std::unique_ptr<Workspace> space;
    Buffer<double> charges;             // of the last evaluation, by row
    Buffer<double> deviation, members;  // of the last evaluation with energies
    std::unique_ptr<MdLoop> loop;
    py::object last = py::none();  // what a potential in Python returned last

    PyMdLoop(py::object t, std::shared_ptr<Potential> in_core, py::object python, int threads)
        : table(std::move(t)), potential(std::move(python)), native(std::move(in_core)) {
        PyNeighborTable& neighbors = own_table();
        const TableUse use(neighbors);
        MdForce force;
        if (native) {
            space = native->workspace();
            force = [this, &neighbors, traits = native->traits()](int team, const Outputs& out) {
                Outputs wanted = out;
                const auto n = std::size_t(neighbors.table.n());
                if (traits.charges) wanted.charges = charges.reserve(n);
                if (traits.n_members && out.energies) {
                    wanted.deviation = deviation.reserve(n);
                    wanted.members =
                        members.reserve(std::size_t(traits.n_members * kMemberNumbers));
                }
                native->compute(neighbors.table, *space, wanted, team);
            };
        } else {
            force = [this](int team, const Outputs& out) {
                const py::gil_scoped_acquire gil;
                last = python_force(potential, table, team, loop->n(), out);
            };
        }
        loop = std::make_unique<MdLoop>(neighbors.table, neighbors.options, std::move(force),
                                        bool(native), native && native->traits().forces_alone,
                                        threads);
    }

    PyNeighborTable& own_table() const { return table.cast<PyNeighborTable&>(); }

    void set_atoms(const DoubleArray& masses, const BoolArray& mobile, const IntArray& species,
                   const BoolArray& pbc, double n_dof, bool fix_com) {
        const TableUse use(own_table());
        const std::int64_t n = masses.shape(0);
        check_shape(masses, "masses", {n});
        check_shape(species, "species", {n});
        check_shape(pbc, "pbc", {3});
        check_shape(mobile, "mobile", {n});
        loop->set_atoms(n, masses.data(), mobile.data(), species.data(), pbc.data(), n_dof,
                        fix_com);
    }
    void check_arrays(const DoubleArray& x, const DoubleArray& p, const DoubleArray& cell) const {
        check_shape(x, "positions", {loop->n(), 3});
        check_shape(p, "momenta", {loop->n(), 3});
        check_shape(cell, "cell", {3, 3});
    }
    bool place(const DoubleArray& x, const DoubleArray& p, const DoubleArray& cell) {
        const TableUse use(own_table());
        check_arrays(x, p, cell);
        py::gil_scoped_release nogil;
        return loop->place(x.data(), p.data(), cell.data());
    }
    bool is_at(const DoubleArray& x, const DoubleArray& p, const DoubleArray& cell) const {
        const TableUse use(own_table());
        check_arrays(x, p, cell);
        return loop->is_at(x.data(), p.data(), cell.data());
    }
    // (steps done, failure or "", atom or -1, exception of a signal handler or None)
    py::tuple run(std::int64_t steps, std::int64_t sample_every, double most_seconds,
                  std::int64_t flux_every, bool heat) {
        const TableUse use(own_table());
        check_heat(heat);
        const MdRecord record{sample_every, flux_every, heat};
        py::object raised = py::none();
        MdOutcome outcome;
        {
            py::gil_scoped_release nogil;
            outcome = loop->run(steps, record, most_seconds, [&] {
                py::gil_scoped_acquire gil;
                if (PyErr_CheckSignals() == 0) return false;
                const py::error_already_set error;
                raised = error.value();
                return true;
            });
        }
        return py::make_tuple(outcome.steps, outcome.failure, outcome.bad_atom, raised);
    }
    void publish(DoubleArray& x, DoubleArray& p, DoubleArray& cell) {
        const TableUse use(own_table());
        check_arrays(x, p, cell);
        if (!loop->placed()) throw std::invalid_argument("the run has no state to go back to");
        loop->positions(x.mutable_data());
        loop->momenta(p.mutable_data());
        loop->cell(cell.mutable_data());
        loop->published();
    }
    // (energy, energies, forces, virial, charges or None)
    py::tuple results() {
        const TableUse use(own_table());
        DoubleArray energies(loop->n()), forces = new_array<double>({loop->n(), std::int64_t(3)}),
                                         virial(6);
        double *e = energies.mutable_data(), *f = forces.mutable_data(), *w = virial.mutable_data();
        // What is only copied is copied under Python's lock: a thread that writes frames would give it
        // back after a switch interval (5 ms) only.
        std::optional<py::gil_scoped_release> nogil;
        if (!loop->has_energies()) nogil.emplace();
        loop->results(e, f, w);
        nogil.reset();
        const auto by_atom = [&](const Buffer<double>& by_row) {
            DoubleArray x(loop->n());
            const std::int32_t* order = own_table().table.caller_order();
            for (std::int64_t i = 0; i < loop->n(); ++i) x.mutable_data()[order[i]] = by_row[i];
            return x;
        };
        const Traits traits = native ? native->traits() : Traits();
        py::object q = py::none(), spread = py::none();
        if (traits.charges) q = by_atom(charges);
        if (traits.n_members) {
            DoubleArray numbers = new_array<double>({traits.n_members, kMemberNumbers});
            std::copy_n(members.data(), numbers.size(), numbers.mutable_data());
            spread = py::make_tuple(by_atom(deviation), numbers);
        }
        return py::make_tuple(loop->energy(), energies, forces, virial, q, spread);
    }
    // All rows of a record so far, which then has none.
    static DoubleArray take_rows(std::vector<double>& rows, std::int64_t width) {
        DoubleArray out = new_array<double>({std::int64_t(rows.size()) / width, width});
        std::copy(rows.begin(), rows.end(), out.mutable_data());
        rows.clear();
        return out;
    }
    DoubleArray take_samples() {
        const TableUse use(own_table());
        return take_rows(loop->samples(), kMdSample);
    }
    DoubleArray take_fluxes() {
        const TableUse use(own_table());
        return take_rows(loop->fluxes(), kMdFlux);
    }
    void check_heat(bool heat) const {
        if (heat && !(native && native->traits().nine_virials))
            throw std::invalid_argument("heat: this potential has no heat flux");
    }
    void sample_fluxes(bool heat) {
        const TableUse use(own_table());
        check_heat(heat);
        loop->sample_fluxes(heat);
    }
    py::dict state() {
        const TableUse use(own_table());
        const MdState s = loop->state();
        const std::int64_t n = loop->n();
        auto array = [](const double* from, std::initializer_list<std::int64_t> shape) {
            DoubleArray a = new_array<double>(shape);
            std::copy_n(from, a.size(), a.mutable_data());
            return a;
        };
        py::dict d;
        d["step"] = s.step;
        d["positions"] = array(s.x.data(), {n, 3});
        d["momenta"] = array(s.p.data(), {n, 3});
        d["cell"] = array(s.cell, {3, 3});
        d["built_positions"] = array(s.built_x.data(), {n, 3});
        d["built_cell"] = array(s.built_cell, {3, 3});
        d["sums"] = array(s.sums, {kMdSums});
        d["variables"] = array(s.variables.data(), {std::int64_t(s.variables.size())});
        return d;
    }
    void restore(std::int64_t step_done, const DoubleArray& x, const DoubleArray& p,
                 const DoubleArray& cell, const DoubleArray& built_x, const DoubleArray& built_cell,
                 const DoubleArray& sums, const DoubleArray& variables) {
        const TableUse use(own_table());
        check_arrays(x, p, cell);
        check_shape(built_x, "built_positions", {loop->n(), 3});
        check_shape(built_cell, "built_cell", {3, 3});
        check_shape(sums, "sums", {kMdSums});
        check_shape(variables, "variables", {std::int64_t(loop->scheme()->variables.size())});
        MdState s;
        s.step = step_done;
        s.x.assign(x.data(), x.data() + x.size());
        s.p.assign(p.data(), p.data() + p.size());
        s.built_x.assign(built_x.data(), built_x.data() + built_x.size());
        std::copy_n(cell.data(), 9, s.cell);
        std::copy_n(built_cell.data(), 9, s.built_cell);
        std::copy_n(sums.data(), kMdSums, s.sums);
        s.variables.assign(variables.data(), variables.data() + variables.size());
        py::gil_scoped_release nogil;
        loop->restore(s);
    }
    // A new scheme, or the same one with other constants, whose variables then stay.
    template <class Scheme> void set_scheme(std::shared_ptr<Scheme> scheme, double dt) {
        const TableUse use(own_table());
        const auto* before = dynamic_cast<const Scheme*>(loop->scheme().get());
        if (before && before->variables.size() == scheme->variables.size())
            scheme->variables = before->variables;
        loop->set_scheme(std::move(scheme), dt);
    }
};

// A property of a loop, read while no other thread has it.
template <class Read> auto of_md_loop(Read read) {
    return [read](PyMdLoop& l) {
        const TableUse use(l.own_table());
        return read(*l.loop);
    };
}

void bind_schemes(py::class_<PyMdLoop>& c) {
    c.def(
        "use_verlet",
        [](PyMdLoop& l, double dt) { l.set_scheme(std::make_shared<VerletScheme>(), dt); },
        py::arg("dt"));
    c.def(
        "use_langevin",
        [](PyMdLoop& l, double dt, double kT, const DoubleArray& friction, std::uint64_t seed) {
            const TableUse use(l.own_table());
            if (friction.size() != 1) check_shape(friction, "friction", {l.loop->n()});
            std::vector<double> rates(friction.data(), friction.data() + friction.size());
            l.set_scheme(std::make_shared<LangevinScheme>(kT, std::move(rates), seed), dt);
        },
        py::arg("dt"), py::arg("kT"), py::arg("friction").noconvert(), py::arg("seed"));
    c.def(
        "use_bussi",
        [](PyMdLoop& l, double dt, double kT, double tau, std::uint64_t seed) {
            l.set_scheme(std::make_shared<BussiScheme>(kT, tau, seed), dt);
        },
        py::arg("dt"), py::arg("kT"), py::arg("tau"), py::arg("seed"));
    c.def(
        "use_nose_hoover",
        [](PyMdLoop& l, double dt, double kT, double t_damp, int t_chain, int t_loop,
           double n_dof) {
            l.set_scheme(std::make_shared<NoseHooverScheme>(kT, t_damp, t_chain, t_loop, n_dof),
                         dt);
        },
        py::arg("dt"), py::arg("kT"), py::arg("t_damp"), py::arg("t_chain"), py::arg("t_loop"),
        py::arg("n_dof"));
    c.def(
        "use_mtk",
        [](PyMdLoop& l, double dt, double kT, double pressure, double t_damp, double p_damp,
           int t_chain, int p_chain, int t_loop, int p_loop, const DoubleArray& cell,
           const std::string& shape, const BoolArray& mask) {
            const TableUse use(l.own_table());
            MtkOptions o{
                kT, pressure, t_damp, p_damp, t_chain, p_chain, t_loop, p_loop, double(l.loop->n()),
                {}};
            check_shape(cell, "cell", {3, 3});
            std::copy_n(cell.data(), 9, o.cell);
            check_shape(mask, "mask", {3});
            if (shape == "isotropic")
                l.set_scheme(std::make_shared<IsotropicMtkScheme>(o), dt);
            else
                l.set_scheme(
                    std::make_shared<FullMtkScheme>(o, shape == "masked" ? mask.data() : nullptr),
                    dt);
        },
        py::arg("dt"), py::arg("kT"), py::arg("pressure"), py::arg("t_damp"), py::arg("p_damp"),
        py::arg("t_chain"), py::arg("p_chain"), py::arg("t_loop"), py::arg("p_loop"),
        py::arg("cell").noconvert(), py::arg("shape"), py::arg("mask").noconvert());
}

}  // namespace

void bind_md(py::module_& m) {
    py::class_<PyMdLoop> c(m, "MdLoop");
    c.def(py::init<py::object, std::shared_ptr<Potential>, py::object, int>(), py::arg("table"),
          py::arg("native"), py::arg("potential"), py::arg("threads"))
        .def(
            "set_threads",
            [](PyMdLoop& l, int threads) {
                const TableUse use(l.own_table());
                l.loop->set_threads(threads);
            },
            py::arg("threads"))
        .def("set_atoms", &PyMdLoop::set_atoms, py::arg("masses").noconvert(),
             py::arg("mobile").noconvert(), py::arg("species").noconvert(),
             py::arg("pbc").noconvert(), py::arg("n_dof"), py::arg("fix_com"))
        .def("place", &PyMdLoop::place, py::arg("positions").noconvert(),
             py::arg("momenta").noconvert(), py::arg("cell").noconvert())
        .def("is_at", &PyMdLoop::is_at, py::arg("positions").noconvert(),
             py::arg("momenta").noconvert(), py::arg("cell").noconvert())
        .def("run", &PyMdLoop::run, py::arg("steps"), py::arg("sample_every"),
             py::arg("most_seconds"), py::arg("flux_every") = 0, py::arg("heat") = false)
        .def("publish", &PyMdLoop::publish, py::arg("positions").noconvert(),
             py::arg("momenta").noconvert(), py::arg("cell").noconvert())
        .def("results", &PyMdLoop::results)
        .def("sample", of_md_loop([](MdLoop& l) { l.sample(); }))
        .def("take_samples", &PyMdLoop::take_samples)
        .def("sample_fluxes", &PyMdLoop::sample_fluxes, py::arg("heat"))
        .def("take_fluxes", &PyMdLoop::take_fluxes)
        .def("state", &PyMdLoop::state)
        .def("restore", &PyMdLoop::restore, py::arg("step"), py::arg("positions").noconvert(),
             py::arg("momenta").noconvert(), py::arg("cell").noconvert(),
             py::arg("built_positions").noconvert(), py::arg("built_cell").noconvert(),
             py::arg("sums").noconvert(), py::arg("variables").noconvert())
        .def_property("steps", of_md_loop([](MdLoop& l) { return l.step(); }),
                      [](PyMdLoop& l, std::int64_t n) {
                          const TableUse use(l.own_table());
                          l.loop->set_step(n);
                      })
        .def_property("variables", of_md_loop([](MdLoop& l) {
                          const auto& v = l.scheme()->variables;
                          return DoubleArray(std::int64_t(v.size()), v.data());
                      }),
                      [](PyMdLoop& l, const DoubleArray& v) {
                          const TableUse use(l.own_table());
                          auto& mine = l.loop->scheme()->variables;
                          check_shape(v, "variables", {std::int64_t(mine.size())});
                          mine.assign(v.data(), v.data() + v.size());
                      })
        .def_property_readonly("n_builds", of_md_loop([](MdLoop& l) { return l.builds(); }))
        .def_property_readonly("energy", of_md_loop([](MdLoop& l) { return l.energy(); }))
        .def_property_readonly("kinetic_energy",
                               of_md_loop([](MdLoop& l) { return l.kinetic_energy(); }))
        .def_property_readonly("reservoir_energy",
                               of_md_loop([](MdLoop& l) { return l.reservoir_energy(); }))
        .def_property_readonly("last",
                               [](PyMdLoop& l) {
                                   const TableUse use(l.own_table());
                                   return l.last;
                               })
        .def_property_readonly("overflow", [](PyMdLoop& l) {
            const TableUse use(l.own_table());
            return l.space && l.space->overflow != 0;
        });
    bind_schemes(c);

    m.def(
        "md_normals",
        [](const IntArray& atoms, std::uint64_t seed, std::uint64_t step, int threads) {
            DoubleArray out = new_array<double>({atoms.shape(0), std::int64_t(6)});
            MdNormalTask t;
            t.n = atoms.shape(0);
            t.atom = atoms.data();
            t.seed = seed;
            t.step = step;
            t.out = out.mutable_data();
            md_normals_compute(t, std::max(1, threads));
            return out;
        },
        py::arg("atoms").noconvert(), py::arg("seed"), py::arg("step"), py::arg("threads") = 1);
    m.def(
        "md_bussi_noise",
        [](std::uint64_t seed, std::uint64_t step, double n_dof) {
            double normal = 0.0, squares = 0.0;
            bussi_noise(seed, step, n_dof, &normal, &squares);
            return py::make_tuple(normal, squares);
        },
        py::arg("seed"), py::arg("step"), py::arg("n_dof"));
}

}  // namespace mdkern
