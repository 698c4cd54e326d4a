// A net and a pair table, blended (pair_tab.hpp).
#include <algorithm>
#include <stdexcept>

#include "core/threads.hpp"
#include "model/part.hpp"
#include "potentials/deepmd/pair_table.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 8.0;  // of a listed pair, for team_size()

struct BlendedSpace final : Workspace {
    std::unique_ptr<Workspace> net;
    Part part;
    Nearest in_table, in_sums;
    Buffer<double> of_table, share, energies, atoms, rows, totals;
};

class Blended final : public Potential {
public:
    explicit Blended(const Fields& f)
        : fields_(f),
          net_(make_potential(f.group("net"))),
          table_(f.group("table")),
          sel_(f.integer("sel", 0, 1 << 30)),
          blend_{f.positive("length"), f.number("inner"), f.number("outer"),
                 f.number("r_cut"),    nullptr,           nullptr} {
        const std::int64_t n = table_.n_types();
        if (net_->traits().n_species != n)
            throw std::invalid_argument(
                f.prefix() + "net: of " + std::to_string(net_->traits().n_species) +
                " species; expected " + std::to_string(n) + " as in the table");
        if (f.has("present")) blend_.present = f.array<double>("present", {n, n});
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = std::max(net_->traits().cutoff, table_.r_cut());
        t.tabulated = net_->traits().tabulated;
        t.nine_virials = net_->traits().nine_virials;
        t.exchanges = net_->traits().exchanges + 3;
        t.reverses = net_->traits().reverses;
        t.exchange_width = std::max(net_->traits().exchange_width, 3);
        t.n_species = table_.n_types();
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        auto space = std::make_unique<BlendedSpace>();
        space->net = net_->workspace();
        return space;
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<BlendedSpace&>(workspace);
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const std::size_t n = std::size_t(s.n_real);
        const int team = team_size(threads, list.n_pairs, kPairNs);
        space.in_table.find(table, table_.r_cut(), table_.sel(), team);
        space.in_sums.find(table, blend_.r_cut, sel_, team);
        const PairTab tab = table_.limited(space.in_table, space.overflow);
        PairBlend blend = blend_;
        blend.limit = space.in_sums.limit();
        double *of_table = space.of_table.reserve(n), *share = space.share.reserve(n),
               *atoms = space.atoms.reserve(std::size_t(4 * s.n_total));
        pair_blend_weights_compute(tab, blend, s, list, team, atoms, of_table);
        for (std::int64_t i = 0; i < s.n_real; ++i) share[i] = 1.0 - atoms[4 * i];

        Outputs of_net = space.part.view(s, out, true);
        of_net.centre_weights = share;
        space.net->overflow = 0;
        net_->compute(table, *space.net, of_net, threads);
        space.overflow |= space.net->overflow;

        Outputs pairs = out;
        if (!pairs.block_totals)
            pairs.block_totals = space.totals.reserve(std::size_t(7 * n_blocks(s.n_real)));
        double* energies = space.energies.reserve(n);
        pair_blend_terms_compute(s, team, of_table, of_net.energies, atoms, energies);
        // Not the species, by which tables are addressed: rows have it, whatever a callback gives.
        table.forward(atoms, 3, 4, team);
        for (std::int64_t r = s.n_real; r < s.n_total; ++r) atoms[4 * r + 3] = s.rows[4 * r + 3];
        pair_blend_compute(tab, blend, s, list, team, atoms,
                           space.rows.reserve(std::size_t(4 * s.n_total)), energies, pairs);
        // Energies are those of the pairs, blended: of the net only its derivatives are left.
        for (std::int64_t b = 0; b < n_blocks(s.n_real); ++b) of_net.block_totals[7 * b] = 0.0;
        Outputs derivatives = out;
        derivatives.energies = nullptr;
        Part::add(s, derivatives, 1.0, of_net);
    }

private:
    Fields fields_;
    std::shared_ptr<const Potential> net_;
    PairTableModel table_;
    std::int64_t sel_;  // of the sums of the softened distance
    PairBlend blend_;
};

const Registration registration = register_potential<Blended>("blended");

}  // namespace

}  // namespace mdkern
