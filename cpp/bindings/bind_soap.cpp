#include <pybind11/stl.h>

#include <vector>

#include "bindings/descriptors.hpp"
#include "descriptors/soap_model.hpp"

namespace mdkern {

namespace {

constexpr double kSoapCenterNs = 8e3;  // of one center, for team_size()

struct PySoap {
    SoapModel model;
    std::vector<std::int32_t> place;  // of SoapJacobianTask
    std::vector<std::int64_t> width;
    const SoapParams& params;

    explicit PySoap(const py::dict& values) : model(fields_of(values)), params(model.params()) {
        place_blocks();
    }

    SoapTask task(PyNeighborTable& neighbors, const CenterRows& centers, int team,
                  bool density = true) const {
        SoapTask t;
        t.density = density;
        t.centers = centers.view();
        t.scratch_stride = model.scratch(centers.longest);
        t.scratch =
            neighbors.descriptor_scratch.reserve(std::size_t(team) * std::size_t(t.scratch_stride));
        return t;
    }
    SoapJacobianTask job() const {
        SoapJacobianTask j;
        j.place = place.data();
        j.width = width.data();
        return j;
    }
    void place_blocks() {
        for (int kind = 0; kind <= params.n_channels; ++kind) {
            std::int64_t at = 0;
            for (const SoapBlock& b : model.blocks()) {
                const bool here = kind == params.n_channels || b.first == kind ||
                                  b.second == kind || b.first == params.total ||
                                  b.second == params.total;
                place.push_back(here ? std::int32_t(at) : -1);
                if (here) at += model.block_features(b);
            }
            width.push_back(at);
        }
    }
};

// Kind and place of every block of a sparse Jacobian, those of one kind together, and the blocks
// of each kind. An atom on a center that moves with it changes all features.
struct Packing {
    std::vector<std::int32_t> kind;
    std::vector<std::int64_t> offset;
    std::vector<std::vector<std::int64_t>> of_kind;
    std::int64_t size = 0;
};
Packing pack_blocks(const PySoap& soap, const System& s, const Pattern& pattern,
                    const std::int32_t* column, bool attach) {
    const int whole = soap.params.n_channels;
    std::vector<std::int32_t> channel(std::size_t(s.n_real), whole);  // by column
    for (std::int64_t row = 0; row < s.n_real; ++row) {
        const std::int32_t at = column[s.order[row]];
        const double species = s.rows[4 * row + 3];
        if (at >= 0 && species > -0.5) channel[std::size_t(at)] = soap.params.channel[int(species)];
    }
    Packing out;
    const std::size_t n = pattern.column.size();
    out.kind.resize(n);
    out.offset.resize(n);
    out.of_kind.resize(std::size_t(whole) + 1);
    for (std::size_t b = 0; b < n; ++b) out.kind[b] = channel[std::size_t(pattern.column[b])];
    if (attach)
        for (const std::int64_t b : pattern.own)
            if (b >= 0) out.kind[std::size_t(b)] = whole;
    for (std::size_t b = 0; b < n; ++b)
        out.of_kind[std::size_t(out.kind[b])].push_back(std::int64_t(b));
    for (int kind = 0; kind <= whole; ++kind)
        for (const std::int64_t b : out.of_kind[std::size_t(kind)]) {
            out.offset[std::size_t(b)] = out.size;
            out.size += 3 * soap.width[std::size_t(kind)];
        }
    return out;
}

Int64Array copy_of(const std::vector<std::int64_t>& v) {
    return Int64Array(py::ssize_t(v.size()), v.data());
}

// (center, column, values, parts): parts is a list of (blocks, features), of which the values are
// one after the other, (blocks, 3, features).
py::tuple sparse_jacobian(const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
                          const IntArray& column, bool attach, bool single, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const System s = neighbors.table.system();
    const std::int32_t* columns = py_columns(column, neighbors);
    Pattern pattern;
    Packing packing;
    {
        py::gil_scoped_release nogil;
        pattern = sparse_pattern(s, neighbors.table.neighbors(), rows.view(), columns,
                                 neighbors.table.index_room());
        packing = pack_blocks(soap, s, pattern, columns, attach);
    }
    const py::array::ShapeContainer shape{packing.size};
    py::array values =
        single ? py::array(new_array<float>(shape)) : py::array(new_array<double>(shape));
    void* data = values.mutable_data();
    {
        py::gil_scoped_release nogil;
        SoapJacobianTask job = soap.job();
        job.blocks = pattern.view(attach);
        job.n_blocks = pattern.n_blocks;
        job.kind = packing.kind.data();
        job.offset = packing.offset.data();
        if (single)
            job.values_single = static_cast<float*>(data);
        else
            job.values = static_cast<double*>(data);
        const int team = team_size(threads, std::int64_t(rows.row.size()), kSoapCenterNs);
        soap_jacobian_compute(soap.params, s, neighbors.table.neighbors(),
                              soap.task(neighbors, rows, team), job, team);
    }
    py::list parts;
    for (std::size_t kind = 0; kind < packing.of_kind.size(); ++kind) {
        if (packing.of_kind[kind].empty()) continue;
        std::vector<std::int64_t> features;
        for (std::size_t q = 0; q < soap.model.blocks().size(); ++q)
            if (soap.place[kind * soap.model.blocks().size() + q] >= 0)
                for (std::int64_t i = 0; i < soap.model.block_features(soap.model.blocks()[q]); ++i)
                    features.push_back(soap.model.blocks()[q].offset + i);
        parts.append(py::make_tuple(copy_of(packing.of_kind[kind]), copy_of(features)));
    }
    return py::make_tuple(copy_of(pattern.center), copy_of(pattern.column), values, parts);
}

py::array soap_values(const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
                      bool single, int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    return py_values(rows, soap.params.n_features, single, [&](double* out, float* out_single) {
        const int team = team_size(threads, std::int64_t(rows.row.size()), kSoapCenterNs);
        soap_values_compute(soap.params, neighbors.table.system(), neighbors.table.neighbors(),
                            soap.task(neighbors, rows, team), team, out, out_single);
    });
}

// Mean of the coefficients over centers.
DoubleArray mean(const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
                 int threads) {
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const auto n = std::int64_t(rows.row.size());
    const std::int64_t size = soap_coefficients(soap.params), blocks = n_blocks(n);
    DoubleArray out(size);
    double* sum = out.mutable_data();
    py::gil_scoped_release nogil;
    double* parts = neighbors.descriptor_rows.reserve(std::size_t(size * blocks));
    const int team = team_size(threads, n, kSoapCenterNs);
    soap_density_compute(soap.params, neighbors.table.system(), neighbors.table.neighbors(),
                         soap.task(neighbors, rows, team), team, parts);
    for (std::int64_t i = 0; i < size; ++i) sum[i] = 0.0;
    for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t i = 0; i < size; ++i) sum[i] += parts[b * size + i];
    for (std::int64_t i = 0; i < size; ++i) sum[i] /= double(n);
    return out;
}

const double* coefficients(const PySoap& soap, const py::object& given, DoubleArray& keep) {
    if (given.is_none()) return nullptr;
    keep = given.cast<DoubleArray>();
    check_shape(keep, "mean", {soap_coefficients(soap.params)});
    return keep.data();
}

py::tuple soap_vjp(const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
                   const DoubleArray& weights, const py::object& weight_row,
                   const py::object& mean_or_none, int threads) {
    const SoapParams& p = soap.params;
    const TableUse use(neighbors);
    const CenterRows rows = py_centers(centers, neighbors);
    const auto row_of =
        weight_rows(weights, weight_row, rows, neighbors.table.system(), p.n_features);
    DoubleArray keep;
    const double* c = coefficients(soap, mean_or_none, keep);
    const double* w = weights.data();
    return py_gradients(neighbors, rows, threads, kSoapCenterNs,
                        [&](const PairGradients& out, double* energies, int team) {
                            const SoapTask task = soap.task(neighbors, rows, team, !c);
                            SoapVjpTask job;
                            job.weights = w;
                            job.weight_row = row_of.data();
                            job.out = out;
                            std::vector<double> adjoint;
                            if (c) {
                                adjoint.resize(std::size_t(soap_coefficients(p)));
                                soap_adjoint_compute(p, c, w, task.scratch, adjoint.data());
                                job.adjoint = adjoint.data();
                            } else {
                                job.energies = energies;
                            }
                            soap_vjp_compute(p, neighbors.table.system(),
                                             neighbors.table.neighbors(), task, job, team);
                        });
}

}  // namespace

void bind_soap(py::module_& m) {
    py::class_<PySoap>(m, "Soap")
        .def(py::init<const py::dict&>(), py::arg("fields"))
        .def_property_readonly("n_features", [](const PySoap& s) { return s.params.n_features; })
        .def("values", &soap_values, py::arg("neighbors"), py::arg("centers"), py::arg("single"),
             py::arg("threads"))
        .def("mean", &mean, py::arg("neighbors"), py::arg("centers"), py::arg("threads"))
        .def(
            "power",
            [](const PySoap& soap, const DoubleArray& c) {
                check_shape(c, "coefficients", {soap_coefficients(soap.params)});
                DoubleArray out(soap.params.n_features);
                soap_power_compute(soap.params, c.data(), out.mutable_data());
                return out;
            },
            py::arg("coefficients").noconvert())
        .def("vjp", &soap_vjp, py::arg("neighbors"), py::arg("centers"),
             py::arg("weights").noconvert(), py::arg("weight_row"), py::arg("mean"),
             py::arg("threads"))
        .def("sparse_jacobian", &sparse_jacobian, py::arg("neighbors"), py::arg("centers"),
             py::arg("column").noconvert(), py::arg("attach"), py::arg("single"),
             py::arg("threads"))
        .def(
            "dense_jacobian",
            [](const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
               const IntArray& column, bool attach, const py::object& mean_or_none, double factor,
               bool one_row, py::array out, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                DoubleArray keep;
                const double* c = coefficients(soap, mean_or_none, keep);
                py_dense_jacobian(
                    neighbors, rows, column, soap.params.n_features, one_row, out, threads,
                    [&](const Pattern& pattern, double* to, float* to_single, int team) {
                        SoapJacobianTask job = soap.job();
                        job.blocks = pattern.view(attach);
                        job.n_blocks = pattern.n_blocks;
                        job.mean = c;
                        job.factor = factor;
                        job.one_row = one_row;
                        job.values = to;
                        job.values_single = to_single;
                        soap_jacobian_compute(soap.params, neighbors.table.system(),
                                              neighbors.table.neighbors(),
                                              soap.task(neighbors, rows, team, !c), job, team);
                    });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("column").noconvert(),
            py::arg("attach"), py::arg("mean"), py::arg("factor"), py::arg("one_row"),
            py::arg("out").noconvert(), py::arg("threads"))
        .def(
            "strain",
            [](const PySoap& soap, PyNeighborTable& neighbors, const py::object& centers,
               const py::object& mean_or_none, int threads) {
                const TableUse use(neighbors);
                const CenterRows rows = py_centers(centers, neighbors);
                DoubleArray keep;
                SoapJacobianTask job = soap.job();
                job.mean = coefficients(soap, mean_or_none, keep);
                return py_strain(rows, soap.params.n_features, [&](double* out) {
                    job.strain = out;
                    const int team =
                        team_size(threads, std::int64_t(rows.row.size()), kSoapCenterNs);
                    soap_jacobian_compute(soap.params, neighbors.table.system(),
                                          neighbors.table.neighbors(),
                                          soap.task(neighbors, rows, team), job, team);
                });
            },
            py::arg("neighbors"), py::arg("centers"), py::arg("mean"), py::arg("threads"));
}

}  // namespace mdkern
