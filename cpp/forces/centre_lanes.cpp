#include "forces/centre_lanes.hpp"

#include <algorithm>

namespace mdkern {

void gather_energy_shares(const Table& table, const System& s, const ForceBlocks& plan,
                          const double* entries, Buffer<double>& rows, int team, double* energies) {
    if (table.whole()) {
        force_blocks_gather_compute(s, plan, entries + 3, 4, 1, team, energies, 1);
        return;
    }
    double* all = rows.reserve(std::size_t(s.n_total) + 1);
    std::fill_n(all, s.n_total, 0.0);
    force_blocks_gather_compute(s, plan, entries + 3, 4, 1, team, all, 1);
    table.reverse(all, 1, 1, team);
    std::copy_n(all, s.n_real, energies);
}

}  // namespace mdkern
