#include "potentials/coulomb.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace mdkern {

namespace {

constexpr double kPi = 3.14159265358979323846;

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Rows b of 2 pi times the inverse, so that a_i b_j = 2 pi delta_ij; returns the volume.
double reciprocal(const double* a, double* b) {
    for (int i = 0; i < 3; ++i) {
        const double *u = a + 3 * ((i + 1) % 3), *v = a + 3 * ((i + 2) % 3);
        for (int c = 0; c < 3; ++c)
            b[3 * i + c] = u[(c + 1) % 3] * v[(c + 2) % 3] - u[(c + 2) % 3] * v[(c + 1) % 3];
    }
    const double det = dot(a, b);
    for (int k = 0; k < 9; ++k) b[k] *= 2.0 * kPi / det;
    return std::fabs(det);
}

}  // namespace

double* Coulomb::raw(std::int64_t n_real) { return raw_.reserve(n_real); }

void Coulomb::make_waves(double r_cut, const double* cell) {
    double now[10];
    std::memcpy(now, cell, 9 * sizeof(double));
    now[9] = r_cut;
    if (std::memcmp(now, seen_, sizeof now) == 0) return;
    const double alpha = kPi / r_cut, k_max = 2.0 * kPi * alpha;
    Waves& w = waves_;
    const double volume = reciprocal(cell, w.b);
    w.inverse_4alpha2 = 1.0 / (4.0 * alpha * alpha);
    double all = 1.0;
    for (int i = 0; i < 3; ++i) {
        const double most = k_max * std::sqrt(dot(cell + 3 * i, cell + 3 * i)) / (2.0 * kPi);
        all *= 2.0 * most + 1.0;
        w.most[i] = std::int32_t(most < 1e6 ? most : 1e6);
    }
    if (!(all < 2e8))
        throw std::invalid_argument(
            "cell: the Ewald sum of the charges would have more than 1e8 waves; expected a smaller "
            "cell, or vectors that are less oblique");
    line_.clear();
    weight_.clear();
    first_.assign(1, 0);
    std::vector<double> entries;
    for (std::int32_t n1 = 0; n1 <= w.most[0]; ++n1)
        for (std::int32_t n2 = n1 ? -w.most[1] : 0; n2 <= w.most[1]; ++n2) {
            entries.clear();
            std::size_t used = 0;
            for (std::int32_t n3 = 0; n3 <= w.most[2]; ++n3)
                for (int sign = 1; sign >= -1; sign -= 2) {
                    const bool counted = sign > 0 ? n1 || n2 || n3 : n3 && (n1 || n2);
                    double k[3];
                    for (int c = 0; c < 3; ++c)
                        k[c] = n1 * w.b[c] + n2 * w.b[3 + c] + sign * n3 * w.b[6 + c];
                    const double k2 = dot(k, k);
                    const bool inside = counted && k2 < k_max * k_max;
                    entries.push_back(inside ? kCoulomb * 4.0 * kPi / volume *
                                                   std::exp(-k2 * w.inverse_4alpha2) / k2
                                             : 0.0);
                    if (inside) used = 2 * std::size_t(n3) + 2;
                }
            if (used == 0) continue;
            line_.push_back(n1);
            line_.push_back(n2);
            weight_.insert(weight_.end(), entries.begin(), entries.begin() + std::ptrdiff_t(used));
            first_.push_back(std::int64_t(weight_.size() / 2));
        }
    w.n_lines = std::int64_t(first_.size()) - 1;
    w.n_entries = first_.back();
    w.line = line_.data();
    w.first = first_.data();
    w.weight = weight_.data();
    std::memcpy(seen_, now, sizeof now);
}

void Coulomb::begin(const CoulombParams& p, const Table& table, const Neighbors& list,
                    int n_threads) {
    const System s = table.system();
    const std::int64_t n = s.n_real;
    double* charge = charge_.reserve(s.n_total);
    subtract_mean(table, n, 1, raw_.data(), charge);
    table.forward(charge, 1, 1, n_threads);
    rows_.reserve(kCoulombRow * n);
    // A process without atoms takes part in the sums.
    waved_ = p.mode != 3 && n_everywhere_ > 0.0;
    if (p.mode == 2) {
        std::fill_n(rows_.data(), kCoulombRow * n, 0.0);
    } else {
        CoulombPairs t;
        t.alpha = kPi / p.r_cut;
        t.n_types = p.n_types;
        t.rc2 = p.rc2;
        const double root = t.alpha / std::sqrt(kPi);
        if (p.mode == 1) {
            t.self = kCoulomb * root;
        } else {
            const double value = std::erfc(kPi) / p.r_cut;
            t.shift_slope = (value + 2.0 * root * std::exp(-kPi * kPi)) / p.r_cut;
            t.shift_value = -value - t.shift_slope * p.r_cut;
        }
        coulomb_pairs_compute(s, list, t, rows(), n_threads);
    }
    if (waved_) {
        make_waves(p.r_cut, table.box().cell);
        const std::size_t powers =
            2 * kAtomsPerWaveBlock *
            (std::size_t(waves_.most[0]) + waves_.most[1] + waves_.most[2] + 3);
        powers_.reserve(n_threads * powers);
        sums_.reserve(kWaveGroups * 4 * waves_.n_entries);
        coefficients_.reserve(8 * waves_.n_entries);
        totals_.reserve(6 * waves_.n_lines);
        waves_sum_compute(s, waves_, rows(), powers_.data(), sums_.data(), n_threads);
        if (!table.whole()) {
            // Groups of atoms exist for threads; processes exchange what they add up to.
            const std::int64_t each = 4 * waves_.n_entries;
            for (std::int64_t k = each; k < kWaveGroups * each; ++k) {
                sums_[k % each] += sums_[k];
                sums_[k] = 0.0;
            }
            table.sum(sums_.data(), each);
        }
        waves_coefficients_compute(waves_, 0, sums_.data(), coefficients_.data(), totals_.data(),
                                   n_threads);
        waves_apply_compute(s, waves_, rows(), coefficients_.data(), powers_.data(), 0, nullptr,
                            n_threads);
    }
    subtract_mean(table, n, kCoulombRow, rows_.data(), slope_.reserve(n));
}

void Coulomb::subtract_mean(const Table& table, std::int64_t n, std::int64_t stride,
                            const double* values, double* differences) {
    double sums[2] = {0.0, double(n)};
    for (std::int64_t i = 0; i < n; ++i) sums[0] += values[stride * i];
    table.sum(sums, 2);
    n_everywhere_ = sums[1];
    const double mean = sums[0] / (n_everywhere_ > 0.0 ? n_everywhere_ : 1.0);
    for (std::int64_t i = 0; i < n; ++i) differences[i] = values[stride * i] - mean;
}

void Coulomb::finish(const Table& table, const Outputs& out, int n_threads) {
    const System s = table.system();
    coulomb_add_compute(s, rows(), out, n_threads);
    if (!waved_) return;
    // Of the waves' virial, which all processes have, each takes a part.
    const double share = double(s.n_real) / n_everywhere_;
    if (out.block_totals && s.n_real > 0)
        for (std::int64_t line = 0; line < waves_.n_lines; ++line)
            for (int c = 0; c < 6; ++c) out.block_totals[1 + c] += share * totals_[6 * line + c];
    if (!out.virials) return;
    for (int component = 1; component <= 6; ++component) {
        waves_coefficients_compute(waves_, component, sums_.data(), coefficients_.data(), nullptr,
                                   n_threads);
        waves_apply_compute(s, waves_, rows(), coefficients_.data(), powers_.data(), component,
                            out.virials, n_threads);
    }
}

}  // namespace mdkern
