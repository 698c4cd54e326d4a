#include "potentials/buckingham.hpp"

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 3.0;  // of a listed pair, for team_size()

class Buckingham final : public Potential {
public:
    explicit Buckingham(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("table", 0, 1, kMaxSpecies);
        params_ = {int(n), fields_.array<double>("table", {n, n, 8})};
        traits_.cutoff = f.number("cutoff");
        traits_.forces_alone = true;
        traits_.nine_virials = true;
        traits_.n_species = int(n);
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<Workspace>(); }
    void compute(Table& table, Workspace&, const Outputs& out, int threads) const override {
        const Neighbors list = table.neighbors();
        buckingham_compute(params_, table.system(), list, team_size(threads, list.n_pairs, kPairNs),
                           out);
    }

private:
    Fields fields_;
    BuckinghamParams params_;
    Traits traits_;
};

const Registration registration = register_potential<Buckingham>("buckingham");

}  // namespace

}  // namespace mdkern
