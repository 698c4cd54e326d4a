// The loop of one relaxation, as mdkern.optimize runs it.
#include <pybind11/stl.h>

#include <algorithm>
#include <mutex>

#include "bindings/relax_cell.hpp"
#include "relax/relax_loop.hpp"

namespace mdkern {

namespace {

DoubleArray array_of(const std::vector<double>& values, const py::array::ShapeContainer& shape) {
    DoubleArray a = new_array<double>(shape);
    std::copy(values.begin(), values.end(), a.mutable_data());
    return a;
}

// The loop and what its atoms refer to. One thread at a time: others are told that it is in use.
struct PyRelaxLoop {
    std::shared_ptr<const Potential> potential;
    RelaxLoop loop;
    std::mutex lock;

    PyRelaxLoop(const std::shared_ptr<Potential>& p, double skin, int threads)
        : potential(p), loop(p, skin, threads) {}

    std::unique_lock<std::mutex> use() {
        std::unique_lock<std::mutex> held(lock, std::try_to_lock);
        if (!held)
            throw InUse("the relaxation is in use by another thread; expected one per thread");
        return held;
    }

    void place(const DoubleArray& x, const DoubleArray& cell, const BoolArray& pbc,
               const IntArray& species, const std::optional<DoubleArray>& first_cell) {
        const auto held = use();
        const OwnAtoms atoms(atoms_view(x, cell, pbc, &species));
        double first[9];
        if (first_cell) {
            check_shape(*first_cell, "first_cell", {3, 3});
            std::copy_n(first_cell->data(), 9, first);
        }
        const py::gil_scoped_release nogil;
        loop.place(atoms.view(), first_cell ? first : nullptr);
    }
    void check_arrays(const DoubleArray& x, const DoubleArray& cell) const {
        check_shape(x, "positions", {loop.n(), 3});
        check_shape(cell, "cell", {3, 3});
    }
    bool is_at(const DoubleArray& x, const DoubleArray& cell) {
        const auto held = use();
        check_arrays(x, cell);
        return loop.is_at(x.data(), cell.data());
    }
    void go_on(const DoubleArray& x, const DoubleArray& cell) {
        const auto held = use();
        check_arrays(x, cell);
        const bool open[3] = {};
        const OwnAtoms atoms(AtomsView{loop.n(), x.data(), cell.data(), open, nullptr});
        const py::gil_scoped_release nogil;
        loop.go_on(atoms.view().positions, atoms.view().cell);
    }
    // (steps done, converged, failure or "", atom or -1, exception of a signal handler or None)
    py::tuple run(std::int64_t steps, double fmax, double most_seconds, bool traced) {
        const auto held = use();
        py::object raised = py::none();
        RelaxOutcome outcome;
        {
            py::gil_scoped_release nogil;
            outcome = loop.run(steps, fmax, most_seconds, traced, [&] {
                py::gil_scoped_acquire gil;
                if (PyErr_CheckSignals() == 0) return false;
                const py::error_already_set error;
                raised = error.value();
                return true;
            });
        }
        return py::make_tuple(outcome.steps, outcome.converged, outcome.failure, outcome.bad_atom,
                              raised);
    }
    void publish(DoubleArray& x, DoubleArray& cell) {
        const auto held = use();
        check_arrays(x, cell);
        if (!loop.placed())
            throw std::invalid_argument("the relaxation has no state to go back to");
        loop.positions(x.mutable_data());
        loop.cell(cell.mutable_data());
    }
    // (energy, energies, forces, virial, charges or None, (deviation, members) or None)
    py::tuple results() {
        const auto held = use();
        const std::int64_t n = loop.n();
        DoubleArray energies(n), forces = new_array<double>({n, std::int64_t(3)}), virial(6);
        loop.results(energies.mutable_data(), forces.mutable_data(), virial.mutable_data());
        const Traits traits = potential->traits();
        py::object charges = py::none(), spread = py::none();
        if (traits.charges) charges = DoubleArray(n, loop.charges());
        if (traits.n_members) {
            DoubleArray each(n), members = new_array<double>({traits.n_members, kMemberNumbers});
            double *e = each.mutable_data(), *m = members.mutable_data();
            {
                const py::gil_scoped_release nogil;
                loop.deviation(e, m);
            }
            spread = py::make_tuple(each, members);
        }
        return py::make_tuple(loop.potential_energy(), energies, forces, virial, charges, spread);
    }
    // Rows of energy, largest force, and seconds since 1970.
    DoubleArray take_trace() {
        const auto held = use();
        DoubleArray rows = new_array<double>({loop.n_traced(), std::int64_t(kRelaxTrace)});
        std::copy_n(loop.trace(), rows.size(), rows.mutable_data());
        loop.clear_trace();
        return rows;
    }
    py::dict state() {
        const auto held = use();
        const RelaxState s = loop.state();
        const std::int64_t n = loop.n();
        const auto square = [](const double* m) {
            return array_of({m, m + 9}, {std::int64_t(3), std::int64_t(3)});
        };
        py::dict d, optimizer;
        d["positions"] = array_of(s.x, {n, std::int64_t(3)});
        d["coordinates"] = array_of(s.q, {std::int64_t(s.q.size()) / 3, std::int64_t(3)});
        d["built_positions"] = array_of(s.built_x, {n, std::int64_t(3)});
        d["cell"] = square(s.cell);
        d["built_cell"] = square(s.built_cell);
        d["first_cell"] = square(s.filter.first_cell);
        d["deformation"] = square(s.filter.deformation);
        d["logarithm"] = square(s.filter.logarithm);
        for (const auto& [name, values] : s.optimizer)
            optimizer[py::str(name)] = array_of(values, {std::int64_t(values.size())});
        d["optimizer"] = optimizer;
        return d;
    }
    void restore(const py::dict& d) {
        const auto held = use();
        const std::int64_t n = loop.n();
        const auto take = [&](const char* name, std::int64_t rows) {
            const auto a = d[name].cast<DoubleArray>();
            check_shape(a, name, {rows, 3});
            return std::vector<double>(a.data(), a.data() + a.size());
        };
        const auto square = [&](const char* name, double* to) {
            const std::vector<double> m = take(name, 3);
            std::copy(m.begin(), m.end(), to);
        };
        RelaxState s;
        s.x = take("positions", n);
        s.q = take("coordinates", loop.n_rows());
        s.built_x = take("built_positions", n);
        square("cell", s.cell);
        square("built_cell", s.built_cell);
        square("first_cell", s.filter.first_cell);
        square("deformation", s.filter.deformation);
        square("logarithm", s.filter.logarithm);
        for (const auto& [name, values] : d["optimizer"].cast<py::dict>()) {
            const auto a = values.cast<DoubleArray>();
            s.optimizer.emplace_back(name.cast<std::string>(),
                                     std::vector<double>(a.data(), a.data() + a.size()));
        }
        const py::gil_scoped_release nogil;
        loop.restore(s);
    }
    void use_optimizer(std::unique_ptr<Optimizer> optimizer) {
        const auto held = use();
        loop.set_optimizer(std::move(optimizer));
    }
};

void bind_optimizers(py::class_<PyRelaxLoop>& c) {
    const FireOptions fire;
    c.def(
        "use_fire",
        [](PyRelaxLoop& l, double dt, double maxstep, double dtmax, std::int64_t n_min, double finc,
           double fdec, double astart, double fa, double a, bool downhill_check) {
            l.use_optimizer(
                make_fire({dt, maxstep, dtmax, finc, fdec, astart, fa, a, n_min, downhill_check}));
        },
        py::arg("dt") = fire.dt, py::arg("maxstep") = fire.maxstep, py::arg("dtmax") = fire.dtmax,
        py::arg("Nmin") = fire.n_min, py::arg("finc") = fire.finc, py::arg("fdec") = fire.fdec,
        py::arg("astart") = fire.astart, py::arg("fa") = fire.fa, py::arg("a") = fire.a,
        py::arg("downhill_check") = false);
    const Fire2Options fire2;
    c.def(
        "use_fire2",
        [](PyRelaxLoop& l, double dt, double maxstep, double dtmax, double dtmin,
           std::int64_t n_min, double finc, double fdec, double astart, double fa, bool use_abc) {
            l.use_optimizer(
                make_fire2({dt, maxstep, dtmax, dtmin, finc, fdec, astart, fa, n_min, use_abc}));
        },
        py::arg("dt") = fire2.dt, py::arg("maxstep") = fire2.maxstep,
        py::arg("dtmax") = fire2.dtmax, py::arg("dtmin") = fire2.dtmin,
        py::arg("Nmin") = fire2.n_min, py::arg("finc") = fire2.finc, py::arg("fdec") = fire2.fdec,
        py::arg("astart") = fire2.astart, py::arg("fa") = fire2.fa, py::arg("use_abc") = false);
    const LbfgsOptions lbfgs;
    c.def(
        "use_lbfgs",
        [](PyRelaxLoop& l, double maxstep, std::int64_t memory, double damping, double alpha) {
            l.use_optimizer(make_lbfgs({maxstep, damping, alpha, memory}));
        },
        py::arg("maxstep") = lbfgs.maxstep, py::arg("memory") = lbfgs.memory,
        py::arg("damping") = lbfgs.damping, py::arg("alpha") = lbfgs.alpha);
    const BfgsOptions bfgs;
    c.def(
        "use_bfgs",
        [](PyRelaxLoop& l, double maxstep, double alpha) {
            l.use_optimizer(make_bfgs({maxstep, alpha}));
        },
        py::arg("maxstep") = bfgs.maxstep, py::arg("alpha") = bfgs.alpha);
}

// A property of a loop, read while no other thread has it.
template <class Read> auto of_relax_loop(Read read) {
    return [read](PyRelaxLoop& l) {
        const auto mine = l.use();
        return read(l.loop);
    };
}

}  // namespace

void bind_relax(py::module_& m) {
    py::class_<PyRelaxLoop> c(m, "RelaxLoop");
    c.def(py::init<std::shared_ptr<Potential>, double, int>(), py::arg("potential").none(false),
          py::arg("skin"), py::arg("threads") = 0)
        .def(
            "set_threads",
            [](PyRelaxLoop& l, int threads) {
                const auto mine = l.use();
                l.loop.set_threads(threads);
            },
            py::arg("threads"))
        .def(
            "set_cell",
            [](PyRelaxLoop& l, const std::string& kind, const DoubleArray& mask, bool hydrostatic,
               bool constant_volume, double pressure, double factor) {
                const auto mine = l.use();
                l.loop.set_cell(
                    cell_options(kind, mask, hydrostatic, constant_volume, pressure, factor));
            },
            py::arg("kind"), py::arg("mask").noconvert(), py::arg("hydrostatic") = false,
            py::arg("constant_volume") = false, py::arg("pressure") = 0.0, py::arg("factor") = 0.0)
        .def(
            "set_constraints",
            [](PyRelaxLoop& l, const std::vector<PyConstraint>& constraints) {
                const auto mine = l.use();
                l.loop.set_constraints(Constraints(constraints.begin(), constraints.end()));
            },
            py::arg("constraints"))
        .def("place", &PyRelaxLoop::place, py::arg("positions").noconvert(),
             py::arg("cell").noconvert(), py::arg("pbc").noconvert(),
             py::arg("species").noconvert(), py::arg("first_cell") = py::none())
        .def("is_at", &PyRelaxLoop::is_at, py::arg("positions").noconvert(),
             py::arg("cell").noconvert())
        .def("go_on", &PyRelaxLoop::go_on, py::arg("positions").noconvert(),
             py::arg("cell").noconvert())
        .def("run", &PyRelaxLoop::run, py::arg("steps"), py::arg("fmax"),
             py::arg("most_seconds") = 0.0, py::arg("traced") = false)
        .def("publish", &PyRelaxLoop::publish, py::arg("positions").noconvert(),
             py::arg("cell").noconvert())
        .def("results", &PyRelaxLoop::results)
        .def("take_trace", &PyRelaxLoop::take_trace)
        .def("state", &PyRelaxLoop::state)
        .def("restore", &PyRelaxLoop::restore, py::arg("state"))
        .def_property_readonly("placed", of_relax_loop([](RelaxLoop& l) { return l.placed(); }))
        .def_property_readonly("steps", of_relax_loop([](RelaxLoop& l) { return l.steps(); }))
        .def_property_readonly("n_builds", of_relax_loop([](RelaxLoop& l) { return l.builds(); }))
        .def_property_readonly("energy", of_relax_loop([](RelaxLoop& l) { return l.energy(); }))
        .def_property_readonly("largest_force",
                               of_relax_loop([](RelaxLoop& l) { return l.largest_force(); }))
        .def_property_readonly("overflow",
                               of_relax_loop([](RelaxLoop& l) { return l.overflow(); }));
    bind_optimizers(c);
}

}  // namespace mdkern
