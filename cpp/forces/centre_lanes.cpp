#include "forces/centre_lanes.hpp"

#include <algorithm>

namespace mdkern {

double* energies_of_homes(const Table& table, const System& s, double* energies,
                          Buffer<double>& rows) {
    if (!energies || table.whole()) return energies;
    return rows.reserve(std::size_t(s.n_total) + 1);  // every row is a home there
}

void finish_energies(const Table& table, const System& s, double* of_homes, int team,
                     double* energies) {
    if (!energies || table.whole()) return;
    table.reverse(of_homes, 1, 1, team);
    std::copy_n(of_homes, s.n_real, energies);
}

}  // namespace mdkern
