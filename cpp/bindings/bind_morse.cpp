#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/morse.hpp"

namespace mdkern {

namespace {

struct MorseStep final : ForceStep {
    explicit MorseStep(const MorseParams& p) : params(p) {}
    bool forces_alone() const override { return true; }
    void compute(PyNeighborTable& neighbors, int threads, const Result& out) const override {
        const System s = neighbors.table.system();
        const Neighbors list = neighbors.table.neighbors();
        morse_compute(params, s, list, team_size(threads, list.n_pairs, 3.0), out);
    }
    MorseParams params;
};

MorseParams morse_params(double D, double alpha, double r0, double r_cut, double e0, double r_on) {
    return {D, alpha, r0, r_cut, e0, r_on, r_on < r_cut};
}

}  // namespace

void bind_morse(py::module_& m) {
    m.def(
        "morse_step",
        [](double D, double alpha, double r0, double r_cut, double e0,
           double r_on) -> std::shared_ptr<ForceStep> {
            return std::make_shared<MorseStep>(morse_params(D, alpha, r0, r_cut, e0, r_on));
        },
        py::arg("D"), py::arg("alpha"), py::arg("r0"), py::arg("r_cut"), py::arg("e0"),
        py::arg("r_on"));
    m.def(
        "morse_compute",
        [](double D, double alpha, double r0, double r_cut, double e0, double r_on,
           PyNeighborTable& neighbors, bool virials, int threads) {
            const MorseStep step(morse_params(D, alpha, r0, r_cut, e0, r_on));
            return evaluate(step, neighbors, virials, threads);
        },
        py::arg("D"), py::arg("alpha"), py::arg("r0"), py::arg("r_cut"), py::arg("e0"),
        py::arg("r_on"), py::arg("neighbors"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
