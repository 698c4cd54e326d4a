// MACE as a potential: layers forward, layers backward, and what goes between them.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/threads.hpp"
#include "forces/force_blocks.hpp"
#include "model/potential.hpp"
#include "model/unfolded.hpp"
#include "potentials/mace/mace_model.hpp"
#include "potentials/mace/mace_plan.hpp"
#include "potentials/mace/mace_scratch.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 500.0;  // of a listed pair, for team_size()

// Arrays of one precision.
template <class T> struct MaceArrays {
    std::shared_ptr<const MaceSet<T>> set;
    Buffer<T> u[kMaceMaxLayers], x[kMaceMaxLayers], y[kMaceMaxLayers], h[kMaceMaxLayers],
        dh[kMaceMaxLayers];
    Buffer<T> du[2], messages[2];  // of a layer and the one before
};

struct MaceSpace final : Workspace {
    MacePlanMaker plan;
    std::int64_t of_build = -1;
    MaceArrays<double> wide;
    MaceArrays<float> narrow;
    Buffer<double> rho[kMaceMaxLayers], entries, virial_entries, virials, energies, exchanged;
    Buffer<char> scratch;
    UnfoldedSpace unfolded;  // for virials of nine components
};

void run_layer(bool forward, const MaceJob<double>& job, int t, int team) {
    (forward ? mace_forward_double_compute : mace_backward_double_compute)(job, t, team);
}
void run_layer(bool forward, const MaceJob<float>& job, int t, int team) {
    (forward ? mace_forward_single_compute : mace_backward_single_compute)(job, t, team);
}
void collect(const MaceJob<double>& job, int t, int team) {
    mace_collect_double_compute(job, t, team);
}
void collect(const MaceJob<float>& job, int t, int team) {
    mace_collect_single_compute(job, t, team);
}

class Mace final : public Potential {
public:
    explicit Mace(const Fields& f) {
        const bool exact = f.flag("exact");
        const double bound = f.positive("bound");
        if (f.flag("single"))
            narrow_ = std::make_unique<const MaceWeights<float>>(f, bound, exact);
        else
            wide_ = std::make_unique<const MaceWeights<double>>(f, bound, exact);
        const auto tell = [&](const auto& model) {
            traits_.cutoff = model.cutoff;
            traits_.nine_virials = true;
            traits_.n_species = model.n_species;
            traits_.exchanges = 2 * (model.n_layers - 1);
            traits_.reverses = model.n_layers - 1;
            for (int t = 0; t < model.n_layers; ++t) {
                const auto& l = model.layers[t];
                traits_.n_features += l.channels;
                traits_.exchange_width =
                    std::max(traits_.exchange_width, l.first ? 0 : l.up.n_components * l.k_up);
            }
        };
        if (wide_)
            tell(wide_->model());
        else
            tell(narrow_->model());
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<MaceSpace>(); }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        if (out.jacobian.values)
            throw std::invalid_argument(
                "derivatives: not offered for features that depend on neighbors of neighbors; "
                "expected vjp");
        if (out.born) throw std::invalid_argument("born: a model without charges");
        auto& space = static_cast<MaceSpace&>(workspace);
        // Messages carry what an energy depends on beyond the neighbors of its atom.
        const bool unfolded = out.nine() && traits_.reverses > 0;
        Outputs own = out;
        if (unfolded) own.virials = nullptr;
        if (wide_)
            run(*wide_, space.wide, table, space, own, threads);
        else
            run(*narrow_, space.narrow, table, space, own, threads);
        if (unfolded) unfolded_virials(*this, table, space.unfolded, out, threads);
    }

private:
    // What is made when the list is: the plan, and tables of the species that are there.
    template <class T> void update(const MaceWeights<T>& weights, MaceArrays<T>& arrays,
                                   const Table& table, MaceSpace& space, int threads) const {
        if (space.of_build == table.build_number()) return;
        space.of_build = -1;
        const System s = table.system();
        std::vector<bool> present(std::size_t(traits_.n_species), false);
        for (std::int64_t i = 0; i < s.n_total; ++i) present[std::size_t(s.rows[4 * i + 3])] = true;
        if (!arrays.set || !covers(arrays.set->species, present))
            arrays.set = weights.tables(present);
        space.plan.build(s, table.neighbors(), traits_.n_species, threads);
        space.of_build = table.build_number();
    }
    static bool covers(const std::vector<bool>& all, const std::vector<bool>& some) {
        for (std::size_t s = 0; s < some.size(); ++s)
            if (some[s] && !all[s]) return false;
        return true;
    }

    template <class T> void run(const MaceWeights<T>& weights, MaceArrays<T>& arrays, Table& table,
                                MaceSpace& space, const Outputs& out, int threads) const {
        const System s = table.system();
        update(weights, arrays, table, space, threads);
        const MaceModel<T>& model = weights.model();
        MaceJob<T> job;
        job.task = out.features          ? MaceTask::features
                   : out.feature_weights ? MaceTask::weighted
                                         : MaceTask::energy;
        job.model = &model;
        job.tables = {arrays.set->radial.data(), arrays.set->product.data()};
        job.s = s;
        job.plan = space.plan.plan();
        job.out = out;
        const MacePlan& plan = job.plan;
        const int team = int(std::clamp<std::int64_t>(
            plan.n_blocks, 1, team_size(threads, table.neighbors().n_pairs, kPairNs)));
        const bool gradients = job.task != MaceTask::features;
        take_memory(model, arrays, table, space, job, gradients, out, team);

        const int last = model.n_layers - 1;
        for (int t = 0; t <= last; ++t) {
            run_layer(true, job, t, team);
            if (t < last && !table.whole())
                forward_exchange(model.layers[t + 1], job.state.u[t + 1], table, space, s, threads);
        }
        if (!gradients) return;
        for (int t = last; t >= 0; --t) {
            run_layer(false, job, t, team);
            if (t > 0 && !table.whole()) reverse_exchange(job, t, table, space, team);
        }
        finish(job, space, out, team);
    }

    template <class T> void take_memory(const MaceModel<T>& model, MaceArrays<T>& arrays,
                                        const Table& table, MaceSpace& space, MaceJob<T>& job,
                                        bool gradients, const Outputs& out, int team) const {
        const auto n = std::size_t(job.s.n_real), homes = std::size_t(job.s.n_homes),
                   n_entries = std::size_t(job.plan.n_entries);
        MaceState<T>& state = job.state;
        // Every second layer shares memory, so that it must not move while the others read it.
        std::size_t widest = 0;
        for (int t = 1; t < model.n_layers; ++t)
            widest = std::max(widest, std::size_t(model.layers[t].up.n_components) *
                                          std::size_t(model.layers[t].k_up));
        for (int t = 0; t < model.n_layers; ++t) {
            const MaceLayer<T>& l = model.layers[t];
            const auto up = std::size_t(l.up.n_components) * std::size_t(l.k_up),
                       k = std::size_t(l.k);
            state.x[t] = arrays.x[t].reserve(n * std::size_t(l.n_x) * k + 64);
            state.h[t] = arrays.h[t].reserve(n * std::size_t(l.out.n_components) * k + 64);
            if (l.nonlinear)
                state.y[t] = arrays.y[t].reserve(n * std::size_t(l.n_x + l.n_gates) * k + 64);
            if (l.density) state.rho[t] = space.rho[t].reserve(n + 1);
            if (t > 0) state.u[t] = arrays.u[t].reserve(homes * up + 64);
            if (!gradients) continue;
            state.dh[t] = arrays.dh[t].reserve(n * std::size_t(l.out.n_components) * k + 64);
            if (t == 0) continue;
            state.messages[t] = arrays.messages[t % 2].reserve(n_entries * widest + 64);
            if (l.nonlinear || !table.whole()) {
                state.du[t] = arrays.du[t % 2].reserve(homes * widest + 64);
            }
        }
        if (gradients) {
            state.entries = space.entries.reserve(4 * n_entries + 4);
            state.virial_width = out.width_of_virials();
            if (out.virials)
                state.virial_entries = space.virial_entries.reserve(
                    std::size_t(virial_stride_of(state.virial_width)) * n_entries + 9);
        }
        state.virials = space.virials.reserve(std::size_t(6 * job.plan.n_blocks) + 6);
        state.energies = space.energies.reserve(n + 1);
        MaceScratch<T> scratch;
        state.scratch_bytes = scratch.take(model, job.plan.largest, nullptr);
        state.scratch = space.scratch.reserve(std::size_t(team) * state.scratch_bytes);
    }

    // u of the rows of other processes.
    template <class T> void forward_exchange(const MaceLayer<T>& l, T* u, const Table& table,
                                             MaceSpace& space, const System& s, int threads) const {
        const int width = l.up.n_components * l.k_up;
        double* rows = space.exchanged.reserve(std::size_t(s.n_total) * std::size_t(width) + 1);
        const std::int32_t* row = space.plan.plan().row;
        for (std::int64_t p = 0; p < s.n_real; ++p)
            std::copy_n(u + p * width, width, rows + std::int64_t(row[p]) * width);
        table.forward(rows, width, width, threads);
        for (std::int64_t r = s.n_real; r < s.n_homes; ++r)
            std::transform(rows + r * width, rows + (r + 1) * width, u + r * width,
                           [](double x) { return T(x); });
    }
    // dE/du that rows of other processes have of ours, and ours of theirs.
    template <class T> void reverse_exchange(const MaceJob<T>& job, int t, const Table& table,
                                             MaceSpace& space, int team) const {
        const MaceLayer<T>& l = job.model->layers[t];
        const System& s = job.s;
        const int width = l.up.n_components * l.k_up;
        collect(job, t, team);
        double* rows = space.exchanged.reserve(std::size_t(s.n_total) * std::size_t(width) + 1);
        std::fill_n(rows, s.n_real * width, 0.0);
        T* du = job.state.du[t];
        std::copy(du + s.n_real * width, du + s.n_homes * width, rows + s.n_real * width);
        table.reverse(rows, width, width, team);
        for (std::int64_t p = 0; p < s.n_real; ++p) {
            const double* from = rows + std::int64_t(job.plan.row[p]) * width;
            T* to = du + p * width;
            for (int c = 0; c < width; ++c)
                to[c] = l.nonlinear ? T(double(to[c]) + from[c]) : T(from[c]);
        }
    }

    template <class T> void finish(const MaceJob<T>& job, MaceSpace& space, const Outputs& out,
                                   int team) const {
        const System& s = job.s;
        const MacePlan& plan = job.plan;
        ForceBlocks blocks;
        blocks.n_blocks = plan.n_blocks;
        blocks.n_entries = plan.n_entries;
        blocks.start = plan.start;
        blocks.entry = plan.entry;
        if (out.forces)
            force_blocks_gather_compute(s, blocks, job.state.entries, 4, 3, team, out.forces, 3);
        if (out.virials)
            force_blocks_gather_compute(s, blocks, job.state.virial_entries,
                                        virial_stride_of(out.virial_width), out.virial_width, team,
                                        out.virials, out.virial_width);
        const std::int32_t* place = space.plan.place();
        const bool energies = job.task == MaceTask::energy;
        std::fill_n(out.block_totals, 7 * n_blocks(s.n_real), 0.0);
        for (std::int64_t i = 0; i < s.n_real; ++i) {
            const double e = energies ? job.state.energies[place[i]] : 0.0;
            out.block_totals[7 * (i / kPairBlock)] += e;
            if (out.energies) out.energies[s.order ? s.order[i] : i] = e;
        }
        const std::int64_t rows = mace_block_rows(s.n_real);
        for (std::int64_t b = 0; b < plan.n_blocks; ++b)
            for (int c = 0; c < 6; ++c)
                out.block_totals[7 * (b * rows / kPairBlock) + 1 + c] +=
                    job.state.virials[6 * b + c];
    }

    std::unique_ptr<const MaceWeights<double>> wide_;
    std::unique_ptr<const MaceWeights<float>> narrow_;
    Traits traits_;
};

const Registration registration = register_potential<Mace>("mace");

}  // namespace

}  // namespace mdkern
