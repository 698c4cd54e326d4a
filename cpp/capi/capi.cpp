// The C interface (mdkern.h): handles, checks, and exceptions turned into codes.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "capi/ghost_table.hpp"
#include "capi/mdkern.h"
#include "core/errors.hpp"
#include "core/start.hpp"
#include "core/threads.hpp"
#include "model/model_file.hpp"
#include "model/potential.hpp"
#include "neighbors/table.hpp"

struct mdkern_model {
    std::shared_ptr<const mdkern::Potential> potential;
    mdkern::Traits traits;
    std::vector<std::string> species;
};

struct mdkern_workspace {
    // Weak: whether a workspace is the model's is seen by who owns the same potential.
    std::weak_ptr<const mdkern::Potential> potential;
    std::unique_ptr<mdkern::Workspace> space;
    mdkern::GhostTable ghosts;
    mdkern::NeighborTable table;
    mdkern::TableOptions options;
    bool built = false;
    std::atomic<bool> in_use{false};
    // The kind of the last call: plans in the workspace belong to one table.
    bool of_system = false;
    mdkern::Buffer<double> totals;
};

namespace {

using namespace mdkern;

thread_local std::string message;

// An energy or a force that is not finite.
struct NotFinite : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Body> int guarded(const Body& body) noexcept {
    const auto say = [](mdkern_status status, const char* what) {
        try {
            message = what;
        } catch (...) {
            message.clear();
        }
        return int(status);
    };
    try {
        body();
        return MDKERN_OK;
    } catch (const FileReadError& e) {
        return say(MDKERN_READ, e.what());
    } catch (const FileFormatError& e) {
        return say(MDKERN_FORMAT, e.what());
    } catch (const NotFinite& e) {
        return say(MDKERN_NOT_FINITE, e.what());
    } catch (const ExchangeError& e) {
        return say(MDKERN_EXCHANGE, e.what());
    } catch (const std::invalid_argument& e) {
        return say(MDKERN_INVALID, e.what());
    } catch (const UnusableModel& e) {
        return say(MDKERN_INVALID, e.what());
    } catch (const InUse& e) {
        return say(MDKERN_IN_USE, e.what());
    } catch (const MemoryLimit& e) {
        return say(MDKERN_MEMORY, e.what());
    } catch (const std::bad_alloc&) {
        return say(MDKERN_MEMORY, "memory: not there");
    } catch (const std::exception& e) {
        return say(MDKERN_INTERNAL, e.what());
    } catch (...) {
        return say(MDKERN_INTERNAL, "an unknown exception");
    }
}

void need(bool there, const char* what) {
    if (!there) throw std::invalid_argument(what);
}

void check(const mdkern_model* model, const mdkern_workspace* workspace, int threads,
           const mdkern_results* results) {
    need(model, "model: NULL");
    need(workspace, "workspace: NULL");
    need(results, "results: NULL");
    need(workspace->potential.lock() == model->potential, "workspace: of another model");
    need(threads >= 0, "threads: negative; expected 0 or a number of threads");
}

// Keeps other threads, and callbacks of an evaluation, off a workspace as long as it lives.
class Use {
public:
    explicit Use(mdkern_workspace& workspace) : workspace_(workspace) {
        if (workspace_.in_use.exchange(true, std::memory_order_acquire))
            throw InUse("workspace: in use by another call; expected one for each thread");
    }
    ~Use() { workspace_.in_use.store(false, std::memory_order_release); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

private:
    mdkern_workspace& workspace_;
};

// One evaluation on a table of the workspace, of which it is the kind `of_system`.
void evaluate(const mdkern_model& model, mdkern_workspace& workspace, Table& table, bool of_system,
              int threads, mdkern_results& results) {
    if (workspace.of_system != of_system || !workspace.space) {
        workspace.space = model.potential->workspace();
        workspace.of_system = of_system;
    }
    const System s = table.system();
    need(results.forces || s.n_homes == 0, "results: forces is NULL");
    const std::int64_t blocks = n_blocks(s.n_real);
    Outputs out;
    out.energies = results.energies;
    out.forces = results.forces;
    out.virials = results.virials;
    if (model.traits.charges) out.charges = results.charges;
    if (results.charges && !out.charges) std::fill_n(results.charges, s.n_real, 0.0);
    const bool totals =
        !(results.forces_alone && model.traits.forces_alone && !out.energies && !out.virials);
    if (totals) out.block_totals = workspace.totals.reserve(std::size_t(7 * blocks) + 1);
    std::fill(out.forces + 3 * s.n_real, out.forces + 3 * s.n_homes, 0.0);
    if (out.virials) std::fill(out.virials + 6 * s.n_real, out.virials + 6 * s.n_homes, 0.0);
    workspace.space->overflow = 0;
    model.potential->compute(table, *workspace.space, out, threads);
    double sums[7] = {0, 0, 0, 0, 0, 0, 0};
    for (std::int64_t b = 0; totals && b < blocks; ++b)
        for (int c = 0; c < 7; ++c) sums[c] += out.block_totals[7 * b + c];
    bool finite = true;
    for (double x : sums) finite = finite && std::isfinite(x);
    // Without a branch, so that it is done in vectors: x - x is 0 for finite numbers alone.
    std::int64_t n_bad = !finite;
    for (std::int64_t k = 0; k < 3 * s.n_homes; ++k)
        n_bad += out.forces[k] - out.forces[k] == 0.0 ? 0 : 1;
    for (std::int64_t k = 0; n_bad > 0 && k < 3 * s.n_homes; ++k)
        if (!std::isfinite(out.forces[k]))
            throw NotFinite("energy " + number(sums[0]) + ", force on row " +
                            std::to_string(k / 3) + " " + number(out.forces[k]) +
                            "; expected finite numbers");
    if (!finite)
        throw NotFinite("energy " + number(sums[0]) +
                        "; expected a finite number, and so of the virial");
    results.energy = sums[0];
    std::copy_n(sums + 1, 6, results.virial);
    results.overflow = workspace.space->overflow;
}

}  // namespace

int mdkern_api_version(void) { return MDKERN_API_VERSION; }
const char* mdkern_version(void) { return MDKERN_VERSION; }
const char* mdkern_error_message(void) { return message.c_str(); }

int mdkern_model_open(const char* path, mdkern_model** model) {
    return guarded([&] {
        need(path && model, "path, model: NULL");
        *model = nullptr;
        mdkern::start();
        const mdkern::ModelFile file = mdkern::read_model_file(path);
        auto made = std::make_unique<mdkern_model>();
        made->potential = mdkern::make_model(file, path);
        made->traits = made->potential->traits();
        made->species = file.species;
        *model = made.release();
    });
}

void mdkern_model_close(mdkern_model* model) { delete model; }
double mdkern_model_cutoff(const mdkern_model* model) { return model ? model->traits.cutoff : 0.0; }
int mdkern_model_n_species(const mdkern_model* model) {
    return model ? std::max(model->traits.n_species, 1) : 0;
}
const char* mdkern_model_species(const mdkern_model* model, int type) {
    if (!model || type < 0 || std::size_t(type) >= model->species.size()) return nullptr;
    return model->species[std::size_t(type)].c_str();
}
int mdkern_model_exchanges(const mdkern_model* model) {
    return model ? model->traits.exchanges : 0;
}
int mdkern_model_reverses(const mdkern_model* model) { return model ? model->traits.reverses : 0; }
int mdkern_model_exchange_width(const mdkern_model* model) {
    return model ? model->traits.exchange_width : 0;
}
int mdkern_model_half(const mdkern_model* model) { return model && model->traits.half_list; }
int mdkern_model_long_range(const mdkern_model* model) { return model && model->traits.long_range; }

int mdkern_workspace_create(const mdkern_model* model, mdkern_workspace** workspace) {
    return guarded([&] {
        need(model && workspace, "model, workspace: NULL");
        *workspace = nullptr;
        auto made = std::make_unique<mdkern_workspace>();
        made->potential = model->potential;
        *workspace = made.release();
    });
}

void mdkern_workspace_destroy(mdkern_workspace* workspace) { delete workspace; }

int mdkern_compute(const mdkern_model* model, mdkern_workspace* workspace,
                   const mdkern_atoms* atoms, const mdkern_list* list,
                   const mdkern_exchange* exchange, int threads, mdkern_results* results) {
    return guarded([&] {
        check(model, workspace, threads, results);
        need(atoms && list, "atoms, list: NULL");
        const Use use(*workspace);
        workspace->ghosts.update(*atoms, *list, exchange, model->traits);
        evaluate(*model, *workspace, workspace->ghosts, false, threads, *results);
    });
}

int mdkern_compute_system(const mdkern_model* model, mdkern_workspace* workspace, int64_t n,
                          const double* x, const int32_t* type, const double* cell, const int* pbc,
                          double skin, int threads, mdkern_results* results) {
    return guarded([&] {
        check(model, workspace, threads, results);
        need(n >= 0, "n: negative");
        need((x && type) || n == 0, "x, type: NULL");
        need(cell && pbc, "cell, pbc: NULL");
        need(skin >= 0.0 && std::isfinite(skin), "skin: expected a number from 0 on");
        const int n_species = std::max(model->traits.n_species, 1);
        for (std::int64_t i = 0; i < n; ++i)
            if (type[i] < 0 || type[i] >= n_species)
                throw std::invalid_argument("type of atom " + std::to_string(i) + " is " +
                                            std::to_string(type[i]) + "; expected 0 to " +
                                            std::to_string(n_species - 1));
        const Use use(*workspace);
        const bool periodic[3] = {pbc[0] != 0, pbc[1] != 0, pbc[2] != 0};
        const mdkern::AtomsView view{n, x, cell, periodic, type};
        workspace->options.cutoff = model->traits.cutoff;
        workspace->options.skin = skin;
        workspace->options.list_cutoff = mdkern::list_cutoff(model->traits);
        workspace->table.update(view, workspace->options, threads);
        evaluate(*model, *workspace, workspace->table, true, threads, *results);
    });
}
