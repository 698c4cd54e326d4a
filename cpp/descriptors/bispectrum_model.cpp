#include "descriptors/bispectrum_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace mdkern {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kMostCutoff = 100.0;  // Angstrom
constexpr std::int64_t kMostComponents = 1 << 20;

long double factorial(int n) {
    long double f = 1.0L;
    for (int k = 2; k <= n; ++k) f *= k;
    return f;
}

// <j1 m1 j2 m2|j m> with m1 = k1 - j1 / 2, m2 = k2 - j2 / 2: Racah's sum. All doubled.
double clebsch_gordan(int j1, int k1, int j2, int k2, int j) {
    const int m1 = 2 * k1 - j1, m2 = 2 * k2 - j2, m = m1 + m2;
    const int low = std::max({0, (j2 - j - m1) / 2, (j1 - j + m2) / 2});
    const int high = std::min({(j1 + j2 - j) / 2, (j1 - m1) / 2, (j2 + m2) / 2});
    long double sum = 0.0L;
    for (int z = low; z <= high; ++z)
        sum += (z % 2 ? -1.0L : 1.0L) /
               (factorial(z) * factorial((j1 + j2 - j) / 2 - z) * factorial((j1 - m1) / 2 - z) *
                factorial((j2 + m2) / 2 - z) * factorial((j - j2 + m1) / 2 + z) *
                factorial((j - j1 - m2) / 2 + z));
    const long double triangle = factorial((j1 + j2 - j) / 2) * factorial((j1 - j2 + j) / 2) *
                                 factorial((j2 - j1 + j) / 2) / factorial((j1 + j2 + j) / 2 + 1);
    const long double roots = factorial((j1 + m1) / 2) * factorial((j1 - m1) / 2) *
                              factorial((j2 + m2) / 2) * factorial((j2 - m2) / 2) *
                              factorial((j + m) / 2) * factorial((j - m) / 2) * (j + 1);
    return double(sum * std::sqrt(triangle * roots));
}

[[noreturn]] void refuse(const Fields& f, const char* name, double value, const char* expected) {
    throw std::invalid_argument(f.prefix() + name + ": " + std::to_string(value) + "; expected " +
                                expected);
}

using Elements = std::array<int, 3>;

}  // namespace

BispectrumModel::BispectrumModel(const Fields& f) {
    read(f);
    read_pairs(f);
    make_layers();
    make_couplings();
    make_components(f.flag("chem"), f.flag("bzero"), f.flag("bnorm"), f.flag("wselfall"));
}

void BispectrumModel::read(const Fields& f) {
    BispectrumParams& p = params_;
    p.n_species = f.length("block", 0, 1, kMaxSpecies);
    p.twojmax = f.integer("twojmax", 0, kBispectrumMostJ);
    p.rmin0 = f.number("rmin0");
    p.switched = f.flag("switch");
    p.quadratic = f.flag("quadratic");
    const std::int32_t* block = f.array<std::int32_t>("block", {p.n_species});
    block_.assign(block, block + p.n_species);
    if (f.flag("chem")) {
        p.n_blocks = p.n_species;
        std::vector<std::int32_t> sorted = block_;
        std::sort(sorted.begin(), sorted.end());
        for (int k = 0; k < p.n_species; ++k)
            if (sorted[std::size_t(k)] != k)
                refuse(f, "block", sorted[std::size_t(k)], "each number from 0 on once, with chem");
        if (p.n_blocks > kBispectrumMostBlocks)
            refuse(f, "block", p.n_blocks, "at most 16 elements with chem");
    } else {
        for (const std::int32_t b : block_)
            if (b != 0) refuse(f, "block", b, "0 without chem");
    }
    p.block = block_.data();
}

void BispectrumModel::read_pairs(const Fields& f) {
    BispectrumParams& p = params_;
    const std::int64_t n = p.n_species;
    const auto radii = f.values("radii", {n}), weights = f.values("weights", {n});
    const double rcutfac = f.positive("rcutfac"), rfac0 = f.positive("rfac0");
    std::vector<double> inner, half;
    p.inner = f.has("sinner");
    if (p.inner) {
        inner = f.values("sinner", {n});
        half = f.values("dinner", {n});
    }
    for (const double r : radii)
        if (!(r > 0.0)) refuse(f, "radii", r, "positive numbers");
    for (std::size_t a = 0; a < std::size_t(n); ++a)
        for (std::size_t b = 0; b < std::size_t(n); ++b) {
            const double cut = rcutfac * (radii[a] + radii[b]);
            if (!std::isfinite(weights[a])) refuse(f, "weights", weights[a], "finite numbers");
            if (!(cut <= kMostCutoff)) refuse(f, "rcutfac", cut, "cutoffs up to 100 Angstrom");
            if (!(p.rmin0 < cut)) refuse(f, "rmin0", p.rmin0, "less than each cutoff");
            double row[8] = {cut * cut,
                             weights[b],
                             rfac0 * kPi / (cut - p.rmin0),
                             kPi / (cut - p.rmin0),
                             0.0,
                             0.0,
                             0.0,
                             0.0};
            if (p.inner) {
                const double middle = 0.5 * (inner[a] + inner[b]), d = 0.5 * (half[a] + half[b]);
                if (!(half[a] > 0.0)) refuse(f, "dinner", half[a], "positive numbers");
                if (!std::isfinite(inner[a])) refuse(f, "sinner", inner[a], "finite numbers");
                row[4] = middle - d;
                row[5] = middle + d;
                row[6] = middle;
                row[7] = 0.5 * kPi / d;
            }
            pair_.insert(pair_.end(), row, row + 8);
            cutoff_ = std::max(cutoff_, cut);
        }
    p.pair = pair_.data();
}

void BispectrumModel::make_layers() {
    BispectrumParams& p = params_;
    for (int j = 0; j <= p.twojmax; ++j) {
        half_at_.push_back(p.n_half);
        full_at_.push_back(p.n_full);
        p.n_half += (j / 2 + 1) * (j + 1);
        p.n_full += (j + 1) * (j + 1);
        for (int mb = 0; mb <= j / 2; ++mb)
            for (int ma = 0; ma <= j; ++ma)
                norm_.push_back(double(std::sqrt(factorial(j - ma) * factorial(ma) /
                                                 (factorial(j - mb) * factorial(mb)))));
    }
    p.half_at = half_at_.data();
    p.full_at = full_at_.data();
    p.norm = norm_.data();
}

void BispectrumModel::make_couplings() {
    BispectrumParams& p = params_;
    for (int j1 = 0; j1 <= p.twojmax; ++j1)
        for (int j2 = 0; j2 <= j1; ++j2) {
            BispectrumPair q;
            q.j1 = j1;
            q.j2 = j2;
            q.top = std::min(j1 + j2, p.twojmax);
            if ((j1 + j2 - q.top) % 2) --q.top;
            q.first_row = p.n_rows;
            q.n_rows = (q.top - (j1 - j2)) / 2 + 1;
            q.n_kept = q.top >= j1 ? (q.top - j1 - j2 % 2) / 2 + 1 : 0;
            q.component = p.n_triples;
            q.table = int(tables_.size());
            p.n_rows += q.n_rows;
            p.n_triples += q.n_kept;
            for (int m = 0; m <= j1 + j2; ++m) {
                BispectrumTable t;
                t.at = int(couple_.size());
                t.low = std::max(0, m - j2);
                t.high = std::min(j1, m);
                const int least = std::max(j1 - j2, std::abs(2 * m - j1 - j2));
                t.n_rows = least > q.top ? 0 : (q.top - least) / 2 + 1;
                for (int k = t.low; k <= t.high; ++k)
                    for (int r = 0; r < t.n_rows; ++r) {
                        const double c = clebsch_gordan(j1, k, j2, m - k, q.top - 2 * r);
                        couple_.push_back(c);
                        couple_twice_.push_back(2 * k > m ? 2.0 * c : 2 * k == m ? c : 0.0);
                    }
                tables_.push_back(t);
            }
            pairs_.push_back(q);
        }
    p.n_pairs = int(pairs_.size());
    p.pairs = pairs_.data();
    p.tables = tables_.data();
    p.couple = couple_.data();
    p.couple_twice = couple_twice_.data();
}

void BispectrumModel::make_components(bool chem, bool bzero, bool bnorm, bool wselfall) {
    BispectrumParams& p = params_;
    const int n = p.n_blocks;
    const std::int64_t blocks = std::int64_t(n) * n * n;
    if (blocks * std::max(p.n_triples, p.n_rows) > kMostComponents)
        throw std::invalid_argument("twojmax, chem: more than 2^20 components of the bispectrum");
    p.n_components = int(blocks * p.n_triples);
    const std::int64_t m = p.n_components;
    p.n_features = p.quadratic ? m + m * (m + 1) / 2 : m;
    if (p.n_features > std::numeric_limits<std::int32_t>::max() / 2)
        throw std::invalid_argument("quadratic: more than 2^30 features");

    // Place of each component by (j1, j2, j), and factors.
    std::map<std::array<int, 3>, int> triple;
    for (const BispectrumPair& q : pairs_)
        for (int k = 0; k < q.n_kept; ++k) {
            const int j = q.top - 2 * (q.n_kept - 1 - k);
            triple[{q.j1, q.j2, j}] = q.component + k;
            scale_.push_back(bnorm ? 1.0 / (j + 1) : 1.0);
        }
    const auto place = [&](const Elements& e, int t) {
        return ((e[0] * n + e[1]) * n + e[2]) * p.n_triples + t;
    };

    // Components that are equal, whatever the density, share an orbit.
    orbit_.assign(std::size_t(m), -1);
    share_.assign(std::size_t(m), 1.0);
    for (const auto& [js, t] : triple)
        for (int a = 0; a < n; ++a)
            for (int b = 0; b < n; ++b)
                for (int c = 0; c < n; ++c) {
                    if (orbit_[std::size_t(place({a, b, c}, t))] >= 0) continue;
                    std::vector<Elements> equal{{a, b, c}};
                    const bool low = js[0] == js[1], high = js[0] == js[2];
                    if (low) equal.push_back({b, a, c});
                    if (high) equal.push_back({c, b, a});
                    if (low && high) {
                        equal.push_back({a, c, b});
                        equal.push_back({b, c, a});
                        equal.push_back({c, a, b});
                    }
                    std::sort(equal.begin(), equal.end());
                    equal.erase(std::unique(equal.begin(), equal.end()), equal.end());
                    for (const Elements& e : equal) {
                        orbit_[std::size_t(place(e, t))] = p.n_orbits;
                        share_[std::size_t(place(e, t))] = 1.0 / double(equal.size());
                    }
                    ++p.n_orbits;
                }

    // dE/dU_j from the product of U_j1 and U_j2: the component with these three, in their order.
    rows_.resize(std::size_t(blocks * p.n_rows));
    for (const BispectrumPair& q : pairs_)
        for (int a = 0; a < n; ++a)
            for (int b = 0; b < n; ++b)
                for (int c = 0; c < n; ++c)
                    for (int r = 0; r < q.n_rows; ++r) {
                        const int j = q.top - 2 * r;
                        BispectrumRow row;
                        int t;
                        const double ratio = bnorm ? 1.0 : double(q.j1 + 1) / (j + 1);
                        if (j >= q.j1) {
                            t = place({a, b, c}, triple.at({q.j1, q.j2, j}));
                            row.factor = j > q.j1 ? 1.0 : q.j1 == q.j2 ? 3.0 : 2.0;
                        } else if (j >= q.j2) {
                            t = place({c, b, a}, triple.at({j, q.j2, q.j1}));
                            row.factor = ratio * (j == q.j2 ? 2.0 : 1.0);
                        } else {
                            t = place({b, c, a}, triple.at({q.j2, j, q.j1}));
                            row.factor = ratio;
                        }
                        if (bnorm) row.factor /= j + 1;
                        // Of equal j1 and j2 either order of two elements is made once.
                        if (q.j1 == q.j2 && a != b) row.factor *= a > b ? 2.0 : 0.0;
                        row.orbit = orbit_[std::size_t(t)];
                        rows_[std::size_t(((a * n + b) * n + c) * p.n_rows + q.first_row + r)] =
                            row;
                    }

    self_.assign(std::size_t(p.n_species * n), 1.0);
    zero_.assign(std::size_t(p.n_species * m), 0.0);
    for (int s = 0; s < p.n_species; ++s) {
        const int own = p.block[s];
        for (int e = 0; e < n; ++e)
            if (chem && !wselfall && e != own) self_[std::size_t(s * n + e)] = 0.0;
        for (const auto& [js, t] : triple)
            for (std::int64_t e = 0; bzero && e < blocks; ++e)
                if (!chem || wselfall || e == (std::int64_t(own) * n + own) * n + own)
                    zero_[std::size_t(s * m + e * p.n_triples + t)] = bnorm ? 1.0 : js[2] + 1.0;
    }
    p.self = self_.data();
    p.zero = zero_.data();
    p.orbit = orbit_.data();
    p.share = share_.data();
    p.scale = scale_.data();
    p.rows = rows_.data();
}

std::vector<double> BispectrumModel::slopes(const double* components) const {
    std::vector<double> orbits(std::size_t(params_.n_orbits), 0.0), out;
    for (std::size_t c = 0; c < orbit_.size(); ++c)
        orbits[std::size_t(orbit_[c])] += share_[c] * components[c];
    for (const BispectrumRow& row : rows_)
        out.push_back(row.factor * orbits[std::size_t(row.orbit)]);
    return out;
}

void BispectrumModel::gradients(const System& s, const Neighbors& list, const Centers& centers,
                                const WeightedTask& task, int team) const {
    const BispectrumTask own{centers, task.scratch, task.stride};
    bispectrum_vjp_compute(params_, s, list, own, {task.weights, task.row, task.energies, task.out},
                           team);
}

}  // namespace mdkern
