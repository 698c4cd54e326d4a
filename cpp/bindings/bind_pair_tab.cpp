#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "bindings/deepmd.hpp"
#include "core/threads.hpp"
#include "potentials/deepmd/pair_tab.hpp"

namespace mdkern {

namespace {

// Neighbors that a list of `sel` places within r_cut leaves out.
struct Nearest {
    std::vector<double> limit, numbered;  // as in PairTab; empty where none is left out

    Nearest(const System& s, const Neighbors& list, double r_cut, std::int64_t sel) {
        std::vector<double> r2;
        for (std::int64_t i = 0; i < s.n_real; ++i) {
            if (list.count[i] <= sel) continue;
            r2.clear();
            for (std::int32_t k = 0; k < list.count[i]; ++k) {
                const double *a = s.rows + 4 * i,
                             *b = s.rows + 4 * std::int64_t(list.index[list.first[i] + k]);
                const double x = b[0] - a[0], y = b[1] - a[1], z = b[2] - a[2];
                const double d2 = x * x + y * y + z * z;
                if (d2 <= r_cut * r_cut) r2.push_back(d2);
            }
            if (std::int64_t(r2.size()) <= sel) continue;
            if (limit.empty())
                limit.assign(std::size_t(s.n_total), std::numeric_limits<double>::infinity());
            // Half way to the first that is left out: rounding does not decide.
            const auto next = r2.begin() + sel;
            std::nth_element(r2.begin(), next, r2.end());
            const double last = sel > 0 ? *std::max_element(r2.begin(), next) : 0.0;
            limit[std::size_t(i)] = 0.5 * (last + *next);
        }
        if (limit.empty()) return;
        numbered.resize(std::size_t(4 * s.n_total));
        for (std::int64_t r = 0; r < s.n_total; ++r) {
            limit[std::size_t(r)] = limit[std::size_t(s.owner[r])];
            std::copy_n(s.rows + 4 * r, 3, numbered.data() + 4 * r);
            numbered[std::size_t(4 * r + 3)] = double(r);
        }
    }
    bool any() const { return !limit.empty(); }
};

struct PairTabStep final : Potential {
    PairTabStep(const DoubleArray& table_, const DoubleArray& bias_,
                const std::optional<DoubleArray>& keep_, double r_min, double step, double r_end,
                double r_cut_, std::int64_t sel_)
        : table(table_), bias(bias_), keep(keep_), r_cut(r_cut_), sel(sel_) {
        check_shape(bias, "bias", {-1});
        const std::int64_t n = bias.shape(0);
        check_shape(table, "table", {n, n, -1, 4});
        // Rows are addressed by 32-bit numbers.
        if (table.shape(2) < 1 || table.size() / 4 >= (1 << 28))
            throw std::invalid_argument("table: " + std::to_string(table.size() / 4) +
                                        " pieces; expected 1 to 2^28");
        if (keep) check_shape(*keep, "keep", {n});
        p = {int(n),      int(table.shape(2)),           r_min,   1.0 / step, r_end, table.data(),
             bias.data(), keep ? keep->data() : nullptr, nullptr, nullptr};
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = r_cut;
        t.forces_alone = true;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<Workspace>(); }
    void compute(NeighborTable& neighbors, Workspace& space, const Outputs& out,
                 int threads) const override {
        const System s = neighbors.system();
        const Neighbors list = neighbors.neighbors();
        const Nearest nearest(s, list, r_cut, sel);
        pair_tab_compute(limited(nearest, space), s, list, team_size(threads, list.n_pairs, 4.0),
                         out);
    }
    // The parameters, without the neighbors for which there is no place.
    PairTab limited(const Nearest& nearest, Workspace& space) const {
        PairTab out = p;
        if (!nearest.any()) return out;
        space.overflow = 1;
        out.limit = nearest.limit.data();
        out.numbered = nearest.numbered.data();
        return out;
    }
    DoubleArray table, bias;
    std::optional<DoubleArray> keep;
    double r_cut;
    std::int64_t sel;
    PairTab p;
};

// Results of a part of a model, of the size of another result.
struct Part {
    std::vector<double> energies, forces, virials, totals;
    Outputs view;
    Part(std::int64_t n, const Outputs& like)
        : energies(std::size_t(n)),
          forces(like.forces ? std::size_t(3 * n) : 0),
          virials(like.virials ? std::size_t(6 * n) : 0),
          totals(std::size_t(7 * n_blocks(n))) {
        view.energies = energies.data();
        view.forces = like.forces ? forces.data() : nullptr;
        view.virials = like.virials ? virials.data() : nullptr;
        view.block_totals = totals.data();
    }
};

void add(double* to, double weight, const std::vector<double>& from) {
    for (std::size_t k = 0; to && k < from.size(); ++k) to[k] += weight * from[k];
}

// sum of weight times model, plus a bias of each type.
// Workspaces of the parts of a model.
struct PartSpaces final : Workspace {
    std::vector<std::unique_ptr<Workspace>> parts;
};

struct WeightedSteps final : Potential {
    WeightedSteps(std::vector<std::shared_ptr<Potential>> steps_, std::vector<double> weights_,
                  std::vector<double> bias_)
        : steps(std::move(steps_)), weights(std::move(weights_)), bias(std::move(bias_)) {
        if (steps.empty() || steps.size() != weights.size())
            throw std::invalid_argument("weights: " + std::to_string(weights.size()) +
                                        "; expected " + std::to_string(steps.size()));
    }
    Traits traits() const override {
        Traits t;
        for (const auto& step : steps) t.cutoff = std::max(t.cutoff, step->traits().cutoff);
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        auto spaces = std::make_unique<PartSpaces>();
        for (const auto& step : steps) spaces->parts.push_back(step->workspace());
        return spaces;
    }
    void compute(NeighborTable& neighbors, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& spaces = static_cast<PartSpaces&>(workspace);
        const std::int64_t n = neighbors.n();
        Part part(n, out), sum(n, out);
        const auto& totals = sum.totals;
        for (std::size_t k = 0; k < steps.size(); ++k) {
            Workspace& own = *spaces.parts[k];
            own.overflow = 0;
            steps[k]->compute(neighbors, own, part.view, threads);
            spaces.overflow |= own.overflow;
            add(sum.energies.data(), weights[k], part.energies);
            add(sum.forces.data(), weights[k], part.forces);
            add(sum.virials.data(), weights[k], part.virials);
            add(sum.totals.data(), weights[k], part.totals);
        }
        const System s = neighbors.system();
        for (std::int64_t i = 0; i < n; ++i) {
            const double own = bias[std::size_t(s.rows[4 * i + 3])];
            sum.energies[std::size_t(s.order ? s.order[i] : i)] += own;
            sum.totals[std::size_t(7 * (i / kPairBlock))] += own;
        }
        if (out.energies) std::copy(sum.energies.begin(), sum.energies.end(), out.energies);
        if (out.forces) std::copy(sum.forces.begin(), sum.forces.end(), out.forces);
        if (out.virials) std::copy(sum.virials.begin(), sum.virials.end(), out.virials);
        if (out.block_totals) std::copy(totals.begin(), totals.end(), out.block_totals);
    }
    std::vector<std::shared_ptr<Potential>> steps;
    std::vector<double> weights, bias;
};

// A net and a table, blended (pair_tab.hpp).
struct BlendedSteps final : Potential {
    BlendedSteps(std::shared_ptr<Potential> net_, std::shared_ptr<PairTabStep> table_,
                 double length, double inner, double outer, double r_cut, std::int64_t sel_,
                 const std::optional<DoubleArray>& present_)
        : net(std::move(net_)),
          table(std::move(table_)),
          present(present_),
          sel(sel_),
          blend{length, inner, outer, r_cut, nullptr, present ? present->data() : nullptr} {
        if (present) check_shape(*present, "present", {table->p.n_types, table->p.n_types});
    }

    Traits traits() const override {
        Traits t;
        t.cutoff = std::max(net->traits().cutoff, table->r_cut);
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        auto spaces = std::make_unique<PartSpaces>();
        spaces->parts.push_back(net->workspace());
        return spaces;
    }
    void compute(NeighborTable& neighbors, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& spaces = static_cast<PartSpaces&>(workspace);
        const std::int64_t n = neighbors.n();
        const System s = neighbors.system();
        const Neighbors list = neighbors.neighbors();
        const int team = team_size(threads, list.n_pairs, 8.0);
        const Nearest in_table(s, list, table->r_cut, table->sel),
            in_sums(s, list, blend.r_cut, sel);
        const PairTab tab = table->limited(in_table, workspace);
        PairBlend limited = blend;
        if (in_sums.any()) limited.limit = in_sums.limit.data();
        Part part(n, out);
        std::vector<double> of_table(std::size_t(n), 0.0), share(std::size_t(n), 0.0),
            blended(std::size_t(n), 0.0);
        Buffer<double> atoms, rows;
        double* a = atoms.reserve(std::size_t(4 * s.n_total));
        pair_blend_weights_compute(tab, limited, s, list, team, a, of_table.data());
        for (std::int64_t i = 0; i < n; ++i) share[std::size_t(i)] = 1.0 - a[4 * i];
        part.view.centre_weights = share.data();
        Workspace& own = *spaces.parts[0];
        own.overflow = 0;
        net->compute(neighbors, own, part.view, threads);
        spaces.overflow |= own.overflow;
        Outputs pairs = out;
        std::vector<double> unused;
        if (!pairs.block_totals) {
            unused.resize(part.totals.size());
            pairs.block_totals = unused.data();
        }
        pair_blend_compute(tab, limited, s, list, team, of_table.data(), part.energies.data(), a,
                           rows.reserve(std::size_t(4 * s.n_total)), blended.data(), pairs);
        add(out.forces, 1.0, part.forces);
        add(out.virials, 1.0, part.virials);
        for (std::size_t k = 0; k < part.totals.size(); k += 7) part.totals[k] = 0.0;
        add(out.block_totals, 1.0, part.totals);  // energies are those of the pairs, blended
    }
    std::shared_ptr<Potential> net;
    std::shared_ptr<PairTabStep> table;
    std::optional<DoubleArray> present;
    std::int64_t sel;  // of the sums of the softened distance
    PairBlend blend;
};

}  // namespace

void bind_pair_tab(py::module_& m) {
    py::class_<PairTabStep, Potential, std::shared_ptr<PairTabStep>> tab(m, "PairTab");
    tab.def(py::init<const DoubleArray&, const DoubleArray&, const std::optional<DoubleArray>&,
                     double, double, double, double, std::int64_t>(),
            py::kw_only(), py::arg("table").noconvert(), py::arg("bias").noconvert(),
            py::arg("keep").noconvert(), py::arg("r_min"), py::arg("step"), py::arg("r_end"),
            py::arg("r_cut"), py::arg("sel"));
    py::class_<WeightedSteps, Potential, std::shared_ptr<WeightedSteps>> sum(m, "WeightedSteps");
    sum.def(py::init<std::vector<std::shared_ptr<Potential>>, std::vector<double>,
                     std::vector<double>>(),
            py::kw_only(), py::arg("steps"), py::arg("weights"), py::arg("bias"));
    sum.def_readonly("parts", &WeightedSteps::steps);
    py::class_<BlendedSteps, Potential, std::shared_ptr<BlendedSteps>> blended(m, "BlendedSteps");
    blended.def(py::init<std::shared_ptr<Potential>, std::shared_ptr<PairTabStep>, double, double,
                         double, double, std::int64_t, const std::optional<DoubleArray>&>(),
                py::kw_only(), py::arg("net"), py::arg("table"), py::arg("length"),
                py::arg("inner"), py::arg("outer"), py::arg("r_cut"), py::arg("sel"),
                py::arg("present").noconvert());
    blended.def_readonly("net", &BlendedSteps::net);
    blended.def_readonly("table", &BlendedSteps::table);
}

}  // namespace mdkern
