// SNAP: energies linear or quadratic in the bispectrum.
#include <vector>

#include "core/threads.hpp"
#include "descriptors/bispectrum_model.hpp"
#include "forces/force_blocks.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 250.0;  // of a listed pair, for team_size()

struct SnapSpace final : Workspace {
    ForceBlockSpace blocks;
};

class Snap final : public Potential {
public:
    explicit Snap(const Fields& f) : fields_(f), basis_(f.group("basis")) {
        p_.basis = basis_.params();
        const std::int64_t n = p_.basis.n_species, m = p_.basis.n_components;
        const std::int64_t width = 1 + p_.basis.n_features;
        p_.coefficients = f.array<double>("coefficients", {n, width});
        if (p_.basis.quadratic) return;
        for (std::int64_t a = 0; a < n; ++a) {
            const double* c = p_.coefficients + a * width;
            const std::vector<double> of_species = basis_.slopes(c + 1);
            slopes_.insert(slopes_.end(), of_species.begin(), of_species.end());
            double shift = c[0];
            for (std::int64_t k = 0; k < m; ++k) shift -= c[1 + k] * p_.basis.zero[a * m + k];
            shift_.push_back(shift);
        }
        p_.slopes = slopes_.data();
        p_.shift = shift_.data();
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = basis_.cutoff();
        t.nine_virials = true;
        t.n_species = p_.basis.n_species;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<SnapSpace>(); }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<SnapSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), p_.basis.n_species,
                                             team_size(threads, list.n_pairs, kPairNs));
        const ForceBlocks plan = space.blocks.blocks();
        const std::size_t bytes = bispectrum_scratch_bytes(p_.basis, space.blocks.largest_count());
        const ForceBlockWork work = space.blocks.work(s, team, bytes, true, out.width_of_virials());
        snap_compute(p_, s, space.blocks.list(), plan, work, team, out);
    }

private:
    Fields fields_;
    BispectrumModel basis_;
    SnapParams p_;
    std::vector<double> slopes_, shift_;
};

const Registration registration = register_potential<Snap>("snap");

}  // namespace

}  // namespace mdkern
