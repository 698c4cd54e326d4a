// Velocity Verlet, Langevin and barostat steps over all atoms.
//
// Per atom and step of velocity Verlet 32 bytes each of x, rows, built and offset, 24 of p and f
// and 8 of mass are walked once: 184 bytes, which at 20 GB/s is 9 ns beside the 60 to 200 ns of a
// force. About 30 operations, three divisions.
#include "md/integrate.hpp"
#include "md/philox.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

namespace {

constexpr double kInfinity = __builtin_inf();
constexpr int kBlock = int(kMdBlock);

// Six normal deviates for each of the atoms of a block, by Box and Muller (1958) from three Philox
// calls.
struct Normals {
    alignas(64) double value[6][kBlock];

    void draw(const std::int32_t* atom, int n, std::uint64_t seed, std::uint64_t step) {
        using V = simd::Vec<double>;
        alignas(64) std::uint32_t word[4][kBlock];
        alignas(64) double u[kBlock], angle[kBlock];
        for (int call = 0; call < 3; ++call) {
            for (int l = 0; l < kBlock; ++l) {
                word[0][l] = std::uint32_t(atom[l < n ? l : 0]);
                word[1][l] = std::uint32_t(step);
                word[2][l] = std::uint32_t(step >> 32);
                word[3][l] = std::uint32_t(call);
            }
            philox<kBlock>(word, seed);
            for (int l = 0; l < kBlock; ++l) {
                u[l] = unit_interval(word[0][l], word[1][l]);
                angle[l] = 6.283185307179586 * unit_interval(word[2][l], word[3][l]);
            }
            for (int l = 0; l < n; l += V::width) {
                const V radius = simd::sqrt(V(-2.0) * math::log(simd::load(u + l)));
                const auto turn = math::sincos(simd::load(angle + l));
                simd::store(value[2 * call] + l, radius * turn.cos);
                simd::store(value[2 * call + 1] + l, radius * turn.sin);
            }
        }
    }
};

inline void times(const double* v, const double* m, double* out) {  // row vector times matrix
    for (int c = 0; c < 3; ++c) out[c] = (v[0] * m[c] + v[1] * m[3 + c]) + v[2] * m[6 + c];
}

inline const MdFriction& friction_of(const MdAtoms& a, const MdMotion& m, std::int64_t i) {
    return m.each ? m.each[a.order[i]] : m.friction;
}

// The momentum of one atom after a kick. `c`, and `noise` of the velocity: Langevin only.
template <MdKick kKick>
inline void kick(const MdMotion& m, const MdFriction& c, const double* f, double mass,
                 const double* noise, double* p) {
    if constexpr (kKick == MdKick::plain) {
        for (int k = 0; k < 3; ++k) p[k] = p[k] + m.half * f[k];
    } else if constexpr (kKick == MdKick::langevin) {
        for (int k = 0; k < 3; ++k) {
            const double v = p[k] / mass;
            const double w = v + (c.c1 * f[k] / mass - c.c2 * v + noise[k]);
            p[k] = mass < kInfinity ? w * mass : 0.0;
        }
    } else if constexpr (kKick == MdKick::affine) {
        double a[3], b[3];
        times(p, m.P, a);
        times(f, m.F, b);
        for (int k = 0; k < 3; ++k) p[k] = a[k] + b[k];
    }
}

inline void add_sums(const double* p, double mass, double* s) {
    const double x = p[0] / mass, y = p[1] / mass, z = p[2] / mass;
    s[1] += p[0] * x;
    s[2] += p[1] * y;
    s[3] += p[2] * z;
    s[4] += p[1] * z;
    s[5] += p[0] * z;
    s[6] += p[0] * y;
    for (int c = 0; c < 3; ++c) s[7 + c] += mass < kInfinity ? p[c] : 0.0;
}

inline void store_sums(double* s, double* out) {
    s[0] = s[1] + s[2] + s[3];
    for (int k = 0; k < kMdSums; ++k) out[k] = s[k];
}

template <MdKick kKick> void momentum(const MdMomentumTask& t, int n_threads) {
    const MdAtoms& a = t.atoms;
    parallel_for((a.n + kMdBlock - 1) / kMdBlock, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kMdBlock < a.n ? (b + 1) * kMdBlock : a.n;
        double s[kMdSums] = {};
        for (std::int64_t i = b * kMdBlock; i < end; ++i) {
            double* p = a.p + 3 * i;
            const double mass = a.mass[i];
            const double* noise = kKick == MdKick::langevin ? a.noise + 3 * i : nullptr;
            const MdFriction& own = friction_of(a, t.motion, i);
            kick<kKick>(t.motion, own, a.f + 3 * i, mass, noise, p);
            for (int c = 0; c < 3; ++c)
                p[c] = (mass < kInfinity ? p[c] - mass * t.shift[c] : p[c]) * t.scale;
            if (t.sums) add_sums(p, mass, s);
        }
        if (t.sums) store_sums(s, t.sums + kMdSums * b);
    });
}

// The two largest squares so far. NaN and infinity stick, so that the list is built anew and finds
// the culprit.
inline void keep_largest(double u2, double& most, double& next) {
    if (u2 <= next) return;
    if (!(u2 < 1e300)) {
        most = next = 1e300;
    } else if (u2 > most) {
        next = most;
        most = u2;
    } else {
        next = u2;
    }
}

template <MdKick kKick, bool kStrain> void drift(const MdDriftTask& t, int n_threads) {
    const MdAtoms& a = t.atoms;
    const MdMotion& m = t.motion;
    const double s0 = t.scale[0], s1 = t.scale[1];
    constexpr bool kNoise = kKick == MdKick::langevin;
    parallel_for((a.n + kMdBlock - 1) / kMdBlock, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t begin = b * kMdBlock;
        const std::int64_t end = begin + kMdBlock < a.n ? begin + kMdBlock : a.n;
        double most = 0.0, next = 0.0, s[kMdSums] = {};
        Normals random;
        if constexpr (kNoise)
            if (t.first) random.draw(a.order + begin, int(end - begin), m.seed, m.step);
        for (std::int64_t i = begin; i < end; ++i) {
            const double mass = a.mass[i];
            const double* f = a.f + 3 * i;
            double p[3] = {a.p[3 * i], a.p[3 * i + 1], a.p[3 * i + 2]};
            double* noise = kNoise ? a.noise + 3 * i : nullptr;
            const MdFriction& own = friction_of(a, m, i);
            if (t.owed) kick<kKick>(m, own, f, mass, noise, p);
            double jump[3] = {0.0, 0.0, 0.0};
            if constexpr (kNoise) {
                const int l = int(i - begin);
                if (t.first) {
                    const double c3 = own.c3 / __builtin_sqrt(mass);
                    const double c4 = own.c4 / __builtin_sqrt(mass);
                    const double c5 = own.c5 / __builtin_sqrt(mass);
                    for (int c = 0; c < 3; ++c) {
                        const double xi = random.value[c][l], eta = random.value[3 + c][l];
                        noise[c] = c3 * xi - c4 * eta;
                        jump[c] = c5 * eta;
                    }
                    kick<kKick>(m, own, f, mass, noise, p);
                    if (t.split)
                        for (int c = 0; c < 3; ++c) a.noise_x[3 * i + c] = jump[c];
                } else if (t.drift) {
                    for (int c = 0; c < 3; ++c) jump[c] = a.noise_x[3 * i + c];
                }
            } else {
                for (double& q : p) q = q * s0 * s1;
                if (t.first) kick<kKick>(m, own, f, mass, nullptr, p);
            }
            if (mass < kInfinity)
                for (int c = 0; c < 3; ++c) p[c] = p[c] - mass * t.shift[c];
            for (int c = 0; c < 3; ++c) a.p[3 * i + c] = p[c];
            if (!t.drift) {
                for (int c = 0; c < 3; ++c)
                    s[7 + c] += mass < kInfinity ? m.dt * p[c] + mass * jump[c] : 0.0;
                continue;
            }
            double* x = a.x + 4 * i;
            if constexpr (kKick == MdKick::affine) {
                double y[3], w[3], v[3] = {p[0] / mass, p[1] / mass, p[2] / mass};
                times(x, m.A, y);
                times(v, m.B, w);
                for (int c = 0; c < 3; ++c) x[c] = y[c] + w[c];
            } else if constexpr (kNoise) {
                for (int c = 0; c < 3; ++c) x[c] = x[c] + m.dt * (p[c] / mass) + jump[c];
            } else {
                for (int c = 0; c < 3; ++c) x[c] = x[c] + m.dt * p[c] / mass;
            }
            const double *o = a.offset + 4 * i, *r0 = t.built + 4 * i;
            double *q = a.rows + 4 * i, u2 = 0.0;
            for (int c = 0; c < 3; ++c) {
                q[c] = x[c] + o[c];
                double from = r0[c];
                if constexpr (kStrain)
                    from =
                        (r0[0] * t.strain[c] + r0[1] * t.strain[3 + c]) + r0[2] * t.strain[6 + c];
                const double u = q[c] - from;
                u2 += u * u;
            }
            keep_largest(u2, most, next);
        }
        if (t.drift) {
            t.largest[2 * b] = most;
            t.largest[2 * b + 1] = next;
        } else {
            store_sums(s, t.sums + kMdSums * b);
        }
    });
}

}  // namespace

void md_momentum_compute(const MdMomentumTask& t, int n_threads) {
    if (t.kick == MdKick::none) momentum<MdKick::none>(t, n_threads);
    if (t.kick == MdKick::plain) momentum<MdKick::plain>(t, n_threads);
    if (t.kick == MdKick::langevin) momentum<MdKick::langevin>(t, n_threads);
    if (t.kick == MdKick::affine) momentum<MdKick::affine>(t, n_threads);
}

void md_drift_compute(const MdDriftTask& t, int n_threads) {
    if (t.motion.kick == MdKick::plain) drift<MdKick::plain, false>(t, n_threads);
    if (t.motion.kick == MdKick::langevin) drift<MdKick::langevin, false>(t, n_threads);
    if (t.motion.kick == MdKick::affine) drift<MdKick::affine, true>(t, n_threads);
}

void md_images_compute(const MdImageTask& t, int n_threads) {
    const MdAtoms& a = t.atoms;
    const double* h = t.cell;
    if (h)
        parallel_for(a.n_total, n_threads, 0, [&](std::int64_t r) {
            const std::int32_t* s = a.shift + 4 * r;
            const double s0 = s[0], s1 = s[1], s2 = s[2];
            double* o = a.offset + 4 * r;
            for (int c = 0; c < 3; ++c) o[c] = (s0 * h[c] + s1 * h[3 + c]) + s2 * h[6 + c];
            o[3] = 0.0;
        });
    parallel_for(a.n_total - t.begin, n_threads, 0, [&](std::int64_t k) {
        const std::int64_t r = t.begin + k;
        const double *x = a.x + 4 * std::int64_t(a.owner[r]), *o = a.offset + 4 * r;
        double* q = a.rows + 4 * r;
        // All four before the first is stored: the compiler makes one vector of them.
        const double q0 = x[0] + o[0], q1 = x[1] + o[1], q2 = x[2] + o[2], q3 = x[3] + o[3];
        q[0] = q0;
        q[1] = q1;
        q[2] = q2;
        q[3] = q3;
    });
}

void md_normals_compute(const MdNormalTask& t, int n_threads) {
    parallel_for((t.n + kMdBlock - 1) / kMdBlock, n_threads, 0, [&](std::int64_t b) {
        const std::int64_t begin = b * kMdBlock;
        const int n = int(begin + kMdBlock < t.n ? kMdBlock : t.n - begin);
        Normals random;
        random.draw(t.atom + begin, n, t.seed, t.step);
        for (int l = 0; l < n; ++l)
            for (int c = 0; c < 6; ++c) t.out[6 * (begin + l) + c] = random.value[c][l];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
