// The loop of molecular dynamics: positions, momenta, forces and the neighbor table stay here, in
// the order of the table's rows, from one look of the caller to the next.
//
// A step of velocity Verlet is one pass over the atoms (the kick that the former step still owes,
// the kick and the drift of this one, the rows of the table and how far they moved), one over the
// periodic images, and one evaluation of the potential. Integrators with thermostats take one more
// pass, for the kinetic energy behind the second kick.
//
// The caller sees whole steps: complete() pays the owed kick, so that momenta belong to the same
// time as positions. Whether and when it is called changes no bit of the trajectory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/buffers.hpp"
#include "core/types.hpp"
#include "md/scheme.hpp"
#include "neighbors/table.hpp"

namespace mdkern {

// One evaluation on the loop's table into buffers of the caller, in the order of system().
using MdForce = std::function<void(int threads, const Outputs&)>;

// Everything that a run needs to go on with the same bits: also where the atoms were when the
// list was built, for the order of its pairs follows from that. Arrays in the caller's order.
struct MdState {
    std::int64_t step = -1;
    std::vector<double> x, p, built_x;  // (n, 3) each
    double cell[9] = {}, built_cell[9] = {}, sums[kMdSums] = {};
    std::vector<double> variables;
};

// A row of MdLoop::samples().
constexpr int kMdSample = 6;  // step, potential energy, kinetic energy, volume, trace of the
                              // virial, energy of thermostat and barostat

// A row of MdLoop::fluxes(): step; sum_i W_i v_i and sum_i e_i v_i, eV Angstrom per ASE time unit, NaN where
// they were not wanted; pressure tensor (xx, yy, zz, yz, xz, xy), eV/Angstrom^3; volume; kinetic energy.
constexpr int kMdFlux = 15;

// What a run records of itself, every so many steps by the count of steps of the whole run; 0: never.
struct MdRecord {
    std::int64_t samples = 0, fluxes = 0;
    bool heat =
        false;  // whether fluxes are of heat too, for which the potential must have nine_virials
};

struct MdOutcome {
    std::int64_t steps = 0;      // done
    std::int64_t bad_atom = -1;  // caller's index of the atom that made the run stop
    std::string failure;         // empty: none
};

class MdLoop {
public:
    // `row_order`: forces come in the order of rows; otherwise in the caller's order. `alone`: the
    // potential is asked for forces alone where nobody wants the energy.
    MdLoop(NeighborTable& table, const TableOptions& options, MdForce force, bool row_order,
           bool alone, int threads);

    // What stays as it is between two calls of place(). mass (n), mobile (n).
    void set_atoms(std::int64_t n, const double* mass, const bool* mobile,
                   const std::int32_t* species, const bool* pbc, double n_dof, bool fix_com);
    void set_scheme(std::shared_ptr<MdScheme> scheme, double dt);
    void set_threads(int threads) { threads_ = threads; }

    // Takes positions, momenta (n, 3) and cell from the caller and evaluates the forces. False:
    // they are what the caller last got, and nothing was done.
    bool place(const double* x, const double* p, const double* cell);
    bool is_at(const double* x, const double* p, const double* cell) const {
        return same_positions(x, cell) && same_momenta(p);
    }
    // Goes on from a state that state() gave.
    void restore(const MdState& state);
    MdState state();

    // At most n steps. Returns early where `pause` says so; it is asked every 0.2 s.
    MdOutcome run(std::int64_t n, const MdRecord& record, double most_seconds,
                  const std::function<bool()>& pause);

    // The caller's view: momenta complete, arrays in the caller's order.
    void positions(double* x);
    void momenta(double* p);
    void cell(double* h) const;
    // Energies (n) and forces (n, 3) of the present positions; virial (6). Evaluates them first where
    // has_energies() is false.
    void results(double* energies, double* forces, double* virial);
    bool has_energies() const { return have_energies_; }
    // Remembers what the caller holds now, for place().
    void published();

    double energy();
    double kinetic_energy();
    double reservoir_energy();
    std::int64_t step() const { return std::int64_t(phase_.step); }
    void set_step(std::int64_t step) { phase_.step = std::uint64_t(step); }
    std::int64_t builds() const { return builds_; }
    void sample();  // a row of samples() now
    std::vector<double>& samples() { return samples_; }
    void sample_fluxes(bool heat);  // a row of fluxes() now
    std::vector<double>& fluxes() { return fluxes_; }
    std::int64_t n() const { return n_; }
    bool placed() const { return placed_; }  // false: no state to go on from
    const std::shared_ptr<MdScheme>& scheme() const { return scheme_; }

private:
    // Whether they are what the caller last got.
    bool same_positions(const double* x, const double* cell) const;
    bool same_momenta(const double* p) const;
    MdAtoms atoms();
    AtomsView view(const double* x, const double* cell) const;
    void build(const double* x, const double* cell);
    void unpack(const double* x, const double* p);
    void set_rows(const double* cell, std::int64_t begin);
    void periodic_cell(double* h) const;
    enum class Want { forces, totals, energies, virials };  // each with those before
    void evaluate(Want want);
    void momentum_pass(MdKick kick, double scale, const double* shift, bool sums);
    void remove_drift();
    void sum_heat(double* potential, double* convective);
    void complete();
    bool one_step(Want want);
    void half_steps();
    void drift(MdDriftTask& t);
    std::int64_t n_sums() const { return (n_ + kMdBlock - 1) / kMdBlock; }
    void stopped_by_flight();
    void check_list();
    bool finite();
    std::string explain();
    void save(MdState& s);
    void roll_back(std::int64_t good);

    NeighborTable& table_;
    TableOptions options_;
    MdForce force_;
    bool row_order_, alone_;
    int threads_ = 0;
    std::shared_ptr<MdScheme> scheme_;
    MdMotion motion_;
    MdPhase phase_;
    bool owed_ = false, placed_ = false, have_energies_ = false, have_totals_ = false,
         have_virials_ = false, fix_com_ = false;
    double factor_ = 1.0;  // of the momenta, still to be applied
    std::int64_t n_ = 0, builds_ = 0;
    double total_mass_ = 0.0, strain_[9], allowed_ = -1.0;
    std::string failure_;
    std::int64_t bad_atom_ = -1;

    // In the caller's order.
    Buffer<double> mass_in_, built_x_, seen_x_, seen_p_, packed_[3];
    Buffer<std::int32_t> species_in_;
    double seen_cell_[9] = {}, built_cell_[9] = {};
    bool pbc_[3] = {};
    // In the order of rows.
    Buffer<double> x_, p_, f_, mass_, offset_, built_, noise_, noise_x_, energies_, virials_;
    Buffer<double> largest_, sums_, blocks_;  // by block of rows
    Buffer<double> flux_sums_;                // (n_sums, 6)
    std::vector<double> samples_, fluxes_;
    MdState saved_;
};

}  // namespace mdkern
