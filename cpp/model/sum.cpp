// Weighted sums of potentials on one table: E = sum_k w_k E_k + sum_i b_t(i).
#include <algorithm>
#include <stdexcept>

#include "model/part.hpp"

namespace mdkern {

namespace {

struct SumSpace final : Workspace {
    std::vector<std::unique_ptr<Workspace>> parts;
    Part part;
};

// Groups parts.0, parts.1, ...; weights, one for each; bias, where there is one, by species.
class Sum final : public Potential {
public:
    explicit Sum(const Fields& f) : fields_(f) {
        for (const Fields& part : f.groups("parts")) parts_.push_back(make_potential(part));
        traits_.half_list = traits_.rows_alone = true;
        if (parts_.empty())
            throw std::invalid_argument(f.prefix() + "parts: none; expected at least one");
        weights_ = f.values("weights", {std::int64_t(parts_.size())});
        for (const auto& part : parts_) {
            const Traits t = part->traits();
            traits_.cutoff = std::max(traits_.cutoff, t.cutoff);
            traits_.exchanges += t.exchanges;
            traits_.reverses += t.reverses;
            traits_.exchange_width = std::max(traits_.exchange_width, t.exchange_width);
            traits_.half_list = traits_.half_list && t.half_list;
            traits_.rows_alone = traits_.rows_alone && t.rows_alone;
            traits_.long_range = traits_.long_range || t.long_range;
            traits_.tabulated = traits_.tabulated || t.tabulated;
            if (traits_.n_species && t.n_species && traits_.n_species != t.n_species)
                throw std::invalid_argument(
                    f.prefix() + "parts: of " + std::to_string(traits_.n_species) + " and " +
                    std::to_string(t.n_species) + " species; expected the same of all");
            traits_.n_species = std::max(traits_.n_species, t.n_species);
        }
        if (!f.has("bias")) return;
        if (traits_.n_species == 0) traits_.n_species = int(f.length("bias", 0));
        bias_ = f.array<double>("bias", {traits_.n_species});
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        auto space = std::make_unique<SumSpace>();
        for (const auto& part : parts_) space->parts.push_back(part->workspace());
        return space;
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<SumSpace&>(workspace);
        const System s = table.system();
        Part::clear(s, out);
        for (std::size_t k = 0; k < parts_.size(); ++k) {
            const Outputs of_part = space.part.view(s, out, false);
            Workspace& own = *space.parts[k];
            own.overflow = 0;
            parts_[k]->compute(table, own, of_part, threads);
            space.overflow |= own.overflow;
            Part::add(s, out, weights_[k], of_part);
        }
        for (std::int64_t i = 0; bias_ && i < s.n_real; ++i) {
            const double own = bias_[std::int64_t(s.rows[4 * i + 3])];
            if (out.energies) out.energies[s.order ? s.order[i] : i] += own;
            if (out.block_totals) out.block_totals[7 * (i / kPairBlock)] += own;
        }
    }

private:
    Fields fields_;
    std::vector<std::shared_ptr<const Potential>> parts_;
    std::vector<double> weights_;
    const double* bias_ = nullptr;
    Traits traits_;
};

const Registration registration = register_potential<Sum>("sum");

}  // namespace

}  // namespace mdkern
