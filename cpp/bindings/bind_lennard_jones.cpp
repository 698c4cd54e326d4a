#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/lennard_jones.hpp"

namespace mdkern {

namespace {

struct LennardJonesStep final : ForceStep {
    LennardJonesStep(int style, const DoubleArray& t, bool single_precision) : table(t) {
        const std::int64_t n_species = table.shape(0);
        check_shape(table, "table", {n_species, n_species, 8});
        params = {LjStyle(style), int(n_species), table.data(), single_precision};
    }
    bool forces_alone() const override { return true; }
    void compute(PyNeighborTable& neighbors, int threads, const Result& out) const override {
        const System s = neighbors.table.system();
        const Neighbors list = neighbors.table.neighbors();
        float* room = params.single_precision
                          ? neighbors.scratch_single.reserve(4 * s.n_total + 8 * params.n_species *
                                                                                 params.n_species)
                          : nullptr;
        lennard_jones_compute(params, s, list, room, team_size(threads, list.n_pairs, 1.2), out);
    }
    DoubleArray table;
    LjParams params;
};

}  // namespace

void bind_lennard_jones(py::module_& m) {
    m.def(
        "lennard_jones_step",
        [](int style, const DoubleArray& table,
           bool single_precision) -> std::shared_ptr<ForceStep> {
            return std::make_shared<LennardJonesStep>(style, table, single_precision);
        },
        py::arg("style"), py::arg("table").noconvert(), py::arg("single_precision"));
    m.def(
        "lennard_jones_compute",
        [](int style, const DoubleArray& table, PyNeighborTable& neighbors, bool single_precision,
           bool virials, int threads) {
            const LennardJonesStep step(style, table, single_precision);
            return evaluate(step, neighbors, virials, threads);
        },
        py::arg("style"), py::arg("table").noconvert(), py::arg("neighbors"),
        py::arg("single_precision"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
