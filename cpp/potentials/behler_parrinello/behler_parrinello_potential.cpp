#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/threads.hpp"
#include "model/potential.hpp"
#include "nn/net.hpp"
#include "potentials/behler_parrinello/symmetry_scratch.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 300.0;  // of a listed pair, for team_size()
constexpr int kMostPower = 64;     // zeta, and ratio of two eta, that is made by products

struct BehlerParrinelloSpace final : Workspace {
    ForceBlockSpace blocks;
};

[[noreturn]] void refuse(const std::string& name, double value, const std::string& expected) {
    throw std::invalid_argument(name + ": " + std::to_string(value) + "; expected " + expected);
}
// An integer that stands in a table of numbers.
int whole(const std::string& name, double value, int least, int most) {
    if (!(value >= least && value <= most) || value != std::floor(value))
        refuse(name, value, std::to_string(least) + " to " + std::to_string(most));
    return int(value);
}
double above(const std::string& name, double value, double least) {
    if (!(value > least) || !std::isfinite(value))
        refuse(name, value, "more than " + std::to_string(least));
    return value;
}
double finite(const std::string& name, double value) {
    if (!std::isfinite(value)) refuse(name, value, "a finite number");
    return value;
}

// Fields:
//   cutoffs (n, 3): type, rc, inner radius
//   factors (n, 7): compact, shape, asymmetric; cutoff's place, eta, rs, 0; or 0, left, right, 0
//   angles (n, 4): compact; shape, left, right in radian; or 0, lambda, zeta
//   elements.E: lower, upper (n_features); radial_first (n_species + 1), radial (n, 2), radial_weight (n);
//     near (n); sets.S: pair (2), closed, factor (n), first (n + 1), angle (n), function (n, 2), weight (n)
//   nets.K of members and, faster, elements; scale (n_members), bias (n_species)
class BehlerParrinello final : public Potential {
public:
    explicit BehlerParrinello(const Fields& f)
        : fields_(f), nets_list_(make_nets(f, "nets")), nets_(nets_list_) {
        read_tables(f);
        const std::vector<Fields> groups = f.groups("elements");
        if (groups.empty() || int(groups.size()) > kMaxSpecies)
            throw std::invalid_argument(f.prefix() + "elements: " + std::to_string(groups.size()) +
                                        "; expected 1 to " + std::to_string(kMaxSpecies));
        p_.n_species = int(groups.size());
        sets_.resize(groups.size());
        for (std::size_t e = 0; e < groups.size(); ++e)
            elements_.push_back(read_element(groups[e], sets_[e]));
        p_.elements = elements_.data();
        p_.bias = f.array<double>("bias", {p_.n_species});
        p_.n_members = f.length("scale", 0, 1, 4096);
        p_.scale = f.array<double>("scale", {p_.n_members});
        check_nets(f);
        p_.nets = nets_.data();
        p_.zeros = zeros_.data();
        traits_.n_features = p_.n_features;
        traits_.nine_virials = true;
        traits_.n_species = p_.n_species;
    }
    Traits traits() const override { return traits_; }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<BehlerParrinelloSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<BehlerParrinelloSpace&>(workspace);
        const CentreTask task = out.features          ? CentreTask::descriptor
                                : out.feature_weights ? CentreTask::vjp
                                : out.jacobian.values ? CentreTask::jacobian
                                                      : CentreTask::energy;
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), p_.n_species,
                                             team_size(threads, list.n_pairs, kPairNs));
        const bool gradients = task != CentreTask::descriptor;
        BehlerParrinelloWork work;
        static_cast<ForceBlockWork&>(work) =
            space.blocks.work(s, team, behler_parrinello_scratch(p_, space.blocks.largest_count()),
                              gradients, gradients ? out.width_of_virials() : 0);
        work.overflow = &space.overflow;
        behler_parrinello_compute(task, p_, s, space.blocks.list(), space.blocks.blocks(), work,
                                  team, out);
    }

private:
    void read_tables(const Fields& f) {
        p_.n_cutoffs = f.length("cutoffs", 0, 0, 1 << 16);
        const double* c = f.array<double>("cutoffs", {p_.n_cutoffs, 3});
        for (int k = 0; k < p_.n_cutoffs; ++k, c += 3) {
            const std::string name = f.prefix() + "cutoffs";
            const double rc = above(name, c[1], 0.0);
            if (!(c[2] >= 0.0 && c[2] < rc))
                refuse(name, c[2], "an inner radius from 0 to below rc");
            cutoffs_.push_back({whole(name, c[0], 0, 8), rc, c[2]});
        }
        const int n_factors = f.length("factors", 0, 1, 1 << 20);
        const double* r = f.array<double>("factors", {n_factors, 7});
        for (int k = 0; k < n_factors; ++k, r += 7) {
            const std::string name = f.prefix() + "factors";
            RadialFactor factor;
            factor.compact = whole(name, r[0], 0, 1) != 0;
            factor.shape = whole(name, r[1], 0, 4);
            factor.asymmetric = whole(name, r[2], 0, 1) != 0;
            if (factor.compact) {
                factor.middle = finite(name, 0.5 * (r[4] + r[5]));
                factor.half = above(name, 0.5 * (r[5] - r[4]), 0.0);
                factor.end = above(name, r[5], 0.0);
            } else {
                factor.cutoff = whole(name, r[3], 0, p_.n_cutoffs - 1);
                factor.eta = finite(name, r[4]);
                factor.rs = finite(name, r[5]);
                factor.end = cutoffs_[std::size_t(factor.cutoff)].rc;
            }
            factors_.push_back(factor);
        }
        const int n_angles = f.length("angles", 0, 0, 1 << 20);
        const double* a = f.array<double>("angles", {n_angles, 4});
        for (int k = 0; k < n_angles; ++k, a += 4) {
            const std::string name = f.prefix() + "angles";
            AngleFactor angle;
            angle.compact = whole(name, a[0], 0, 1) != 0;
            angle.shape = whole(name, a[1], 0, 4);
            if (angle.compact) {
                angle.middle = finite(name, 0.5 * (a[2] + a[3]));
                angle.half = above(name, 0.5 * (a[3] - a[2]), 0.0);
            } else {
                angle.lambda = finite(name, a[2]);
                angle.zeta = finite(name, a[3]);
                if (angle.zeta < 0.0) refuse(name, angle.zeta, "zeta not below zero");
                if (angle.zeta <= kMostPower && angle.zeta == std::floor(angle.zeta))
                    angle.power = int(angle.zeta);
            }
            angles_.push_back(angle);
        }
        p_.cutoffs = cutoffs_.data();
        p_.factors = factors_.data();
        p_.angles = angles_.data();
    }

    // Places, each from 0 to below `most`.
    static const std::int32_t* places(const Fields& f, const std::string& name,
                                      std::initializer_list<std::int64_t> shape,
                                      std::int64_t most) {
        const std::int32_t* x = f.array<std::int32_t>(name, shape);
        for (std::int64_t k = 0; k < f.size(name); ++k)
            if (x[k] < 0 || x[k] >= most)
                refuse(f.prefix() + name, x[k], "0 to " + std::to_string(most - 1));
        return x;
    }
    // Where each of n groups begins in a list of `total`, ascending.
    static const std::int32_t* starts(const Fields& f, const std::string& name, std::int64_t n,
                                      std::int64_t total) {
        const std::int32_t* x = places(f, name, {n + 1}, total + 1);
        for (std::int64_t k = 0; k < n; ++k)
            if (x[k + 1] < x[k]) refuse(f.prefix() + name, x[k + 1], "ascending numbers");
        if (x[0] != 0 || x[n] != total)
            refuse(f.prefix() + name, x[n], "0 to " + std::to_string(total));
        return x;
    }
    // Second column of pairs of places, that are features.
    static void check_pairs(const Fields& f, const std::string& name, const std::int32_t* pairs,
                            std::int64_t n, std::int64_t first, std::int64_t second) {
        for (std::int64_t k = 0; k < n; ++k)
            for (int c = 0; c < 2; ++c)
                if (pairs[2 * k + c] < 0 || pairs[2 * k + c] >= (c ? second : first))
                    refuse(f.prefix() + name, pairs[2 * k + c],
                           "0 to " + std::to_string((c ? second : first) - 1));
    }

    SymmetryElement read_element(const Fields& f, std::vector<SymmetrySet>& sets) {
        SymmetryElement e;
        e.n_features = f.length("lower", 0, 1, 1 << 20);
        e.lower = f.array<double>("lower", {e.n_features});
        e.upper = f.array<double>("upper", {e.n_features});
        const std::int64_t n_factors = std::int64_t(factors_.size());
        const std::int64_t n_radial = f.length("radial", 0);
        e.radial = f.array<std::int32_t>("radial", {n_radial, 2});
        check_pairs(f, "radial", e.radial, n_radial, n_factors, e.n_features);
        e.radial_weight = f.array<double>("radial_weight", {n_radial});
        e.radial_first = starts(f, "radial_first", p_.n_species, n_radial);
        for (std::int64_t k = 0; k < n_radial; ++k)
            e.reach = std::max(e.reach, factors_[std::size_t(e.radial[2 * k])].end);
        e.n_near = f.length("near", 0, 0, 1 << 20);
        e.near = places(f, "near", {e.n_near}, n_factors);
        for (int k = 0; k < e.n_near; ++k)
            e.near_reach = std::max(e.near_reach, factors_[std::size_t(e.near[k])].end);
        e.reach = std::max(e.reach, e.near_reach);
        for (const Fields& g : f.groups("sets")) sets.push_back(read_set(g, e));
        e.n_sets = int(sets.size());
        listed_.emplace_back(std::size_t(e.n_near) + 1, std::uint8_t(0));
        for (const SymmetrySet& s : sets)
            for (int q = 0; q < s.n_factors; ++q)
                if (!s.closed || !s.plain) listed_.back()[std::size_t(s.factor[q])] = 1;
        e.listed = listed_.back().data();
        p_.most_radial = std::max<std::int64_t>(p_.most_radial, n_radial);
        e.sets = sets.data();
        p_.most_near = std::max(p_.most_near, e.n_near);
        p_.n_features = std::max(p_.n_features, e.n_features);
        traits_.cutoff = std::max(traits_.cutoff, e.reach);
        return e;
    }
    SymmetrySet read_set(const Fields& f, const SymmetryElement& e) {
        SymmetrySet s;
        const std::int32_t* pair = places(f, "pair", {2}, p_.n_species);
        s.a = pair[0];
        s.b = pair[1];
        s.closed = f.flag("closed");
        s.n_factors = f.length("factor", 0, 1, 1 << 20);
        s.factor = places(f, "factor", {s.n_factors}, e.n_near);
        s.n_angles = f.length("angle", 0, 1, 1 << 20);
        s.angle = places(f, "angle", {s.n_angles}, std::int64_t(angles_.size()));
        s.n_functions = f.length("function", 0, 1, 1 << 20);
        s.function = f.array<std::int32_t>("function", {s.n_functions, 2});
        check_pairs(f, "function", s.function, s.n_functions, s.n_angles, e.n_features);
        s.weight = f.array<double>("weight", {s.n_functions});
        s.first = starts(f, "first", s.n_factors, s.n_functions);
        for (int q = 0; q < s.n_factors; ++q)
            s.reach = std::max(s.reach, factors_[std::size_t(e.near[s.factor[q]])].end);
        make_plain(s, e);
        p_.most_factors = std::max(p_.most_factors, s.n_factors);
        p_.most_functions = std::max(p_.most_functions, s.n_functions);
        p_.most_angles = std::max(p_.most_angles, s.n_angles);
        return s;
    }
    // Whether all factors are Gaussians around 0 with one cutoff function, and which is a power of which.
    void make_plain(SymmetrySet& s, const SymmetryElement& e) {
        const auto factor = [&](int q) -> const RadialFactor& {
            return factors_[std::size_t(e.near[s.factor[q]])];
        };
        s.cutoff = factor(0).cutoff;
        s.plain = true;
        for (int q = 0; q < s.n_factors; ++q)
            s.plain = s.plain && !factor(q).compact && factor(q).rs == 0.0 &&
                      factor(q).cutoff == s.cutoff;
        for (int b = 0; b < s.n_angles; ++b)
            s.exact = s.exact || angles_[std::size_t(s.angle[b])].compact;
        s.plain = s.plain && !s.exact;
        if (!s.plain) return;
        steep_.emplace_back();
        for (int q = 0; q < s.n_factors; ++q) steep_.back().push_back(2.0 * factor(q).eta);
        s.steep = steep_.back().data();
        powers_.emplace_back();
        std::vector<GaussianPower>& powers = powers_.back();
        for (int q = 0; q < s.n_factors; ++q) powers.push_back({q, -1, 0, factor(q).eta});
        std::sort(powers.begin(), powers.end(), [](const auto& a, const auto& b) {
            return a.eta < b.eta || (a.eta == b.eta && a.factor < b.factor);
        });
        for (std::size_t k = 1; k < powers.size(); ++k)
            for (std::size_t from = 0; from < k && powers[k].from < 0; ++from) {
                const double ratio = powers[k].eta / powers[from].eta, n = std::round(ratio);
                if (!(n >= 1.0 && n <= kMostPower && std::fabs(ratio - n) <= 1e-14 * n)) continue;
                powers[k].from = powers[from].factor;
                powers[k].exponent = int(n);
            }
        s.powers = powers.data();
    }
    void check_nets(const Fields& f) {
        if (int(nets_list_.size()) != p_.n_members * p_.n_species)
            throw std::invalid_argument(f.prefix() + "nets: " + std::to_string(nets_list_.size()) +
                                        "; expected " +
                                        std::to_string(p_.n_members * p_.n_species));
        int widest = padded(p_.n_features);
        for (std::size_t k = 0; k < nets_list_.size(); ++k) {
            const DenseNet& net = *nets_list_[k];
            const int n = elements_[k % elements_.size()].n_features;
            if (net.n_in() != n || net.n_out() != 1)
                throw std::invalid_argument(f.prefix() + "nets: one of " +
                                            std::to_string(net.n_in()) + " inputs and " +
                                            std::to_string(net.n_out()) + " outputs; expected " +
                                            std::to_string(n) + " and 1");
            for (const DenseLayer& layer : net.layers)
                widest = std::max({widest, padded(layer.n_in), padded(layer.n_out)});
        }
        zeros_.assign(std::size_t(widest) + 2 * kPanel<double>, 0.0);
    }

    Fields fields_;
    NetList nets_list_;
    PackedNets<double> nets_;
    BehlerParrinelloParams p_;
    Traits traits_;
    std::vector<SymmetryCutoff> cutoffs_;
    std::vector<RadialFactor> factors_;
    std::vector<AngleFactor> angles_;
    std::vector<std::vector<SymmetrySet>> sets_;
    std::vector<SymmetryElement> elements_;
    std::vector<std::vector<GaussianPower>> powers_;
    std::vector<std::vector<double>> steep_;
    std::vector<std::vector<std::uint8_t>> listed_;
    std::vector<double> zeros_;
};

const Registration registration = register_potential<BehlerParrinello>("behler_parrinello");

}  // namespace

}  // namespace mdkern
