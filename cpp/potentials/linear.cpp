// Models that are linear in a descriptor: E_i = b_t(i) + w_t(i) . D_i.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "core/buffers.hpp"
#include "core/threads.hpp"
#include "descriptors/pattern.hpp"
#include "descriptors/weighted.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

struct LinearSpace final : Workspace {
    std::int64_t of_build = -1;
    CenterRows centers;
    std::vector<std::int64_t> weight_row;
    Buffer<double> scratch, pairs, by_center, by_home;
};

class Linear final : public Potential {
public:
    explicit Linear(const Fields& f)
        : fields_(f), descriptor_(make_descriptor(f.group("descriptor"))) {
        const std::int64_t n = descriptor_->n_species();
        weights_ = f.array<double>("weights", {n, descriptor_->n_features()});
        intercepts_ = f.array<double>("intercepts", {n});
        traits_.cutoff = descriptor_->cutoff();
        traits_.n_species = int(n);
        traits_.nine_virials = true;
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<LinearSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<LinearSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        if (space.of_build != table.build_number()) {
            space.centers = center_rows(s, list, nullptr, s.n_real);
            space.weight_row.resize(std::size_t(s.n_real));
            for (std::int64_t i = 0; i < s.n_real; ++i)
                space.weight_row[std::size_t(i)] = std::int64_t(s.rows[4 * i + 3]);
            space.of_build = table.build_number();
        }
        const Centers centers = space.centers.view();
        const auto n = std::size_t(s.n_real);
        const int team = team_size(threads, s.n_real, descriptor_->center_ns());
        WeightedTask task;
        task.weights = weights_;
        task.row = space.weight_row.data();
        task.stride = descriptor_->scratch(centers.longest);
        task.scratch = space.scratch.reserve(std::size_t(team) * std::size_t(task.stride));
        task.energies = space.by_center.reserve(13 * n + 1);
        task.out.sums = task.energies + n;
        task.out.virial = task.out.sums + 3 * n;
        std::int64_t room = 0;
        for (std::int64_t i = 0; i < s.n_real; ++i)
            room = std::max(room, list.first[i] + list.count[i]);
        task.out.pairs = space.pairs.reserve(std::size_t(3 * room) + 1);
        double* gradient = space.by_home.reserve(std::size_t(3 * s.n_homes) + 1);
        descriptor_->gradients(s, list, centers, task, team);
        descriptor_gather(s, list, centers, task.out, team, gradient);
        for (std::int64_t r = 0; out.forces && r < s.n_homes; ++r) {
            const std::int64_t o = s.order ? s.order[r] : r;
            for (int c = 0; c < 3; ++c) out.forces[3 * o + c] = -gradient[3 * r + c];
        }
        for (std::int64_t b = 0; b < n_blocks(s.n_real); ++b) finish(s, b, task, out);
        if (out.nine()) gather_nine(s, list, task, out);
    }

private:
    // -d (x) p to the neighbors; in the order of the list, by one thread.
    static void gather_nine(const System& s, const Neighbors& list, const WeightedTask& task,
                            const Outputs& out) {
        std::fill_n(out.virials, 9 * s.n_homes, 0.0);
        for (std::int64_t i = 0; i < s.n_real; ++i)
            for (std::int64_t k = list.first[i]; k < list.first[i] + list.count[i]; ++k) {
                const std::int64_t row = list.index[k], j = s.home[row];
                double* to = out.virials + 9 * (s.order ? s.order[j] : j);
                const double *p = task.out.pairs + 3 * k, *a = s.rows + 4 * i,
                             *b = s.rows + 4 * row;
                for (int c = 0; c < 9; ++c)
                    to[c] -= (b[kNine[c][0]] - a[kNine[c][0]]) * p[kNine[c][1]];
            }
    }
    void finish(const System& s, std::int64_t b, const WeightedTask& task,
                const Outputs& out) const {
        const std::int64_t end = std::min((b + 1) * kPairBlock, s.n_real);
        double totals[7] = {0, 0, 0, 0, 0, 0, 0};
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const std::int64_t o = s.order ? s.order[i] : i;
            const double energy = task.energies[o] + intercepts_[std::int64_t(s.rows[4 * i + 3])];
            const double* v = task.out.virial + 9 * i;
            const double w[6] = {
                v[0], v[4], v[8], 0.5 * (v[5] + v[7]), 0.5 * (v[2] + v[6]), 0.5 * (v[1] + v[3])};
            totals[0] += energy;
            for (int c = 0; c < 6; ++c) totals[1 + c] += w[c];
            if (out.energies) out.energies[o] = energy;
            for (int c = 0; out.virials && !out.nine() && c < 6; ++c) out.virials[6 * o + c] = w[c];
        }
        if (out.block_totals) std::copy_n(totals, 7, out.block_totals + 7 * b);
    }

    Fields fields_;
    std::unique_ptr<const WeightedDescriptor> descriptor_;
    const double *weights_ = nullptr, *intercepts_ = nullptr;
    Traits traits_;
};

const Registration registration = register_potential<Linear>("linear");

}  // namespace

}  // namespace mdkern
