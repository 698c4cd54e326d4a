#include <cmath>
#include <exception>
#include <vector>

#include "bindings/snapshot.hpp"
#include "core/threads.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

constexpr double kAtomNs = 1e3;  // of an atom, for team_size()
// Of a structure that threads share, for each of them: the parts of an evaluation are some ten loops.
constexpr double kLargeNs = 16.0 * kTeamNs;

// One structure of a batch and where its results go.
struct FrameToEvaluate {
    IntArray species;
    OwnAtoms atoms;
    std::unique_ptr<PyResult> out;
    std::exception_ptr error;
};

FrameToEvaluate take_frame(const py::handle& entry, int virials, bool charges) {
    const auto t = entry.cast<py::tuple>();  // (positions, cell, pbc, species)
    FrameToEvaluate f;
    f.species = t[3].cast<IntArray>();
    f.atoms.take(atoms_view(t[0].cast<DoubleArray>(), t[1].cast<DoubleArray>(),
                            t[2].cast<BoolArray>(), &f.species));
    f.out = std::make_unique<PyResult>(f.atoms.view().n, virials, charges);
    return f;
}

// How many structures, from the first on, are dealt to one thread each. The rest, for which half of the
// threads or more would be idle, are evaluated by all threads, one after the other, if they are large enough.
int dealt(const std::vector<FrameToEvaluate>& frames, int threads) {
    const int n = int(frames.size()), left = n % threads;
    if (threads == 1 || 2 * left > threads) return n;
    for (int k = n - left; k < n; ++k)
        if (double(frames[k].atoms.view().n) * kAtomNs < kLargeNs * threads) return n;
    return n - left;
}

// Threads take different structures, each with a table of its own. Returns a list of results as
// `evaluate` gives them, or (index, message) of the first structure that cannot be evaluated.
py::object evaluate_frames(const Potential& potential, double cutoff, const py::list& inputs,
                           int virials, int threads) {
    check_virials(potential, virials);
    const int n = int(inputs.size());
    std::vector<FrameToEvaluate> frames;
    std::int64_t atoms = 0;
    for (int k = 0; k < n; ++k) {
        frames.push_back(take_frame(inputs[k], virials, potential.traits().charges));
        atoms += frames.back().atoms.view().n;
    }
    const int most = team_size(threads, atoms, kAtomNs), n_dealt = dealt(frames, most);
    const int team = std::min(n_dealt, most);
    struct Place {
        NeighborTable table;
        std::unique_ptr<Workspace> space;
    };
    std::vector<Place> places(std::max(team, 1));
    TableOptions options;
    options.cutoff = cutoff;
    options.list_cutoff = list_cutoff(potential.traits());
    {
        py::gil_scoped_release nogil;
        for (Place& place : places) place.space = potential.workspace();
        const auto one = [&](std::int64_t k, Place& place, int inner) {
            try {
                place.table.build(frames[k].atoms.view(), options, inner);
                frames[k].out->evaluate(potential, place.table, *place.space, inner);
            } catch (...) {  // nothing may leave the loop
                frames[k].error = std::current_exception();
            }
        };
        parallel_for_thread(n_dealt, team, 1, [&](std::int64_t k, int thread) {
            one(k, places[thread], team > 1 ? 1 : threads);
        });
        for (int k = n_dealt; k < n; ++k) one(k, places[0], threads);
    }
    py::list results;
    for (int k = 0; k < n; ++k) {
        try {
            if (frames[k].error) std::rethrow_exception(frames[k].error);
        } catch (const std::invalid_argument& e) {
            return py::make_tuple(k, e.what());
        }
        results.append(frames[k].out->finish());
    }
    return std::move(results);
}

// One structure of those that are evaluated again and again, each with a table that is kept.
struct Kept {
    PyNeighborTable* table;
    std::unique_ptr<TableUse> use;
    const Snapshot* atoms;
    IntArray species;
    Workspace* space;
    std::unique_ptr<PyResult> out;
    std::exception_ptr error;
};

Kept take_kept(const std::shared_ptr<Potential>& potential, const py::handle& entry, int virials) {
    const auto t = entry.cast<py::tuple>();  // (table, snapshot, species)
    const Traits& traits = potential->traits();
    Kept k;
    k.table = t[0].cast<PyNeighborTable*>();
    k.use = std::make_unique<TableUse>(*k.table);
    k.atoms = t[1].cast<const Snapshot*>();
    k.species = t[2].cast<IntArray>();
    const std::int64_t n = k.atoms->atoms.view().n;
    check_shape(k.species, "species", {n});
    k.space = &k.table->workspace(potential);
    k.out = std::make_unique<PyResult>(n, virials, traits.charges, traits.n_members);
    return k;
}

// Structures with their own tables: each is what NeighborTable.update and Potential.compute would
// give. Threads take different structures while there is one for each; on those that are left there
// are several threads each. Returns a list of results as Potential.compute gives them, or the
// message for a structure that cannot be evaluated.
py::list evaluate_tables(const std::shared_ptr<Potential>& potential, const py::list& inputs,
                         int virials, int threads) {
    check_virials(*potential, virials);
    std::vector<Kept> kept;
    std::int64_t atoms = 0;
    for (const py::handle& entry : inputs) {
        kept.push_back(take_kept(potential, entry, virials));
        atoms += kept.back().atoms->atoms.view().n;
    }
    const int n = int(kept.size()), all = team_size(threads, atoms, 1e3);
    const int whole_rounds = n / all * all;
    const auto evaluate = [&](int begin, int end, int team, int inner) {
        parallel_for(end - begin, team, 1, [&](std::int64_t which) {
            Kept& k = kept[begin + which];
            try {
                AtomsView view = k.atoms->atoms.view();
                view.species = k.species.data();
                k.table->builds += k.table->table.update(view, k.table->options, inner);
                k.out->evaluate(*potential, k.table->table, *k.space, inner);
            } catch (...) {  // nothing may leave the loop
                k.error = std::current_exception();
            }
        });
    };
    {
        py::gil_scoped_release nogil;
        evaluate(0, whole_rounds, all, 1);
        if (const int rest = n - whole_rounds) evaluate(whole_rounds, n, rest, all / rest);
    }
    py::list results;
    for (Kept& k : kept) {
        try {
            if (k.error) std::rethrow_exception(k.error);
            results.append(k.out->finish());
        } catch (const std::invalid_argument& e) {
            results.append(py::str(e.what()));
        }
    }
    return results;
}

}  // namespace

void bind_evaluate(py::module_& m) {
    m.def("evaluate_tables", &evaluate_tables, py::arg("potential"), py::arg("inputs"),
          py::arg("virials"), py::arg("threads"));
    m.def("evaluate_frames", &evaluate_frames, py::arg("potential"), py::arg("cutoff"),
          py::arg("frames"), py::arg("virials"), py::arg("threads"));
}

}  // namespace mdkern
