#include "potentials/eam.hpp"

#include <algorithm>

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

// Rows of the tables are addressed by 32-bit numbers.
constexpr std::int64_t kMostRows = std::int64_t(1) << 28;
constexpr double kPairNs = 4.0;  // of a listed pair, for team_size()

struct EamSpace final : Workspace {
    Buffer<double> energies, rows, sums, virials, tiles;
    Buffer<std::int32_t> count, index;
};

class Eam final : public Potential {
public:
    explicit Eam(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("radial", 0, 1, kMaxSpecies);
        params_.n_species = int(n);
        params_.cutoff = f.number("cutoff");
        params_.n_cells = f.length("radial", 2, 1, kMostRows / (n * n));
        params_.inverse_dr = 1.0 / f.positive("dr");
        params_.radial = fields_.array<double>("radial", {n, n, -1, 8});
        if (f.text("embedding") == "zhou2004") {
            params_.embedding = Embedding::zhou2004;
            params_.embed = fields_.array<double>("embed", {n, 16});
        } else {
            params_.embed = fields_.array<double>("embed", {n, -1, 4});
            params_.n_rho = f.length("embed", 1, 1, kMostRows / n);
            params_.inverse_drho = 1.0 / f.positive("drho");
            params_.rho_max = f.number("rho_max");
        }
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = params_.cutoff;
        t.forces_alone = true;
        t.nine_virials = true;
        t.half_list = true;
        t.exchanges = t.exchange_width = 1;
        t.n_species = params_.n_species;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<EamSpace>(); }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<EamSpace&>(workspace);
        const System s = table.system();
        int team = team_size(threads, table.n_pairs(), kPairNs);
        const HalfList half = table.half(team);
        if (half.width < team) team = std::max(1, int(half.width));
        const EamScratch work{space.energies.reserve(s.n_real),
                              space.rows.reserve(4 * s.n_total),
                              space.sums.reserve(4 * s.n_total),
                              out.virials ? space.virials.reserve(6 * s.n_total) : nullptr,
                              space.tiles.reserve(6 * half.n_tiles),
                              space.count.reserve(s.n_real),
                              space.index.reserve(table.half_room()),
                              &space.overflow};
        eam_density_compute(params_, s, half, work, team);
        eam_embed_compute(params_, s, half, work, team);
        table.forward(work.rows + 3, 1, 4, team);
        eam_force_compute(params_, s, half, work, team, out);
        eam_finish_compute(s, half, work, team, out);
    }

private:
    Fields fields_;
    EamParams params_;
};

const Registration registration = register_potential<Eam>("eam");

}  // namespace

}  // namespace mdkern
