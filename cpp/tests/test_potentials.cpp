// Potentials through their contract and through the C interface, without Python:
//
//   test_potentials [--few] MODEL.mdk ...
//
// Of each model: forces and virial against finite differences, sums, the same bits for other numbers of
// threads, for a workspace that was used before and for threads that share the potential; and a cluster
// through the C interface. Before, what all potentials take from a table: its exchanges.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "capi/mdkern.h"
#include "core/start.hpp"
#include "model/model_file.hpp"
#include "model/potential.hpp"
#include "neighbors/table.hpp"

using namespace mdkern;

namespace {

int failures = 0;
bool few = false;  // rows and repetitions, where each takes twenty times as long
std::string where;

void check(bool good, const char* what, double found = 0.0, double allowed = 0.0) {
    if (good) return;
    ++failures;
    std::printf("%s: %s: %g, allowed %g\n", where.c_str(), what, found, allowed);
}

constexpr int kSide = 4, kAtoms = kSide * kSide * kSide;
constexpr double kSpacing = 2.6;

struct Atoms {
    std::vector<double> x;
    std::vector<std::int32_t> species;
    double cell[9] = {kSide * kSpacing, 0, 0, 0.7, kSide * kSpacing, 0, -0.4, 0.3,
                      kSide * kSpacing};
    bool pbc[3] = {true, true, true};

    explicit Atoms(int n_species) {
        std::mt19937 random(7);
        std::uniform_real_distribution<double> jitter(-0.25, 0.25);
        for (int k = 0; k < kAtoms; ++k) {
            const int at[3] = {k % kSide, k / kSide % kSide, k / kSide / kSide};
            for (int c = 0; c < 3; ++c) x.push_back(kSpacing * at[c] + jitter(random));
            species.push_back(std::int32_t(random() % unsigned(n_species)));
        }
    }
    AtomsView view() const { return {kAtoms, x.data(), cell, pbc, species.data()}; }
};

struct Results {
    double energy = 0.0, virial[6] = {};
    std::vector<double> energies, forces, virials;
    bool operator==(const Results& o) const {
        const auto same = [](const std::vector<double>& a, const std::vector<double>& b) {
            return a.size() == b.size() &&
                   std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
        };
        return energy == o.energy && std::equal(virial, virial + 6, o.virial) &&
               same(energies, o.energies) && same(forces, o.forces) && same(virials, o.virials);
    }
};

// A table and a workspace, as whoever evaluates has them.
struct Place {
    NeighborTable table;
    std::unique_ptr<Workspace> space;

    Results evaluate(const Potential& potential, const Atoms& atoms, int threads) {
        TableOptions options;
        options.cutoff = potential.traits().cutoff;
        if (!space) space = potential.workspace();
        table.build(atoms.view(), options, threads);
        Results r;
        r.energies.resize(kAtoms);
        r.forces.resize(3 * kAtoms);
        r.virials.resize(6 * kAtoms);
        std::vector<double> totals(std::size_t(7 * n_blocks(kAtoms)));
        Outputs out;
        out.energies = r.energies.data();
        out.forces = r.forces.data();
        out.virials = r.virials.data();
        out.block_totals = totals.data();
        potential.compute(table, *space, out, threads);
        for (std::size_t b = 0; b < totals.size(); b += 7) {
            r.energy += totals[b];
            for (int c = 0; c < 6; ++c) r.virial[c] += totals[b + 1 + std::size_t(c)];
        }
        return r;
    }
};

double largest(const std::vector<double>& x) {
    double most = 0.0;
    for (double value : x) most = std::max(most, std::fabs(value));
    return most;
}

void check_derivatives(const Potential& p, const Results& r, const Atoms& atoms) {
    // Of single precision only sums can be seen. Steps of single nets are beyond rounding.
    const double h = 1e-3, force = std::max(largest(r.forces), 1e-3);
    Place place;
    for (int k : {0, 17, 100, 191}) {
        const auto at = [&](double step) {
            Atoms moved = atoms;
            moved.x[std::size_t(k)] += step;
            return place.evaluate(p, moved, 1).energy;
        };
        const double slope = (at(-2 * h) - 8 * at(-h) + 8 * at(h) - at(2 * h)) / (12 * h);
        const double error = std::fabs(r.forces[std::size_t(k)] + slope);
        check(error < 2e-5 * force, "force against finite differences", error, 2e-5 * force);
    }
    const int pairs[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};
    double most = 0.0;
    for (double w : r.virial) most = std::max(most, std::fabs(w));
    for (int v = 0; v < 6; ++v) {
        const auto at = [&](double step) {
            Atoms strained = atoms;
            const int a = pairs[v][0], b = pairs[v][1];
            const auto strain = [&](double* x) {
                const double xa = x[a], xb = x[b];
                x[a] += 0.5 * step * xb;
                x[b] += 0.5 * step * xa;
            };
            for (int i = 0; i < kAtoms; ++i) strain(strained.x.data() + 3 * i);
            for (int i = 0; i < 3; ++i) strain(strained.cell + 3 * i);
            return place.evaluate(p, strained, 1).energy;
        };
        const double e = 1e-4, slope = (at(-2 * e) - 8 * at(-e) + 8 * at(e) - at(2 * e)) / (12 * e);
        const double error = std::fabs(r.virial[v] + slope);
        check(error < 5e-5 * most, "virial against finite differences", error, 5e-5 * most);
    }
}

void check_sums(const Results& r) {
    double energy = 0.0, force[3] = {}, virial[6] = {};
    for (int i = 0; i < kAtoms; ++i) {
        energy += r.energies[std::size_t(i)];
        for (int c = 0; c < 3; ++c) force[c] += r.forces[std::size_t(3 * i + c)];
        for (int c = 0; c < 6; ++c) virial[c] += r.virials[std::size_t(6 * i + c)];
    }
    const double unit = std::max(largest(r.forces), 1e-3);
    check(std::fabs(energy - r.energy) <= 1e-11 * kAtoms * largest(r.energies), "sum of energies",
          energy - r.energy);
    for (double f : force) check(std::fabs(f) < 1e-4 * unit, "sum of forces", f, 1e-4 * unit);
    for (int c = 0; c < 6; ++c)
        check(std::fabs(virial[c] - r.virial[c]) < 1e-4 * kAtoms * unit, "sum of virials",
              virial[c] - r.virial[c]);
}

void check_bits(const Potential& p, const Results& r, const Atoms& atoms) {
    Place again;
    check(again.evaluate(p, atoms, 2) == r, "two threads have other bits");
    check(again.evaluate(p, atoms, 1) == r, "a workspace that was used has other bits");
    // Threads share the potential; each has its own table and workspace.
    bool same[4] = {};
    std::vector<std::thread> threads;
    for (bool& mine : same)
        threads.emplace_back([&] {
            Place own;
            mine = own.evaluate(p, atoms, 1) == r && own.evaluate(p, atoms, 1) == r;
        });
    for (std::thread& t : threads) t.join();
    check(std::all_of(same, same + 4, [](bool x) { return x; }),
          "threads that share the potential have other bits");
}

int nothing_to_exchange(void*, double*, int, int) { return 0; }

// Ghosts get the values of some atoms, the same in every call.
int from_some_atoms(void* user, double* values, int width, int stride) {
    const auto* rows = static_cast<const mdkern_atoms*>(user);
    for (std::int64_t r = rows->n_own; r < rows->n_all; ++r)
        for (int c = 0; c < width; ++c)
            values[stride * r + c] = values[stride * (r - rows->n_own) + c];
    return 0;
}

int add_to_some_atoms(void* user, double* values, int width, int stride) {
    const auto* rows = static_cast<const mdkern_atoms*>(user);
    for (std::int64_t r = rows->n_own; r < rows->n_all; ++r)
        for (int c = 0; c < width; ++c)
            values[stride * (r - rows->n_own) + c] += values[stride * r + c];
    return 0;
}

// Enough rows for many tiles of a half list and blocks of forces; potentials of pairs get more, as they
// take less time. The same bits for every number of threads, in calls that find their plans made.
void check_many_rows(const mdkern_model* model, const Potential& p) {
    if (p.traits().charges) return;
    const int side = few                       ? 9
                     : p.traits().forces_alone ? 18
                                               : 10,
              n_rows = side * side * side, n_own = n_rows - 300,
              steps = !few && p.traits().forces_alone ? 6 : 2;
    const double reach = p.traits().cutoff + 0.2;
    std::mt19937 random(11);
    std::uniform_real_distribution<double> jitter(-0.2, 0.2);
    std::vector<double> x;
    std::vector<std::int32_t> species, index;
    std::vector<std::int64_t> first{0};
    for (int k = 0; k < n_rows; ++k) {
        const int at[3] = {k % side, k / side % side, k / side / side};
        for (int c = 0; c < 3; ++c) x.push_back(kSpacing * at[c] + jitter(random));
        species.push_back(std::int32_t(random() % unsigned(std::max(p.traits().n_species, 1))));
    }
    for (std::size_t i = 0; i < std::size_t(n_own); ++i) {
        for (std::size_t j = 0; j < std::size_t(n_rows); ++j) {
            double r2 = 0.0;
            for (std::size_t c = 0; c < 3; ++c)
                r2 += (x[3 * i + c] - x[3 * j + c]) * (x[3 * i + c] - x[3 * j + c]);
            if (j != i && r2 < reach * reach) index.push_back(std::int32_t(j));
        }
        first.push_back(std::int64_t(index.size()));
    }
    mdkern_atoms rows = {n_own, n_rows, x.data(), species.data(), nullptr, nullptr};
    mdkern_exchange exchange = {from_some_atoms, add_to_some_atoms, nullptr, &rows};
    Results expected;
    // The last two: a half list, where it is enough, gives the same bits as the full one.
    int round = 0;
    const std::vector<std::int64_t> all_first = first;
    const std::vector<std::int32_t> all_index = index;
    for (int threads : {1, 2, 3, 2, 1, 1, 2}) {
        const bool half = round++ >= 5;
        if (half && mdkern_model_half(model) == 0) break;
        if (half) {
            first.assign(1, 0);
            index.clear();
            for (std::size_t i = 0; i < std::size_t(n_own); ++i) {
                for (std::int64_t k = all_first[i]; k < all_first[i + 1]; ++k)
                    if (all_index[std::size_t(k)] > std::int64_t(i))
                        index.push_back(all_index[std::size_t(k)]);
                first.push_back(std::int64_t(index.size()));
            }
        }
        mdkern_workspace* workspace = nullptr;
        mdkern_list list = {first.data(), index.data(), nullptr, nullptr, nullptr, 0, 1, half};
        Results r;
        r.energies.resize(std::size_t(n_own));
        r.forces.resize(std::size_t(3 * n_rows));
        r.virials.resize(std::size_t(6 * n_rows));
        mdkern_results results = {
            0.0, {}, r.energies.data(), r.forces.data(), r.virials.data(), nullptr, 0, 0};
        int status = mdkern_workspace_create(model, &workspace);
        for (int step = 0; step < steps && status == MDKERN_OK; ++step) {
            status = mdkern_compute(model, workspace, &rows, &list, &exchange, threads, &results);
            list.changed = 0;
        }
        check(status == MDKERN_OK, mdkern_error_message());
        r.energy = results.energy;
        std::copy_n(results.virial, 6, r.virial);
        if (expected.forces.empty()) expected = r;
        check(r == expected, "threads or kept plans have other bits, many rows");
        mdkern_workspace_destroy(workspace);
    }
}

// A free cluster with all pairs in the list, against the potential itself.
void check_c_interface(const char* path, const Potential& p, Atoms atoms) {
    std::fill(atoms.pbc, atoms.pbc + 3, false);
    Place place;
    const bool charged = p.traits().charges;  // of which a free cluster has no energy
    const Results expected = charged ? Results() : place.evaluate(p, atoms, 1);
    mdkern_model* model = nullptr;
    mdkern_workspace* workspace = nullptr;
    check(mdkern_model_open(path, &model) == MDKERN_OK &&
              mdkern_workspace_create(model, &workspace) == MDKERN_OK,
          mdkern_error_message());
    std::vector<std::int64_t> first{0};
    std::vector<std::int32_t> index;
    for (int i = 0; i < kAtoms; ++i) {
        for (int j = 0; j < kAtoms; ++j)
            if (j != i) index.push_back(j);
        first.push_back(std::int64_t(index.size()));
    }
    std::vector<double> energies(kAtoms), forces(3 * kAtoms), virials(6 * kAtoms);
    mdkern_atoms rows = {kAtoms, kAtoms, atoms.x.data(), atoms.species.data(), nullptr, nullptr};
    mdkern_list list = {first.data(), index.data(), nullptr, nullptr, nullptr, 0, 1, 0};
    mdkern_exchange exchange = {nothing_to_exchange, nothing_to_exchange, nullptr, nullptr};
    mdkern_results results = {0.0, {}, energies.data(), forces.data(), virials.data(), nullptr,
                              0,   0};
    for (int threads : {1, 2}) {
        const int status =
            mdkern_compute(model, workspace, &rows, &list, &exchange, threads, &results);
        if (charged) {
            check(status == MDKERN_INVALID, "charges of a parallel code are taken");
            continue;
        }
        check(status == MDKERN_OK, mdkern_error_message());
        list.changed = 0;
        // In single precision the order of neighbors is seen.
        const double unit = std::max(largest(expected.forces), 1e-3);
        double error = 0.0;
        for (std::size_t k = 0; k < forces.size(); ++k)
            error = std::max(error, std::fabs(forces[k] - expected.forces[k]));
        check(error < 1e-4 * unit, "forces of the C interface", error, 1e-4 * unit);
        check(std::fabs(results.energy - expected.energy) <
                  1e-6 * kAtoms * (largest(energies) + 1e-3),
              "energy of the C interface", results.energy - expected.energy);
    }
    mdkern_workspace_destroy(workspace);
    check_many_rows(model, p);
    mdkern_model_close(model);
}

// forward and reverse of a table whose atoms have many images: reverse adds up what was there in the order
// of rows, is the adjoint of forward, has the same bits for every number of threads, and leaves other
// columns alone.
void check_exchange(const double* cell, int n_atoms, double cutoff, int width, int stride) {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> uniform(-1.0, 1.0);
    std::vector<double> x;
    for (int i = 0; i < n_atoms; ++i) {
        const double at[3] = {uniform(random), uniform(random), uniform(random)};
        for (int c = 0; c < 3; ++c)
            x.push_back(at[0] * cell[c] + at[1] * cell[3 + c] + at[2] * cell[6 + c]);
    }
    const bool pbc[3] = {true, true, true};
    TableOptions options;
    options.cutoff = cutoff;
    NeighborTable table;
    table.build({n_atoms, x.data(), cell, pbc, nullptr}, options, 1);
    const System s = table.system();
    check(s.n_total >= 8 * s.n_real, "images", double(s.n_total), double(8 * s.n_real));
    const std::size_t size = std::size_t(s.n_total * stride);
    std::vector<double> sent(size), back(size), expected;
    for (double& value : sent) value = uniform(random);
    for (double& value : back) value = uniform(random);
    const std::vector<double> before = back;
    expected = back;
    for (std::int64_t r = s.n_real; r < s.n_total; ++r)
        for (int c = 0; c < width; ++c)
            expected[std::size_t(s.home[r] * stride + c)] += back[std::size_t(r * stride + c)];
    expected.resize(std::size_t(s.n_real * stride));
    for (int threads : {1, 2, 3, 4}) {
        back = before;
        table.reverse(back.data(), width, stride, threads);
        check(std::equal(expected.begin(), expected.end(), back.begin()), "sums of reverse",
              double(threads));
    }
    double there = 0.0, home = 0.0;
    table.forward(sent.data(), width, stride, 2);
    for (std::int64_t r = 0; r < s.n_total; ++r)
        for (int c = 0; c < width; ++c) {
            const std::size_t k = std::size_t(r * stride + c);
            there += sent[k] * before[k];
            if (r < s.n_real) home += sent[k] * back[k];
        }
    check(std::fabs(there - home) < 1e-12 * double(size), "reverse is the adjoint of forward",
          there - home, 1e-12 * double(size));
}

void check_exchanges() {
    where = "exchange";
    const double tiny[9] = {2.0, 0, 0, 0.5, 1.5, 0, -0.7, 0.4, 3.0};
    const double larger[9] = {9.0, 0, 0, 1.0, 8.0, 0, -2.0, 0.5, 7.0};
    for (int width : {1, 7, 8, 100}) {
        check_exchange(tiny, 1, 6.0, width, width);
        check_exchange(tiny, 3, 6.0, width, width + 3);
        check_exchange(larger, 40, few ? 6.0 : 8.0, width, width + 4);
    }
}

}  // namespace

int main(int argc, char** argv) {
    start();
    few = argc > 1 && std::string(argv[1]) == "--few";
    check_exchanges();
    for (int k = few ? 2 : 1; k < argc; ++k) {
        where = argv[k];
        const ModelFile file = read_model_file(argv[k]);
        const auto potential = make_model(file, argv[k]);
        const Atoms atoms(std::max(potential->traits().n_species, 1));
        Place place;
        const Results r = place.evaluate(*potential, atoms, 1);
        const bool single = where.find("single") != std::string::npos;
        if (!single) check_derivatives(*potential, r, atoms);
        check_sums(r);
        check_bits(*potential, r, atoms);
        check_c_interface(argv[k], *potential, atoms);
    }
    std::printf("%d models, %d failures\n", argc - (few ? 2 : 1), failures);
    return failures != 0;
}
