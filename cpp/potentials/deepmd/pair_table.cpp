#include "potentials/deepmd/pair_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

void Nearest::find(const Table& table, double r_cut, std::int64_t sel, int threads) {
    const System s = table.system();
    const Neighbors list = table.neighbors();
    const bool alone = table.whole();
    double* limit = nullptr;
    // In a parallel code all processes take part in the exchange, whether they leave out some or not.
    const auto begin = [&] {
        limit = limit_.reserve(std::size_t(s.n_total));
        std::fill_n(limit, s.n_total, std::numeric_limits<double>::infinity());
    };
    leaves_out_ = false;
    if (!alone) begin();
    for (std::int64_t i = 0; i < s.n_real; ++i) {
        if (list.count[i] <= sel) continue;
        r2_.clear();
        for (std::int32_t k = 0; k < list.count[i]; ++k) {
            const double *a = s.rows + 4 * i,
                         *b = s.rows + 4 * std::int64_t(list.index[list.first[i] + k]);
            const double x = b[0] - a[0], y = b[1] - a[1], z = b[2] - a[2];
            const double d2 = x * x + y * y + z * z;
            if (d2 <= r_cut * r_cut) r2_.push_back(d2);
        }
        if (std::int64_t(r2_.size()) <= sel) continue;
        if (!limit) begin();
        // Half way to the first that is left out: rounding does not decide.
        const auto next = r2_.begin() + sel;
        std::nth_element(r2_.begin(), next, r2_.end());
        const double last = sel > 0 ? *std::max_element(r2_.begin(), next) : 0.0;
        limit[i] = 0.5 * (last + *next);
        leaves_out_ = true;
    }
    any_ = limit != nullptr;
    if (!any_) return;
    table.forward(limit, 1, 1, threads);
    double* numbered = numbered_.reserve(std::size_t(4 * s.n_total));
    for (std::int64_t r = 0; r < s.n_total; ++r) {
        std::copy_n(s.rows + 4 * r, 3, numbered + 4 * r);
        numbered[4 * r + 3] = double(r);
    }
}

PairTableModel::PairTableModel(const Fields& f)
    : fields_(f), r_cut_(f.number("r_cut")), sel_(f.integer("sel", 0, 1 << 30)) {
    const std::int64_t n = f.length("bias", 0, 1, kMaxSpecies);
    const double* table = f.array<double>("table", {n, n, -1, 4});
    // Rows are addressed by 32-bit numbers.
    const int n_steps = f.length("table", 2, 1, (1 << 28) / (n * n));
    tab_ = {int(n),
            n_steps,
            f.number("r_min"),
            1.0 / f.positive("step"),
            f.number("r_end"),
            table,
            f.array<double>("bias", {n}),
            f.has("keep") ? f.array<double>("keep", {n}) : nullptr,
            nullptr,
            nullptr};
}

PairTab PairTableModel::limited(const Nearest& nearest, std::int32_t& overflow) const {
    PairTab out = tab_;
    out.limit = nearest.limit();
    out.numbered = nearest.numbered();
    if (nearest.leaves_out()) overflow = 1;
    return out;
}

namespace {

constexpr double kPairNs = 4.0;  // of a listed pair, for team_size()

struct PairTableSpace final : Workspace {
    Nearest nearest;
};

class PairTable final : public Potential {
public:
    explicit PairTable(const Fields& f) : model_(f) {}
    Traits traits() const override {
        Traits t;
        t.cutoff = model_.r_cut();
        t.nine_virials = true;
        t.forces_alone = true;
        t.exchanges = t.exchange_width = 1;
        t.n_species = model_.n_types();
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<PairTableSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<PairTableSpace&>(workspace);
        const Neighbors list = table.neighbors();
        const int team = team_size(threads, list.n_pairs, kPairNs);
        space.nearest.find(table, model_.r_cut(), model_.sel(), team);
        pair_tab_compute(model_.limited(space.nearest, space.overflow), table.system(), list, team,
                         out);
    }

private:
    PairTableModel model_;
};

const Registration registration = register_potential<PairTable>("pair_table");

}  // namespace

}  // namespace mdkern
