// What molecular dynamics records of the currents of heat and momentum.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/threads.hpp"
#include "md/loop.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

constexpr double kHeatNs = 10.0;  // of a row, for team_size()

}  // namespace

// sum_i W_i v_i and sum_i (m_i v_i^2 / 2 + U_i) v_i: over blocks of rows, then over blocks, so that the
// bits are the same for every number of threads. Virials are in the order that forces come in.
void MdLoop::sum_heat(double* potential, double* convective) {
    double* sums = flux_sums_.reserve(6 * n_sums());
    const std::int32_t* order = table_.caller_order();
    parallel_for(n_sums(), team_size(threads_, n_, kHeatNs), 4, [&](std::int64_t b) {
        double* to = sums + 6 * b;
        std::fill_n(to, 6, 0.0);
        const std::int64_t end = std::min((b + 1) * kMdBlock, n_);
        for (std::int64_t r = b * kMdBlock; r < end; ++r) {
            if (std::isinf(mass_[r])) continue;  // it does not move
            const double* p = p_.data() + 3 * r;
            const double* w = virials_.data() + 9 * (row_order_ ? r : std::int64_t(order[r]));
            const double v[3] = {p[0] / mass_[r], p[1] / mass_[r], p[2] / mass_[r]};
            const double energy = energies_[r] + 0.5 * (p[0] * v[0] + p[1] * v[1] + p[2] * v[2]);
            for (int c = 0; c < 9; ++c) to[kNine[c][0]] += w[c] * v[kNine[c][1]];
            for (int c = 0; c < 3; ++c) to[3 + c] += energy * v[c];
        }
    });
    std::fill_n(potential, 3, 0.0);
    std::fill_n(convective, 3, 0.0);
    for (std::int64_t b = 0; b < n_sums(); ++b)
        for (int c = 0; c < 3; ++c) {
            potential[c] += sums[6 * b + c];
            convective[c] += sums[6 * b + 3 + c];
        }
}

void MdLoop::sample_fluxes(bool heat) {
    complete();
    if (heat && !have_virials_) evaluate(Want::virials);
    energy();  // with it the virial
    double row[kMdFlux];
    row[0] = double(phase_.step);
    std::fill_n(row + 1, 6, std::numeric_limits<double>::quiet_NaN());
    if (heat) sum_heat(row + 1, row + 4);
    const double volume = phase_.volume();
    for (int c = 0; c < 6; ++c)
        row[7 + c] = volume > 0.0 ? (phase_.virial[c] + phase_.sums[1 + c]) / volume
                                  : std::numeric_limits<double>::quiet_NaN();
    row[13] = volume;
    row[14] = phase_.kinetic();
    fluxes_.insert(fluxes_.end(), row, row + kMdFlux);
}

}  // namespace mdkern
