#include "descriptors/acsf_model.hpp"

#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace mdkern {

namespace {

// An array of places, each from `least` to below `end`.
const std::int32_t* places(const Fields& f, const char* name,
                           std::initializer_list<std::int64_t> shape, std::int64_t least,
                           std::int64_t end) {
    const std::int32_t* a = f.array<std::int32_t>(name, shape);
    for (std::int64_t k = 0; k < f.size(name); ++k)
        if (a[k] < least || a[k] >= end)
            throw std::invalid_argument(f.prefix() + name + ": " + std::to_string(a[k]) +
                                        "; expected " + std::to_string(least) + " to " +
                                        std::to_string(end - 1));
    return a;
}

// Pairs of an earlier place and an exponent.
const std::int32_t* powers(const Fields& f, const char* name, int n, int most) {
    const std::int32_t* a = places(f, name, {n, 2}, -1, most + 1);
    for (int i = 0; i < n; ++i)
        if (a[2 * i] >= i)
            throw std::invalid_argument(f.prefix() + name + ": " + std::to_string(a[2 * i]) +
                                        "; expected a place before " + std::to_string(i));
    return a;
}

constexpr int kMostFunctions = 1 << 20;

// Functions of triplets of one kind.
AcsfAngular angular(const Fields& f, int offset) {
    AcsfAngular v;
    v.n = f.length("eta_of", 0, 0, kMostFunctions);
    v.n_eta = f.length("eta", 0, 0, kMostFunctions);
    v.n_angle = f.length("zeta", 0, 0, kMostFunctions);
    v.n_lambda = f.length("lambda", 0, 0, kMostFunctions);
    v.eta_of = places(f, "eta_of", {v.n}, 0, v.n_eta);
    v.angle_of = places(f, "angle_of", {v.n}, 0, v.n_angle);
    v.factor = f.array<double>("factor", {v.n});
    v.eta = f.array<double>("eta", {v.n_eta});
    v.eta_power = powers(f, "eta_power", v.n_eta, 64);
    v.zeta = f.array<double>("zeta", {v.n_angle});
    v.zeta_power = powers(f, "zeta_power", v.n_angle, 1024);
    v.lambda_of = places(f, "lambda_of", {v.n_angle}, 0, v.n_lambda);
    v.lambda = f.array<double>("lambda", {v.n_lambda});
    v.offset = offset;
    return v;
}

}  // namespace

AcsfModel::AcsfModel(const Fields& f) : fields_(f) {
    AcsfParams& p = params_;
    p.n_species = f.integer("n_species", 1, kMaxSpecies);
    p.cutoff = f.positive("cutoff");
    group_.resize(std::size_t(p.n_species));
    std::iota(group_.begin(), group_.end(), 0);
    p.group = group_.data();
    p.n2 = f.length("g2", 0, 0, kMostFunctions);
    p.n3 = f.length("g3", 0, 0, kMostFunctions);
    p.g2 = f.array<double>("g2", {p.n2, 2});
    p.g3 = f.array<double>("g3", {p.n3});
    p.closed = angular(f.group("closed"), 0);
    p.open = angular(f.group("open"), p.closed.n);
    p.n_features = p.pair_offset(p.n_species, 0);
    if (p.n_features > std::numeric_limits<std::int32_t>::max())
        throw std::invalid_argument(f.prefix() + "g2, g3, closed, open: of 2^31 features or more");
}

void AcsfModel::gradients(const System& s, const Neighbors& list, const Centers& centers,
                          const WeightedTask& task, int team) const {
    AcsfTask own;
    own.centers = centers;
    own.scratch = task.scratch;
    own.scratch_stride = task.stride;
    acsf_vjp_compute(params_, s, list, own, {task.weights, task.row, task.energies, task.out},
                     team);
}

}  // namespace mdkern
