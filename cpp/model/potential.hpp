// The contract between potentials and everybody who evaluates them: calculators, batches of
// structures, molecular dynamics.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/fields.hpp"
#include "core/types.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

// What can be asked of a potential.
struct Traits {
    double cutoff = 0.0;  // largest distance of two atoms that interact; Angstrom
    // Whether it is faster, and possible, without energies and totals: block_totals == nullptr.
    bool forces_alone = false;
    bool charges = false;  // Outputs::charges, and Outputs::born
    int n_features = 0;    // columns of Outputs::features; 0: none
};

// Everything that evaluations change, of one potential on one table: scratch, plans that are made
// when the list is, charges. Whoever evaluates owns it and evaluates with it from one thread at a
// time. Memory is reused from step to step.
struct Workspace {
    virtual ~Workspace() = default;
    // Set to 1 by an evaluation that left out the farthest neighbors, as the model has no room for
    // them, or that met a density beyond the end of the model's tables.
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
    virtual void compute(NeighborTable& table, Workspace& space, const Outputs& out,
                         int threads) const = 0;
};

// A potential by the name under which it is registered. Throws std::invalid_argument: unknown names,
// fields that are missing or do not fit.
std::shared_ptr<const Potential> make_potential(const std::string& name, const Fields& fields);
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
