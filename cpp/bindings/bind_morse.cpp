#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/morse.hpp"

namespace mdkern {

void bind_morse(py::module_& m) {
    m.def(
        "morse_compute",
        [](double D, double alpha, double r0, double r_cut, double e0, double r_on,
           PyNeighborTable& neighbors, bool virials, int threads) {
            const MorseParams p{D, alpha, r0, r_cut, e0, r_on, r_on < r_cut};
            const System s = neighbors.table.system();
            const Neighbors list = neighbors.table.neighbors();
            PyResult out(s.n_real, virials);
            {
                py::gil_scoped_release nogil;
                morse_compute(p, s, list, team_size(threads, list.n_pairs, 20000), out.view);
            }
            return out.finish();
        },
        py::arg("D"), py::arg("alpha"), py::arg("r0"), py::arg("r_cut"), py::arg("e0"),
        py::arg("r_on"), py::arg("neighbors"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
