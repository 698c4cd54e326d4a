// The loop of a relaxation: positions, cell, forces and the neighbor table stay here from one look of the caller
// to the next; a step of the optimizer is one evaluation of the potential (two where a step is taken back).
// Written for cells of a few atoms as well: nothing is allocated from step to step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/potential.hpp"
#include "neighbors/table.hpp"
#include "relax/cell_filter.hpp"
#include "relax/constraints.hpp"
#include "relax/optimizer.hpp"

namespace mdkern {

struct RelaxOutcome {
    std::int64_t steps = 0;      // done in this call
    bool converged = false;
    std::int64_t bad_atom = -1;
    std::string failure;  // empty: none. Else geometry and results are those of the last good step.
};

class RelaxLoop {
public:
    RelaxLoop(std::shared_ptr<const Potential> potential, double skin, int threads);
    void set_constraints(Constraints constraints);
    void set_optimizer(std::unique_ptr<Optimizer> optimizer);
    void set_cell(const CellOptions& options);
    // Takes the atoms (the caller's order) and evaluates them; a CellFilter and an optimizer start anew.
    // Throws std::invalid_argument for atoms that cannot be evaluated.
    void place(const AtomsView& atoms);
    // At most n steps, until no force on an atom and no row of the cell is longer than fmax (ASE's criterion, on
    // the filter's forces).
    RelaxOutcome run(std::int64_t n, double fmax, int threads);
    bool converged(double fmax) const;
    // Of the present geometry, in the caller's order.
    void positions(double* x) const;
    void cell(double* h) const;
    void results(double* energies, double* forces, double* virial);  // as the potential gives them, without constraints
    double energy() const;       // of the potential
    double largest_force() const;  // what is compared with fmax
};

}  // namespace mdkern
