#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/buckingham.hpp"

namespace mdkern {

namespace {

struct BuckinghamStep final : ForceStep {
    explicit BuckinghamStep(const DoubleArray& t) : table(t) {
        const std::int64_t n_species = table.shape(0);
        check_shape(table, "table", {n_species, n_species, 8});
        params = {int(n_species), table.data()};
    }
    bool forces_alone() const override { return true; }
    void compute(PyNeighborTable& neighbors, int threads, const Result& out) const override {
        const System s = neighbors.table.system();
        const Neighbors list = neighbors.table.neighbors();
        buckingham_compute(params, s, list, team_size(threads, list.n_pairs, 3.0), out);
    }
    DoubleArray table;
    BuckinghamParams params;
};

}  // namespace

void bind_buckingham(py::module_& m) {
    m.def(
        "buckingham_step",
        [](const DoubleArray& table) -> std::shared_ptr<ForceStep> {
            return std::make_shared<BuckinghamStep>(table);
        },
        py::arg("table").noconvert());
    m.def(
        "buckingham_compute",
        [](const DoubleArray& table, PyNeighborTable& neighbors, bool virials, int threads) {
            return evaluate(BuckinghamStep(table), neighbors, virials, threads);
        },
        py::arg("table").noconvert(), py::arg("neighbors"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
