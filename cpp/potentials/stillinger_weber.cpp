#include "potentials/stillinger_weber.hpp"

#include <limits>

#include "core/threads.hpp"
#include "forces/lane_table.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 8.0;  // of a listed pair, for team_size()
constexpr double kMost = std::numeric_limits<double>::max();

struct StillingerWeberSpace final : Workspace {
    ForceBlockSpace blocks;
    Buffer<double> energies;
};

class StillingerWeber final : public Potential {
public:
    explicit StillingerWeber(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("pair", 0, 1, kMaxSpecies);
        p_.pair = lane_table(fields_, "pair", {n, n, 16}, kMost);
        p_.strength = lane_table(fields_, "strength", {n, n, n}, kMost);
        p_.cos0 = lane_table(fields_, "cos0", {n, n, n}, kMost);
        p_.whole_p = f.integer("whole_p", -1, 100);
        p_.whole_q = f.integer("whole_q", -1, 100);
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
        return std::make_unique<StillingerWeberSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<StillingerWeberSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), 1,
                                             team_size(threads, list.n_pairs, kPairNs));
        const ForceBlockWork work = space.blocks.work(
            s, team,
            lane_scratch_bytes(space.blocks.largest_count(),
                               kStillingerWeberSlot + (out.nine() ? kLaneCentres : 0)),
            true, out.width_of_virials());
        const ForceBlocks plan = space.blocks.blocks();
        double* energies = energies_of_homes(table, s, out.energies, space.energies);
        stillinger_weber_compute(p_, s, list, plan, work, energies, team, out);
        finish_energies(table, s, energies, team, out.energies);
    }

private:
    Fields fields_;
    StillingerWeberParams p_;
};

const Registration registration = register_potential<StillingerWeber>("stillinger_weber");

}  // namespace

}  // namespace mdkern
