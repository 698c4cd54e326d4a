#include <algorithm>

#include "bindings/bindings.hpp"
#include "core/buffers.hpp"
#include "nn/gemm_check.hpp"
#include "nn/net.hpp"

namespace mdkern {

namespace {

DoubleArray net_value(const py::dict& values, const DoubleArray& x) {
    const auto net = make_net(fields_of(values));
    check_shape(x, "x", {net->n_in()});
    const auto y = net->value(x.data());
    return DoubleArray(py::ssize_t(y.size()), y.data());
}

DoubleArray dense_gemm(const DoubleArray& a, const DoubleArray& b, bool single, int repeats) {
    const int rows = int(a.shape(0)), depth = int(a.shape(1)), columns = int(b.shape(1));
    check_shape(b, "b", {depth, columns});
    const int ld = padded(columns);
    DoubleArray c(py::array::ShapeContainer{std::int64_t(rows), std::int64_t(ld)});
    const auto go = [&](auto zero, auto kernel, auto* out) {
        using T = decltype(zero);
        Buffer<T> left, right, zeros;
        T* x = left.reserve(std::size_t(rows) * depth);
        std::copy_n(a.data(), std::size_t(rows) * depth, x);
        T* packed = right.reserve(packed_size(depth, columns, kPanel<T>));
        pack_panels(b.data(), depth, columns, false, packed);
        T* z = zeros.reserve(std::size_t(ld));
        std::fill_n(z, ld, zero);
        const py::gil_scoped_release nogil;
        for (int k = 0; k < repeats; ++k) kernel(rows, columns, depth, x, packed, z, out, ld);
    };
    if (single) {
        std::vector<float> out(std::size_t(rows) * ld);
        go(0.0f, dense_gemm_single_compute, out.data());
        std::copy(out.begin(), out.end(), c.mutable_data());
    } else {
        go(0.0, dense_gemm_double_compute, c.mutable_data());
    }
    return c;
}

}  // namespace

// What Python needs of nets beside potentials.
void bind_nets(py::module_& m) {
    m.def("net_value", &net_value, py::arg("fields"), py::arg("x").noconvert());
    m.def("dense_gemm", &dense_gemm, py::arg("a").noconvert(), py::arg("b").noconvert(),
          py::arg("single"), py::arg("repeats"));
}

}  // namespace mdkern
