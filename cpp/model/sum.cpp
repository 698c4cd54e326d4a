// Weighted sums of potentials on one table: E = sum_k w_k E_k + sum_i b_t(i).
#include <algorithm>
#include <stdexcept>

#include "model/part.hpp"
#include "model/part_table.hpp"

namespace mdkern {

namespace {

struct SumSpace final : Workspace {
    std::vector<std::unique_ptr<Workspace>> parts;
    std::vector<PartTable> tables;
    Part part;
};

// Groups parts.0, parts.1, ...; weights, one for each; bias, where there is one, by species. Where the parts
// do not have the same species in the same order, `species`: for each part, its own number of each
// species of the sum.
class Sum final : public Potential {
public:
    explicit Sum(const Fields& f) : fields_(f) {
        for (const Fields& part : f.groups("parts")) parts_.push_back(make_potential(part));
        traits_.half_list = true;
        traits_.nine_virials = true;
        traits_.list_cutoff = 0.0;
        if (parts_.empty())
            throw std::invalid_argument(f.prefix() + "parts: none; expected at least one");
        weights_ = f.values("weights", {std::int64_t(parts_.size())});
        if (f.has("species")) take_species();
        for (const auto& part : parts_) {
            const Traits t = part->traits();
            traits_.cutoff = std::max(traits_.cutoff, t.cutoff);
            traits_.list_cutoff = std::max(traits_.list_cutoff, list_cutoff(t));
            traits_.exchanges += t.exchanges;
            traits_.reverses += t.reverses;
            traits_.exchange_width = std::max(traits_.exchange_width, t.exchange_width);
            traits_.half_list = traits_.half_list && (t.half_list || list_cutoff(t) == 0.0);
            traits_.long_range = traits_.long_range || t.long_range;
            traits_.tabulated = traits_.tabulated || t.tabulated;
            traits_.nine_virials = traits_.nine_virials && t.nine_virials;
            if (!map_ && traits_.n_species && t.n_species && traits_.n_species != t.n_species)
                throw std::invalid_argument(
                    f.prefix() + "parts: of " + std::to_string(traits_.n_species) + " and " +
                    std::to_string(t.n_species) + " species; expected the same of all");
            if (!map_) traits_.n_species = std::max(traits_.n_species, t.n_species);
        }
        if (!f.has("bias")) return;
        if (traits_.n_species == 0) traits_.n_species = int(f.length("bias", 0));
        bias_ = f.array<double>("bias", {traits_.n_species});
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        auto space = std::make_unique<SumSpace>();
        for (const auto& part : parts_) space->parts.push_back(part->workspace());
        space->tables.resize(parts_.size());
        return space;
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<SumSpace&>(workspace);
        const System s = table.system();
        // A first part of weight 1 writes where the results go.
        const bool direct = weights_[0] == 1.0;
        if (!direct) Part::clear(s, out);
        for (std::size_t k = 0; k < parts_.size(); ++k) {
            const bool there = direct && k == 0;
            const Outputs of_part = there ? Part::same(out) : space.part.view(s, out, false);
            Workspace& own = *space.parts[k];
            own.overflow = 0;
            const Traits traits = parts_[k]->traits();
            PartTable& seen = space.tables[k];
            seen.look(table, list_cutoff(traits), traits_.list_cutoff, traits.half_list,
                      species_of(k), threads);
            parts_[k]->compute(seen, own, of_part, threads);
            space.overflow |= own.overflow;
            if (!there) Part::add(s, out, weights_[k], of_part);
        }
        for (std::int64_t i = 0; bias_ && i < s.n_real; ++i) {
            const double own = bias_[std::int64_t(s.rows[4 * i + 3])];
            if (out.energies) out.energies[s.order ? s.order[i] : i] += own;
            if (out.block_totals) out.block_totals[7 * (i / kPairBlock)] += own;
        }
    }

private:
    void take_species() {
        const auto n_parts = std::int64_t(parts_.size());
        traits_.n_species = fields_.length("species", 1, 1, kMaxSpecies);
        map_ = fields_.array<std::int32_t>("species", {n_parts, traits_.n_species});
        for (std::int64_t k = 0; k < n_parts; ++k) {
            const int n = parts_[std::size_t(k)]->traits().n_species;
            for (int t = 0; t < traits_.n_species; ++t) {
                const std::int32_t own = map_[k * traits_.n_species + t];
                if (own < 0 || own >= std::max(n, 1))
                    throw std::invalid_argument(fields_.prefix() +
                                                "species: " + std::to_string(own) + " for part " +
                                                std::to_string(k) + "; expected 0 to " +
                                                std::to_string(std::max(n, 1) - 1));
            }
        }
    }
    // Null: the numbers of the whole.
    const std::int32_t* species_of(std::size_t part) const {
        if (!map_ || parts_[part]->traits().n_species == 0) return nullptr;
        const std::int32_t* own = map_ + std::int64_t(part) * traits_.n_species;
        for (int t = 0; t < traits_.n_species; ++t)
            if (own[t] != t) return own;
        return nullptr;
    }

    Fields fields_;
    std::vector<std::shared_ptr<const Potential>> parts_;
    const std::int32_t* map_ = nullptr;  // (parts, n_species)
    std::vector<double> weights_;
    const double* bias_ = nullptr;
    Traits traits_;
};

const Registration registration = register_potential<Sum>("sum");

}  // namespace

}  // namespace mdkern
