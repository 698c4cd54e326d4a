// Atom-centered symmetry functions, and gradients of weighted sums of them.
#include "descriptors/acsf_tile.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using namespace acsf;

namespace {

void radial_values(const AcsfParams& p, const Work& k, double* out) {
    for (int z = 0; z < p.n_species; ++z)
        for (int i = 0; i < p.n_radial(); ++i) {
            V sum = 0.0;
            for (int j = k.start[z]; j < k.start[z + 1]; j += W) {
                const auto live = simd::first_n<double>(k.start[z + 1] - j);
                V g, dg;
                radial_function(p, i, simd::load(k.r + j), simd::load(k.f + j, live), V(0.0), g,
                                dg);
                sum = sum + g;
            }
            out[z * p.n_radial() + i] = simd::sum(sum);
        }
}

template <bool kClosed>
void angular_values(const AcsfParams& p, const AcsfAngular& set, Work& k, double* out) {
    if (set.n == 0) return;
    for (int a = 0; a < p.n_species; ++a)
        for (int b = 0; b <= a; ++b) {
            for (int i = 0; i < set.n; ++i) simd::store(k.sums + 8 * i, V(0.0));
            triplets<kClosed, false>(p, a, b, k, [&] {
                tile_functions<kClosed, false>(p, set, k);
                for (int i = 0; i < set.n_eta; ++i)
                    for (int t = 0; t < k.n_tile; t += W) {
                        double* a_t = k.a + i * kAcsfTile + t;
                        simd::store(a_t, simd::load(a_t) * simd::load(k.cut + t));
                    }
                for (int i = 0; i < set.n; ++i) {
                    const double *e = k.a + set.eta_of[i] * kAcsfTile,
                                 *c = k.b + set.angle_of[i] * kAcsfTile;
                    V sum = simd::load(k.sums + 8 * i);
                    for (int t = 0; t < k.n_tile; t += W)
                        sum = simd::fma(simd::load(e + t), simd::load(c + t), sum);
                    simd::store(k.sums + 8 * i, sum);
                }
            });
            double* to = out + p.pair_offset(a, b) + set.offset;
            for (int i = 0; i < set.n; ++i)
                to[i] = set.factor[i] * simd::sum(simd::load(k.sums + 8 * i));
        }
}

// --- gradients

void radial_gradients(const AcsfParams& p, const Work& k, const double* w, double& energy) {
    for (int z = 0; z < p.n_species; ++z) {
        const double* weight = w + z * p.n_radial();
        for (int j = k.start[z]; j < k.start[z + 1]; j += W) {
            const auto live = simd::first_n<double>(k.start[z + 1] - j);
            const V r = simd::load(k.r + j), f = simd::load(k.f + j, live),
                    df = simd::load(k.df + j, live);
            V e = 0.0, slope = 0.0;
            for (int i = 0; i < p.n_radial(); ++i) {
                V g, dg;
                radial_function(p, i, r, f, df, g, dg);
                e = simd::fma(V(weight[i]), g, e);
                slope = simd::fma(V(weight[i]), dg, slope);
            }
            energy += simd::sum(simd::keep(live, e));
            const V pull = slope * simd::load(k.inverse_r + j);
            simd::store(k.gx + j, pull * simd::load(k.x + j), live);
            simd::store(k.gy + j, pull * simd::load(k.y + j), live);
            simd::store(k.gz + j, pull * simd::load(k.z + j), live);
        }
    }
}

// Slopes of the weighted sum of a tile's features by its distances and cosines.
template <bool kClosed>
void weigh(const AcsfAngular& set, Work& k, const double* w, double& energy) {
    V total = 0.0;
    for (int t = 0; t < k.n_tile; t += W) {
        V e = 0.0, slope = 0.0, turn = 0.0;
        for (int i = 0; i < set.n_eta; ++i) {
            V value = 0.0, change = 0.0;
            for (int q = 0; q < set.n; ++q) {
                if (set.eta_of[q] != i) continue;
                const V weight = w[q] * set.factor[q];
                value = simd::fma(weight, simd::load(k.b + set.angle_of[q] * kAcsfTile + t), value);
                change =
                    simd::fma(weight, simd::load(k.db + set.angle_of[q] * kAcsfTile + t), change);
            }
            const V a = simd::load(k.a + i * kAcsfTile + t), av = a * value;
            e = e + av;
            slope = simd::fnma(V(2.0 * set.eta[i]), av, slope);
            turn = simd::fma(a, change, turn);
        }
        const V cut = simd::load(k.cut + t);
        total = simd::fma(e, cut, total);
        simd::store(k.p2 + t, slope * cut);
        simd::store(k.pc + t, turn * cut);
        simd::store(k.e + t, e * simd::load(k.full + t));
        if constexpr (kClosed)
            simd::store(k.q + t, simd::fma(e * simd::load(k.slope_cut + t),
                                           simd::load(k.inverse_side + t), slope * cut));
    }
    energy += simd::sum(total);
}

// Adds a tile's slopes to the gradients of its neighbors:
//   on j: alpha_j r_j + gamma r_k + q (r_j - r_k), on k the same with j and k exchanged,
//   gamma = pc / (r_j r_k), alpha_j = p2 + f'_j f_k e / r_j - pc cos / r_j^2
template <bool kClosed> void spread(Work& k, double* gx, double* gy, double* gz) {
    for (int s = 0; s < k.n_segments;) {
        const int j = k.segments[s].j;
        const V x = k.x[j], y = k.y[j], z = k.z[j], inverse = k.inverse_r[j], f = k.f[j],
                df = k.df[j] * k.inverse_r[j];
        V jx = 0.0, jy = 0.0, jz = 0.0;
        for (; s < k.n_segments && k.segments[s].j == j; ++s) {
            const Segment& seg = k.segments[s];
            const int i = seg.k;
            const auto live = simd::from_bits<double>(seg.live);
            const V p2 = simd::expand_load(k.p2 + seg.at, live),
                    e = simd::expand_load(k.e + seg.at, live),
                    pc = simd::expand_load(k.pc + seg.at, live),
                    cosine = simd::expand_load(k.cosine + seg.at, live);
            const V xk = simd::load(k.x + i), yk = simd::load(k.y + i), zk = simd::load(k.z + i);
            const V inverse_k = simd::load(k.inverse_r + i), fk = simd::load(k.f + i);
            const V twist = pc * cosine;
            V gamma = pc * (inverse * inverse_k);
            V on_j = simd::fnma(twist, inverse * inverse, simd::fma(e * df, fk, p2));
            V on_k = simd::fnma(twist, inverse_k * inverse_k,
                                simd::fma(e * f, simd::load(k.df + i) * inverse_k, p2));
            if constexpr (kClosed) {
                const V q = simd::expand_load(k.q + seg.at, live);
                on_j = on_j + q;
                on_k = on_k + q;
                gamma = gamma - q;
            }
            jx = simd::fma(on_j, x, simd::fma(gamma, xk, jx));
            jy = simd::fma(on_j, y, simd::fma(gamma, yk, jy));
            jz = simd::fma(on_j, z, simd::fma(gamma, zk, jz));
            simd::store(gx + i, simd::fma(on_k, xk, simd::fma(gamma, x, simd::load(gx + i, live))),
                        live);
            simd::store(gy + i, simd::fma(on_k, yk, simd::fma(gamma, y, simd::load(gy + i, live))),
                        live);
            simd::store(gz + i, simd::fma(on_k, zk, simd::fma(gamma, z, simd::load(gz + i, live))),
                        live);
        }
        gx[j] += simd::sum(jx);
        gy[j] += simd::sum(jy);
        gz[j] += simd::sum(jz);
    }
}

template <bool kClosed>
void angular_gradients(const AcsfParams& p, const AcsfAngular& set, Work& k, const double* w,
                       double& energy) {
    if (set.n == 0) return;
    for (int a = 0; a < p.n_species; ++a)
        for (int b = 0; b <= a; ++b) {
            const double* weight = w + p.pair_offset(a, b) + set.offset;
            triplets<kClosed, true>(p, a, b, k, [&] {
                tile_functions<kClosed, true>(p, set, k);
                weigh<kClosed>(set, k, weight, energy);
                spread<kClosed>(k, k.gx, k.gy, k.gz);
            });
        }
}

// --- Jacobian: gradients of every feature, gx[feature][neighbor]

void radial_jacobian(const AcsfParams& p, const Work& k) {
    for (int z = 0; z < p.n_species; ++z)
        for (int i = 0; i < p.n_radial(); ++i) {
            const std::int64_t to = (std::int64_t(z) * p.n_radial() + i) * k.room;
            for (int j = k.start[z]; j < k.start[z + 1]; j += W) {
                const auto live = simd::first_n<double>(k.start[z + 1] - j);
                V g, dg;
                radial_function(p, i, simd::load(k.r + j), simd::load(k.f + j, live),
                                simd::load(k.df + j, live), g, dg);
                const V pull = dg * simd::load(k.inverse_r + j);
                simd::store(k.gx + to + j, pull * simd::load(k.x + j), live);
                simd::store(k.gy + to + j, pull * simd::load(k.y + j), live);
                simd::store(k.gz + to + j, pull * simd::load(k.z + j), live);
            }
        }
}

template <bool kClosed>
void angular_jacobian(const AcsfParams& p, const AcsfAngular& set, Work& k) {
    for (int a = 0; a < p.n_species && set.n > 0; ++a)
        for (int b = 0; b <= a; ++b)
            triplets<kClosed, true>(p, a, b, k, [&] {
                tile_functions<kClosed, true>(p, set, k);
                for (int q = 0; q < set.n; ++q) {
                    AcsfAngular one = set;
                    one.n = 1;
                    one.eta_of += q;
                    one.angle_of += q;
                    one.factor += q;
                    one.eta = set.eta + *one.eta_of;
                    one.n_eta = 1;
                    const std::int32_t first = 0;
                    double* const rows = k.a;
                    k.a += *one.eta_of * kAcsfTile;
                    one.eta_of = &first;
                    const double unit = 1.0;
                    double energy = 0.0;
                    weigh<kClosed>(one, k, &unit, energy);
                    k.a = rows;
                    const std::int64_t to = (p.pair_offset(a, b) + set.offset + q) * k.room;
                    spread<kClosed>(k, k.gx + to, k.gy + to, k.gz + to);
                }
            });
}

template <class T>
void write_blocks(const AcsfParams& p, const Work& k, const JacobianBlocks& blocks, std::int64_t c,
                  const std::int64_t* pair, T* values) {
    const std::int64_t first = blocks.first ? blocks.first[c] : 0,
                       own = blocks.attach ? blocks.own[c] : -1;
    const std::int64_t n_own = blocks.first ? blocks.count[c] : 0, nf = p.n_features;
    const double* g[3] = {k.gx, k.gy, k.gz};
    for (std::int64_t i = 0; i < 3 * n_own * nf; ++i) values[3 * first * nf + i] = T(0);
    for (int j = 0; j < k.n; ++j) {
        const std::int64_t block = pair[k.source[j]];
        if (block < 0) continue;
        for (int x = 0; x < 3; ++x)
            for (std::int64_t f = 0; f < nf; ++f)
                values[(3 * block + x) * nf + f] += T(g[x][f * k.room + j]);
    }
    if (own < 0) return;
    for (int x = 0; x < 3; ++x)
        for (std::int64_t f = 0; f < nf; ++f) {
            double sum = 0.0;
            for (int j = 0; j < k.n; ++j) sum += g[x][f * k.room + j];
            values[(3 * own + x) * nf + f] -= T(sum);
        }
}

void write_strain(const AcsfParams& p, const Work& k, double* out) {
    const double *g[3] = {k.gx, k.gy, k.gz}, *r[3] = {k.x, k.y, k.z};
    for (int a = 0; a < 3; ++a)
        for (int x = 0; x < 3; ++x)
            for (std::int64_t f = 0; f < p.n_features; ++f) {
                double sum = 0.0;
                for (int j = 0; j < k.n; ++j) sum += r[a][j] * g[x][f * k.room + j];
                out[(3 * a + x) * p.n_features + f] = sum;
            }
}

}  // namespace

void acsf_values_compute(const AcsfParams& p, const System& s, const Neighbors& list,
                         const AcsfTask& task, int n_threads, double* out, float* single) {
    parallel_for_thread(task.centers.n, n_threads, 4, [&](std::int64_t c, int thread) {
        Work k;
        take_work(p, task, thread, false, k);
        gather(p, s, list, task.centers.row[c], k);
        const std::int64_t at = task.centers.output[c] * p.n_features;
        double* row = single ? k.row : out + at;
        radial_values(p, k, row);
        angular_values<true>(p, p.closed, k, row);
        angular_values<false>(p, p.open, k, row);
        if (single)
            for (std::int64_t f = 0; f < p.n_features; ++f) single[at + f] = float(row[f]);
    });
}

void acsf_vjp_compute(const AcsfParams& p, const System& s, const Neighbors& list,
                      const AcsfTask& task, const AcsfVjpTask& vjp, int n_threads) {
    parallel_for_thread(task.centers.n, n_threads, 4, [&](std::int64_t c, int thread) {
        Work k;
        take_work(p, task, thread, false, k);
        const std::int64_t row = task.centers.row[c];
        double* pairs = vjp.out.pairs + 3 * list.first[row];
        for (std::int64_t i = 0; i < 3 * std::int64_t(list.count[row]); ++i) pairs[i] = 0.0;
        gather(p, s, list, row, k);
        const double* w = vjp.weights + vjp.weight_row[c] * p.n_features;
        double energy = 0.0, total[3] = {0, 0, 0}, virial[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
        radial_gradients(p, k, w, energy);
        angular_gradients<true>(p, p.closed, k, w, energy);
        angular_gradients<false>(p, p.open, k, w, energy);
        for (int j = 0; j < k.n; ++j) {
            const double r[3] = {k.x[j], k.y[j], k.z[j]}, g[3] = {k.gx[j], k.gy[j], k.gz[j]};
            for (int x = 0; x < 3; ++x) {
                pairs[3 * k.source[j] + x] = g[x];
                total[x] += g[x];
                for (int y = 0; y < 3; ++y) virial[3 * y + x] -= r[y] * g[x];
            }
        }
        for (int x = 0; x < 3; ++x) vjp.out.sums[3 * c + x] = total[x];
        for (int x = 0; x < 9; ++x) vjp.out.virial[9 * c + x] = virial[x];
        if (vjp.energies) vjp.energies[task.centers.output[c]] = energy;
    });
}

void acsf_jacobian_compute(const AcsfParams& p, const System& s, const Neighbors& list,
                           const AcsfTask& task, const AcsfJacobianTask& job, int n_threads) {
    parallel_for_thread(task.centers.n, n_threads, 1, [&](std::int64_t c, int thread) {
        Work k;
        take_work(p, task, thread, true, k);
        gather(p, s, list, task.centers.row[c], k);
        for (double* g : {k.gx, k.gy, k.gz})
            for (std::int64_t i = 0; i < p.n_features * k.room; ++i) g[i] = 0.0;
        radial_jacobian(p, k);
        angular_jacobian<true>(p, p.closed, k);
        angular_jacobian<false>(p, p.open, k);
        if (job.strain) {
            write_strain(p, k, job.strain + 9 * task.centers.output[c] * p.n_features);
            return;
        }
        const std::int64_t* pair = job.blocks.pair + list.first[task.centers.row[c]];
        if (job.values_single)
            write_blocks(p, k, job.blocks, c, pair, job.values_single);
        else
            write_blocks(p, k, job.blocks, c, pair, job.values);
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
