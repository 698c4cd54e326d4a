#include "bindings/descriptors.hpp"

namespace mdkern {

CenterRows py_centers(const py::object& centers, PyNeighborTable& neighbors) {
    const System s = neighbors.table.system();
    const Neighbors list = neighbors.table.neighbors();
    if (centers.is_none()) return center_rows(s, list, nullptr, s.n_real);
    const auto atoms = centers.cast<IntArray>();
    check_shape(atoms, "centers", {-1});
    const std::int64_t n = atoms.shape(0);
    for (std::int64_t k = 0; k < n; ++k)
        if (atoms.data()[k] < 0 || atoms.data()[k] >= s.n_real)
            throw std::invalid_argument("centers[" + std::to_string(k) +
                                        "]: " + std::to_string(atoms.data()[k]) +
                                        "; expected 0 to " + std::to_string(s.n_real - 1));
    return center_rows(s, list, atoms.data(), n);
}

const std::int32_t* py_columns(const IntArray& column, PyNeighborTable& neighbors) {
    const std::int64_t n = neighbors.table.system().n_real;
    check_shape(column, "column", {n});
    for (std::int64_t i = 0; i < n; ++i)
        if (column.data()[i] >= n) throw std::invalid_argument("column: beyond the last atom");
    return column.data();
}

std::vector<std::int64_t> weight_rows(const DoubleArray& weights, const py::object& weight_row,
                                      const CenterRows& centers, const System& s,
                                      std::int64_t n_features) {
    const std::size_t n = centers.row.size();
    check_shape(weights, "weights", {-1, n_features});
    Int64Array given;
    if (!weight_row.is_none()) {
        given = weight_row.cast<Int64Array>();
        check_shape(given, "weight_row", {std::int64_t(n)});
    }
    std::vector<std::int64_t> out(n);
    for (std::size_t c = 0; c < n; ++c) {
        out[c] = weight_row.is_none() ? std::int64_t(s.rows[4 * std::int64_t(centers.row[c]) + 3])
                                      : given.data()[centers.output[c]];
        if (out[c] < 0 || out[c] >= weights.shape(0))
            throw std::invalid_argument("weight_row: beyond the last row of weights");
    }
    return out;
}

}  // namespace mdkern
