#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "core/numbers.hpp"

namespace mdkern {

namespace {

// printf's " %16.8f", to the letter. C's own takes 0.2 us, as it reckons with all digits of the double;
// here 1e8 |v| is rounded to an integer, half to even: its product is exact as a sum of two doubles.
void append_fixed(std::string& text, double v) {
    const double size = std::abs(v), product = 1e8 * size;
    if (!(product < 9e15)) {  // also what is not finite; below, units of product are 1 at most
        char cell[512];       // the largest double has 309 digits before the point
        const int length = std::snprintf(cell, sizeof cell, " %16.8f", v);
        text.append(cell, std::size_t(length));
        return;
    }
    const double rest = std::fma(1e8, size, -product);
    std::uint64_t whole = std::uint64_t(product);
    const double over = product - double(whole);  // exact, as is its comparison with a half
    if (over > 0.5 || (over == 0.5 && (rest > 0.0 || (rest == 0.0 && whole % 2 == 1)))) ++whole;
    char cell[24];
    int at = 24;
    for (int digit = 0; digit < 9 || whole > 0; ++digit) {
        if (digit == 8) cell[--at] = '.';
        cell[--at] = char('0' + whole % 10);
        whole /= 10;
    }
    if (std::signbit(v)) cell[--at] = '-';
    text.append(std::size_t(std::max(1, at - 7)), ' ');  // 17 characters in all
    text.append(cell + at, std::size_t(24 - at));
}

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
        for (std::int64_t i = 0; i < n; ++i) {
            text += labels[i];
            if (labels[i].size() < 2) text.append(2 - labels[i].size(), ' ');
            for (std::int64_t k = 0; k < columns; ++k) append_fixed(text, v[columns * i + k]);
            text += '\n';
        }
    }
    return py::bytes(text);
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The numbers of a text, (n), between spaces; None where a word is none. At most `most`, and one more where the
// text has more of them.
py::object read_numbers(const py::bytes& text, std::int64_t most) {
    char* begin = nullptr;
    py::ssize_t length = 0;
    if (PyBytes_AsStringAndSize(text.ptr(), &begin, &length) != 0) throw py::error_already_set();
    const char* const end = begin + length;
    std::vector<double> found;
    // A number takes two bytes at least.
    found.reserve(
        std::size_t(std::min<std::int64_t>(std::max<std::int64_t>(most, 0) + 1, length / 2 + 1)));
    for (const char* at = begin; std::int64_t(found.size()) <= most;) {
        while (at < end && is_space(*at)) ++at;
        if (at == end) break;
        const char* word = at;
        while (at < end && !is_space(*at)) ++at;
        double value = 0.0;
        const Word kind = read_number(word, at, value);
        if (kind == Word::other) return py::none();
        if (kind == Word::hard)
            value = py::float_(py::bytes(word, std::size_t(at - word)).attr("decode")("ascii"));
        found.push_back(value);
    }
    return py::array_t<double>(py::ssize_t(found.size()), found.data());
}

}  // namespace

void bind_text(py::module_& m) {
    m.def("read_numbers", &read_numbers, py::arg("text"), py::arg("most"));
    m.def("format_rows", &format_rows, py::arg("labels"), py::arg("values").noconvert());
}

}  // namespace mdkern
