#include "potentials/tersoff.hpp"

#include <limits>

#include "core/threads.hpp"
#include "forces/lane_table.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 12.0;  // of a listed pair, for team_size()
constexpr double kMost = std::numeric_limits<double>::max();

struct TersoffSpace final : Workspace {
    ForceBlockSpace blocks;
    Buffer<double> energies;
};

class Tersoff final : public Potential {
public:
    explicit Tersoff(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("pair", 0, 1, kMaxSpecies);
        p_.pair = lane_table(fields_, "pair", {n, n, 24}, kMost);
        p_.triplet = lane_table(fields_, "triplet", {n, n, n, 16}, kMost);
        p_.mod = f.flag("mod");
        p_.zbl = f.flag("zbl");
        p_.decays = f.flag("decays");
        p_.one_cutoff = f.flag("one_cutoff");
        p_.one_angle = f.flag("one_angle");
        const double cutoff = f.positive("cutoff");
        // The square may be rounded.
        p_.reach = {int(n), lane_table(fields_, "reach2", {n, n}, cutoff * cutoff * (1 + 1e-14)),
                    cutoff, f.flag("by_index")};
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = p_.reach.largest;
        t.forces_alone = true;
        t.nine_virials = true;
        t.n_species = p_.reach.n_species;
        t.exchanges = t.reverses = t.exchange_width = 1;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<TersoffSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<TersoffSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), 1,
                                             team_size(threads, list.n_pairs, kPairNs));
        const ForceBlockWork work = space.blocks.work(
            s, team,
            lane_scratch_bytes(space.blocks.largest_count(),
                               kTersoffSlot + (out.nine() ? kLaneCentres : 0), kTersoffCorners),
            true, out.width_of_virials());
        const ForceBlocks plan = space.blocks.blocks();
        double* energies = energies_of_homes(table, s, out.energies, space.energies);
        tersoff_compute(p_, s, list, plan, work, energies, team, out);
        finish_energies(table, s, energies, team, out.energies);
    }

private:
    Fields fields_;
    TersoffParams p_;
};

const Registration registration = register_potential<Tersoff>("tersoff");

}  // namespace

}  // namespace mdkern
