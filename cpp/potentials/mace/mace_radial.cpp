#include "potentials/mace/mace_radial.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/errors.hpp"

namespace mdkern {

namespace {

constexpr double kNormEps = 1e-5;

double silu(double x, double& slope) {
    const double s = x < 0 ? std::exp(x) / (1.0 + std::exp(x)) : 1.0 / (1.0 + std::exp(-x));
    slope = s * (1.0 + x * (1.0 - s));
    return x * s;
}

// x -> (x - mean) / sqrt(variance + eps) gain + offset, with derivatives.
void normalise(int n, const double* gain, const double* offset, double* x, double* dx) {
    double mean = 0, dmean = 0;
    for (int k = 0; k < n; ++k) {
        mean += x[k] / n;
        dmean += dx[k] / n;
    }
    double variance = 0, dvariance = 0;
    for (int k = 0; k < n; ++k) {
        x[k] -= mean;
        dx[k] -= dmean;
        variance += x[k] * x[k] / n;
        dvariance += 2 * x[k] * dx[k] / n;
    }
    const double s = 1.0 / std::sqrt(variance + kNormEps);
    const double ds = -0.5 * s * s * s * dvariance;
    for (int k = 0; k < n; ++k) {
        dx[k] = gain[k] * (dx[k] * s + x[k] * ds);
        x[k] = gain[k] * x[k] * s + offset[k];
    }
}

}  // namespace

MaceNet::MaceNet(const Fields& f, std::int64_t n_in) {
    for (const Fields& g : f.groups("layers")) {
        Layer l;
        l.n_in = int(n_in);
        l.n_out = g.length("w", 1, 1, 1 << 20);
        l.w = g.array<double>("w", {n_in, l.n_out});
        if (g.has("b")) l.b = g.array<double>("b", {l.n_out});
        if (g.has("gain")) {
            l.gain = g.array<double>("gain", {l.n_out});
            l.offset = g.array<double>("offset", {l.n_out});
        }
        n_in = l.n_out;
        widest_ = std::max({widest_, l.n_in, l.n_out});
        layers_.push_back(l);
    }
    if (layers_.empty())
        throw std::invalid_argument(f.prefix() + "layers: none; expected at least one");
}

MaceNet::Jet MaceNet::operator()(Jet in, Jet out) const {
    for (std::size_t k = 0; k < layers_.size(); ++k) {
        const Layer& l = layers_[k];
        mace_net_compute(l.n_in, l.n_out, l.w, l.b, in.value, in.slope, out.value, out.slope);
        if (k + 1 < layers_.size()) {
            if (l.gain) normalise(l.n_out, l.gain, l.offset, out.value, out.slope);
            for (int o = 0; o < l.n_out; ++o) {
                double slope;
                out.value[o] = silu(out.value[o], slope);
                out.slope[o] *= slope;
            }
        }
        std::swap(in, out);
    }
    return in;
}

MaceRadial::MaceRadial(const Fields& model, int n_species, const std::vector<int>& n_paths,
                       const std::vector<int>& channels) {
    const Fields f = model.group("radial");
    cutoff_ = model.positive("cutoff");
    n_basis_ = f.length("basis", 0, 1, 1024);
    basis_ = f.array<double>("basis", {n_basis_});
    kind_ = f.integer("kind", 0, 2);
    prefactor_ = f.number("prefactor");
    p_ = f.integer("p", 1, 100);
    cutoff_inside_ = f.flag("cutoff_inside");
    transform_ = f.integer("transform", 0, 2);
    if (transform_ != 0) {
        const double* p = f.array<double>("transform_p", {3});
        std::copy_n(p, 3, transform_p_);
        radii_ = f.array<double>("radii", {n_species});
        for (int s = 0; s < n_species; ++s)
            if (!(radii_[s] > 0))
                throw std::invalid_argument(f.prefix() + "radii: " + number(radii_[s]) +
                                            "; expected numbers above zero");
    }
    int widest = n_basis_;
    const std::vector<Fields> groups = model.groups("layers");
    for (std::size_t t = 0; t < n_paths.size(); ++t) {
        const Fields& g = groups[t];
        Layer l;
        l.channels = channels[t];
        if (g.has("source")) {
            l.n_embed = g.length("source", 1, 1, 1 << 16);
            l.source = g.array<double>("source", {n_species, l.n_embed});
            l.target = g.array<double>("target", {n_species, l.n_embed});
        }
        const std::int64_t n_in = n_basis_ + 2 * l.n_embed;
        l.net = MaceNet(g.group("radial"), n_in);
        if (l.net.n_out() != n_paths[t] * channels[t])
            throw std::invalid_argument(g.prefix() + "radial: of " + std::to_string(l.net.n_out()) +
                                        " functions; expected " +
                                        std::to_string(n_paths[t] * channels[t]));
        if (g.has("density.layers.0.w")) {
            l.density = MaceNet(g.group("density"), n_in);
            if (l.density.n_out() != 1)
                throw std::invalid_argument(g.prefix() + "density: of " +
                                            std::to_string(l.density.n_out()) +
                                            " functions; expected one");
        }
        widest = std::max({widest, int(n_in), l.net.widest(), l.density.widest()});
        layers_.push_back(std::move(l));
    }
    room_ = std::size_t(2 * n_basis_) + 4 * std::size_t(widest);
}

void MaceRadial::basis(int si, int sj, double r, double* b, double* db, double& f,
                       double& df) const {
    const double t = r / cutoff_, tp = std::pow(t, p_ - 1);
    f = df = 0.0;
    if (t < 1.0) {
        f = 1.0 -
            t * tp * (0.5 * (p_ + 1) * (p_ + 2) - t * (p_ * (p_ + 2) - t * 0.5 * p_ * (p_ + 1)));
        df = -0.5 * p_ * (p_ + 1) * (p_ + 2) * tp * (1.0 - t) * (1.0 - t) / cutoff_;
    }
    double x = r, dx = 1.0;
    if (transform_ == 1) {  // Agnesi
        const double q = transform_p_[0], p = transform_p_[1], a = transform_p_[2];
        const double length = 0.5 * (radii_[si] + radii_[sj]), v = r / length;
        const double z = 1.0 + std::pow(v, p - q), top = a * std::pow(v, p);
        const double g = top / z;
        const double dg = v > 0 ? (p * g - g * (p - q) * (z - 1.0) / z) / r : 0.0;
        x = 1.0 / (1.0 + g);
        dx = -x * x * dg;
    } else if (transform_ == 2) {  // Soft
        const double sum = radii_[si] + radii_[sj], p0 = 0.75 * sum, p1 = sum / 0.75;
        const double beta = transform_p_[0] / (p1 - p0),
                     th = std::tanh(beta * (r - 0.5 * (p0 + p1)));
        x = p0 + 0.5 * (r - p0) * (1.0 + th);
        dx = 0.5 * (1.0 + th) + 0.5 * (r - p0) * beta * (1.0 - th * th);
    }
    double before = 1.0, dbefore = 0.0;  // Chebyshev polynomials one and two lower
    double lower = 0.0, dlower = 0.0;
    for (int n = 0; n < n_basis_; ++n) {
        const double c = basis_[n];
        double y, dy;
        if (kind_ == 0) {  // Bessel; a series near zero
            const double w = c * x;
            if (std::fabs(w) < 1e-3) {
                const double w2 = w * w;
                y = c * (1.0 - w2 / 6.0 * (1.0 - w2 / 20.0));
                dy = -c * c * w / 3.0 * (1.0 - w2 / 10.0);
            } else {
                y = std::sin(w) / x;
                dy = (c * std::cos(w) - y) / x;
            }
            y *= prefactor_;
            dy *= prefactor_;
        } else if (kind_ == 1) {  // Gaussian
            y = std::exp(prefactor_ * (x - c) * (x - c));
            dy = 2.0 * prefactor_ * (x - c) * y;
        } else {  // Chebyshev: T_1, T_2, ...
            y = n == 0 ? x : 2.0 * x * before - lower;
            dy = n == 0 ? 1.0 : 2.0 * before + 2.0 * x * dbefore - dlower;
            lower = before;
            dlower = dbefore;
            before = y;
            dbefore = dy;
        }
        dy *= dx;
        b[n] = cutoff_inside_ ? y * f : y;
        db[n] = cutoff_inside_ ? dy * f + y * df : dy;
    }
}

void MaceRadial::evaluate(int layer, int si, int sj, double distance, double* r, double* dr,
                          double* rho, double* scratch) const {
    const Layer& l = layers_[std::size_t(layer)];
    const std::size_t wide = (room_ - std::size_t(2 * n_basis_)) / 4;
    double *b = scratch, *db = b + n_basis_, *at = db + n_basis_;
    double f, df;
    basis(si, sj, distance, b, db, f, df);
    const auto run = [&](const MaceNet& net) {
        const MaceNet::Jet in{at, at + wide}, other{at + 2 * wide, at + 3 * wide};
        std::copy_n(b, n_basis_, in.value);
        std::copy_n(db, n_basis_, in.slope);
        for (int k = 0; k < l.n_embed; ++k) {
            in.value[n_basis_ + k] = l.source[std::int64_t(sj) * l.n_embed + k];
            in.value[n_basis_ + l.n_embed + k] = l.target[std::int64_t(si) * l.n_embed + k];
            in.slope[n_basis_ + k] = in.slope[n_basis_ + l.n_embed + k] = 0.0;
        }
        return net(in, other);
    };
    const MaceNet::Jet out = run(l.net);
    for (int k = 0; k < l.net.n_out(); ++k) {
        r[k] = cutoff_inside_ ? out.value[k] : out.value[k] * f;
        dr[k] = cutoff_inside_ ? out.slope[k] : out.slope[k] * f + out.value[k] * df;
    }
    if (l.density.n_out() == 0) return;
    const MaceNet::Jet e = run(l.density);
    const double th = std::tanh(*e.value * *e.value);
    const double dth = (1.0 - th * th) * 2.0 * *e.value * *e.slope;
    rho[0] = cutoff_inside_ ? th : th * f;
    rho[1] = cutoff_inside_ ? dth : dth * f + th * df;
}

namespace {

// Coefficients of the polynomial of degree five in t with these values and slopes at 0, 1/2 and 1.
void quintic(const double f[3], const double g[3], double* c) {
    const double F = f[2] - f[0] - g[0], G = g[2] - g[0], Fh = f[1] - f[0] - 0.5 * g[0],
                 Gh = g[1] - g[0];
    c[0] = f[0];
    c[1] = g[0];
    c[2] = 7 * F - G + 16 * Fh - 8 * Gh;
    c[3] = -34 * F + 5 * G - 32 * Fh + 32 * Gh;
    c[4] = 52 * F - 8 * G + 16 * Fh - 40 * Gh;
    c[5] = -24 * F + 4 * G + 16 * Gh;
}
// The same of degree four, without the slope at 1/2.
void quartic(const double f[3], const double g[3], double* c) {
    const double F = f[2] - f[0] - g[0], G = g[2] - g[0], Fh = f[1] - f[0] - 0.5 * g[0];
    c[0] = f[0];
    c[1] = g[0];
    c[4] = 16 * Fh - 8 * F + 2 * G;
    c[3] = G - 2 * F - 2 * c[4];
    c[2] = 3 * F - G + c[4];
    c[5] = 0.0;
}
double horner(const double* c, double t) {
    double y = c[5];
    for (int q = 4; q >= 0; --q) y = y * t + c[q];
    return y;
}

// Values and derivatives of all functions at one distance.
struct Sample {
    std::vector<double> r, dr;
    double rho[2] = {0, 0};
};

class TableMaker {
public:
    TableMaker(const MaceRadial& radial, int layer, int si, int sj, int terms)
        : radial_(radial),
          terms_(terms),
          layer_(layer),
          si_(si),
          sj_(sj),
          n_(std::size_t(radial.n_functions(layer))),
          scratch_(radial.room()) {}

    // The largest of the functions at a distance, and the density.
    void largest(double r, double most[2]) {
        sample(r, low_);
        for (const double x : low_.r) most[0] = std::max(most[0], std::fabs(x));
        most[1] = std::max(most[1], std::fabs(low_.rho[0]));
        if (!std::isfinite(low_.rho[0])) most[1] = low_.rho[0];
        for (const double x : low_.r)
            if (!std::isfinite(x)) most[0] = x;
    }
    // The polynomials of [begin, begin + length) in n intervals into `to`, (n, functions + 1, 6), the
    // density behind the others. Returns the largest error, in units of what is allowed for either.
    double fit(double begin, double length, int n, const double most[2], std::vector<double>& to) {
        const double h = length / n;
        to.resize(std::size_t(n) * (n_ + 1) * 6);
        double errors[2] = {0.0, 0.0}, *c = to.data();
        sample(begin, left_);
        for (int i = 0; i < n; ++i) {
            sample(begin + (i + 0.5) * h, middle_);
            sample(begin + (i + 1) * h, right_);
            sample(begin + (i + 0.25) * h, low_);
            sample(begin + (i + 0.75) * h, high_);
            const auto one = [&](const double* f, const double* g, double low, double high,
                                 double& error) {
                const double slopes[3] = {h * g[0], h * g[1], h * g[2]};
                (terms_ == 6 ? quintic : quartic)(f, slopes, c);
                const double e =
                    std::max(std::fabs(horner(c, 0.25) - low), std::fabs(horner(c, 0.75) - high));
                error = e > error || !(e == e) ? e : error;
                c += 6;
            };
            for (std::size_t q = 0; q < n_; ++q) {
                const double f[3] = {left_.r[q], middle_.r[q], right_.r[q]};
                const double g[3] = {left_.dr[q], middle_.dr[q], right_.dr[q]};
                one(f, g, low_.r[q], high_.r[q], errors[0]);
            }
            const double f[3] = {left_.rho[0], middle_.rho[0], right_.rho[0]};
            const double g[3] = {left_.rho[1], middle_.rho[1], right_.rho[1]};
            one(f, g, low_.rho[0], high_.rho[0], errors[1]);
            std::swap(left_, right_);
        }
        const double part[2] = {errors[0] / most[0], errors[1] / most[1]};
        return part[0] > part[1] || part[0] != part[0] ? part[0] : part[1];
    }

private:
    void sample(double r, Sample& s) {
        s.r.resize(n_);
        s.dr.resize(n_);
        radial_.evaluate(layer_, si_, sj_, r, s.r.data(), s.dr.data(), s.rho, scratch_.data());
    }

    const MaceRadial& radial_;
    const int terms_, layer_, si_, sj_;
    const std::size_t n_;
    std::vector<double> scratch_;
    Sample left_, middle_, right_, low_, high_;
};

}  // namespace

template <class T> MaceTable<T> make_mace_table(const MaceRadial& radial, int layer, int si, int sj,
                                                int n_paths, int k, double bound) {
    const std::string name = "radial functions of layer " + std::to_string(layer);
    const int n_functions = radial.n_functions(layer), channels = n_functions / n_paths;
    const double length = radial.cutoff() / kMaceSegments;
    TableMaker maker(radial, layer, si, sj, kMaceTerms<T>);
    // The largest values from each segment on outwards, of the functions and of the density.
    double outer[kMaceSegments + 1][2] = {};
    for (int s = kMaceSegments; s-- > 0;) {
        std::copy_n(outer[s + 1], 2, outer[s]);
        maker.largest(s * length, outer[s]);
        maker.largest((s + 0.5) * length, outer[s]);
        if (!std::isfinite(outer[s][0]) || !std::isfinite(outer[s][1]))
            throw UnusableModel(name + ": not finite at " + number(s * length) +
                                " A; expected numbers");
    }
    std::vector<double> parts[kMaceSegments];
    MaceTable<T> table;
    std::int32_t* first = table.view.first;
    for (int s = 0; s < kMaceSegments; ++s) {
        double most[2];
        for (int of = 0; of < 2; ++of)
            most[of] = bound * std::max({outer[s][of], kMaceLeastPart * outer[0][of], 1e-300});
        for (int n = 1;;) {
            const double error = maker.fit(s * length, length, n, most, parts[s]);
            if (error <= 1.0) {
                first[s + 1] = first[s] + n;
                break;
            }
            // The error goes with the power of the length that has as many terms.
            const double more =
                std::isfinite(error) ? 1.1 * std::pow(error, 1.0 / kMaceTerms<T>) : 1e9;
            n = int(std::min(std::max(std::ceil(n * more), n + 1.0), 1e9));
            if (n > kMaceMostIntervals)
                throw UnusableModel(name + ": " + std::to_string(kMaceMostIntervals) +
                                    " intervals from " + number(s * length) +
                                    " A on do not give a table within " + number(bound) +
                                    " of the largest values; expected smoother ones, or "
                                    "radial='exact'");
        }
    }
    const int n = first[kMaceSegments];
    const std::size_t size = std::size_t(n_paths) * std::size_t(n) * std::size_t(kMaceTerms<T> * k);
    std::fill_n(table.rows.reserve(size), size, T(0));
    table.density.resize(std::size_t(6 * n));
    for (int s = 0, i = 0; s < kMaceSegments; ++s) {
        const double* c = parts[s].data();
        for (; i < first[s + 1]; ++i) {
            for (int q = 0; q < n_functions; ++q) {
                T* to =
                    table.rows.data() + mace_table_place<T>(k, n, q / channels, i, q % channels);
                for (int d = 0; d < kMaceTerms<T>; ++d) to[d * kLine<T>] = T(c[d]);
                c += 6;
            }
            for (int d = 0; d < 6; ++d) table.density[std::size_t(6 * i + d)] = *c++;
        }
    }
    table.view.n = n;
    table.view.scale = 1.0 / length;
    table.view.rows = table.rows.data();
    if (radial.density(layer)) table.view.density = table.density.data();
    return table;
}

template MaceTable<double> make_mace_table(const MaceRadial&, int, int, int, int, int, double);
template MaceTable<float> make_mace_table(const MaceRadial&, int, int, int, int, int, double);

}  // namespace mdkern
