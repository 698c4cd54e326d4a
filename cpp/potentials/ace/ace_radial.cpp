#include "potentials/ace/ace_radial.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"

namespace mdkern {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kCoulomb = 14.399645351950543;  // e^2 / (4 pi eps0), eV Angstrom
constexpr int kFirstParts = 32;
constexpr std::int64_t kMostBins = std::int64_t(1) << 22;
constexpr std::size_t kMostBytes = std::size_t(1) << 28;  // of one table

// 1 up to c - w, 0 from c on.
double fall(double t, double c, double w, double& slope) {
    slope = 0.0;
    if (t <= c - w) return 1.0;
    if (t >= c) return 0.0;
    const double x = 1.0 - 2.0 * (1.0 + (t - c) / w), x2 = x * x;
    slope = -2.0 / w * 3.75 * (0.25 - 0.5 * x2 + 0.25 * x2 * x2);
    return 0.5 + 3.75 * x * (0.25 + x2 * (-1.0 / 6.0 + 0.05 * x2));
}
double cosine(double r, double begin, double width, double& slope) {
    const double a = kPi / width;
    slope = -0.5 * a * std::sin(a * (r - begin));
    return 0.5 * (1.0 + std::cos(a * (r - begin)));
}
// sin x / x and its derivative.
double sinc(double x, double& slope) {
    if (std::fabs(x) < 1e-2) {
        const double x2 = x * x;
        slope = -x / 3.0 * (1.0 - x2 / 10.0 * (1.0 - x2 / 28.0));
        return 1.0 - x2 / 6.0 * (1.0 - x2 / 20.0 * (1.0 - x2 / 42.0));
    }
    const double s = std::sin(x) / x;
    slope = (std::cos(x) - s) / x;
    return s;
}

// Universal screening function of Ziegler, Biersack and Littmark.
constexpr double kPhi[4][2] = {
    {0.18175, 3.19980}, {0.50986, 0.94229}, {0.28022, 0.40290}, {0.02817, 0.20162}};
// phi(r / a) / r and its first two derivatives.
void screened(double r, double a, double v[3]) {
    double phi[3] = {0.0, 0.0, 0.0};
    for (const auto& [c, b] : kPhi) {
        const double e = c * std::exp(-b * r / a), s = -b / a;
        phi[0] += e;
        phi[1] += s * e;
        phi[2] += s * s * e;
    }
    v[0] = phi[0] / r;
    v[1] = (phi[1] - v[0]) / r;
    v[2] = (phi[2] - 2.0 * v[1]) / r;
}

}  // namespace

AceRadial::AceRadial(const Fields& f, int n_max, int l_max, int n_base, AceInner inner,
                     const double charges[2])
    : basis_(AceBasis(f.integer("basis", 0, 4))), inner_(inner), l_max_(l_max), n_base_(n_base) {
    parameter_ = f.number("parameter");
    cutoff_ = f.positive("cutoff");
    dcut_ = f.number("dcut");
    prehc_ = f.number("prehc");
    lambdahc_ = f.number("lambdahc");
    r_in_ = f.number("r_in");
    d_in_ = f.number("d_in");
    c_ = f.array<double>("c", {n_max, l_max + 1, n_base});
    if (inner_ != AceInner::zbl) return;
    // A polynomial C + (A r'^3 / 3 + B r'^4 / 4), r' = r - inner, takes value, force and its slope to
    // zero at the outer radius.
    charge_ = 0.5 * kCoulomb * charges[0] * charges[1];
    screening_ = 0.46850 / (std::pow(charges[0], 0.23) + std::pow(charges[1], 0.23));
    double v[3];
    screened(cutoff_, screening_, v);
    const double t = dcut_;
    const double a = (-3.0 * v[1] + t * v[2]) / (t * t), b = (2.0 * v[1] - t * v[2]) / (t * t * t);
    zbl_[0] = -v[0] + 0.5 * t * v[1] - t * t * v[2] / 12.0;
    zbl_[1] = a;
    zbl_[2] = b;
}

void AceRadial::basis(double r, double* g, double* dg) const {
    std::fill_n(g, n_base_, 0.0);
    std::fill_n(dg, n_base_, 0.0);
    // Within r_in - d_in there are none, whatever the kind of the inner cutoff.
    if (r >= cutoff_ || r <= r_in_ - d_in_ || basis_ == AceBasis::zero) return;
    if (basis_ == AceBasis::sbessel) {
        double d = 1.0;
        for (int n = 0; n < n_base_; ++n) {
            const double p = n + 1, q = n + 2, a = p * kPi / cutoff_, b = q * kPi / cutoff_;
            const double norm = (n % 2 ? -1.0 : 1.0) * std::sqrt(2.0) * kPi /
                                std::pow(cutoff_, 1.5) * p * q / std::sqrt(p * p + q * q);
            double da, db;
            const double sa = sinc(r * a, da), sb = sinc(r * b, db);
            const double f = norm * (sa + sb), df = norm * (a * da + b * db);
            if (n == 0) {
                g[0] = f;
                dg[0] = df;
                continue;
            }
            const double n2 = double(n) * n, e = n2 * q * q / (4.0 * p * p * p * p + 1.0);
            const double mix = std::sqrt(e / d), next = 1.0 - e / d, scale = 1.0 / std::sqrt(next);
            g[n] = (f + mix * g[n - 1]) * scale;
            dg[n] = (df + mix * dg[n - 1]) * scale;
            d = next;
        }
    } else {
        double x, dx;
        if (basis_ == AceBasis::cheb_exp_cos) {
            const double end = std::exp(-parameter_), e = std::exp(-parameter_ * r / cutoff_);
            x = 1.0 - 2.0 * (e - end) / (1.0 - end);
            dx = 2.0 * parameter_ / cutoff_ * e / (1.0 - end);
        } else if (basis_ == AceBasis::cheb_pow) {
            const double y = 1.0 - r / cutoff_;
            x = 1.0 - 2.0 * std::pow(y, parameter_);
            dx = 2.0 * parameter_ * std::pow(y, parameter_ - 1.0) / cutoff_;
        } else {
            x = 1.0 - r / cutoff_;
            dx = -1.0 / cutoff_;
        }
        // T_0, T_1, ... of which ChebExpCos has a one in front, the others do without T_0.
        const bool exponential = basis_ == AceBasis::cheb_exp_cos;
        double t = 1.0, dt = 0.0, before = x, dbefore = 1.0;  // T_(-1) = T_1
        for (int k = 0, at = exponential ? 0 : -1; at < n_base_; ++k, ++at) {
            if (at >= 0) {
                g[at] = exponential && k == 0 ? 1.0 : 0.5 * (1.0 - t);
                dg[at] = exponential && k == 0 ? 0.0 : -0.5 * dt * dx;
            }
            const double next = k == 0 ? x : 2.0 * x * t - before;
            const double dnext = k == 0 ? 1.0 : 2.0 * t + 2.0 * x * dt - dbefore;
            before = t;
            dbefore = dt;
            t = next;
            dt = dnext;
        }
        if (exponential) {
            double slope, f = cosine(r, 0.0, cutoff_, slope);
            if (r > cutoff_ - dcut_) {
                double last_slope;
                const double last = cosine(r, cutoff_ - dcut_, dcut_, last_slope);
                slope = slope * last + f * last_slope;
                f *= last;
            }
            for (int k = 0; k < n_base_; ++k) {
                dg[k] = dg[k] * f + g[k] * slope;
                g[k] *= f;
            }
        }
    }
    if (inner_ != AceInner::distance) return;
    double slope;
    const double f = 1.0 - fall(r, r_in_, d_in_, slope);
    for (int k = 0; k < n_base_; ++k) {
        dg[k] = dg[k] * f - g[k] * slope;
        g[k] *= f;
    }
}

void AceRadial::core(double r, double& h, double& dh) const {
    h = dh = 0.0;
    if (r >= cutoff_ || prehc_ == 0.0) return;
    double slope;
    if (inner_ == AceInner::zbl) {
        double v[3];
        screened(r, screening_, v);
        const double t = std::max(0.0, r - (cutoff_ - dcut_));
        v[0] += zbl_[0] + t * t * t * (zbl_[1] / 3.0 + 0.25 * zbl_[2] * t);
        v[1] += t * t * (zbl_[1] + zbl_[2] * t);
        const double f = fall(r, cutoff_, dcut_, slope), c = prehc_ * charge_;
        h = c * v[0] * f;
        dh = c * (v[1] * f + v[0] * slope);
        return;
    }
    const double a = lambdahc_ * r * r;
    if (a >= 50.0) return;
    const double e = prehc_ * std::exp(-a) / r, f = cosine(r, 0.0, cutoff_, slope);
    h = e * f;
    dh = -e * (2.0 * lambdahc_ * r + 1.0 / r) * f + e * slope;
    if (inner_ != AceInner::distance) return;
    const double inner = fall(r, r_in_, d_in_, slope);
    dh = dh * inner + h * slope;
    h *= inner;
}

std::vector<double> AceRadial::edges() const { return {r_in_ - d_in_, r_in_, cutoff_ - dcut_}; }

void AceRadial::evaluate(double r, const std::vector<AceChannel>& channels, const double* sums,
                         double* f, double* df) const {
    const auto n = std::size_t(n_base_);
    std::vector<double> g(n), dg(n);
    basis(r, g.data(), dg.data());
    for (std::size_t c = 0; c < channels.size(); ++c) {
        const AceChannel& ch = channels[c];
        if (ch.l == AceChannel::kCore) {
            core(r, f[c], df[c]);
        } else if (ch.l == AceChannel::kBase) {
            f[c] = g[std::size_t(ch.n)];
            df[c] = dg[std::size_t(ch.n)];
        } else {
            const double* w = ch.l == AceChannel::kDensity
                                  ? sums + std::int64_t(ch.n) * n_base_
                                  : c_ + (std::int64_t(ch.n) * (l_max_ + 1) + ch.l) * n_base_;
            f[c] = df[c] = 0.0;
            for (int k = 0; k < n_base_; ++k) {
                f[c] += w[k] * g[std::size_t(k)];
                df[c] += w[k] * dg[std::size_t(k)];
            }
        }
    }
}

namespace {

struct Sample {
    std::vector<double> f, df;
};

class TableMaker {
public:
    TableMaker(const AceRadial& radial, double bin, const std::vector<AceChannel>& channels,
               const double* sums)
        : radial_(radial), channels_(channels), sums_(sums), n_(channels.size()) {
        const double bins = radial.cutoff() / bin;
        if (!(bins < double(kMostBins)))
            throw UnusableModel("bins of tables: " + number(bin) + " for a cutoff of " +
                                number(radial.cutoff()) + " A; expected fewer than " +
                                std::to_string(kMostBins));
        n_bins_ = std::max(1, int(bins));
        width_ = radial.cutoff() / n_bins_;
    }

    void make(AceTableMemory& to) {
        to_ = &to;
        blocks_ = (n_ + kAceLine - 1) / kAceLine;
        to.map.assign(std::size_t(n_bins_) + 1, 0);
        largest();
        add_empty(std::nan(""));  // nothing is defined within the first bin
        to.map[0] = 0;
        const std::vector<int> ends = first_ends();
        for (std::size_t k = 1; k < ends.size(); ++k) split(ends[k - 1], ends[k]);
        add_empty(0.0);  // everything beyond the cutoff
        to.map[std::size_t(n_bins_)] = int(to.place.size() / 2) - 1;

        const std::size_t size = rows_.size();
        std::copy_n(rows_.data(), size, to.rows.reserve(size + 1));
        AceTable& view = to.view;
        view.cutoff2 = radial_.cutoff() * radial_.cutoff();
        view.inverse_bin = 1.0 / width_;
        view.n_bins = n_bins_;
        view.n_blocks = int(blocks_);
        view.map = to.map.data();
        view.place = to.place.data();
        view.rows = to.rows.data();
    }

private:
    void sample(double r, Sample& s) const {
        s.f.resize(n_);
        s.df.resize(n_);
        radial_.evaluate(r, channels_, sums_, s.f.data(), s.df.data());
    }
    // At the end of a bin: zero at the last one's.
    void node(int k, Sample& s) const {
        sample(k * width_, s);
        if (k < n_bins_) return;
        std::fill(s.f.begin(), s.f.end(), 0.0);
        std::fill(s.df.begin(), s.df.end(), 0.0);
    }
    void largest() {
        largest_.assign(n_, 0.0);
        Sample s;
        for (int k = 0; k <= 64; ++k) {
            const double r = radial_.cutoff() * (0.25 + 0.75 * (k + 0.5) / 65.0);
            sample(r, s);
            for (std::size_t c = 0; c < n_; ++c) {
                if (!std::isfinite(s.f[c]) || !std::isfinite(s.df[c]))
                    throw UnusableModel("radial functions: not finite at " + number(r) +
                                        " A; expected numbers");
                largest_[c] = std::max(largest_[c], std::fabs(s.f[c]));
            }
        }
    }
    // Between these bins intervals are sought: no edge of the functions is within one, and none is so long that the places
    // where it is looked at could miss something.
    std::vector<int> first_ends() const {
        std::vector<int> ends = {1, n_bins_ - 1, n_bins_};
        for (int k = 1; k < kFirstParts; ++k)
            ends.push_back(int(std::int64_t(n_bins_) * k / kFirstParts));
        for (const double r : radial_.edges()) {
            if (!(r > 0.0 && r < radial_.cutoff())) continue;
            ends.push_back(int(r / width_));
            ends.push_back(int(r / width_) + 1);
        }
        std::sort(ends.begin(), ends.end());
        ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
        ends.erase(
            std::remove_if(ends.begin(), ends.end(), [&](int k) { return k < 1 || k > n_bins_; }),
            ends.end());
        return ends;
    }
    // One or more intervals for the bins [i, j).
    void split(int i, int j) {
        node(i, left_);
        node(j, right_);
        if (j - i == 1) return add_cubic(i);
        if (fits(i, j)) return add(i, j);
        const int middle = i + (j - i) / 2;
        split(i, middle);
        split(middle, j);
    }
    // Whether one polynomial does for bins [i, j), from left_ and right_; its coefficients into fit_.
    bool fits(int i, int j) {
        const double h = (j - i) * width_;
        sample(i * width_ + 0.5 * h, middle_);
        fit_.resize(n_ * kAceTerms);
        for (std::size_t c = 0; c < n_; ++c) {
            const double f0 = left_.f[c], g0 = h * left_.df[c], F = right_.f[c] - f0 - g0,
                         G = h * right_.df[c] - g0, Fh = middle_.f[c] - f0 - 0.5 * g0,
                         Gh = h * middle_.df[c] - g0;
            double* p = fit_.data() + kAceTerms * c;
            p[0] = f0;
            p[1] = g0;
            p[2] = 7 * F - G + 16 * Fh - 8 * Gh;
            p[3] = -34 * F + 5 * G - 32 * Fh + 32 * Gh;
            p[4] = 52 * F - 8 * G + 16 * Fh - 40 * Gh;
            p[5] = -24 * F + 4 * G + 16 * Gh;
        }
        Sample low, high, exact;
        for (const double at : {0.2, 0.8, 0.07, 0.6}) {
            // In the middle of a bin, where the definition is furthest from the functions themselves.
            const int bin = std::min(j - 1, i + int(at * (j - i)));
            const double t = (bin - i + 0.5) / (j - i);
            sample((bin + 0.5) * width_, exact);
            for (std::size_t c = 0; c < n_; ++c) {
                const double* p = fit_.data() + kAceTerms * c;
                double y = p[5];
                for (int q = 4; q >= 0; --q) y = y * t + p[q];
                if (!near(c, y, exact.f[c], kAceBound)) return false;
            }
            node(bin, low);
            node(bin + 1, high);
            for (std::size_t c = 0; c < n_; ++c) {
                const double bin_value =
                    0.5 * (low.f[c] + high.f[c]) + 0.125 * width_ * (low.df[c] - high.df[c]);
                if (!near(c, bin_value, exact.f[c], kAceBinBound)) return false;
            }
        }
        return true;
    }
    bool near(std::size_t c, double y, double exact, double bound) const {
        return std::fabs(y - exact) <= bound * std::max(largest_[c], std::fabs(exact));
    }
    void add(int i, int j) {
        const std::size_t row = new_row(i, j, i * width_, 1.0 / ((j - i) * width_));
        for (std::size_t c = 0; c < n_; ++c) put(row, c, fit_.data() + kAceTerms * c);
    }
    void add_cubic(int i) {
        const std::size_t row = new_row(i, i + 1, i * width_, 1.0 / width_);
        for (std::size_t c = 0; c < n_; ++c) {
            const double f0 = left_.f[c], g0 = width_ * left_.df[c], F = right_.f[c] - f0,
                         g1 = width_ * right_.df[c];
            const double p[kAceTerms] = {f0, g0, 3 * F - 2 * g0 - g1, g0 + g1 - 2 * F, 0.0, 0.0};
            put(row, c, p);
        }
    }
    void add_empty(double value) {
        const std::size_t row = new_row(0, 0, 0.0, value);
        std::fill(rows_.begin() + std::ptrdiff_t(row), rows_.end(), value);
    }
    std::size_t new_row(int i, int j, double begin, double inverse) {
        const auto k = std::int32_t(to_->place.size() / 2);
        to_->place.push_back(begin);
        to_->place.push_back(inverse);
        std::fill(to_->map.begin() + i, to_->map.begin() + j, k);
        const std::size_t row = rows_.size();
        if ((row + blocks_ * kAceTerms * kAceLine) * sizeof(double) > kMostBytes)
            throw UnusableModel("radial functions: a table of " + std::to_string(k) +
                                " intervals and more; expected smoother functions");
        rows_.resize(row + blocks_ * kAceTerms * kAceLine, 0.0);
        return row;
    }
    void put(std::size_t row, std::size_t c, const double* p) {
        double* to = rows_.data() + row + c / kAceLine * kAceTerms * kAceLine + c % kAceLine;
        for (int q = 0; q < kAceTerms; ++q) to[q * kAceLine] = p[q];
    }

    const AceRadial& radial_;
    const std::vector<AceChannel>& channels_;
    const double* sums_;
    const std::size_t n_;
    int n_bins_ = 0;
    double width_ = 0.0;
    std::size_t blocks_ = 0;
    AceTableMemory* to_ = nullptr;
    std::vector<double> largest_, rows_, fit_;
    Sample left_, middle_, right_;
};

}  // namespace

void make_ace_table(const AceRadial& radial, double bin, const std::vector<AceChannel>& channels,
                    const double* sums, AceTableMemory& to) {
    TableMaker(radial, bin, channels, sums).make(to);
}

}  // namespace mdkern
