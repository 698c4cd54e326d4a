#include "bindings/descriptors.hpp"
#include "descriptors/bispectrum_model.hpp"

namespace mdkern {

namespace {

constexpr double kBispectrumCenterNs = 20e3;  // of one center, for team_size()

struct PyBispectrum {
    BispectrumModel model;
    const BispectrumParams& params;

    explicit PyBispectrum(const py::dict& values)
        : model(fields_of(values)), params(model.params()) {}

    BispectrumTask task(PyNeighborTable& neighbors, const CenterRows& centers, int team) const {
        BispectrumTask t;
        t.centers = centers.view();
        t.scratch_stride = model.scratch(centers.longest);
        t.scratch =
            neighbors.descriptor_scratch.reserve(std::size_t(team) * std::size_t(t.scratch_stride));
        return t;
    }
};

py::array bispectrum_values(const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                            const py::object& centers, bool single, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    return py_values(
        rows, bispectrum.params.n_features, single, [&](double* out, float* out_single) {
            const int team = team_size(threads, std::int64_t(rows.row.size()), kBispectrumCenterNs);
            bispectrum_values_compute(
                bispectrum.params, neighbors.table.system(), neighbors.table.neighbors(),
                bispectrum.task(neighbors, rows, team), team, out, out_single);
        });
}

py::tuple bispectrum_vjp(const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                         const py::object& centers, const DoubleArray& weights,
                         const py::object& weight_row, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const auto row_of = weight_rows(weights, weight_row, rows, neighbors.table.system(),
                                    bispectrum.params.n_features);
    const double* w = weights.data();
    return py_gradients(neighbors, rows, threads, kBispectrumCenterNs,
                        [&](const PairGradients& out, double* energies, int team) {
                            const BispectrumVjpTask job{w, row_of.data(), energies, out};
                            bispectrum_vjp_compute(bispectrum.params, neighbors.table.system(),
                                                   neighbors.table.neighbors(),
                                                   bispectrum.task(neighbors, rows, team), job,
                                                   team);
                        });
}

}  // namespace

void bind_bispectrum(py::module_& m) {
    const auto jacobian = [](const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                             const CenterRows& rows, const BispectrumJacobianTask& job, int team) {
        bispectrum_jacobian_compute(bispectrum.params, neighbors.table.system(),
                                    neighbors.table.neighbors(),
                                    bispectrum.task(neighbors, rows, team), job, team);
    };
    py::class_<PyBispectrum>(m, "Bispectrum")
        .def(py::init<const py::dict&>(), py::arg("fields"))
        .def_property_readonly("n_features",
                               [](const PyBispectrum& a) { return a.params.n_features; })
        .def("values", &bispectrum_values, py::arg("neighbors"), py::arg("centers"),
             py::arg("single"), py::arg("threads"))
        .def("vjp", &bispectrum_vjp, py::arg("neighbors"), py::arg("centers"),
             py::arg("weights").noconvert(), py::arg("weight_row"), py::arg("threads"))
        .def(
            "sparse_jacobian",
            [jacobian](const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                       const py::object& centers, const IntArray& column, bool attach, bool single,
                       int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                return py_sparse_jacobian(
                    neighbors, rows, column, bispectrum.params.n_features, single, threads,
                    [&](const Pattern& pattern, double* out, float* out_single, int team) {
                        jacobian(bispectrum, neighbors, rows,
                                 {pattern.view(attach), out, out_single, nullptr}, team);
                    });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("column").noconvert(),
            py::arg("attach"), py::arg("single"), py::arg("threads"))
        .def(
            "dense_jacobian",
            [jacobian](const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                       const py::object& centers, const IntArray& column, bool attach,
                       py::array out, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                py_dense_jacobian(
                    neighbors, rows, column, bispectrum.params.n_features, false, out, threads,
                    [&](const Pattern& pattern, double* to, float* to_single, int team) {
                        jacobian(bispectrum, neighbors, rows,
                                 {pattern.view(attach), to, to_single, nullptr}, team);
                    });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("column").noconvert(),
            py::arg("attach"), py::arg("out").noconvert(), py::arg("threads"))
        .def(
            "strain",
            [jacobian](const PyBispectrum& bispectrum, PyNeighborTable& neighbors,
                       const py::object& centers, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                return py_strain(rows, bispectrum.params.n_features, [&](double* out) {
                    jacobian(
                        bispectrum, neighbors, rows, {{}, nullptr, nullptr, out},
                        team_size(threads, std::int64_t(rows.row.size()), kBispectrumCenterNs));
                });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("threads"));
}

}  // namespace mdkern
