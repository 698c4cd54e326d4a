// What threads share, without Python:
//
//   test_threads [--large] MODEL.mdk ...
//
// With --large each structure has 2,000 atoms and more, so that potentials of few nanoseconds per pair have teams too.
//
// Threads that begin together open models, evaluate with one model and a workspace each, share a workspace,
// and take memory from the pool, while one of them changes the number of threads and the instruction set: the
// bits of one thread alone, or MDKERN_IN_USE. For ThreadSanitizer too.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capi/mdkern.h"
#include "core/dispatch.hpp"
#include "core/pool.hpp"
#include "core/threads.hpp"

namespace {

constexpr int kThreads = 4, kTurns = 6;

std::atomic<int> failures{0};
int repeat = 1;  // of the crystals, along each axis

void check(bool good, const char* what) {
    if (good) return;
    ++failures;
    std::printf("%s: %s\n", what, mdkern_error_message());
}

// body(k) in threads that begin together.
template <class Body> void together(const Body& body) {
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < kThreads; ++k)
        threads.emplace_back([&, k] {
            ++ready;
            while (ready < kThreads) std::this_thread::yield();
            body(k);
        });
    for (std::thread& t : threads) t.join();
}

// A crystal with different numbers of atoms and elements for each k; few periodic images.
struct Atoms {
    std::vector<double> x;
    std::vector<std::int32_t> type;
    double cell[9] = {};
    int pbc[3] = {1, 1, 1};
    std::int64_t n() const { return std::int64_t(type.size()); }

    Atoms(int k, int n_species) {
        const int side[3] = {5 * repeat, (4 + k % 2) * repeat, (4 + k / 2 % 2) * repeat};
        for (int c = 0; c < 3; ++c) cell[4 * c] = 2.7 * side[c];
        for (int a = 0; a < side[0]; ++a)
            for (int b = 0; b < side[1]; ++b)
                for (int c = 0; c < side[2]; ++c) {
                    const double wave = 0.2 * std::sin(1.7 * a + 2.3 * b + 3.1 * c + k);
                    for (int at : {a, b, c}) x.push_back(2.7 * at + wave);
                    type.push_back(std::int32_t((a + b + c + k) % n_species));
                }
    }
};

struct Results {
    double energy = 0.0;
    std::vector<double> forces;
    bool operator==(const Results& o) const {
        return energy == o.energy && forces.size() == o.forces.size() &&
               std::memcmp(forces.data(), o.forces.data(), forces.size() * sizeof(double)) == 0;
    }
};

int evaluate(const mdkern_model* model, mdkern_workspace* workspace, const Atoms& atoms,
             int threads, Results& to) {
    to.forces.resize(std::size_t(3 * atoms.n()));
    mdkern_results results = {0.0, {}, nullptr, to.forces.data(), nullptr, nullptr, 0, 0};
    const int status =
        mdkern_compute_system(model, workspace, atoms.n(), atoms.x.data(), atoms.type.data(),
                              atoms.cell, atoms.pbc, 0.0, threads, &results);
    to.energy = results.energy;
    return status;
}

// One after the other, for comparison; and so with a team.
std::vector<Results> alone(const char* path, const std::vector<Atoms>& atoms) {
    mdkern_model* model = nullptr;
    check(mdkern_model_open(path, &model) == MDKERN_OK, path);
    std::vector<Results> all(atoms.size());
    for (std::size_t k = 0; k < atoms.size(); ++k) {
        mdkern_workspace* workspace = nullptr;
        check(mdkern_workspace_create(model, &workspace) == MDKERN_OK, path);
        check(evaluate(model, workspace, atoms[k], 1, all[k]) == MDKERN_OK, path);
        Results r;
        check(evaluate(model, workspace, atoms[k], 3, r) == MDKERN_OK, path);
        check(r == all[k], "a team has other bits");
        mdkern_workspace_destroy(workspace);
    }
    mdkern_model_close(model);
    return all;
}

void check_models(const char* path, const std::vector<Atoms>& atoms,
                  const std::vector<Results>& expected) {
    mdkern_model* shared = nullptr;
    check(mdkern_model_open(path, &shared) == MDKERN_OK, path);
    together([&](int k) {
        mdkern_model* own = nullptr;
        check(mdkern_model_open(path, &own) == MDKERN_OK, path);
        for (const mdkern_model* model :
             {static_cast<const mdkern_model*>(own), static_cast<const mdkern_model*>(shared)}) {
            mdkern_workspace* workspace = nullptr;
            check(mdkern_workspace_create(model, &workspace) == MDKERN_OK, path);
            for (int turn = 0; turn < kTurns; ++turn) {
                if (k == 0) mdkern::set_num_threads(1 + turn % 3);
                const auto at = std::size_t(k + turn) % atoms.size();
                Results r;
                check(evaluate(model, workspace, atoms[at], 0, r) == MDKERN_OK, path);
                check(r == expected[at], "threads have other bits");
            }
            mdkern_workspace_destroy(workspace);
        }
        mdkern_model_close(own);
    });
    mdkern_model_close(shared);
}

void check_workspace(const char* path, const std::vector<Atoms>& atoms,
                     const std::vector<Results>& expected) {
    mdkern_model* model = nullptr;
    mdkern_workspace* workspace = nullptr;
    check(mdkern_model_open(path, &model) == MDKERN_OK &&
              mdkern_workspace_create(model, &workspace) == MDKERN_OK,
          path);
    std::atomic<int> done{0};
    together([&](int k) {
        const auto at = std::size_t(k) % atoms.size();
        for (int turn = 0; turn < kTurns; ++turn) {
            Results r;
            const int status = evaluate(model, workspace, atoms[at], 1 + k % 2, r);
            check(status == MDKERN_OK || status == MDKERN_IN_USE, "a workspace that is shared");
            if (status != MDKERN_OK) continue;
            check(r == expected[at], "a workspace that is shared has other bits");
            ++done;
        }
    });
    check(done > 0, "nobody had the workspace");
    mdkern_workspace_destroy(workspace);
    mdkern_model_close(model);
}

// Blocks that grow, are filled, and are given back by whoever takes them from the heap.
void check_pool() {
    std::mutex lock;
    std::vector<std::pair<unsigned char*, std::size_t>> heap;
    together([&](int k) {
        for (int turn = 1; turn <= 40; ++turn) {
            const std::size_t bytes = (std::size_t(turn) << 16) + std::size_t(k) * 4096;
            auto* block = static_cast<unsigned char*>(mdkern::pool_take(bytes));
            std::memset(block, int(bytes >> 12 & 255), bytes);
            std::pair<unsigned char*, std::size_t> other{block, bytes};
            {
                const std::lock_guard<std::mutex> held(lock);
                heap.push_back(other);
                std::swap(heap.front(), heap.back());
                other = heap.back();
                heap.pop_back();
            }
            const int value = int(other.second >> 12 & 255);
            const bool whole = std::all_of(other.first, other.first + other.second,
                                           [&](unsigned char c) { return c == value; });
            check(whole, "a block of the pool was written by somebody else");
            mdkern::pool_give(other.first);
            if (turn % 16 == 0) mdkern::pool_clear();
        }
    });
    for (const auto& left : heap) mdkern::pool_give(left.first);
}

// A list of a constant size lives in the same memory: fresh pages would take as long as the list.
void check_pool_serves_again() {
    for (double size = double(mdkern::kPoolSmallest); size < 1.2 * double(mdkern::kPoolLarge);
         size *= 1.03) {
        mdkern::pool_clear();
        void* first = mdkern::pool_take(std::size_t(size));
        mdkern::pool_give(first);
        void* second = mdkern::pool_take(std::size_t(size));
        check(first == second, "a block of the pool does not serve again");
        mdkern::pool_give(second);
    }
    mdkern::pool_clear();
}

// Another instruction set between two kernels of an evaluation: other roundings, nothing else.
void check_isas(const char* path, const std::vector<Atoms>& atoms,
                const std::vector<Results>& expected) {
    const std::string before = mdkern::isa_name(mdkern::active_isa());
    together([&](int k) {
        mdkern_model* model = nullptr;
        mdkern_workspace* workspace = nullptr;
        check(mdkern_model_open(path, &model) == MDKERN_OK &&
                  mdkern_workspace_create(model, &workspace) == MDKERN_OK,
              path);
        for (int turn = 0; turn < kTurns; ++turn) {
            for (mdkern::Isa isa : mdkern::kIsas)
                if (k == 0 && mdkern::isa_supported(isa)) mdkern::set_isa(mdkern::isa_name(isa));
            const auto at = std::size_t(k + turn) % atoms.size();
            Results r;
            check(evaluate(model, workspace, atoms[at], 2, r) == MDKERN_OK, path);
            const double size = 1.0 + std::fabs(expected[at].energy);
            check(std::fabs(r.energy - expected[at].energy) <= 1e-4 * size,
                  "another instruction set meanwhile");
        }
        mdkern_workspace_destroy(workspace);
        mdkern_model_close(model);
    });
    mdkern::set_isa(before);
}

}  // namespace

int main(int argc, char** argv) {
    const int first = argc > 1 && std::strcmp(argv[1], "--large") == 0 ? 2 : 1;
    repeat = first == 2 ? 3 : 1;
    check_pool();
    check_pool_serves_again();
    for (int m = first; m < argc; ++m) {
        mdkern_model* model = nullptr;
        check(mdkern_model_open(argv[m], &model) == MDKERN_OK, argv[m]);
        std::vector<Atoms> atoms;
        for (int k = 0; k < kThreads; ++k)
            atoms.emplace_back(k, std::max(mdkern_model_n_species(model), 1));
        mdkern_model_close(model);
        const std::vector<Results> expected = alone(argv[m], atoms);
        check_models(argv[m], atoms, expected);
        check_workspace(argv[m], atoms, expected);
        check_isas(argv[m], atoms, expected);
    }
    std::printf("%d models, %d failures\n", argc - first, failures.load());
    return failures != 0;
}
