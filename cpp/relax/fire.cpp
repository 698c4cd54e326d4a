#include <algorithm>
#include <cmath>
#include <cstring>

#include "relax/rows.hpp"

namespace mdkern {

namespace {

void check(double dt, double maxstep, double dtmax, std::int64_t n_min, double finc, double fdec,
           double astart, double fa) {
    expect_positive("dt", dt);
    expect_positive("maxstep", maxstep);
    expect_positive("dtmax", dtmax);
    expect(n_min >= 0, "Nmin", double(n_min), "zero or more");
    expect_positive("finc", finc);
    expect_positive("fdec", fdec);
    expect(astart >= 0.0 && astart <= 1.0, "astart", astart, "0 to 1");
    expect(fa >= 0.0 && fa <= 1.0, "fa", fa, "0 to 1");
}

// Of a state: it may come from a file.
void check_numbers(double dt, double a, double downhill) {
    expect_positive("state of the optimizer: dt", dt);
    expect(a >= 0.0 && a <= 1.0, "state of the optimizer: a", a, "0 to 1");
    expect(downhill >= 0.0 && downhill <= 1e15, "state of the optimizer: steps downhill", downhill,
           "zero or more");
}

// v = (1 - a) v + a g / |g| |v|. Without forces there is no direction to turn to.
void mix(Rows& rows, double a, const double* g, double* v, double scale) {
    const double gg = rows.dot(g, g), vv = std::sqrt(rows.dot(v, v));
    const double length = gg > 0.0 ? std::sqrt(gg) : 1.0, keep = 1.0 - a;
    rows.each([&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            v[i] = scale * (keep * v[i] + a * g[i] / length * vv);
    });
}

// v += dt g.
void accelerate(const Rows& rows, double dt, const double* g, double* v) {
    rows.each([&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) v[i] += dt * g[i];
    });
}

// q = r + dt v, the step as a whole no longer than `most`; 0: as long as it is.
void drift(Rows& rows, double dt, double most, const double* v, const double* r, double* q) {
    rows.each([&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) q[i] = dt * v[i];
    });
    const double length = most > 0.0 ? std::sqrt(rows.dot(q, q)) : 0.0;
    const bool cut = length > most;
    rows.each([&](std::int64_t begin, std::int64_t end) {
        if (cut)
            for (std::int64_t i = begin; i < end; ++i) q[i] = r[i] + most * q[i] / length;
        else
            for (std::int64_t i = begin; i < end; ++i) q[i] = r[i] + q[i];
    });
}

// The fast inertial relaxation engine of Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).
class Fire final : public Optimizer {
public:
    explicit Fire(const FireOptions& options) : o_(options) {}
    const char* name() const override { return "FIRE"; }

    void start(std::int64_t size) override {
        rows_.start(size);
        v_.reserve(size);
        q_.reserve(size);
        if (o_.downhill_check) last_.reserve(size);
        started_ = false;
        dt_ = o_.dt;
        a_ = o_.a;
        downhill_ = 0;
        last_energy_ = 0.0;
    }

    void step(RelaxSurface& s, int threads) override {
        rows_.set_threads(threads);
        const std::int64_t n = rows_.size();
        const double* g = s.forces();
        double* v = v_.data();
        if (!started_) {
            started_ = true;
            std::fill_n(v, n, 0.0);
            if (o_.downhill_check) {
                last_energy_ = s.energy();
                std::copy_n(s.coordinates(), n, last_.data());
            }
        } else {
            bool uphill = false;
            if (o_.downhill_check) {
                const double e = s.energy();
                uphill = e > last_energy_;
                // The energy of where it goes back to is known.
                if (uphill)
                    s.move(last_.data());
                else
                    last_energy_ = e;
                std::copy_n(s.coordinates(), n, last_.data());
            }
            if (rows_.dot(g, v) > 0.0 && !uphill) {
                mix(rows_, a_, g, v, 1.0);
                if (downhill_ > o_.n_min) {
                    dt_ = std::min(dt_ * o_.finc, o_.dtmax);
                    a_ *= o_.fa;
                }
                ++downhill_;
            } else {
                std::fill_n(v, n, 0.0);
                a_ = o_.astart;
                dt_ *= o_.fdec;
                downhill_ = 0;
            }
        }
        accelerate(rows_, dt_, g, v);
        drift(rows_, dt_, o_.maxstep, v, s.coordinates(), q_.data());
        s.move(q_.data());
    }

    OptimizerState state() const override {
        OptimizerState state;
        const double numbers[5] = {double(started_), dt_, a_, double(downhill_), last_energy_};
        put(state, "numbers", numbers, 5);
        if (!started_) return state;
        put(state, "velocities", v_.data(), rows_.size());
        if (o_.downhill_check) put(state, "last", last_.data(), rows_.size());
        return state;
    }
    void restore(const OptimizerState& state) override {
        const std::int64_t n = rows_.size();
        const double* numbers = get(state, "numbers", 5);
        if (numbers[0] == 0.0) return;  // it had not begun
        check_numbers(numbers[1], numbers[2], numbers[3]);
        std::copy_n(get(state, "velocities", n), n, v_.data());
        if (o_.downhill_check) std::copy_n(get(state, "last", n), n, last_.data());
        started_ = true;
        dt_ = numbers[1];
        a_ = numbers[2];
        downhill_ = std::int64_t(numbers[3]);
        last_energy_ = numbers[4];
    }

private:
    FireOptions o_;
    Rows rows_;
    Buffer<double> v_, q_, last_;  // last_: where the energy was last_energy_
    bool started_ = false;
    double dt_ = 0.0, a_ = 0.0, last_energy_ = 0.0;
    std::int64_t downhill_ = 0;
};

// FIRE 2.0 of Guenole et al., Comput. Mater. Sci. 175, 109584 (2020), and with use_abc ABC-FIRE of
// Echeverri Restrepo and Andric, Comput. Mater. Sci. 218, 111978 (2023).
class Fire2 final : public Optimizer {
public:
    explicit Fire2(const Fire2Options& options) : o_(options) {}
    const char* name() const override { return "FIRE2"; }

    void start(std::int64_t size) override {
        rows_.start(size);
        v_.reserve(size);
        q_.reserve(size);
        started_ = false;
        dt_ = o_.dt;
        a_ = o_.astart;
        downhill_ = 0;
    }

    void step(RelaxSurface& s, int threads) override {
        rows_.set_threads(threads);
        const std::int64_t n = rows_.size();
        double *v = v_.data(), *q = q_.data();
        if (!started_) {
            started_ = true;
            std::fill_n(v, n, 0.0);
        } else if (rows_.dot(s.forces(), v) > 0.0) {
            if (++downhill_ > o_.n_min) {
                dt_ = std::min(dt_ * o_.finc, o_.dtmax);
                a_ *= o_.fa;
            }
        } else {
            downhill_ = 0;
            dt_ = std::max(dt_ * o_.fdec, o_.dtmin);
            a_ = o_.astart;
            // Half a step back, where the forces are asked for again.
            drift(rows_, -0.5 * dt_, 0.0, v, s.coordinates(), q);
            s.move(q);
            s.evaluate();
            std::fill_n(v, n, 0.0);
        }
        const double* g = s.forces();
        accelerate(rows_, dt_, g, v);
        if (o_.use_abc) {
            a_ = std::max(a_, 1e-10);
            mix(rows_, a_, g, v, 1.0 / (1.0 - std::pow(1.0 - a_, double(downhill_ + 1))));
            const double most = o_.maxstep / dt_;
            rows_.each([&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i)
                    v[i] = std::min(std::max(v[i], -most), most);
            });
        } else {
            mix(rows_, a_, g, v, 1.0);
        }
        drift(rows_, dt_, o_.use_abc ? 0.0 : o_.maxstep, v, s.coordinates(), q);
        s.move(q);
    }

    OptimizerState state() const override {
        OptimizerState state;
        const double numbers[4] = {double(started_), dt_, a_, double(downhill_)};
        put(state, "numbers", numbers, 4);
        if (started_) put(state, "velocities", v_.data(), rows_.size());
        return state;
    }
    void restore(const OptimizerState& state) override {
        const std::int64_t n = rows_.size();
        const double* numbers = get(state, "numbers", 4);
        if (numbers[0] == 0.0) return;  // it had not begun
        check_numbers(numbers[1], numbers[2], numbers[3]);
        std::copy_n(get(state, "velocities", n), n, v_.data());
        started_ = true;
        dt_ = numbers[1];
        a_ = numbers[2];
        downhill_ = std::int64_t(numbers[3]);
    }

private:
    Fire2Options o_;
    Rows rows_;
    Buffer<double> v_, q_;
    bool started_ = false;
    double dt_ = 0.0, a_ = 0.0;
    std::int64_t downhill_ = 0;
};

}  // namespace

std::unique_ptr<Optimizer> make_fire(const FireOptions& o) {
    check(o.dt, o.maxstep, o.dtmax, o.n_min, o.finc, o.fdec, o.astart, o.fa);
    expect(o.a >= 0.0 && o.a <= 1.0, "a", o.a, "0 to 1");
    return std::make_unique<Fire>(o);
}

std::unique_ptr<Optimizer> make_fire2(const Fire2Options& o) {
    check(o.dt, o.maxstep, o.dtmax, o.n_min, o.finc, o.fdec, o.astart, o.fa);
    expect_positive("dtmin", o.dtmin);
    return std::make_unique<Fire2>(o);
}

}  // namespace mdkern
