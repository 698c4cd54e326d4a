// The loop of a relaxation: positions, cell, forces and the neighbor table stay here from one look of
// the caller to the next; a step of the optimizer is one evaluation of the potential (two where a
// step of FIRE2 is taken back). Arrays are in the caller's order. Nothing is allocated from step to
// step but what a new list needs that is longer than those before.
//
// How to use it:
//
//     RelaxLoop loop(potential, skin, threads);
//     loop.set_cell(options);               // CellOptions; without it the cell stays
//     loop.set_constraints(constraints);    // none without it
//     loop.set_optimizer(make_fire({}));    // or make_fire2, make_lbfgs, make_bfgs
//     loop.place(atoms);                    // AtomsView; evaluates. Throws for bad atoms
//     RelaxOutcome r = loop.run(500, 0.01); // steps, fmax
//     if (!r.failure.empty()) ...           // atom r.bad_atom; all below is of the last good step
//     loop.positions(x); loop.cell(h); loop.results(energies, forces, virial); loop.energy();
//     loop.place(others);                   // the next frame: everything begins anew
//
// and from Python, where FIRE, LBFGS and the others of mdkern.optimize do this:
//
//     loop = _core.RelaxLoop(potential.force_step(), skin, threads)
//     loop.use_fire()                       # or use_fire2, use_lbfgs, use_bfgs; ASE's arguments
//     loop.set_cell("logarithm", ...)
//     loop.place(positions, cell, pbc, species)
//     steps, converged, failure, atom, raised = loop.run(500, 0.01)
//     energy, energies, forces, virial, charges, spread = loop.results()
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/buffers.hpp"
#include "model/potential.hpp"
#include "neighbors/table.hpp"
#include "relax/cell_filter.hpp"
#include "relax/constraints.hpp"
#include "relax/optimizer.hpp"
#include "relax/rows.hpp"

namespace mdkern {

struct RelaxOutcome {
    std::int64_t steps = 0;  // done in this call
    bool converged = false;
    std::int64_t bad_atom = -1;  // that it failed at, where one can be named
    std::string failure;  // empty: none. Else geometry and results are those of the last good step
};

// Everything that a relaxation needs to go on with the same bits: also where the atoms were when the
// list was built, for the order of its pairs follows from that.
struct RelaxState {
    std::vector<double> x, built_x;  // (n, 3)
    std::vector<double> q;           // (n_rows, 3)
    double cell[9] = {}, built_cell[9] = {};
    CellState filter;
    OptimizerState optimizer;
};

// A row of RelaxLoop::trace().
constexpr int kRelaxTrace = 3;  // energy with its term of the pressure, largest force, seconds
                                // since 1970
constexpr std::int64_t kMostTrace = 1024;

class RelaxLoop final : private RelaxSurface {
public:
    RelaxLoop(std::shared_ptr<const Potential> potential, double skin, int threads);
    void set_threads(int threads) { threads_ = threads; }
    // They hold from the next place() or go_on() on.
    void set_constraints(Constraints constraints) { constraints_ = std::move(constraints); }
    void set_cell(const CellOptions& options) { cell_options_ = options; }
    // In the middle of a run it takes over what one of the same name remembers.
    void set_optimizer(std::unique_ptr<Optimizer> optimizer);

    // Takes the atoms and evaluates them; cell filter and optimizer start anew. `first_cell` (9) is
    // the undeformed one; null: the present one. Throws std::invalid_argument for atoms that cannot
    // be evaluated, and MemoryLimit.
    void place(const AtomsView& atoms, const double* first_cell = nullptr);
    // The same atoms have been moved, or constraints have changed: the optimizer goes on from there.
    void go_on(const double* x, const double* cell);
    bool is_at(const double* x, const double* cell) const;
    // Goes on from a state that state() gave, after place() of the same atoms, whatever their
    // positions.
    void restore(const RelaxState& state);
    RelaxState state() const;

    // At most n steps, until no row of forces() is as long as fmax. Returns early where `pause` says so,
    // which is asked every 0.2 s, after `most_seconds` (0: no limit), and where `traced` and trace()
    // is full. What a failed run remembers of the surface is forgotten.
    RelaxOutcome run(std::int64_t n, double fmax, double most_seconds = 0.0, bool traced = false,
                     const std::function<bool()>& pause = {});
    bool converged(double fmax) const { return largest_force() < fmax; }

    std::int64_t n() const { return n_; }
    std::int64_t n_rows() const { return n_rows_; }  // n, or n + 3
    bool placed() const { return placed_; }
    std::int64_t steps() const { return steps_; }  // good ones since place()
    std::int64_t builds() const { return builds_; }
    // Whether an evaluation since place() has set Workspace::overflow.
    bool overflow() const { return space_->overflow != 0; }
    const Optimizer* optimizer() const { return optimizer_.get(); }
    void positions(double* x) const;  // (n, 3)
    void cell(double* h) const;       // (9)
    // As the potential gives them, without constraints: energies (n), forces (n, 3), virial (6).
    void results(double* energies, double* forces, double* virial) const;
    const double* charges() const {
        return results_[good_].charges.data();
    }  // (n), of models with charges
    // Of a committee: (n), and (n_members, kMemberNumbers). They are evaluated now.
    void deviation(double* deviation, double* members);
    double potential_energy() const { return results_[good_].potential; }
    double energy() const override { return results_[now_results_].energy; }  // with p V
    double largest_force() const { return results_[good_].largest; }  // what is compared with fmax
    // A row after every step since the last clear.
    const double* trace() const { return trace_.data(); }
    std::int64_t n_traced() const { return n_traced_; }
    void clear_trace() { n_traced_ = 0; }

private:
    struct Geometry {
        Buffer<double> x, q;
        double cell[9];
        CellState filter;
    };
    struct Results {
        Buffer<double> energies, forces, g, charges;  // g: by the coordinates, after constraints
        double virial[6], potential, energy, largest;
    };

    // RelaxSurface: what the optimizer sees.
    std::int64_t size() const override { return 3 * n_rows_; }
    const double* coordinates() const override { return geometry_[now_].q.data(); }
    const double* forces() const override { return results_[now_results_].g.data(); }
    void move(const double* q) override;
    void evaluate() override;

    AtomsView view(const Geometry& at) const;
    void reserve();
    void check_move(const Geometry& from, const Geometry& to, const double* asked) const;
    void update(const Geometry& at, bool build);
    void compute(Results& r, double* deviation, double* members);
    void evaluate(const Geometry& at, Results& r, bool build);
    void check_finite(const Geometry& at, const Results& r) const;
    // The present geometry becomes the good one, evaluated anew.
    void settle(bool build);
    void go_back();

    std::shared_ptr<const Potential> potential_;
    Traits traits_;
    std::unique_ptr<Workspace> space_;
    NeighborTable table_;
    TableOptions options_;
    int threads_;
    CellOptions cell_options_;
    Constraints constraints_;
    std::unique_ptr<Optimizer> optimizer_;
    CellFilter filter_;
    Rows rows_;

    std::int64_t n_ = 0, n_rows_ = 0, steps_ = 0, builds_ = 0;
    bool placed_ = false,
         table_left_ = false;  // table_left_: the table is not at the good geometry
    bool pbc_[3] = {};
    double built_cell_[9] = {}, placed_volume_ = 0.0;
    Buffer<std::int32_t> species_;
    Buffer<double> built_x_, blocks_, adjusted_, old_;
    // The last good one, the present one while a step is taken, and the next.
    Geometry geometry_[3];
    int good_geometry_ = 0, now_ = 0;
    Results results_[2];
    int good_ = 0, now_results_ = 0;
    Buffer<double> trace_;
    std::int64_t n_traced_ = 0;
};

}  // namespace mdkern
