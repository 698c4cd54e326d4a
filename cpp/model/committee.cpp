#include "model/committee.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "model/part.hpp"

namespace mdkern {

namespace {

struct CommitteeSpace final : Workspace {
    std::vector<std::unique_ptr<Workspace>> spaces;
    std::vector<Part> parts;  // of the members behind the first
    std::vector<const double*> forces;
};

// Energy, virial and overflow of a member.
void sum_up(const System& s, const Outputs& of_member, std::int32_t overflow, double* to) {
    std::fill_n(to, kMemberNumbers, 0.0);
    for (std::int64_t b = 0; b < n_blocks(s.n_real); ++b)
        for (int c = 0; c < 7; ++c) to[c] += of_member.block_totals[7 * b + c];
    to[7] = double(overflow);
}

// The root of the mean square of |F - <F>| over the members. The order of operations is that of
// numpy.std(axis=0), squared and summed over x, y, z.
void deviations(const System& s, const std::vector<const double*>& forces, double* out) {
    const double m = double(forces.size());
    for (std::int64_t i = 0; i < s.n_real; ++i) {
        double total = 0.0;
        for (int c = 0; c < 3; ++c) {
            double mean = 0.0, square = 0.0;
            for (const double* f : forces) mean += f[3 * i + c];
            mean /= m;
            for (const double* f : forces) square += (f[3 * i + c] - mean) * (f[3 * i + c] - mean);
            const double spread = std::sqrt(square / m);
            total += spread * spread;
        }
        out[i] = std::sqrt(total);
    }
}

class Committee final : public Potential {
public:
    explicit Committee(std::vector<std::shared_ptr<const Potential>> parts)
        : parts_(std::move(parts)) {
        if (parts_.size() < 2)
            throw std::invalid_argument("parts: " + std::to_string(parts_.size()) +
                                        "; expected at least two");
        const Traits first = parts_[0]->traits();
        for (const auto& part : parts_) {
            const Traits t = part->traits();
            if (t.n_species != first.n_species)
                throw std::invalid_argument("parts: of " + std::to_string(first.n_species) +
                                            " and " + std::to_string(t.n_species) +
                                            " species; expected the same of all");
            traits_.cutoff = std::max(traits_.cutoff, t.cutoff);
            traits_.tabulated = traits_.tabulated || t.tabulated;
        }
        traits_.n_species = first.n_species;
        traits_.charges = first.charges;
        traits_.nine_virials = first.nine_virials;
        traits_.half_list = first.half_list;
        traits_.long_range = first.long_range;
        traits_.forces_alone = first.forces_alone;
        traits_.exchanges = first.exchanges;
        traits_.reverses = first.reverses;
        traits_.exchange_width = first.exchange_width;
        traits_.n_members = int(parts_.size());
    }
    explicit Committee(const Fields& f) : Committee(parts_of(f)) {}

    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        auto space = std::make_unique<CommitteeSpace>();
        for (const auto& part : parts_) space->spaces.push_back(part->workspace());
        space->parts.resize(parts_.size() - 1);
        return space;
    }
    // The members behind the first are evaluated only where their deviation is wanted.
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<CommitteeSpace&>(workspace);
        const System s = table.system();
        space.spaces[0]->overflow = 0;
        parts_[0]->compute(table, *space.spaces[0], out, threads);
        space.overflow |= space.spaces[0]->overflow;
        if (!out.deviation) return;
        if (!table.whole())
            throw std::invalid_argument(
                "deviation: of forces, which are complete only where all atoms are in one process");
        sum_up(s, out, space.spaces[0]->overflow, out.members);
        space.forces.assign(1, out.forces);
        for (std::size_t k = 1; k < parts_.size(); ++k) {
            Outputs like;
            like.forces = out.forces;
            const Outputs of_member = space.parts[k - 1].view(s, like, false);
            space.spaces[k]->overflow = 0;
            parts_[k]->compute(table, *space.spaces[k], of_member, threads);
            sum_up(s, of_member, space.spaces[k]->overflow,
                   out.members + std::int64_t(k) * kMemberNumbers);
            space.forces.push_back(of_member.forces);
        }
        deviations(s, space.forces, out.deviation);
    }

private:
    static std::vector<std::shared_ptr<const Potential>> parts_of(const Fields& f) {
        std::vector<std::shared_ptr<const Potential>> parts;
        for (const Fields& part : f.groups("parts")) parts.push_back(make_potential(part));
        return parts;
    }

    std::vector<std::shared_ptr<const Potential>> parts_;
    Traits traits_;
};

const Registration registration = register_potential<Committee>("committee");

}  // namespace

std::shared_ptr<const Potential> make_committee(
    std::vector<std::shared_ptr<const Potential>> parts) {
    return std::make_shared<const Committee>(std::move(parts));
}

}  // namespace mdkern
