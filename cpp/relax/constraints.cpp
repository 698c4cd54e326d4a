#include "relax/constraints.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/errors.hpp"

namespace mdkern {

namespace {

void check_index(const std::vector<std::int64_t>& index, std::int64_t n) {
    for (const std::int64_t i : index)
        if (i < 0 || i >= n)
            throw std::invalid_argument("constraint: atom " + std::to_string(i) +
                                        "; expected an index of " + std::to_string(n) + " atoms");
}

class FixAtoms final : public Constraint {
public:
    explicit FixAtoms(std::vector<std::int64_t> index) : index_(std::move(index)) {}
    void check(std::int64_t n) const override { check_index(index_, n); }
    void adjust_positions(std::int64_t, const double*, const double* old,
                          double* x) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k) x[3 * i + k] = old[3 * i + k];
    }
    void adjust_forces(std::int64_t, const double*, double* f) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k) f[3 * i + k] = 0.0;
    }

private:
    std::vector<std::int64_t> index_;
};

void check_count(const char* what, std::int64_t made, std::int64_t n) {
    if (made != n)
        throw std::invalid_argument(std::string(what) + ": made for " + std::to_string(made) +
                                    " atoms; expected " + std::to_string(n));
}

class FixCom final : public Constraint {
public:
    explicit FixCom(std::vector<double> masses) : masses_(std::move(masses)) {
        for (std::size_t i = 0; i < masses_.size(); ++i) {
            const double m = masses_[i];
            if (!(m >= 0.0) || !std::isfinite(m))
                throw std::invalid_argument("FixCom: the mass of atom " + std::to_string(i) +
                                            " is " + number(m) + "; expected zero or more");
            sum_ += m;
            squares_ += m * m;
        }
        if (!masses_.empty() && !(sum_ > 0.0))
            throw std::invalid_argument(
                "FixCom: all masses are zero; expected atoms with a centre of mass");
    }
    void check(std::int64_t n) const override {
        check_count("FixCom", std::int64_t(masses_.size()), n);
    }
    void adjust_positions(std::int64_t n, const double*, const double* old,
                          double* x) const override {
        double before[3], now[3];
        moment(n, old, before);
        moment(n, x, now);
        for (int k = 0; k < 3; ++k) {
            const double back = before[k] / sum_ - now[k] / sum_;
            for (std::int64_t i = 0; i < n; ++i) x[3 * i + k] += back;
        }
    }
    void adjust_forces(std::int64_t n, const double*, double* f) const override {
        double along[3];
        moment(n, f, along);
        for (std::int64_t i = 0; i < n; ++i)
            for (int k = 0; k < 3; ++k)
                f[3 * i + k] -= masses_[std::size_t(i)] * (along[k] / squares_);
    }

private:
    void moment(std::int64_t n, const double* rows, double* sum) const {
        sum[0] = sum[1] = sum[2] = 0.0;
        for (std::int64_t i = 0; i < n; ++i)
            for (int k = 0; k < 3; ++k) sum[k] += masses_[std::size_t(i)] * rows[3 * i + k];
    }
    std::vector<double> masses_;
    double sum_ = 0.0, squares_ = 0.0;
};

class FixCartesian final : public Constraint {
public:
    FixCartesian(std::vector<std::int64_t> index, const bool* stays) : index_(std::move(index)) {
        std::copy_n(stays, 3, stays_);
    }
    void check(std::int64_t n) const override { check_index(index_, n); }
    void adjust_positions(std::int64_t, const double*, const double* old,
                          double* x) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k)
                if (stays_[k]) x[3 * i + k] = old[3 * i + k];
    }
    void adjust_forces(std::int64_t, const double*, double* f) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k)
                if (stays_[k]) f[3 * i + k] = 0.0;
    }

private:
    std::vector<std::int64_t> index_;
    bool stays_[3];
};

}  // namespace

std::shared_ptr<const Constraint> fix_com(std::vector<double> masses) {
    return std::make_shared<FixCom>(std::move(masses));
}

std::shared_ptr<const Constraint> fix_cartesian(std::vector<std::int64_t> index,
                                                const bool* stays) {
    return std::make_shared<FixCartesian>(std::move(index), stays);
}

std::shared_ptr<const Constraint> fix_atoms(std::vector<std::int64_t> index) {
    return std::make_shared<FixAtoms>(std::move(index));
}

}  // namespace mdkern
