// The contract between potentials and everybody who evaluates them: calculators, batches of
// structures, molecular dynamics.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace mdkern {

// What can be asked of a potential.
struct Traits {
    double cutoff = 0.0;  // largest distance of two atoms that interact; Angstrom
    // How far the lists of a table have to reach, where rows have to reach farther; 0: it reads none.
    // Negative: as far as the cutoff.
    double list_cutoff = -1.0;
    int n_species = 0;  // species numbers are 0 to n_species - 1; 0: they play no part
    // Whether it is faster, and possible, without energies and totals: block_totals == nullptr.
    bool forces_alone = false;
    bool half_list = false;   // of the lists of a table it reads Table::half alone
    bool charges = false;     // Outputs::charges, and Outputs::born
    bool long_range = false;  // it reads Table::box and calls Table::sum
    int n_features = 0;       // columns of Outputs::features; 0: none
    int n_members = 0;        // of a committee: Outputs::deviation
    int exchanges = 0;        // calls of Table::forward and reverse per evaluation
    int reverses = 0;         // calls of Table::reverse among them
    int exchange_width = 0;   // columns of the widest of them
    // Whether Outputs::virials may have nine components. What the pairs of an atom collect is no heat
    // flux where energies depend on atoms beyond neighbors: see potentials/d3/nine_kernel.cpp and
    // model/unfolded.hpp for ways.
    bool nine_virials = false;
    bool tabulated = false;  // nets are evaluated from tables that were made with the potential
};

inline double list_cutoff(const Traits& t) {
    return t.list_cutoff < 0.0 ? t.cutoff : t.list_cutoff;
}

// Everything that evaluations change, of one potential on one table: scratch, plans that are made
// when the list is, charges. Whoever evaluates owns it and evaluates with it from one thread at a
// time. Memory is reused from step to step.
struct Workspace {
    virtual ~Workspace() = default;
    // Set to 1 by an evaluation that left out the farthest neighbors, as the model has no room for
    // them, or that met a density beyond the end of the model's tables, or features beyond the range
    // of its training.
    std::int32_t overflow = 0;
};

// Immutable once made: any number of threads, tables and structures share one.
class Potential {
public:
    virtual ~Potential() = default;
    virtual Traits traits() const = 0;
    virtual std::unique_ptr<Workspace> workspace() const = 0;
    // One evaluation. `space` is one of this potential's own, of this table. Throws
    // std::invalid_argument for a system that the potential cannot treat.
    virtual void compute(Table& table, Workspace& space, const Outputs& out, int threads) const = 0;
};

// The potential that is registered under the name that the fields have as `potential`. Throws
// std::invalid_argument: unknown names, fields that are missing or do not fit.
std::shared_ptr<const Potential> make_potential(const Fields& fields);
std::vector<std::string> potential_names();

// A potential registers itself where it is defined, by a constant:
//   const Registration registration = register_potential<Morse>("morse");
class Registration {
public:
    using Make = std::shared_ptr<const Potential> (*)(const Fields&);
    Registration(const char* name, Make make);
};
template <class P> Registration register_potential(const char* name) {
    return {name, [](const Fields& fields) -> std::shared_ptr<const Potential> {
                return std::make_shared<const P>(fields);
            }};
}

}  // namespace mdkern
