#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/lennard_jones.hpp"

namespace mdkern {

void bind_lennard_jones(py::module_& m) {
    m.def(
        "lennard_jones_compute",
        [](int style, const DoubleArray& table, PyNeighborTable& neighbors, bool single_precision,
           bool virials, int threads) {
            const std::int64_t n_species = table.shape(0);
            check_shape(table, "table", {n_species, n_species, 8});
            const LjParams p{LjStyle(style), int(n_species), table.data(), single_precision};
            const System s = neighbors.table.system();
            const Neighbors list = neighbors.table.neighbors();
            PyResult out(s.n_real, virials);
            {
                py::gil_scoped_release nogil;
                float* room = single_precision ? neighbors.scratch_single.reserve(
                                                     4 * s.n_total + 8 * n_species * n_species)
                                               : nullptr;
                lennard_jones_compute(p, s, list, room, team_size(threads, list.n_pairs, 50000),
                                      out.view);
            }
            return out.finish();
        },
        py::arg("style"), py::arg("table").noconvert(), py::arg("neighbors"),
        py::arg("single_precision"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
