#include <cmath>

#include "math/symmetric.hpp"
#include "relax/rows.hpp"

namespace mdkern {

namespace {

// BFGS with a dense matrix H that begins as alpha: the step is |H|^-1 f, |H| with the absolute
// eigenvalues, so that it leads downhill across saddles too.
class Bfgs final : public Optimizer {
public:
    explicit Bfgs(const BfgsOptions& options) : o_(options) {}
    const char* name() const override { return "BFGS"; }

    void start(std::int64_t size) override {
        if (size > 3 * kMostBfgsRows)
            throw std::invalid_argument(
                "BFGS: " + std::to_string(size / 3) +
                " rows of coordinates, of which it keeps a dense matrix; expected at most " +
                std::to_string(kMostBfgsRows) + ". LBFGS takes any number");
        rows_.start(size);
        q_.reserve(size);
        r0_.reserve(size);
        f0_.reserve(size);
        step_.reserve(size);
        turn_.reserve(size);
        product_.reserve(size);
        hessian_.reserve(size * size);
        factors_.reserve(size * size);
        scratch_.reserve(symmetric_scratch(int(size)));
        started_ = false;
    }

    void step(RelaxSurface& s, int threads) override {
        rows_.set_threads(threads);
        const std::int64_t n = rows_.size();
        const double *r = s.coordinates(), *f = s.forces();
        if (started_) {
            learn(r, f);
        } else {
            started_ = true;
            std::fill_n(hessian_.data(), n * n, 0.0);
            for (std::int64_t i = 0; i < n; ++i) hessian_[i * n + i] = o_.alpha;
        }
        std::copy_n(r, n, r0_.data());
        std::copy_n(f, n, f0_.data());
        double* p = step_.data();
        // Of a positive matrix the eigenvalues are their own absolute values.
        if (!solve_positive(int(n), hessian_.data(), f, p, factors_.data()))
            solve_absolute(int(n), hessian_.data(), f, p, factors_.data(), scratch_.data());
        const double longest = std::sqrt(rows_.largest2(p));
        const double shorter = longest >= o_.maxstep ? o_.maxstep / longest : 1.0;
        for (std::int64_t i = 0; i < n; ++i) q_[i] = r[i] + p[i] * shorter;
        s.move(q_.data());
    }

    OptimizerState state() const override {
        const std::int64_t n = rows_.size();
        OptimizerState state;
        const double numbers[1] = {double(started_)};
        put(state, "numbers", numbers, 1);
        if (!started_) return state;
        put(state, "r0", r0_.data(), n);
        put(state, "f0", f0_.data(), n);
        put(state, "hessian", hessian_.data(), n * n);
        return state;
    }
    void restore(const OptimizerState& state) override {
        const std::int64_t n = rows_.size();
        started_ = get(state, "numbers", 1)[0] != 0.0;
        if (!started_) return;
        std::copy_n(get(state, "r0", n), n, r0_.data());
        std::copy_n(get(state, "f0", n), n, f0_.data());
        std::copy_n(get(state, "hessian", n * n), n * n, hessian_.data());
    }

private:
    // What the last step says about the matrix.
    void learn(const double* r, const double* f) {
        const std::int64_t n = rows_.size();
        double *d = step_.data(), *y = turn_.data(), *w = product_.data();
        double most = 0.0;
        for (std::int64_t i = 0; i < n; ++i) {
            d[i] = r[i] - r0_[i];
            y[i] = f0_[i] - f[i];
            most = std::max(most, std::fabs(d[i]));
        }
        if (most < 1e-7) return;  // the same place again
        for (std::int64_t i = 0; i < n; ++i) w[i] = rows_.dot(hessian_.data() + i * n, d);
        const double a = rows_.dot(d, y), b = rows_.dot(d, w);
        if (a == 0.0 || b == 0.0) return;  // nothing to learn
        for (std::int64_t i = 0; i < n; ++i) {
            double* row = hessian_.data() + i * n;
            for (std::int64_t j = 0; j < n; ++j) row[j] += y[i] * y[j] / a - w[i] * w[j] / b;
        }
    }

    BfgsOptions o_;
    Rows rows_;
    Buffer<double> q_, r0_, f0_, step_, turn_, product_, hessian_, factors_, scratch_;
    bool started_ = false;
};

}  // namespace

std::unique_ptr<Optimizer> make_bfgs(const BfgsOptions& o) {
    expect_positive("maxstep", o.maxstep);
    expect_positive("alpha", o.alpha);
    return std::make_unique<Bfgs>(o);
}

}  // namespace mdkern
