#include "bindings/descriptors.hpp"
#include "descriptors/acsf.hpp"

namespace mdkern {

namespace {

constexpr double kCenterNs = 12e3;  // of one center, for team_size()

struct PyAcsf {
    IntArray group;
    DoubleArray g2, g3;
    struct Angular {
        IntArray eta_of, angle_of, eta_power, zeta_power, lambda_of;
        DoubleArray factor, eta, zeta, lambda;
    } closed, open;
    AcsfParams params;

    AcsfTask task(PyNeighborTable& neighbors, const CenterRows& centers, int team,
                  bool jacobian) const {
        AcsfTask t;
        t.centers = centers.view();
        t.scratch_stride = (acsf_scratch(params, centers.longest, jacobian) + 7) / 8 * 8;
        t.scratch =
            neighbors.descriptor_scratch.reserve(std::size_t(team) * std::size_t(t.scratch_stride));
        return t;
    }
};

// Arrays of one kind of functions of triplets, by name as in AcsfAngular.
PyAcsf::Angular keep_angular(const py::dict& d) {
    const auto ints = [&](const char* name) { return d[name].cast<IntArray>(); };
    const auto doubles = [&](const char* name) { return d[name].cast<DoubleArray>(); };
    return {ints("eta_of"),     ints("angle_of"),  ints("eta_power"),
            ints("zeta_power"), ints("lambda_of"), doubles("factor"),
            doubles("eta"),     doubles("zeta"),   doubles("lambda")};
}
void check_range(const IntArray& a, const char* name, std::int64_t low, std::int64_t high) {
    for (py::ssize_t i = 0; i < a.size(); ++i)
        if (a.data()[i] < low || a.data()[i] >= high)
            throw std::invalid_argument(std::string(name) + ": out of range");
}
AcsfAngular angular_view(const PyAcsf::Angular& a, int offset) {
    AcsfAngular v;
    v.n = int(a.eta_of.shape(0));
    v.n_eta = int(a.eta.shape(0));
    v.n_angle = int(a.zeta.shape(0));
    v.n_lambda = int(a.lambda.shape(0));
    check_shape(a.angle_of, "angle_of", {v.n});
    check_shape(a.factor, "factor", {v.n});
    check_shape(a.eta_power, "eta_power", {v.n_eta, 2});
    check_shape(a.zeta_power, "zeta_power", {v.n_angle, 2});
    check_shape(a.lambda_of, "lambda_of", {v.n_angle});
    check_range(a.eta_of, "eta_of", 0, v.n_eta);
    check_range(a.angle_of, "angle_of", 0, v.n_angle);
    check_range(a.lambda_of, "lambda_of", 0, v.n_lambda);
    check_range(a.eta_power, "eta_power", -1, 65);
    check_range(a.zeta_power, "zeta_power", -1, 1025);
    for (int i = 0; i < v.n_eta; ++i)
        if (a.eta_power.data()[2 * i] >= i) throw std::invalid_argument("eta_power: not earlier");
    for (int i = 0; i < v.n_angle; ++i)
        if (a.zeta_power.data()[2 * i] >= i) throw std::invalid_argument("zeta_power: not earlier");
    v.eta_of = a.eta_of.data();
    v.angle_of = a.angle_of.data();
    v.factor = a.factor.data();
    v.eta = a.eta.data();
    v.eta_power = a.eta_power.data();
    v.zeta = a.zeta.data();
    v.zeta_power = a.zeta_power.data();
    v.lambda_of = a.lambda_of.data();
    v.lambda = a.lambda.data();
    v.offset = offset;
    return v;
}

std::unique_ptr<PyAcsf> make_acsf(int n_species, double cutoff, const DoubleArray& g2,
                                  const DoubleArray& g3, const py::dict& closed,
                                  const py::dict& open) {
    auto a = std::make_unique<PyAcsf>();
    AcsfParams& p = a->params;
    check_shape(g2, "g2", {-1, 2});
    check_shape(g3, "g3", {-1});
    a->g2 = g2;
    a->g3 = g3;
    a->closed = keep_angular(closed);
    a->open = keep_angular(open);
    a->group = IntArray(n_species);
    for (int z = 0; z < n_species; ++z) a->group.mutable_data()[z] = z;
    p.n_species = n_species;
    p.cutoff = cutoff;
    p.group = a->group.data();
    p.n2 = int(g2.shape(0));
    p.n3 = int(g3.shape(0));
    p.g2 = a->g2.data();
    p.g3 = a->g3.data();
    p.closed = angular_view(a->closed, 0);
    p.open = angular_view(a->open, p.closed.n);
    p.n_features = p.pair_offset(n_species, 0);
    return a;
}

py::array values(const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
                 bool single, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    return py_values(rows, acsf.params.n_features, single, [&](double* out, float* out_single) {
        const int team = team_size(threads, std::int64_t(rows.row.size()), kCenterNs);
        acsf_values_compute(acsf.params, neighbors.table.system(), neighbors.table.neighbors(),
                            acsf.task(neighbors, rows, team, false), team, out, out_single);
    });
}

py::tuple vjp(const PyAcsf& acsf, PyNeighborTable& neighbors, const py::object& centers,
              const DoubleArray& weights, const py::object& weight_row, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const auto row_of =
        weight_rows(weights, weight_row, rows, neighbors.table.system(), acsf.params.n_features);
    const double* w = weights.data();
    return py_gradients(neighbors, rows, threads, kCenterNs,
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
        .def(py::init(&make_acsf), py::arg("n_species"), py::arg("cutoff"),
             py::arg("g2").noconvert(), py::arg("g3").noconvert(), py::arg("closed"),
             py::arg("open"))
        .def_property_readonly("n_features", [](const PyAcsf& a) { return a.params.n_features; })
        .def("values", &values, py::arg("neighbors"), py::arg("centers"), py::arg("single"),
             py::arg("threads"))
        .def("vjp", &vjp, py::arg("neighbors"), py::arg("centers"), py::arg("weights").noconvert(),
             py::arg("weight_row"), py::arg("threads"))
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
                             team_size(threads, std::int64_t(rows.row.size()), kCenterNs));
                });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("threads"));
}

}  // namespace mdkern
