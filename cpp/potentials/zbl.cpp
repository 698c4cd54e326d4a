#include "potentials/zbl.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 4.0;         // of a listed pair, for team_size()
constexpr double kCoulomb = 14.399645;  // e^2 / (4 pi epsilon_0), eV Angstrom
constexpr double kRadius = 0.46850;     // Angstrom
constexpr double kRadiusPower = 0.23;

// k Z_i Z_j, 1 / a, and A, B, C of the switch, which take phi, phi' and phi'' to zero at `outer`.
void fill_row(double zi, double zj, double inner, double outer, double* row) {
    const double strength = kCoulomb * zi * zj;
    const double inv_a = (std::pow(zi, kRadiusPower) + std::pow(zj, kRadiusPower)) / kRadius;
    double f[3] = {};  // the screening function at `outer`, and its derivatives by r
    for (int m = 0; m < 4; ++m) {
        const double d = kZblDecay[m] * inv_a, term = kZblWeight[m] * std::exp(-d * outer);
        f[0] += term;
        f[1] -= d * term;
        f[2] += d * d * term;
    }
    const double q = 1.0 / outer, t = outer - inner;
    const double e = strength * q * f[0], e1 = strength * q * (f[1] - q * f[0]);
    const double e2 = strength * q * (f[2] - 2.0 * q * f[1] + 2.0 * q * q * f[0]);
    row[0] = strength;
    row[1] = inv_a;
    row[2] = (t * e2 - 3.0 * e1) / (t * t);
    row[3] = (2.0 * e1 - t * e2) / (t * t * t);
    row[4] = -e + 0.5 * t * e1 - t * t * e2 / 12.0;
}

class Zbl final : public Potential {
public:
    explicit Zbl(const Fields& f) {
        const int n = f.length("charges", 0, 1, kMaxSpecies);
        const std::vector<double> z = f.values("charges", {n});
        params_.inner = f.positive("inner");
        params_.outer = f.positive("outer");
        if (!(params_.inner < params_.outer))
            throw std::invalid_argument(f.prefix() + "inner: " + std::to_string(params_.inner) +
                                        "; expected less than outer, " +
                                        std::to_string(params_.outer));
        for (const double charge : z)
            if (!(charge > 0.0 && charge <= 1e3))
                throw std::invalid_argument(f.prefix() + "charges: " + std::to_string(charge) +
                                            "; expected numbers above 0, up to 1000");
        table_.resize(std::size_t(8 * n * n));
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j)
                fill_row(z[std::size_t(i)], z[std::size_t(j)], params_.inner, params_.outer,
                         table_.data() + 8 * (i * n + j));
        params_.n_species = n;
        params_.table = table_.data();
        traits_.cutoff = params_.outer;
        traits_.forces_alone = true;
        traits_.nine_virials = true;
        traits_.n_species = n;
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<Workspace>(); }
    void compute(Table& table, Workspace&, const Outputs& out, int threads) const override {
        const Neighbors list = table.neighbors();
        zbl_compute(params_, table.system(), list, team_size(threads, list.n_pairs, kPairNs), out);
    }

private:
    std::vector<double> table_;
    ZblParams params_;
    Traits traits_;
};

const Registration registration = register_potential<Zbl>("zbl");

}  // namespace

}  // namespace mdkern
