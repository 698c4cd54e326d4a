#include "potentials/soft_sphere.hpp"

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 2.0;  // of a listed pair, for team_size()

class SoftSphere final : public Potential {
public:
    explicit SoftSphere(const Fields& f) : params_{f.number("k"), f.number("cutoff")} {
        traits_.cutoff = params_.r_cut;
        traits_.forces_alone = true;
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<Workspace>(); }
    void compute(Table& table, Workspace&, const Outputs& out, int threads) const override {
        const Neighbors list = table.neighbors();
        soft_sphere_compute(params_, table.system(), list,
                            team_size(threads, list.n_pairs, kPairNs), out);
    }

private:
    SoftSphereParams params_;
    Traits traits_;
};

const Registration registration = register_potential<SoftSphere>("soft_sphere");

}  // namespace

}  // namespace mdkern
