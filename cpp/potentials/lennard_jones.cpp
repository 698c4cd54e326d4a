#include "potentials/lennard_jones.hpp"

#include <stdexcept>
#include <string>

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 1.2;  // of a listed pair, for team_size()

struct LennardJonesSpace final : Workspace {
    Buffer<float> single;
};

class LennardJones final : public Potential {
public:
    explicit LennardJones(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("table", 0, 1, kMaxSpecies),
                           style = f.integer("style", 0, int(LjStyle::smooth));
        params_ = {LjStyle(style), int(n), fields_.array<double>("table", {n, n, 8}),
                   f.flag("single")};
        traits_.cutoff = f.number("cutoff");
        traits_.forces_alone = true;
        traits_.nine_virials = true;
        traits_.n_species = int(n);
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<LennardJonesSpace>();
    }
    void compute(Table& table, Workspace& space, const Outputs& out, int threads) const override {
        const System s = table.system();
        const Neighbors list = table.neighbors();
        float* single = nullptr;
        if (params_.single_precision)
            single = static_cast<LennardJonesSpace&>(space).single.reserve(
                4 * s.n_total + 8 * params_.n_species * params_.n_species);
        lennard_jones_compute(params_, s, list, single, team_size(threads, list.n_pairs, kPairNs),
                              out);
    }

private:
    Fields fields_;
    LjParams params_;
    Traits traits_;
};

const Registration registration = register_potential<LennardJones>("lennard_jones");

}  // namespace

}  // namespace mdkern
