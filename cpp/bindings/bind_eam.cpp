#include <algorithm>

#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/eam.hpp"

namespace mdkern {

namespace {

struct EamStep final : ForceStep {
    EamStep(double cutoff, double dr, const DoubleArray& r, int embedding, double drho,
            double rho_max, const DoubleArray& e)
        : radial(r), embed(e) {
        const std::int64_t n_species = radial.shape(0);
        check_shape(radial, "radial", {n_species, n_species, -1, 8});
        params.n_species = int(n_species);
        params.cutoff = cutoff;
        params.n_cells = radial.shape(2);
        params.inverse_dr = 1.0 / dr;
        params.radial = radial.data();
        params.embedding = Embedding(embedding);
        if (params.embedding == Embedding::table) {
            check_shape(embed, "embed", {n_species, -1, 4});
            params.n_rho = embed.shape(1);
            params.inverse_drho = 1.0 / drho;
            params.rho_max = rho_max;
        } else {
            check_shape(embed, "embed", {n_species, 16});
        }
        params.embed = embed.data();
    }
    bool forces_alone() const override { return true; }
    void compute(PyNeighborTable& neighbors, int threads, const Result& out) const override {
        const System s = neighbors.table.system();
        int team = team_size(threads, neighbors.table.neighbors().n_pairs, 4.0);
        const HalfList half = neighbors.table.half(team);
        if (half.width < team) team = std::max(1, int(half.width));
        const EamScratch work{
            neighbors.scratch_energy.reserve(s.n_real),
            neighbors.scratch_rows.reserve(4 * s.n_total),
            neighbors.scratch_sums.reserve(4 * s.n_total),
            out.virials ? neighbors.scratch_virials.reserve(6 * s.n_total) : nullptr,
            neighbors.scratch_tiles.reserve(6 * half.n_tiles),
            neighbors.scratch_count.reserve(s.n_real),
            neighbors.scratch_index.reserve(neighbors.table.half_room()),
            &neighbors.overflow};
        eam_density_compute(params, s, half, work, team);
        eam_embed_compute(params, s, half, work, team);
        eam_spread_compute(s, work, team);
        eam_force_compute(params, s, half, work, team, out);
        eam_finish_compute(s, half, work, team, out);
    }
    DoubleArray radial, embed;
    EamParams params;
};

}  // namespace

void bind_eam(py::module_& m) {
    m.def(
        "eam_step",
        [](double cutoff, double dr, const DoubleArray& radial, int embedding, double drho,
           double rho_max, const DoubleArray& embed) -> std::shared_ptr<ForceStep> {
            return std::make_shared<EamStep>(cutoff, dr, radial, embedding, drho, rho_max, embed);
        },
        py::arg("cutoff"), py::arg("dr"), py::arg("radial").noconvert(), py::arg("embedding"),
        py::arg("drho"), py::arg("rho_max"), py::arg("embed").noconvert());
    m.def(
        "eam_compute",
        [](double cutoff, double dr, const DoubleArray& radial, int embedding, double drho,
           double rho_max, const DoubleArray& embed, PyNeighborTable& neighbors, bool virials,
           int threads) {
            const EamStep step(cutoff, dr, radial, embedding, drho, rho_max, embed);
            return evaluate(step, neighbors, virials, threads);
        },
        py::arg("cutoff"), py::arg("dr"), py::arg("radial").noconvert(), py::arg("embedding"),
        py::arg("drho"), py::arg("rho_max"), py::arg("embed").noconvert(), py::arg("neighbors"),
        py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
