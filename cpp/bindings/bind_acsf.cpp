#include "bindings/descriptors.hpp"
#include "descriptors/acsf_model.hpp"

namespace mdkern {

namespace {

constexpr double kAcsfCenterNs = 12e3;  // of one center, for team_size()

struct PyAcsf {
    AcsfModel model;
    const AcsfParams& params;

    explicit PyAcsf(const py::dict& values) : model(fields_of(values)), params(model.params()) {}

    AcsfTask task(PyNeighborTable& neighbors, const CenterRows& centers, int team,
                  bool jacobian) const {
        AcsfTask t;
        t.centers = centers.view();
        t.scratch_stride = model.scratch(centers.longest, jacobian);
        t.scratch =
            neighbors.descriptor_scratch.reserve(std::size_t(team) * std::size_t(t.scratch_stride));
        return t;
    }
};

py::array acsf_values(const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                      bool single, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    return py_values(rows, acsf.params.n_features, single, [&](double* out, float* out_single) {
        const int team = team_size(threads, std::int64_t(rows.row.size()), kAcsfCenterNs);
        acsf_values_compute(acsf.params, neighbors.table.system(), neighbors.table.neighbors(),
                            acsf.task(neighbors, rows, team, false), team, out, out_single);
    });
}

py::tuple acsf_vjp(const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                   const DoubleArray& weights, const py::object& weight_row, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const auto row_of =
        weight_rows(weights, weight_row, rows, neighbors.table.system(), acsf.params.n_features);
    const double* w = weights.data();
    return py_gradients(neighbors, rows, threads, kAcsfCenterNs,
                        [&](const PairGradients& out, double* energies, int team) {
                            const AcsfVjpTask job{w, row_of.data(), energies, out};
                            acsf_vjp_compute(acsf.params, neighbors.table.system(),
                                             neighbors.table.neighbors(),
                                             acsf.task(neighbors, rows, team, false), job, team);
                        });
}

}  // namespace

void bind_acsf(py::module_& m) {
    const auto jacobian = [](const PyAcsf& acsf, PyNeighborTable& neighbors, const CenterRows& rows,
                             const AcsfJacobianTask& job, int team) {
        acsf_jacobian_compute(acsf.params, neighbors.table.system(), neighbors.table.neighbors(),
                              acsf.task(neighbors, rows, team, true), job, team);
    };
    py::class_<PyAcsf>(m, "Acsf")
        .def(py::init<const py::dict&>(), py::arg("fields"))
        .def_property_readonly("n_features", [](const PyAcsf& a) { return a.params.n_features; })
        .def("values", &acsf_values, py::arg("neighbors"), py::arg("centers"), py::arg("single"),
             py::arg("threads"))
        .def("vjp", &acsf_vjp, py::arg("neighbors"), py::arg("centers"),
             py::arg("weights").noconvert(), py::arg("weight_row"), py::arg("threads"))
        .def(
            "sparse_jacobian",
            [jacobian](const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                       const IntArray& column, bool attach, bool single, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                return py_sparse_jacobian(
                    neighbors, rows, column, acsf.params.n_features, single, threads,
                    [&](const Pattern& pattern, double* out, float* out_single, int team) {
                        jacobian(acsf, neighbors, rows,
                                 {pattern.view(attach), out, out_single, nullptr}, team);
                    });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("column").noconvert(),
            py::arg("attach"), py::arg("single"), py::arg("threads"))
        .def(
            "dense_jacobian",
            [jacobian](const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                       const IntArray& column, bool attach, py::array out, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                py_dense_jacobian(
                    neighbors, rows, column, acsf.params.n_features, false, out, threads,
                    [&](const Pattern& pattern, double* to, float* to_single, int team) {
                        jacobian(acsf, neighbors, rows,
                                 {pattern.view(attach), to, to_single, nullptr}, team);
                    });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("column").noconvert(),
            py::arg("attach"), py::arg("out").noconvert(), py::arg("threads"))
        .def(
            "strain",
            [jacobian](const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                       int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                return py_strain(rows, acsf.params.n_features, [&](double* out) {
                    jacobian(acsf, neighbors, rows, {{}, nullptr, nullptr, out},
                             team_size(threads, std::int64_t(rows.row.size()), kAcsfCenterNs));
                });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("threads"));
}

}  // namespace mdkern
