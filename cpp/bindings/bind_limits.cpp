#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "limits/limits.hpp"

namespace mdkern {

namespace {

// As many threads as asked for, whatever the work; one where there is no OpenMP.
int team(int threads) { return team_size(threads, std::int64_t(1) << 40, 1.0); }

void check_count(const char* name, std::int64_t n) {
    if (n < 1)
        throw std::invalid_argument(std::string(name) + ": " + std::to_string(n) +
                                    "; expected an integer >= 1");
}

}  // namespace

void bind_limits(py::module_& m) {
    m.attr("FMA_FACTOR") = kFmaFactor;
    m.def(
        "limits_fma",
        [](bool single_precision, std::int64_t rounds, double start, int threads) {
            check_count("rounds", rounds);
            const int n_threads = team(threads);
            DoubleArray sums(n_threads);
            double* out = sums.mutable_data();
            int lanes = 0;
            {
                py::gil_scoped_release nogil;
                limits_fma_compute(single_precision, rounds, start, n_threads, out, &lanes);
            }
            return py::make_tuple(sums, 2 * rounds * kFmaChains * lanes * n_threads);
        },
        py::arg("single_precision"), py::arg("rounds"), py::arg("start"), py::arg("threads"),
        "(mean of the chains per thread, floating-point operations)");
    m.def(
        "limits_stream",
        [](int op, DoubleArray& a, const DoubleArray& b, const DoubleArray& c, double s,
           std::int64_t repeats, int threads) {
            if (op < 0 || op > 3)
                throw std::invalid_argument("op: " + std::to_string(op) + "; expected 0 to 3");
            check_count("repeats", repeats);
            check_shape(a, "a", {-1});
            check_shape(b, "b", {a.shape(0)});
            check_shape(c, "c", {a.shape(0)});
            const int n_threads = team(threads);
            DoubleArray sums(n_threads);
            StreamTask t;
            t.op = StreamOp(op);
            t.a = a.mutable_data();
            t.b = b.data();
            t.c = c.data();
            t.s = s;
            t.n = a.shape(0);
            t.repeats = repeats;
            t.sums = sums.mutable_data();
            {
                py::gil_scoped_release nogil;
                limits_stream_compute(t, n_threads);
            }
            return sums;
        },
        py::arg("op"), py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("c").noconvert(),
        py::arg("s"), py::arg("repeats"), py::arg("threads"),
        "op: 0 write, 1 copy, 2 triad, 3 read; the sum that each thread read");
}

}  // namespace mdkern
