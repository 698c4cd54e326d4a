// Optimizers, step by step as ASE's, on flat coordinates: rows of three numbers, whatever they stand
// for. They see what they minimise as a RelaxSurface. Sums have one order for every number of
// threads. What a step needs is allocated by start(), nothing by step().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mdkern {

// What is minimised: a place in it, and energy and forces there.
class RelaxSurface {
public:
    virtual std::int64_t size() const = 0;  // numbers: three for each row
    virtual const double* coordinates() const = 0;
    // Of the place where evaluate() was called last.
    virtual const double* forces() const = 0;
    virtual double energy() const = 0;
    // Goes to `q`, as far as constraints let it: coordinates() are those it came to, in other memory
    // than before.
    virtual void move(const double* q) = 0;
    virtual void evaluate() = 0;

protected:
    ~RelaxSurface() = default;
};

// Everything that an optimizer remembers, by name: what a checkpoint has.
using OptimizerState = std::vector<std::pair<std::string, std::vector<double>>>;

class Optimizer {
public:
    virtual ~Optimizer() = default;
    virtual const char* name() const = 0;
    // Forgets everything, and takes memory for coordinates of so many numbers. Throws
    // std::invalid_argument for more than the method can treat.
    virtual void start(std::int64_t size) = 0;
    // Ends with a call of surface.move(), behind which nothing is evaluated.
    virtual void step(RelaxSurface& surface, int threads) = 0;
    virtual OptimizerState state() const = 0;
    // After start(). Throws std::invalid_argument for names and lengths that are not its own.
    virtual void restore(const OptimizerState& state) = 0;
};

// Arguments have ASE's names, defaults and meanings; lengths in Angstrom. The makers throw
// std::invalid_argument for values that make no sense.
struct FireOptions {
    double dt = 0.1, maxstep = 0.2, dtmax = 1.0, finc = 1.1, fdec = 0.5, astart = 0.1, fa = 0.99,
           a = 0.1;
    std::int64_t n_min = 5;
    bool downhill_check = false;
};
std::unique_ptr<Optimizer> make_fire(const FireOptions& options);

struct Fire2Options {
    double dt = 0.1, maxstep = 0.2, dtmax = 1.0, dtmin = 2e-3, finc = 1.1, fdec = 0.5,
           astart = 0.25, fa = 0.99;
    std::int64_t n_min = 20;
    bool use_abc = false;
};
std::unique_ptr<Optimizer> make_fire2(const Fire2Options& options);

struct LbfgsOptions {
    double maxstep = 0.2, damping = 1.0, alpha = 70.0;
    std::int64_t memory = 100;
};
std::unique_ptr<Optimizer> make_lbfgs(const LbfgsOptions& options);

// Its matrix is dense: for small systems.
struct BfgsOptions {
    double maxstep = 0.2, alpha = 70.0;
};
constexpr std::int64_t kMostBfgsRows = 1000;
std::unique_ptr<Optimizer> make_bfgs(const BfgsOptions& options);

}  // namespace mdkern
