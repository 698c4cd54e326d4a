#include <cmath>

#include "relax/rows.hpp"

namespace mdkern {

namespace {

// Limited-memory BFGS without a line search: Liu and Nocedal, Math. Program. 45, 503 (1989). The
// inverse matrix begins as 1 / alpha at every step.
class Lbfgs final : public Optimizer {
public:
    explicit Lbfgs(const LbfgsOptions& options) : o_(options) {}
    const char* name() const override { return "LBFGS"; }

    void start(std::int64_t size) override {
        rows_.start(size);
        q_.reserve(size);
        r0_.reserve(size);
        f0_.reserve(size);
        // A step takes one place of the ring; memory of places that are not reached stays untouched.
        pairs_.reserve(2 * o_.memory * size);
        rho_.reserve(o_.memory);
        a_.reserve(o_.memory);
        started_ = false;
        next_ = kept_ = 0;
    }

    void step(RelaxSurface& s, int threads) override {
        rows_.set_threads(threads);
        const double *r = s.coordinates(), *f = s.forces();
        if (started_ && o_.memory > 0) remember(r, f);
        started_ = true;
        double* p = q_.data();
        rows_.each([&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) p[i] = -f[i];
        });
        for (std::int64_t k = 1; k <= kept_; ++k) {
            const std::int64_t at = (next_ + o_.memory - k) % o_.memory;
            a_[at] = rho_[at] * rows_.dot(moves(at), p);
            add(p, -a_[at], turns(at));
        }
        const double scale = 1.0 / o_.alpha;
        rows_.each([&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) p[i] *= scale;
        });
        for (std::int64_t k = kept_; k >= 1; --k) {
            const std::int64_t at = (next_ + o_.memory - k) % o_.memory;
            const double b = rho_[at] * rows_.dot(turns(at), p);
            add(p, a_[at] - b, moves(at));
        }
        // p is the step with the other sign.
        const double longest = std::sqrt(rows_.largest2(p));
        const double shorter = longest >= o_.maxstep ? o_.maxstep / longest : 1.0;
        double *r0 = r0_.data(), *f0 = f0_.data();
        rows_.each([&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                p[i] = r[i] - p[i] * shorter * o_.damping;
                r0[i] = r[i];
                f0[i] = f[i];
            }
        });
        s.move(p);
    }

    OptimizerState state() const override {
        const std::int64_t n = rows_.size();
        OptimizerState state;
        const double numbers[2] = {double(started_), double(kept_)};
        put(state, "numbers", numbers, 2);
        if (!started_) return state;
        put(state, "r0", r0_.data(), n);
        put(state, "f0", f0_.data(), n);
        // From the oldest on.
        std::vector<double> pairs(2 * kept_ * n), rho(kept_);
        for (std::int64_t k = 0; k < kept_; ++k) {
            const std::int64_t at = (next_ + o_.memory - kept_ + k) % o_.memory;
            std::copy_n(pairs_.data() + 2 * at * n, 2 * n, pairs.data() + 2 * k * n);
            rho[k] = rho_[at];
        }
        state.emplace_back("pairs", std::move(pairs));
        state.emplace_back("rho", std::move(rho));
        return state;
    }
    void restore(const OptimizerState& state) override {
        const std::int64_t n = rows_.size();
        const double* numbers = get(state, "numbers", 2);
        expect(numbers[1] >= 0.0 && numbers[1] <= double(o_.memory), "kept", numbers[1],
               "no more than memory");
        const auto kept = std::int64_t(numbers[1]);
        if (numbers[0] != 0.0) {
            std::copy_n(get(state, "r0", n), n, r0_.data());
            std::copy_n(get(state, "f0", n), n, f0_.data());
            std::copy_n(get(state, "pairs", 2 * kept * n), 2 * kept * n, pairs_.data());
            std::copy_n(get(state, "rho", kept), kept, rho_.data());
        }
        started_ = numbers[0] != 0.0;
        kept_ = kept;
        next_ = o_.memory > 0 ? kept % o_.memory : 0;
    }

private:
    double* moves(std::int64_t at) { return pairs_.data() + 2 * at * rows_.size(); }
    double* turns(std::int64_t at) { return moves(at) + rows_.size(); }

    // The last move and how the gradient has changed by it, in place of the oldest.
    void remember(const double* r, const double* f) {
        double *s = moves(next_), *y = turns(next_);
        const double *r0 = r0_.data(), *f0 = f0_.data();
        rows_.each([&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                s[i] = r[i] - r0[i];
                y[i] = f0[i] - f[i];
            }
        });
        // Where nothing has changed there is nothing to learn.
        const double ys = rows_.dot(y, s);
        rho_[next_] = ys != 0.0 ? 1.0 / ys : 0.0;
        next_ = (next_ + 1) % o_.memory;
        kept_ = std::min(kept_ + 1, o_.memory);
    }
    // a += factor b.
    void add(double* a, double factor, const double* b) const {
        rows_.each([&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) a[i] += factor * b[i];
        });
    }

    LbfgsOptions o_;
    Rows rows_;
    Buffer<double> q_, r0_, f0_, rho_, a_;
    Buffer<double> pairs_;  // (memory, 2, size) a ring
    bool started_ = false;
    std::int64_t next_ = 0, kept_ = 0;
};

}  // namespace

std::unique_ptr<Optimizer> make_lbfgs(const LbfgsOptions& o) {
    expect(o.maxstep > 0.0 && o.maxstep <= 1.0, "maxstep", o.maxstep, "above 0 and at most 1");
    expect(o.memory >= 0 && o.memory <= 1000000, "memory", double(o.memory), "0 to 1000000");
    expect_positive("damping", o.damping);
    expect_positive("alpha", o.alpha);
    return std::make_unique<Lbfgs>(o);
}

}  // namespace mdkern
