// What of a structure stays as it is while the rest relaxes, in the order and with the meaning of ASE's
// constraints: positions that an optimizer asks for are adjusted, and so are forces and the stress that it sees.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace mdkern {

class Constraint {
public:
    virtual ~Constraint() = default;
    // `x` (n, 3) are the new positions, which are changed; `old` those before.
    virtual void adjust_positions(const double* cell, const double* old, double* x) const = 0;
    virtual void adjust_forces(const double* cell, const double* x, double* f) const = 0;
    virtual void adjust_cell(const double* /*old*/, double* /*cell*/) const {}
    virtual void adjust_virial(const double* /*cell*/, double* /*virial*/) const {}  // (6), as in Outputs
};

using Constraints = std::vector<std::shared_ptr<const Constraint>>;

std::shared_ptr<const Constraint> fix_atoms(std::vector<std::int64_t> index);
std::shared_ptr<const Constraint> fix_com(std::vector<double> masses);
// mask (n_index, 3): components that stay.
std::shared_ptr<const Constraint> fix_cartesian(std::vector<std::int64_t> index, std::vector<std::uint8_t> mask);
// rotations (n_ops, 9) and translations (n_ops, 3) in fractional coordinates; map (n_ops, n): where each atom goes.
std::shared_ptr<const Constraint> fix_symmetry(std::vector<double> rotations, std::vector<double> translations,
                                               std::vector<std::int64_t> map, bool positions, bool cell);

}  // namespace mdkern
