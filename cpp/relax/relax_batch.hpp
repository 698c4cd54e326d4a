// Relaxations of many structures, each in a loop of its own. Threads take structures as they get
// free, the largest first, and work on them alone; large ones that are left when the others are done
// get all threads, one after the other. Nothing of a result depends on who has it, nor on the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/potential.hpp"
#include "neighbors/table.hpp"
#include "relax/cell_filter.hpp"
#include "relax/constraints.hpp"
#include "relax/optimizer.hpp"

namespace mdkern {

// What is done with each structure.
struct RelaxPlan {
    std::shared_ptr<const Potential> potential;
    std::function<std::unique_ptr<Optimizer>()> optimizer;  // called by several threads at a time
    CellOptions cell;
    double skin = 0.0, fmax = 0.0;
    std::int64_t steps = 0;
};

// A structure and what becomes of it. All memory is the caller's.
struct RelaxTask {
    AtomsView atoms;
    Constraints constraints;

    double *positions = nullptr, *forces = nullptr;  // (n, 3)
    double cell[9] = {}, virial[6] = {};
    double first_energy = 0.0, energy = 0.0, largest_force = 0.0;
    std::int64_t steps = 0;
    bool converged = false, overflow = false;
    // False: it was not evaluated, as `failure` says, or the batch was interrupted.
    bool placed = false, done = false;
    std::string failure;  // empty: none. Else all is that of the last good step
};

// `pause` is asked every 0.2 s, on the calling thread: true ends the batch, and structures that are
// not done stay so. threads: 0 stands for the package's setting.
void relax_batch(const RelaxPlan& plan, std::vector<RelaxTask>& tasks, int threads,
                 const std::function<bool()>& pause);

}  // namespace mdkern
