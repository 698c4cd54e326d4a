// What an integrator does beside the motion of the atoms: thermostats and barostats. A few numbers
// per step, compiled once for the baseline; the work per atom is in integrate_kernel.cpp.
//
// The formulas are those of ASE's integrators of the same names (3.29), so that trajectories agree.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "md/integrate.hpp"

namespace mdkern {

// The system as a scheme sees it, at one end of a step.
struct MdPhase {
    std::uint64_t step = 0;  // steps done so far
    double dt = 0.0;         // ASE time units
    double n_atoms = 0.0, n_dof = 0.0;
    double sums[kMdSums] = {};  // of the momenta; a scheme that scales them scales these too
    double virial[6] = {};      // eV, xx, yy, zz, yz, xz, xy
    double cell[9] = {};        // Angstrom; barostats change it
    double energy = 0.0;        // potential energy, eV
    double kinetic() const { return 0.5 * sums[0]; }
    double volume() const;
    // Momenta times s.
    void scale(double s);
};

class MdScheme {
public:
    virtual ~MdScheme() = default;
    virtual MdKick kick() const { return MdKick::plain; }
    // Whether sums of the momenta are wanted at the end of every step.
    virtual bool wants_sums() const { return false; }
    virtual bool moves_cell() const { return kick() == MdKick::affine; }
    // Constants for steps of dt.
    virtual void prepare(MdMotion& motion, const MdPhase& phase);
    // The cell may be another one than that of the last step: somebody has set it.
    virtual void take_cell(const MdPhase&) {}
    // Before the first kick and behind the second one of a step; both return the factor of the
    // momenta.
    virtual double begin_step(MdPhase&, MdMotion&) { return 1.0; }
    virtual double end_step(MdPhase&) { return 1.0; }
    // What makes energy + kinetic energy + this a constant of motion; NaN: nothing does.
    virtual double reservoir_energy(const MdPhase&) const { return 0.0; }
    // All that a restarted run must know.
    std::vector<double> variables;
};

class VerletScheme final : public MdScheme {};

// Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 429, 310 (2006), equation 23.
class LangevinScheme final : public MdScheme {
public:
    // rates: the friction of all atoms, or of each in the caller's order.
    LangevinScheme(double thermal, std::vector<double> rates, std::uint64_t key)
        : kT(thermal), friction(std::move(rates)), seed(key) {}
    MdKick kick() const override { return MdKick::langevin; }
    void prepare(MdMotion&, const MdPhase&) override;
    double reservoir_energy(const MdPhase&) const override;

private:
    double kT;
    std::vector<double> friction;
    std::vector<MdFriction> each;
    std::uint64_t seed;
};

// Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007), equation A7.
// variables: energy given to the atoms so far.
class BussiScheme final : public MdScheme {
public:
    BussiScheme(double thermal, double time, std::uint64_t key)
        : kT(thermal), tau(time), seed(key) {
        variables.assign(1, 0.0);
    }
    bool wants_sums() const override { return true; }
    double begin_step(MdPhase&, MdMotion&) override;
    double reservoir_energy(const MdPhase&) const override { return -variables[0]; }

private:
    double kT, tau;
    std::uint64_t seed;
};

// The two numbers that a Bussi step draws: a normal deviate, and a sum of n_dof - 1 squares of
// such.
void bussi_noise(std::uint64_t seed, std::uint64_t step, double n_dof, double* normal,
                 double* squares);

// A chain of thermostats on one quadratic energy (Martyna, Klein and Tuckerman, J. Chem. Phys. 97,
// 2635 (1992)), factorised by Suzuki and Yoshida in fourth order. Its state lies in the variables
// of a scheme: eta, then p_eta.
struct MdChain {
    int length = 3, loops = 1;
    double kT = 0.0, target = 0.0;  // target: dof kT of what is thermostatted
    double first_mass = 0.0, mass = 0.0;
    // Over a time delta; twice: twice the kinetic energy, scaled along. Returns the factor.
    double integrate(double* state, double& twice, double delta) const;
    // The same on the momenta of the atoms, which the phase scales.
    double integrate(double* state, MdPhase& phase, double delta) const;
    double energy(const double* state) const;
};

// variables: the chain's.
class NoseHooverScheme final : public MdScheme {
public:
    NoseHooverScheme(double kT, double t_damp, int length, int loops, double n_dof);
    bool wants_sums() const override { return true; }
    double begin_step(MdPhase&, MdMotion&) override;
    double end_step(MdPhase&) override;
    double reservoir_energy(const MdPhase&) const override;

private:
    MdChain chain;
};

struct MtkOptions {
    double kT = 0.0, pressure = 0.0, t_damp = 0.0, p_damp = 0.0;
    int t_chain = 3, p_chain = 3, t_loop = 1, p_loop = 1;
    double n_atoms = 0.0;
    double cell[9] = {};  // at the start
};

// Martyna, Tobias and Klein, J. Chem. Phys. 101, 4177 (1994): thermostats on the atoms and on the
// momenta of the cell. variables: thermostat chain, barostat chain, then those of the scheme, among
// them n_cell momenta from at_cell on.
class MtkScheme : public MdScheme {
public:
    MdKick kick() const override { return MdKick::affine; }
    bool wants_sums() const override { return true; }
    double begin_step(MdPhase&, MdMotion&) final;
    double end_step(MdPhase&) final;
    double reservoir_energy(const MdPhase&) const final;

protected:
    // dof, mass_dof: degrees of freedom in the energy and in the first mass of the barostat chain.
    MtkScheme(const MtkOptions&, double dof, double mass_dof);
    virtual void push_cell(const MdPhase&, double delta) = 0;
    // The half kick and the drift of the atoms with the flow of the cell, and the new cell.
    virtual void flow(MdPhase&, MdMotion&) = 0;
    MtkOptions o;
    MdChain thermostat, barostat;
    double W = 0.0;
    int at_barostat, at_own, at_cell = 0, n_cell = 0;

private:
    void push_barostat(double delta);
};

// The volume fluctuates. Own variables: eps, p_eps, start cell.
class IsotropicMtkScheme final : public MtkScheme {
public:
    explicit IsotropicMtkScheme(const MtkOptions&);
    void take_cell(const MdPhase&) override;

private:
    void push_cell(const MdPhase&, double delta) override;
    void flow(MdPhase&, MdMotion&) override;
};

// All nine components of the cell do, or the lengths of chosen vectors (mask, else null). Own
// variables: cell momenta (9 or 3), unit vectors of the start cell.
class FullMtkScheme final : public MtkScheme {
public:
    FullMtkScheme(const MtkOptions&, const bool* mask);

private:
    void push_cell(const MdPhase&, double delta) override;
    void flow(MdPhase&, MdMotion&) override;
    void cell_momenta(double* g) const;
    bool masked, mask[3] = {};
};

}  // namespace mdkern
