#include "bindings/bindings.hpp"
#include "core/threads.hpp"
#include "potentials/eam.hpp"

namespace mdkern {

void bind_eam(py::module_& m) {
    m.def(
        "eam_compute",
        [](double cutoff, double dr, const DoubleArray& radial, int embedding, double drho,
           double rho_max, const DoubleArray& embed, PyNeighborTable& neighbors, bool virials,
           int threads) {
            const std::int64_t n_species = radial.shape(0);
            check_shape(radial, "radial", {n_species, n_species, -1, 8});
            EamParams p;
            p.n_species = int(n_species);
            p.cutoff = cutoff;
            p.n_cells = radial.shape(2);
            p.inverse_dr = 1.0 / dr;
            p.radial = radial.data();
            p.embedding = Embedding(embedding);
            if (p.embedding == Embedding::table) {
                check_shape(embed, "embed", {n_species, -1, 4});
                p.n_rho = embed.shape(1);
                p.inverse_drho = 1.0 / drho;
                p.rho_max = rho_max;
            } else {
                check_shape(embed, "embed", {n_species, 16});
            }
            p.embed = embed.data();
            const System s = neighbors.table.system();
            PyResult out(s.n_real, virials);
            {
                py::gil_scoped_release nogil;
                const int team = team_size(threads, neighbors.table.neighbors().n_pairs, 20000);
                const HalfList half = neighbors.table.half(team);
                const EamScratch work{
                    neighbors.scratch_energy.reserve(s.n_real),
                    neighbors.scratch_rows.reserve(4 * s.n_total),
                    neighbors.scratch_sums.reserve(4 * s.n_total),
                    virials ? neighbors.scratch_virials.reserve(6 * s.n_total) : nullptr,
                    neighbors.scratch_tiles.reserve(6 * half.n_tiles),
                    neighbors.scratch_count.reserve(s.n_real),
                    neighbors.scratch_index.reserve(neighbors.table.half_room())};
                eam_density_compute(p, s, half, work, team);
                eam_embed_compute(p, s, half, work, team);
                eam_spread_compute(s, work, team);
                eam_force_compute(p, s, half, work, team, out.view);
                eam_finish_compute(s, half, work, team, out.view);
            }
            return out.finish();
        },
        py::arg("cutoff"), py::arg("dr"), py::arg("radial").noconvert(), py::arg("embedding"),
        py::arg("drho"), py::arg("rho_max"), py::arg("embed").noconvert(), py::arg("neighbors"),
        py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
