// Bindings of the descriptor inside a potential's file, for models whose kernel has the tasks
// descriptor, vjp and jacobian.
#pragma once

#include <algorithm>

#include "bindings/bindings.hpp"

namespace mdkern {

// Model: `n_features()` and `run(Task, PyNeighborTable&, Work, threads, const Result&)`.
template <class Task, class Work, class Model, class Class> void bind_descriptor(Class& c) {
    c.def(
        "descriptors",
        [](const Model& model, PyNeighborTable& neighbors, int threads) {
            const TableUse use(neighbors);
            const std::int64_t n = neighbors.table.n();
            DoubleArray x(py::array::ShapeContainer{n, std::int64_t(model.n_features())});
            PyResult out(n, false);
            Work work;
            work.descriptors = x.mutable_data();
            {
                py::gil_scoped_release nogil;
                model.run(Task::descriptor, neighbors, work, threads, out.view);
            }
            return x;
        },
        py::arg("neighbors"), py::arg("threads"));
    c.def(
        "vjp",
        [](const Model& model, PyNeighborTable& neighbors, const DoubleArray& weights,
           int threads) {
            const TableUse use(neighbors);
            const std::int64_t n = neighbors.table.n();
            check_shape(weights, "weights", {n, model.n_features()});
            PyResult out(n, false);
            Work work;
            work.weights = weights.data();
            {
                py::gil_scoped_release nogil;
                model.run(Task::vjp, neighbors, work, threads, out.view);
            }
            return out.finish();
        },
        py::arg("neighbors"), py::arg("weights").noconvert(), py::arg("threads"));
    c.def(
        "jacobian",
        [](const Model& model, PyNeighborTable& neighbors, const IntArray& centre_at,
           const IntArray& moving_at, std::int64_t n_centres, std::int64_t n_moving, int threads) {
            const TableUse use(neighbors);
            const std::int64_t n = neighbors.table.n();
            check_shape(centre_at, "centre_at", {n});
            check_shape(moving_at, "moving_at", {n});
            const std::int64_t n_features = model.n_features();
            DoubleArray values(
                py::array::ShapeContainer{n_centres, n_moving, std::int64_t(3), n_features});
            PyResult out(n, false);
            Work work;
            work.jacobian = {values.mutable_data(), centre_at.data(), moving_at.data(), n_moving,
                             n_features};
            {
                py::gil_scoped_release nogil;
                std::fill_n(work.jacobian.values, values.size(), 0.0);
                model.run(Task::jacobian, neighbors, work, threads, out.view);
            }
            return values;
        },
        py::arg("neighbors"), py::arg("centre_at").noconvert(), py::arg("moving_at").noconvert(),
        py::arg("n_centres"), py::arg("n_moving"), py::arg("threads"));
}

}  // namespace mdkern
