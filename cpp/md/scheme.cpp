#include "md/scheme.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "md/philox.hpp"

namespace mdkern {

namespace {

// One stream of random numbers of a step, beside those of the atoms.
class Stream {
public:
    Stream(std::uint64_t key, std::uint64_t at) : seed(key), step(at) {}
    double uniform() {
        if (used == 2) {
            const std::uint32_t counter[4] = {0, std::uint32_t(step), std::uint32_t(step >> 32),
                                              kFirst + calls++};
            for (int k = 0; k < 4; ++k) word[k][0] = counter[k];
            baseline::philox<1>(word, seed);
            used = 0;
        }
        const int k = 2 * used++;
        return baseline::unit_interval(word[k][0], word[k + 1][0]);
    }
    double normal() {
        const double radius = std::sqrt(-2.0 * std::log(uniform()));
        return radius * std::cos(6.283185307179586 * uniform());
    }
    // Gamma deviate of shape a > 0 and scale one: G. Marsaglia and W. W. Tsang, ACM Trans. Math.
    // Softw. 26, 363 (2000).
    double gamma(double a) {
        if (a <= 0.0) return 0.0;
        const double boost = a < 1.0 ? std::pow(uniform(), 1.0 / a) : 1.0;
        const double d = (a < 1.0 ? a + 1.0 : a) - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
        for (;;) {
            const double x = normal(), t = 1.0 + c * x;
            if (t <= 0.0) continue;
            const double v = t * t * t;
            if (std::log(uniform()) < 0.5 * x * x + d * (1.0 - v + std::log(v)))
                return boost * d * v;
        }
    }

private:
    static constexpr std::uint32_t kFirst = 16;  // atoms use the calls below
    std::uint64_t seed, step;
    std::uint32_t word[4][1] = {};
    std::uint32_t calls = 0;
    int used = 2;
};

double determinant(const double* h) {
    return h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
           h[2] * (h[3] * h[7] - h[4] * h[6]);
}

// (e^x - 1) / x
double exprel(double x) { return std::fabs(x) < 1e-300 ? 1.0 : std::expm1(x) / x; }

void multiply(const double* a, const double* b, double* out) {
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c)
            out[3 * r + c] = a[3 * r] * b[c] + a[3 * r + 1] * b[3 + c] + a[3 * r + 2] * b[6 + c];
}

// Eigenvalues w and eigenvectors u (columns) of a symmetric matrix, by Jacobi's rotations.
void symmetric_eigen(const double* matrix, double* w, double* u) {
    double a[9];
    std::copy_n(matrix, 9, a);
    for (int k = 0; k < 9; ++k) u[k] = k % 4 == 0;
    for (int sweep = 0; sweep < 50; ++sweep) {
        const double off = std::fabs(a[1]) + std::fabs(a[2]) + std::fabs(a[5]);
        if (off == 0.0) break;
        for (int p = 0; p < 2; ++p)
            for (int q = p + 1; q < 3; ++q) {
                if (a[3 * p + q] == 0.0) continue;
                const double theta = (a[4 * q] - a[4 * p]) / (2.0 * a[3 * p + q]);
                const double t = (theta < 0.0 ? -1.0 : 1.0) /
                                 (std::fabs(theta) + std::sqrt(theta * theta + 1.0));
                const double c = 1.0 / std::sqrt(t * t + 1.0), s = t * c;
                for (int k = 0; k < 3; ++k) {
                    const double x = a[3 * k + p], y = a[3 * k + q];
                    a[3 * k + p] = c * x - s * y;
                    a[3 * k + q] = s * x + c * y;
                }
                for (int k = 0; k < 3; ++k) {
                    const double x = a[3 * p + k], y = a[3 * q + k];
                    a[3 * p + k] = c * x - s * y;
                    a[3 * q + k] = s * x + c * y;
                }
                for (int k = 0; k < 3; ++k) {
                    const double x = u[3 * k + p], y = u[3 * k + q];
                    u[3 * k + p] = c * x - s * y;
                    u[3 * k + q] = s * x + c * y;
                }
            }
    }
    for (int k = 0; k < 3; ++k) w[k] = a[4 * k];
}

// u diag(values) u^T
void compose(const double* u, const double* values, double* out) {
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) {
            double sum = 0.0;
            for (int k = 0; k < 3; ++k) sum += u[3 * r + k] * values[k] * u[3 * c + k];
            out[3 * r + c] = sum;
        }
}

void diagonal(double value, double* out) {
    for (int k = 0; k < 9; ++k) out[k] = k % 4 == 0 ? value : 0.0;
}

constexpr int kVoigt[9] = {0, 5, 4, 5, 1, 3, 4, 3, 2};

// Degrees of freedom of a cell.
int freedom(const bool* mask) { return mask ? mask[0] + mask[1] + mask[2] : 9; }

}  // namespace

double MdPhase::volume() const { return std::fabs(determinant(cell)); }

void MdPhase::scale(double s) {
    for (int k = 0; k < 7; ++k) sums[k] *= s * s;
    for (int k = 7; k < kMdSums; ++k) sums[k] *= s;
}

void MdScheme::prepare(MdMotion& motion, const MdPhase& phase) {
    motion.kick = kick();
    motion.each = nullptr;
    motion.dt = phase.dt;
    motion.half = 0.5 * phase.dt;
}

void LangevinScheme::prepare(MdMotion& m, const MdPhase& phase) {
    MdScheme::prepare(m, phase);
    const double dt = phase.dt, dt15 = dt * std::sqrt(dt);
    each.clear();
    for (const double fr : friction) {
        const double sigma = std::sqrt(2.0 * kT * fr);
        MdFriction c;
        c.c1 = dt / 2.0 - dt * dt * fr / 8.0;
        c.c2 = dt * fr / 2.0 - dt * dt * fr * fr / 8.0;
        c.c3 = std::sqrt(dt) * sigma / 2.0 - dt15 * fr * sigma / 8.0;
        c.c5 = dt15 * sigma / (2.0 * std::sqrt(3.0));
        c.c4 = fr / 2.0 * c.c5;
        each.push_back(c);
    }
    m.friction = each.front();
    m.each = each.size() > 1 ? each.data() : nullptr;
    m.seed = seed;
}

double LangevinScheme::reservoir_energy(const MdPhase&) const {
    return std::numeric_limits<double>::quiet_NaN();
}

void bussi_noise(std::uint64_t seed, std::uint64_t step, double n_dof, double* normal,
                 double* squares) {
    Stream stream(seed, step);
    *normal = stream.normal();
    *squares = 2.0 * stream.gamma(0.5 * (n_dof - 1.0));
}

double BussiScheme::begin_step(MdPhase& phase, MdMotion&) {
    const double kinetic = phase.kinetic();
    if (!(kinetic > 0.0)) return 1.0;  // nothing to scale
    const double c = std::exp(-phase.dt / tau), target = 0.5 * kT * phase.n_dof;
    const double factor = (1.0 - c) * target / kinetic / phase.n_dof;
    double normal, squares;
    bussi_noise(seed, phase.step, phase.n_dof, &normal, &squares);
    const double alpha =
        std::sqrt(c + factor * (squares + normal * normal) + 2.0 * normal * std::sqrt(c * factor));
    variables[0] += (alpha * alpha - 1.0) * kinetic;
    phase.scale(alpha);
    return alpha;
}

double MdChain::integrate(double* state, double& twice, double delta) const {
    const double first = 1.0 / (2.0 - std::cbrt(2.0));
    const double coefficients[3] = {first, 1.0 - 2.0 * first, first};
    double *eta = state, *p = state + length, factor = 1.0;
    auto mass_of = [&](int j) { return j == 0 ? first_mass : mass; };
    auto push = [&](int j, double step) {
        auto damp = [&] {
            if (j < length - 1) p[j] *= std::exp(-0.25 * step * p[j + 1] / mass_of(j + 1));
        };
        damp();
        p[j] += 0.5 * step * (j == 0 ? twice - target : p[j - 1] * p[j - 1] / mass_of(j - 1) - kT);
        damp();
    };
    for (int loop = 0; loop < loops; ++loop)
        for (double coefficient : coefficients) {
            const double step = coefficient * delta / loops;
            for (int j = length - 1; j >= 0; --j) push(j, step);
            for (int j = 0; j < length; ++j) eta[j] += step * p[j] / mass_of(j);
            const double s = std::exp(-step * p[0] / first_mass);
            factor *= s;
            twice *= s * s;
            for (int j = 0; j < length; ++j) push(j, step);
        }
    return factor;
}

double MdChain::integrate(double* state, MdPhase& phase, double delta) const {
    double twice = phase.sums[0];
    const double s = integrate(state, twice, delta);
    phase.scale(s);
    return s;
}

double MdChain::energy(const double* state) const {
    double sum = 0.0;
    for (int j = 0; j < length; ++j) {
        const double p = state[length + j];
        sum += (j == 0 ? target : kT) * state[j] + 0.5 * p * p / (j == 0 ? first_mass : mass);
    }
    return sum;
}

NoseHooverScheme::NoseHooverScheme(double kT, double t_damp, int length, int loops, double n_dof)
    : chain{length, loops, kT, n_dof * kT, n_dof * kT * t_damp * t_damp, kT * t_damp * t_damp} {
    variables.assign(2 * length, 0.0);
}

double NoseHooverScheme::begin_step(MdPhase& phase, MdMotion&) { return end_step(phase); }

double NoseHooverScheme::end_step(MdPhase& phase) {
    return chain.integrate(variables.data(), phase, 0.5 * phase.dt);
}

double NoseHooverScheme::reservoir_energy(const MdPhase&) const {
    return chain.energy(variables.data());
}

MtkScheme::MtkScheme(const MtkOptions& options, double dof, double mass_dof) : o(options) {
    const double kT = o.kT, t2 = o.t_damp * o.t_damp, p2 = o.p_damp * o.p_damp, n = o.n_atoms;
    thermostat = {o.t_chain, o.t_loop, kT, 3.0 * n * kT, 3.0 * n * kT * t2, kT * t2};
    barostat = {o.p_chain, o.p_loop, kT, dof * kT, mass_dof * kT * p2, kT * p2};
    at_barostat = 2 * o.t_chain;
    at_own = at_barostat + 2 * o.p_chain;
}

void MtkScheme::push_barostat(double delta) {
    double* p = &variables[at_cell];
    double twice = 0.0;
    for (int k = 0; k < n_cell; ++k) twice += p[k] * p[k];
    twice /= W;
    const double s = barostat.integrate(&variables[at_barostat], twice, delta);
    for (int k = 0; k < n_cell; ++k) p[k] *= s;
}

double MtkScheme::begin_step(MdPhase& phase, MdMotion& m) {
    const double half = 0.5 * phase.dt;
    push_barostat(half);
    const double s = thermostat.integrate(variables.data(), phase, half);
    push_cell(phase, half);
    flow(phase, m);
    return s;
}

double MtkScheme::end_step(MdPhase& phase) {
    const double half = 0.5 * phase.dt;
    push_cell(phase, half);
    const double s = thermostat.integrate(variables.data(), phase, half);
    push_barostat(half);
    return s;
}

double MtkScheme::reservoir_energy(const MdPhase& phase) const {
    double kinetic = 0.0;
    for (int k = 0; k < n_cell; ++k) kinetic += variables[at_cell + k] * variables[at_cell + k];
    return thermostat.energy(variables.data()) + barostat.energy(&variables[at_barostat]) +
           kinetic / (2.0 * W) + o.pressure * phase.volume();
}

IsotropicMtkScheme::IsotropicMtkScheme(const MtkOptions& options) : MtkScheme(options, 1.0, 9.0) {
    W = (3.0 * o.n_atoms + 3.0) * o.kT * (o.p_damp * o.p_damp);
    at_cell = at_own + 1;
    n_cell = 1;
    variables.assign(at_own + 2, 0.0);
    variables.insert(variables.end(), o.cell, o.cell + 9);
}

// The cell is made from the one at the start, which is then the one that was set.
void IsotropicMtkScheme::take_cell(const MdPhase& phase) {
    double* start = &variables[at_own + 2];
    const double s = std::exp(variables[at_own]);
    bool same = true;
    for (int k = 0; k < 9; ++k) same = same && phase.cell[k] == start[k] * s;
    if (same) return;
    variables[at_own] = 0.0;
    std::copy_n(phase.cell, 9, start);
}

void IsotropicMtkScheme::push_cell(const MdPhase& phase, double delta) {
    const double volume =
        std::fabs(determinant(&variables[at_own + 2])) * std::exp(3.0 * variables[at_own]);
    const double trace = phase.virial[0] + phase.virial[1] + phase.virial[2];
    const double pressure = (trace + phase.sums[0]) / (3.0 * volume);
    variables[at_cell] +=
        delta * (3.0 * volume * (pressure - o.pressure) + phase.sums[0] / o.n_atoms);
}

void IsotropicMtkScheme::flow(MdPhase& phase, MdMotion& m) {
    const double half = 0.5 * phase.dt, p_eps = variables[at_cell];
    const double x = (1.0 + 1.0 / o.n_atoms) * p_eps * half / W, y = phase.dt * p_eps / W;
    diagonal(std::exp(-x), m.P);
    diagonal(half * exprel(-x), m.F);
    diagonal(std::exp(y), m.A);
    diagonal(phase.dt * exprel(y), m.B);
    variables[at_own] += y;
    for (int k = 0; k < 9; ++k)
        phase.cell[k] = variables[at_own + 2 + k] * std::exp(variables[at_own]);
}

FullMtkScheme::FullMtkScheme(const MtkOptions& options, const bool* chosen)
    : MtkScheme(options, freedom(chosen), freedom(chosen)), masked(chosen) {
    if (masked) std::copy_n(chosen, 3, mask);
    W = (o.n_atoms + 1.0) * o.kT * (o.p_damp * o.p_damp);
    n_cell = masked ? 3 : 9;
    at_cell = at_own;
    variables.assign(at_cell + n_cell + 9, 0.0);
    for (int k = 0; k < 3; ++k) {
        const double* h = o.cell + 3 * k;
        const double length = std::sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2]);
        for (int c = 0; c < 3; ++c) variables[at_cell + n_cell + 3 * k + c] = h[c] / length;
    }
}

void FullMtkScheme::cell_momenta(double* g) const {
    const double *p = &variables[at_cell], *e = &variables[at_cell + n_cell];
    if (!masked) {
        std::copy_n(p, 9, g);
        return;
    }
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) {
            g[3 * r + c] = 0.0;
            for (int k = 0; k < 3; ++k) g[3 * r + c] += p[k] * e[3 * k + r] * e[3 * k + c];
        }
}

void FullMtkScheme::push_cell(const MdPhase& phase, double delta) {
    const double volume = phase.volume(), kinetic = phase.sums[0] / (3.0 * o.n_atoms);
    double pv[9], *p = &variables[at_cell];
    const double* e = &variables[at_cell + n_cell];
    for (int k = 0; k < 9; ++k) {
        pv[k] = phase.virial[kVoigt[k]] + phase.sums[1 + kVoigt[k]];
        if (k % 4 == 0) pv[k] -= volume * o.pressure;
    }
    if (!masked) {
        for (int k = 0; k < 9; ++k) p[k] += delta * (pv[k] + (k % 4 == 0 ? kinetic : 0.0));
        return;
    }
    for (int k = 0; k < 3; ++k) {
        if (!mask[k]) continue;
        double along = 0.0;
        for (int r = 0; r < 3; ++r)
            for (int c = 0; c < 3; ++c) along += e[3 * k + r] * pv[3 * r + c] * e[3 * k + c];
        p[k] += delta * (along + kinetic);
    }
}

void FullMtkScheme::flow(MdPhase& phase, MdMotion& m) {
    const double half = 0.5 * phase.dt;
    double g[9], w[3], u[9], p[3], f[3], a[3], b[3], cell[9];
    cell_momenta(g);
    symmetric_eigen(g, w, u);
    const double trace = (g[0] + g[4] + g[8]) / (3.0 * o.n_atoms);
    for (int k = 0; k < 3; ++k) {
        const double x = (w[k] + trace) * half / W, y = w[k] * phase.dt / W;
        p[k] = std::exp(-x);
        f[k] = half * exprel(-x);
        a[k] = std::exp(y);
        b[k] = phase.dt * exprel(y);
    }
    compose(u, p, m.P);
    compose(u, f, m.F);
    compose(u, a, m.A);
    compose(u, b, m.B);
    multiply(phase.cell, m.A, cell);
    std::copy_n(cell, 9, phase.cell);
}

}  // namespace mdkern
