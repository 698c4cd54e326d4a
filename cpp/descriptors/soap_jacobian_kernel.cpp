// Derivatives of SOAP features by the positions of single atoms, or by strain.
//
// A neighbor j changes the coefficients of its own channel, dc_nlm = d(w F_nl S_lm) / dr_j, and
// with them every block of features that has this channel: dp_nn'l = sum_m (dc_nlm c_n'lm + c_nlm
// dc_n'lm). The change of one neighbor is dc_nlm = across_lm F_nl + along_lm dF_nl, so the sum over
// m is taken once per channel, A_n'l = sum_m across_lm c_n'lm and B_n'l with along, and dp_nn'l =
// F_nl A_n'l + dF_nl B_n'l + (n <-> n'). Operations per neighbor and direction: 4 L^2 N for each
// channel present, 4 L N^2 (other channels) or 8 L N^2 (its own) per block. What the center's own
// atom does, and strain, are linear in the changes, so those are summed over neighbors first.
#include "descriptors/soap_tile.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using namespace soap;

namespace {

// A finished row of features goes past the caches: a Jacobian is larger than they are.
inline void write_row(const double* from, std::int64_t n, double* to) {
    std::int64_t i = 0;
    for (; i < n && (reinterpret_cast<std::uintptr_t>(to + i) & 63); ++i) to[i] = from[i];
    for (; i + 8 <= n; i += 8) simd::stream_line(to + i, from + i);
    for (; i < n; ++i) to[i] = from[i];
}
inline void write_row(const double* from, std::int64_t n, float* to) { convert(from, n, to); }
template <class T> inline void add_row(const double* from, std::int64_t n, T* to) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += T(from[i]);
}

// Whether a change of channel z changes the features of a block.
inline bool touches(const SoapParams& p, const Work& k, const SoapBlock& block, int z) {
    const bool one = block.first == z || block.first == p.total;
    const bool two = block.second == z || block.second == p.total;
    return (one && (two || k.present[block.second])) || (two && k.present[block.first]);
}

// Features for coefficients of channel z that change by d; those of blocks that do not change are
// left alone; place: of each block in `out`. c, of every channel, and d have a row for each l and
// m, (lm, n_stride). `factored`: two for each l instead, of A and B in c, of F and dF in d.
void change_features(const SoapParams& p, const Work& k, const double* c, int z, const double* d,
                     bool factored, const std::int32_t* place, double* out) {
    const std::int64_t size = factored ? soap_factors(p) : soap_lm(p) * p.n_stride;
    for (int q = 0; q < p.n_blocks; ++q) {
        const SoapBlock& block = p.blocks[q];
        if (!touches(p, k, block, z)) continue;
        const bool one = block.first == z || block.first == p.total;
        const bool two = block.second == z || block.second == p.total;
        const std::int64_t per_l = block_size(p, block);
        for (int l = 0; l <= p.l_max; ++l) {
            const std::int64_t at = std::int64_t(factored ? 2 * l : l * l) * p.n_stride;
            const int terms = factored ? 2 : 2 * l + 1;
            const double *a = c + block.first * size + at, *b = c + block.second * size + at;
            const double* change = d + at;
            double* to = out + place[q] + l * per_l;
            if (one && two)
                product<true>(p, block.triangle, change, b, a, change, terms, to);
            else if (one)
                product<false>(p, block.triangle, change, b, nullptr, nullptr, terms, to);
            else
                product<false>(p, block.triangle, a, change, nullptr, nullptr, terms, to);
        }
    }
}

// dc_x[m] = across_x[m] F + along_x[m] dF/du for one l of a group; the factor is that of an
// average.
void change_factors(const SoapParams& p, const Work& k, const Parts& y, int l, int t,
                    double factor) {
    const V per_r = 2.0 * double(p.n_cells) / p.cutoff, scale = 1.0 / p.cutoff;
    const V w = simd::load(k.w + t) * V(factor), dw = simd::load(k.dw + t) * V(factor);
    const V u[3] = {simd::load(k.ux + t), simd::load(k.uy + t), simd::load(k.uz + t)};
    const V to_unit = simd::load(k.inverse_r + t) * V(p.cutoff);
    const int at = l * (l + 1) / 2, up = at - l, rows = 2 * l + 1;
    const double* h = p.harmonics + 4 * at;
    for (int i = 0; i < rows; ++i) {
        const int m = (i + 1) / 2;
        const bool sine = i > 0 && i % 2 == 0;
        const V part = sine ? y.b[m] : y.a[m], q = y.q[at + m];
        const V lateral = m + 1 < l ? V(h[4 * m + 3]) * y.q[up + m + 1] * part : V(0.0);
        const V axial = m < l ? V(h[4 * m + 2]) * y.q[up + m] * part : V(0.0);
        V gx = -(u[0] * lateral), gy = -(u[1] * lateral);
        if (m > 0) {
            const V mq = V(double(m)) * q;
            gx = simd::fma(mq, sine ? y.b[m - 1] : y.a[m - 1], gx);
            gy = sine ? simd::fma(mq, y.a[m - 1], gy) : simd::fnma(mq, y.b[m - 1], gy);
        }
        const V g[3] = {gx, gy, axial}, value = q * part;
        for (int x = 0; x < 3; ++x) {
            const V direction = value * u[x] * to_unit;
            const int to = (3 * l * l + x * rows + i) * kSoapGroup + t;
            simd::store(k.along + to, w * per_r * direction);
            simd::store(k.across + to, simd::fma(w * scale, g[x], dw * direction));
        }
    }
}

template <class T>
class CenterJacobian {
public:
    CenterJacobian(const SoapParams& params, const Neighbors& list, const Centers& centers,
                   const SoapJacobianTask& job, T* out, const Work& work, std::int64_t center,
                   std::int64_t low, std::int64_t high)
        : p(params),
          task(job),
          values(out),
          k(work),
          c(center),
          low_(low),
          high_(high),
          output(centers.output[center]),
          pair(job.blocks.pair ? job.blocks.pair + list.first[centers.row[center]] : nullptr) {}

    void run(const double* coefficients) {
        const std::int64_t per_channel = soap_lm(p) * p.n_stride;
        const bool sparse = task.blocks.first;
        const std::int64_t first = sparse ? task.blocks.first[c] : 0;
        const std::int64_t n_own = sparse ? task.blocks.count[c] : 0;
        for (std::int64_t b = 0; b < n_own; ++b) k.visited[b] = 0;
        const int sets = task.strain ? 9 : 3;
        for (int z = 0; z < p.n_channels; ++z)
            if (k.present[z] && z != p.total)
                for (std::int64_t i = 0; i < sets * per_channel; ++i)
                    k.dc[z * sets * per_channel + i] = 0.0;
        for (int z = 0; z < p.n_channels; ++z) {
            if (z == p.total) continue;
            kind_ = -1;
            for (int j = k.start[z]; j < k.start[z + 1]; j += kSoapGroup) {
                const int left = k.start[z + 1] - j;
                group(coefficients, z, j, left < kSoapGroup ? left : kSoapGroup, first);
            }
        }
        if (task.strain)
            totals(coefficients, sets, task.strain + 9 * output * p.n_features);
        else if (task.blocks.attach && wanted(task.blocks.own[c]))
            totals(coefficients, sets, own(first));
        for (std::int64_t b = 0; b < n_own; ++b)
            if (!k.visited[b]) clear(first + b);
        simd::stream_fence();
    }

private:
    bool wanted(std::int64_t block) const { return block >= low_ && block < high_; }
    // What rows of a block hold: see SoapJacobianTask.
    int kind_of(std::int64_t block) const { return task.kind ? task.kind[block] : p.n_channels; }
    T* block_at(std::int64_t block) const {
        return values + (task.offset ? task.offset[block] : 3 * block * p.n_features);
    }
    const std::int32_t* places(int kind) const {
        return task.place + std::int64_t(kind) * p.n_blocks;
    }
    void clear(std::int64_t block) const {
        T* to = block_at(block);
        for (std::int64_t i = 0; i < 3 * task.width[kind_of(block)]; ++i) to[i] = T(0);
    }
    // Whether features are added to the block, or written: its first visit, in new memory.
    bool visit(std::int64_t block, std::int64_t first) const {
        if (!task.blocks.first || k.visited[block - first]) return true;
        k.visited[block - first] = 1;
        return false;
    }
    T* own(std::int64_t first) const {
        const std::int64_t block = task.blocks.own[c];
        if (!visit(block, first)) clear(block);
        return block_at(block);
    }
    // The row becomes one of this kind: zeros where neighbors of channel z change nothing.
    void begin(int z, int kind) {
        if (kind == kind_) return;
        kind_ = kind;
        const std::int32_t* place = places(kind);
        for (int q = 0; q < p.n_blocks; ++q) {
            if (place[q] < 0 || touches(p, k, p.blocks[q], z)) continue;
            const std::int64_t n = block_size(p, p.blocks[q]) * (p.l_max + 1);
            for (std::int64_t i = 0; i < n; ++i) k.features[place[q] + i] = 0.0;
        }
    }
    // The row, which belongs to channel z, into the Jacobian.
    template <class To> void put(int z, int kind, bool add, To* to) const {
        if (!add) return write_row(k.features, task.width[kind], to);
        const std::int32_t* place = places(kind);
        for (int q = 0; q < p.n_blocks; ++q) {
            const SoapBlock& b = p.blocks[q];
            if (touches(p, k, b, z))
                add_row(k.features + place[q], block_size(p, b) * (p.l_max + 1), to + place[q]);
        }
    }
    // Features for the changes summed over neighbors; minus them where the center moves.
    template <class To> void totals(const double* coefficients, int sets, To* to) const {
        const std::int64_t per_channel = soap_lm(p) * p.n_stride;
        for (int z = 0; z < p.n_channels; ++z) {
            if (z == p.total || !k.present[z]) continue;
            for (int x = 0; x < sets; ++x) {
                double* dc = k.dc + (z * sets + x) * per_channel;
                if (!task.strain)
                    for (std::int64_t i = 0; i < per_channel; ++i) dc[i] = -dc[i];
                change_features(p, k, coefficients, z, dc, false, places(p.n_channels), k.features);
                put(z, p.n_channels, true, to + x * p.n_features);
            }
        }
    }

    void group(const double* coefficients, int z, int j, int n, std::int64_t first) {
        geometry(p, k, j, n);
        const std::int64_t rows = std::int64_t(kSoapGroup) * p.n_stride;
        for (int l = 0; l <= p.l_max; ++l)
            radial<true>(p, l, k.cell, k.u, nullptr, n, k.f + l * rows, k.df + l * rows);
        Parts y;
        for (int t = 0; t < n; t += W) {
            harmonic_parts(p.l_max, p.harmonics, simd::load(k.ux + t), simd::load(k.uy + t),
                           simd::load(k.uz + t), V(1.0), y);
            for (int l = 0; l <= p.l_max; ++l) change_factors(p, k, y, l, t, task.factor);
        }
        const bool sum = task.strain || (task.blocks.attach && wanted(task.blocks.own[c]));
        for (int t = 0; t < n; ++t) {
            const bool add_to_sum = sum && k.source[j + t] >= 0;
            const std::int64_t block = block_of(k.source[j + t]);
            if (block < 0 && !add_to_sum) continue;
            if (add_to_sum) {
                for (int l = 0; l <= p.l_max; ++l) changes(l, t);
                add_total(z, j + t);
            }
            if (block < 0) continue;
            factors(coefficients, t);
            const bool add = visit(block, first);
            const int kind = kind_of(block);
            begin(z, kind);
            const std::int64_t per_direction = p.n_channels * soap_factors(p);
            for (int x = 0; x < 3; ++x) {
                change_features(p, k, k.summed + x * per_direction, z, k.radial, true, places(kind),
                                k.features);
                put(z, kind, add, block_at(block) + x * task.width[kind]);
            }
        }
    }
    std::int64_t block_of(std::int32_t source) const {
        if (task.strain) return -1;
        const std::int64_t block = source >= 0          ? pair[source]
                                   : task.blocks.attach ? -1
                                                        : task.blocks.own[c];
        return wanted(block) ? block : -1;
    }
    // F and dF of one neighbor, (l, 2, n_stride), and A and B of each direction and channel,
    // (3, channels, l, 2, n_stride).
    void factors(const double* coefficients, int t) const {
        for (int l = 0; l <= p.l_max; ++l) {
            const std::int64_t from = (l * kSoapGroup + t) * p.n_stride;
            double* to = k.radial + 2 * l * p.n_stride;
            for (int v = 0; v < p.n_max; v += W) {
                simd::store(to + v, simd::load(k.f + from + v));
                simd::store(to + p.n_stride + v, simd::load(k.df + from + v));
            }
        }
        const std::int64_t per_channel = soap_lm(p) * p.n_stride, size = soap_factors(p);
        for (int ch = 0; ch < p.n_channels; ++ch)
            if (k.present[ch])
                for (int l = 0; l <= p.l_max; ++l)
                    sum_factors(coefficients + ch * per_channel + l * l * p.n_stride, l, t,
                                k.summed + ch * size + 2 * l * p.n_stride);
    }
    void sum_factors(const double* from, int l, int t, double* to) const {
        const int rows = 2 * l + 1;
        const double* across = k.across + 3 * l * l * kSoapGroup + t;
        const double* along = k.along + 3 * l * l * kSoapGroup + t;
        const std::int64_t per_direction = p.n_channels * soap_factors(p);
        for (int v = 0; v < p.n_max; v += W) {
            V a[3] = {V(0.0), V(0.0), V(0.0)}, b[3] = {V(0.0), V(0.0), V(0.0)};
            for (int i = 0; i < rows; ++i) {
                const V row = simd::load(from + i * p.n_stride + v);
                for (int x = 0; x < 3; ++x) {
                    const int at = (x * rows + i) * kSoapGroup;
                    a[x] = simd::fma(row, V(across[at]), a[x]);
                    b[x] = simd::fma(row, V(along[at]), b[x]);
                }
            }
            for (int x = 0; x < 3; ++x) {
                simd::store(to + x * per_direction + v, a[x]);
                simd::store(to + x * per_direction + p.n_stride + v, b[x]);
            }
        }
    }
    // dc of one neighbor and l, (3, 2 l + 1, n_stride) at 3 l^2 rows
    void changes(int l, int t) const {
        const int rows = 3 * (2 * l + 1);
        const double *f_row = k.f + (l * kSoapGroup + t) * p.n_stride,
                     *df_row = k.df + (l * kSoapGroup + t) * p.n_stride;
        const double *across = k.across + 3 * l * l * kSoapGroup + t,
                     *along = k.along + 3 * l * l * kSoapGroup + t;
        double* to = k.change + 3 * l * l * p.n_stride;
        for (int v = 0; v < p.n_max; v += W) {
            const V f = simd::load(f_row + v), df = simd::load(df_row + v);
            for (int i = 0; i < rows; ++i)
                simd::store(to + i * p.n_stride + v,
                            simd::fma(V(across[i * kSoapGroup]), f, V(along[i * kSoapGroup]) * df));
        }
    }
    void add_total(int z, int j) const {
        const std::int64_t per_channel = soap_lm(p) * p.n_stride;
        const double r[3] = {k.x[j], k.y[j], k.z[j]};
        for (int l = 0; l <= p.l_max; ++l) {
            const std::int64_t at = std::int64_t(l) * l * p.n_stride;
            const std::int64_t n = std::int64_t(2 * l + 1) * p.n_stride;
            for (int x = 0; x < 3; ++x) {
                const double* from = k.change + 3 * at + x * n;
                for (int a = 0; a < (task.strain ? 3 : 1); ++a) {
                    const int set = task.strain ? 9 * z + 3 * a + x : 3 * z + x;
                    double* to = k.dc + set * per_channel + at;
                    const V factor = task.strain ? r[a] : 1.0;
                    for (std::int64_t i = 0; i < n; i += W)
                        simd::store(to + i,
                                    simd::fma(factor, simd::load(from + i), simd::load(to + i)));
                }
            }
        }
    }

    const SoapParams& p;
    const SoapJacobianTask& task;
    T* values;
    const Work& k;
    std::int64_t c, low_, high_, output;
    int kind_ = -1;
    const std::int64_t* pair;
};

template <class T>
void jacobian(const SoapParams& p, const System& s, const Neighbors& list, const SoapTask& task,
              const SoapJacobianTask& job, int n_threads, T* values) {
    const auto one = [&](std::int64_t c, std::int64_t low, std::int64_t high, const Work& k) {
        if (job.mean)
            for (int ch = 0; ch < p.n_channels; ++ch) k.present[ch] |= 2;
        // Rows end in zeros, also where no kernel writes them.
        for (std::int64_t i = 0; i < 3 * soap_lm(p) * p.n_stride; ++i) k.change[i] = 0.0;
        CenterJacobian<T> center(p, list, task.centers, job, values, k, c, low, high);
        center.run(job.mean ? job.mean : k.c);
    };
    if (!job.one_row)
        return each_center(p, s, list, task, n_threads,
                           [&](std::int64_t c, const Work& k) { one(c, 0, job.n_blocks, k); });
    parallel_for_thread(n_threads, n_threads, 1, [&](std::int64_t part, int thread) {
        SoapTask mine = task;
        mine.scratch += thread * task.scratch_stride;
        each_center(p, s, list, mine, 1, [&](std::int64_t c, const Work& k) {
            one(c, job.n_blocks * part / n_threads, job.n_blocks * (part + 1) / n_threads, k);
        });
    });
}

}  // namespace

void soap_jacobian_compute(const SoapParams& p, const System& s, const Neighbors& list,
                           const SoapTask& task, const SoapJacobianTask& job, int n_threads) {
    if (job.values_single)
        jacobian(p, s, list, task, job, n_threads, job.values_single);
    else
        jacobian(p, s, list, task, job, n_threads, job.values);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
