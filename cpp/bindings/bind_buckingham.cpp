#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/buckingham.hpp"

namespace mdkern {

void bind_buckingham(py::module_& m) {
    m.def(
        "buckingham_compute",
        [](const DoubleArray& table, PyNeighborTable& neighbors, bool virials, int threads) {
            const std::int64_t n_species = table.shape(0);
            check_shape(table, "table", {n_species, n_species, 8});
            const BuckinghamParams p{int(n_species), table.data()};
            const System s = neighbors.table.system();
            const Neighbors list = neighbors.table.neighbors();
            PyResult out(s.n_real, virials);
            {
                py::gil_scoped_release nogil;
                buckingham_compute(p, s, list, team_size(threads, list.n_pairs, 20000), out.view);
            }
            return out.finish();
        },
        py::arg("table").noconvert(), py::arg("neighbors"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
