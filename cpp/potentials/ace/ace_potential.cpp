#include <stdexcept>

#include "core/threads.hpp"
#include "forces/force_blocks.hpp"
#include "model/potential.hpp"
#include "potentials/ace/ace_model.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 80.0;  // of a listed pair, for team_size()

struct AceSpace final : Workspace {
    ForceBlockSpace blocks;
};

class Ace final : public Potential {
public:
    explicit Ace(const Fields& fields) : model_(fields) {
        traits_.cutoff = model_.cutoff();
        traits_.nine_virials = true;
        traits_.n_species = model_.params().n_species;
        traits_.n_features = model_.params().n_features;
        traits_.tabulated = true;
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<AceSpace>(); }

    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        const AceParams& p = model_.params();
        const CentreTask task = out.features          ? CentreTask::descriptor
                                : out.feature_weights ? CentreTask::vjp
                                : out.jacobian.values ? CentreTask::jacobian
                                                      : CentreTask::energy;
        // Fields have either the functions or what they sum up to.
        if (task == CentreTask::energy && p.n_features > 0)
            throw std::invalid_argument("energy: of a descriptor; expected its features");
        if (task != CentreTask::energy && p.n_features == 0)
            throw std::invalid_argument("features: of a potential; expected its energy");
        auto& space = static_cast<AceSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), p.n_species,
                                             team_size(threads, list.n_pairs, kPairNs));
        const bool gradients = task != CentreTask::descriptor;
        const ForceBlockWork work =
            space.blocks.work(s, team, ace_scratch_bytes(p, space.blocks.largest_count()),
                              gradients, gradients ? out.width_of_virials() : 0);
        ace_compute(task, p, s, space.blocks.list(), space.blocks.blocks(), work, team, out);
    }

private:
    const AceModel model_;
    Traits traits_;
};

const Registration registration = register_potential<Ace>("ace");

}  // namespace

}  // namespace mdkern
