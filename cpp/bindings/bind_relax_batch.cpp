// Relaxations of many structures, as mdkern.relax runs them.
#include <pybind11/stl.h>

#include <atomic>

#include "bindings/relax_cell.hpp"
#include "relax/relax_batch.hpp"

namespace mdkern {

namespace {

// By which another thread ends a batch.
struct StopFlag {
    std::atomic<bool> set{false};
};

// One structure of a batch, and the arrays of its results.
struct FrameToRelax {
    IntArray species;
    OwnAtoms atoms;
    DoubleArray positions, forces;
};

std::unique_ptr<Optimizer> optimizer_by_name(const std::string& name) {
    if (name == "fire") return make_fire({});
    if (name == "fire2") return make_fire2({});
    if (name == "lbfgs") return make_lbfgs({});
    if (name == "bfgs") return make_bfgs({});
    throw std::invalid_argument("optimizer: " + name + "; expected fire, fire2, lbfgs or bfgs");
}

// The frame stays where it is from now on: the task has pointers into it.
void take_frame(const py::tuple& t, FrameToRelax& f, RelaxTask& task) {
    // (positions, cell, pbc, species, constraints)
    f.species = t[3].cast<IntArray>();
    f.atoms.take(atoms_view(t[0].cast<DoubleArray>(), t[1].cast<DoubleArray>(),
                            t[2].cast<BoolArray>(), &f.species));
    task.atoms = f.atoms.view();
    const auto constraints = t[4].cast<std::vector<PyConstraint>>();
    task.constraints.assign(constraints.begin(), constraints.end());
    f.positions = new_array<double>({task.atoms.n, std::int64_t(3)});
    f.forces = new_array<double>({task.atoms.n, std::int64_t(3)});
    task.positions = f.positions.mutable_data();
    task.forces = f.forces.mutable_data();
}

py::object result_of(const RelaxTask& t, const FrameToRelax& f) {
    if (!t.done) return py::none();
    if (!t.placed) return py::str(t.failure);
    DoubleArray cell(py::array::ShapeContainer({3, 3})), virial(6);
    std::copy_n(t.cell, 9, cell.mutable_data());
    std::copy_n(t.virial, 6, virial.mutable_data());
    return py::make_tuple(f.positions, cell, t.energy, f.forces, virial, t.first_energy, t.steps,
                          t.largest_force, t.converged, t.failure, t.overflow);
}

// (results, exception of a signal handler or None). The batch ends early where `stop` is set, or, without
// one, where a signal's handler raises, which works on Python's main thread. A result is (positions, cell, energy, forces,
// virial, first energy, steps, largest force, converged, failure, overflow), a text where the
// structure was not evaluated, or None where it was not done.
py::tuple relax_frames(const std::shared_ptr<Potential>& potential, double skin,
                       const py::list& inputs, const std::string& optimizer,
                       const std::string& cell, const DoubleArray& mask, bool hydrostatic,
                       bool constant_volume, double pressure, double fmax, std::int64_t steps,
                       int threads, const std::optional<std::shared_ptr<StopFlag>>& stop) {
    RelaxPlan plan;
    plan.potential = potential;
    optimizer_by_name(optimizer);  // a wrong name is no structure's fault
    plan.optimizer = [&optimizer] { return optimizer_by_name(optimizer); };
    plan.cell = cell_options(cell, mask, hydrostatic, constant_volume, pressure, 0.0);
    plan.skin = skin;
    plan.fmax = fmax;
    plan.steps = steps;
    std::vector<RelaxTask> tasks(inputs.size());
    std::vector<FrameToRelax> frames(tasks.size());
    for (std::size_t k = 0; k < tasks.size(); ++k)
        take_frame(inputs[k].cast<py::tuple>(), frames[k], tasks[k]);
    py::object raised = py::none();
    {
        py::gil_scoped_release nogil;
        relax_batch(plan, tasks, threads, [&] {
            if (stop) return (*stop)->set.load();
            py::gil_scoped_acquire gil;
            if (PyErr_CheckSignals() == 0) return false;
            const py::error_already_set error;
            raised = error.value();
            return true;
        });
    }
    py::list results;
    for (std::size_t k = 0; k < tasks.size(); ++k) results.append(result_of(tasks[k], frames[k]));
    return py::make_tuple(results, raised);
}

}  // namespace

void bind_relax_batch(py::module_& m) {
    py::class_<StopFlag, std::shared_ptr<StopFlag>>(m, "StopFlag")
        .def(py::init<>())
        .def("set", [](StopFlag& f) { f.set = true; });
    m.def("relax_frames", &relax_frames, py::arg("potential"), py::arg("skin"), py::arg("frames"),
          py::arg("optimizer"), py::arg("cell"), py::arg("mask").noconvert(),
          py::arg("hydrostatic"), py::arg("constant_volume"), py::arg("pressure"), py::arg("fmax"),
          py::arg("steps"), py::arg("threads"), py::arg("stop") = py::none());
}

}  // namespace mdkern
