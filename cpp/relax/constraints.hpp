// What of a structure stays as it is while the rest relaxes, in the order and with the meaning of ASE's
// constraints: positions that an optimizer asks for are adjusted, and so are the cell, and forces and virial that
// it sees. Several are applied one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace mdkern {

// Immutable: any number of loops share one. Each is made for a number of atoms, which applies() checks.
class Constraint {
public:
    virtual ~Constraint() = default;
    // Throws std::invalid_argument where it does not belong to n atoms.
    virtual void check(std::int64_t n) const = 0;
    // `x` (n, 3) are the new positions, which are changed; `old` those before, which the change of the cell took along.
    virtual void adjust_positions(std::int64_t n, const double* cell, const double* old,
                                  double* x) const = 0;
    virtual void adjust_forces(std::int64_t n, const double* cell, double* f) const = 0;
    // Whether adjust_cell does anything: the filter then takes its coordinates from the cell.
    virtual bool adjusts_cell() const { return false; }
    // Throws std::runtime_error where the step from `old` to `cell` is too large.
    virtual void adjust_cell(const double* /*old*/, double* /*cell*/) const {}
    virtual void adjust_virial(const double* /*cell*/, double* /*virial*/) const {
    }  // (6), as in Outputs
};

using Constraints = std::vector<std::shared_ptr<const Constraint>>;

// index: atoms that stay.
std::shared_ptr<const Constraint> fix_atoms(std::vector<std::int64_t> index);
// The centre of mass stays: all atoms are moved back by as much as it moved; of the forces goes what is along the
// masses (ASE's projection, whose sum over atoms is not zero where masses differ).
std::shared_ptr<const Constraint> fix_com(std::vector<double> masses);
// Components x, y, z that stay, of these atoms.
std::shared_ptr<const Constraint> fix_cartesian(std::vector<std::int64_t> index, const bool* stays);
// Steps of positions (where `positions`), of the cell (where `cell`), forces and virial are averaged over the
// operations of a space group: rotations (n_ops, 9) of fractional coordinates as columns, integers, and map (n_ops, n),
// the atom that each atom is carried to. Throws std::invalid_argument where they are no group of
// permutations of the atoms.
std::shared_ptr<const Constraint> fix_symmetry(const std::vector<double>& rotations,
                                               const std::vector<std::int64_t>& map, std::int64_t n,
                                               bool positions, bool cell);

}  // namespace mdkern
