// Shared by the bindings of descriptors: centers, gradients and blocks of Jacobians around a call
// of a kernel. A descriptor brings the kernel; everything else is here.
#pragma once

#include <algorithm>
#include <vector>

#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "descriptors/pattern.hpp"

namespace mdkern {

constexpr double kJacobianNs = 25e3;  // of the Jacobian of one center, for team_size()

// Rows of the centers (indices in the caller's order; None: all atoms); checks them.
CenterRows py_centers(const py::object& centers, PyNeighborTable& neighbors);
// Column of each atom, (n_real), as the caller gives it; checks its length.
const std::int32_t* py_columns(const IntArray& column, PyNeighborTable& neighbors);
// Row of `weights` of each center in its own order, None: that of its species; checks shapes and
// range.
std::vector<std::int64_t> weight_rows(const DoubleArray& weights, const py::object& weight_row,
                                      const CenterRows& centers, const System& s,
                                      std::int64_t n_features);

// run(double* or null, float* or null) fills (n_centers, n_features).
template <class Run>
py::array py_values(const CenterRows& centers, std::int64_t n_features, bool single,
                    const Run& run) {
    const py::array::ShapeContainer shape{std::int64_t(centers.row.size()), n_features};
    py::array out =
        single ? py::array(new_array<float>(shape)) : py::array(new_array<double>(shape));
    void* data = out.mutable_data();
    py::gil_scoped_release nogil;
    run(single ? nullptr : static_cast<double*>(data),
        single ? static_cast<float*>(data) : nullptr);
    return out;
}

// run(double*) adds to (n_centers, 3, 3, n_features), which is zero.
template <class Run>
DoubleArray py_strain(const CenterRows& centers, std::int64_t n_features, const Run& run) {
    const std::int64_t n = std::int64_t(centers.row.size());
    DoubleArray out = new_array<double>({n, std::int64_t(3), std::int64_t(3), n_features});
    double* data = out.mutable_data();
    py::gil_scoped_release nogil;
    std::fill_n(data, 9 * n * n_features, 0.0);
    run(data);
    return out;
}

// run(PairGradients, energies, team) computes; returns (gradient (n, 3) in the caller's order,
// virials (n_centers, 9) and energies (n_centers) in the order of the centers).
template <class Run>
py::tuple py_gradients(PyNeighborTable& neighbors, const CenterRows& centers, int threads,
                       double center_ns, const Run& run) {
    const System s = neighbors.table.system();
    const Neighbors list = neighbors.table.neighbors();
    const auto n = std::int64_t(centers.row.size());
    DoubleArray gradient(py::array::ShapeContainer{s.n_real, std::int64_t(3)});
    DoubleArray virials(py::array::ShapeContainer{n, std::int64_t(9)}), energies(n);
    double *g = gradient.mutable_data(), *w = virials.mutable_data(), *e = energies.mutable_data();
    {
        py::gil_scoped_release nogil;
        const std::size_t pairs = 3 * neighbors.table.index_room();
        double* room =
            neighbors.descriptor_rows.reserve(pairs + std::size_t(15 * n + 3 * s.n_real));
        PairGradients out;
        out.pairs = room;
        out.sums = out.pairs + pairs;
        out.virial = out.sums + 3 * n;
        double* by_row = out.virial + 9 * n;
        const int team = team_size(threads, n, center_ns);
        run(out, e, team);
        descriptor_gather(s, list, centers.view(), out, team, by_row);
        for (std::int64_t i = 0; i < s.n_real; ++i)
            for (int x = 0; x < 3; ++x) g[3 * s.order[i] + x] = by_row[3 * i + x];
        for (std::int64_t c = 0; c < n; ++c)
            for (int x = 0; x < 9; ++x) w[9 * centers.output[c] + x] = out.virial[9 * c + x];
    }
    return py::make_tuple(gradient, virials, energies);
}

// run(pattern, double* or null, float* or null, team) fills new blocks; returns (center, column,
// values (blocks, 3, n_features)) of a sparse Jacobian.
template <class Run>
py::tuple py_sparse_jacobian(PyNeighborTable& neighbors, const CenterRows& centers,
                             const IntArray& column, std::int64_t n_features, bool single,
                             int threads, const Run& run) {
    const System s = neighbors.table.system();
    Pattern pattern;
    const std::int32_t* columns = py_columns(column, neighbors);
    {
        py::gil_scoped_release nogil;
        pattern = sparse_pattern(s, neighbors.table.neighbors(), centers.view(), columns,
                                 neighbors.table.index_room());
    }
    const py::array::ShapeContainer shape{pattern.n_blocks, std::int64_t(3), n_features};
    py::array values =
        single ? py::array(new_array<float>(shape)) : py::array(new_array<double>(shape));
    void* data = values.mutable_data();
    {
        py::gil_scoped_release nogil;
        run(pattern, single ? nullptr : static_cast<double*>(data),
            single ? static_cast<float*>(data) : nullptr,
            team_size(threads, std::int64_t(centers.row.size()), kJacobianNs));
    }
    const auto copy = [](const std::vector<std::int64_t>& v) {
        return Int64Array(py::ssize_t(v.size()), v.data());
    };
    return py::make_tuple(copy(pattern.center), copy(pattern.column), values);
}

// run(pattern, double*, float*, team) adds to `out` (rows, n_columns, 3, n_features), which is
// zero.
template <class Run>
void py_dense_jacobian(PyNeighborTable& neighbors, const CenterRows& centers,
                       const IntArray& column, std::int64_t n_features, bool one_row,
                       py::array& out, int threads, const Run& run) {
    const std::int64_t n = std::int64_t(centers.row.size());
    check_shape(out, "out", {one_row ? 1 : n, -1, 3, n_features});
    const bool single = py::isinstance<py::array_t<float>>(out);
    if (!single && !py::isinstance<py::array_t<double>>(out))
        throw std::invalid_argument("out: expected float64 or float32");
    if (!(out.flags() & py::array::c_style)) throw std::invalid_argument("out: expected C order");
    const std::int32_t* columns = py_columns(column, neighbors);
    const std::int64_t n_columns = out.shape(1);
    for (py::ssize_t i = 0; i < column.shape(0); ++i)
        if (columns[i] >= n_columns) throw std::invalid_argument("column: beyond the last column");
    void* data = out.mutable_data();
    py::gil_scoped_release nogil;
    const Pattern pattern =
        dense_pattern(neighbors.table.system(), neighbors.table.neighbors(), centers.view(),
                      columns, n_columns, one_row, neighbors.table.index_room());
    run(pattern, single ? nullptr : static_cast<double*>(data),
        single ? static_cast<float*>(data) : nullptr, team_size(threads, n, kJacobianNs));
}

}  // namespace mdkern
