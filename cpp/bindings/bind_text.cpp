#include <pybind11/stl.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"

namespace mdkern {

namespace {

// Lines of a table: a label, then numbers, formatted as "%-2s" and " %16.8f" as in ASE's extended
// XYZ. Python would take ten times as long, and keep other threads waiting.
py::bytes format_rows(const std::vector<std::string>& labels, const DoubleArray& values) {
    const std::int64_t n = std::int64_t(labels.size());
    check_shape(values, "values", {n, -1});
    const std::int64_t columns = values.shape(1);
    const double* v = values.data();
    std::string text;
    {
        py::gil_scoped_release nogil;
        text.reserve(std::size_t(n * (4 + 18 * columns)));
        char cell[512];  // the largest double has 309 digits before the point
        for (std::int64_t i = 0; i < n; ++i) {
            text += labels[i];
            if (labels[i].size() < 2) text.append(2 - labels[i].size(), ' ');
            for (std::int64_t k = 0; k < columns; ++k) {
                const int length = std::snprintf(cell, sizeof cell, " %16.8f", v[columns * i + k]);
                text.append(cell, std::size_t(length));
            }
            text += '\n';
        }
    }
    return py::bytes(text);
}

}  // namespace

void bind_text(py::module_& m) {
    m.def("format_rows", &format_rows, py::arg("labels"), py::arg("values").noconvert());
}

}  // namespace mdkern
