// Derivatives of SOAP features by the positions of single atoms, or by strain.
//
// A neighbor j changes the coefficients of its own channel, dc_nlm = d(w F_nl S_lm) / dr_j, and with them
// every block of features that has this channel: dp_nn'l = sum_m (dc_nlm c_n'lm + c_nlm dc_n'lm). What the center's own
// atom does, and strain, are linear in the changes, so those are summed over neighbors first. Operations
// per neighbor and direction: 4 L^2 N for the changes, 2 L^2 N^2 (other channels) or 4 L^2 N^2 (its own) per block.
#include "descriptors/soap_tile.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using namespace soap;

namespace {

// One center's output: where a feature block goes, and how.
template <class T>
struct Output {
    T* to;     // (n_features) of one direction
    bool add;  // or write
    void put(const double* from, std::int64_t offset, std::int64_t n) const {
        T* t = to + offset;
        if (add)
            for (std::int64_t i = 0; i < n; ++i) t[i] += T(from[i]);
        else
            for (std::int64_t i = 0; i < n; ++i) t[i] = T(from[i]);
    }
};

// Features of one l whose coefficients of channel z change by dc (2 l + 1, n_stride).
template <class T>
void change_features(const SoapParams& p, const Work& k, const double* c, int z, int l,
                     const double* dc, const Output<T>& out) {
    const std::int64_t size = soap_lm(p) * p.n_stride, at = std::int64_t(l) * l * p.n_stride;
    for (int q = 0; q < p.n_blocks; ++q) {
        const SoapBlock& block = p.blocks[q];
        const bool one = block.first == z || block.first == p.total;
        const bool two = block.second == z || block.second == p.total;
        if (!(one || two)) continue;
        const double *a = c + block.first * size + at, *b = c + block.second * size + at;
        const std::int64_t per_l = block_size(p, block), offset = block.offset + l * per_l;
        if (one && two)
            product<true>(p, block.triangle, dc, b, a, dc, 2 * l + 1, k.features);
        else if (!k.present[one ? block.second : block.first])
            continue;
        else if (one)
            product<false>(p, block.triangle, dc, b, nullptr, nullptr, 2 * l + 1, k.features);
        else
            product<false>(p, block.triangle, a, dc, nullptr, nullptr, 2 * l + 1, k.features);
        out.put(k.features, offset, per_l);
    }
}

// dc_x[m] = across_x[m] F + along_x[m] dF/du for one l of a tile; the factor is that of an average.
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
            const int to = (x * rows + i) * kSoapTile + t;
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
            for (int j = k.start[z]; j < k.start[z + 1]; j += kSoapTile) {
                const int left = k.start[z + 1] - j;
                tile(coefficients, z, j, left < kSoapTile ? left : kSoapTile, first);
            }
        }
        if (task.strain)
            totals(coefficients, sets, [&](int x) {
                return Output<double>{task.strain + (9 * output + x) * p.n_features, true};
            });
        else if (task.blocks.attach && wanted(task.blocks.own[c]))
            totals(coefficients, sets, own(first));
        for (std::int64_t b = 0; b < n_own; ++b)
            if (!k.visited[b]) clear(first + b);
    }

private:
    bool wanted(std::int64_t block) const { return block >= low_ && block < high_; }
    void clear(std::int64_t block) const {
        T* to = values + block * 3 * p.n_features;
        for (std::int64_t i = 0; i < 3 * p.n_features; ++i) to[i] = T(0);
    }
    // Whether features are added to the block (or written: its first visit, in new memory). Blocks
    // of features that a channel leaves alone are cleared.
    bool visit(std::int64_t block, std::int64_t first) const {
        if (!task.blocks.first) return true;
        const bool before = k.visited[block - first];
        k.visited[block - first] = 1;
        if (!before && p.n_blocks > 1) clear(block);
        return before || p.n_blocks > 1;
    }
    auto own(std::int64_t first) const {
        const std::int64_t block = task.blocks.own[c];
        if (task.blocks.first && !k.visited[block - first]) clear(block);
        if (task.blocks.first) k.visited[block - first] = 1;
        return [this, block](int x) {
            return Output<T>{values + (3 * block + x) * p.n_features, true};
        };
    }
    // Features for the changes summed over neighbors; minus them where the center moves.
    template <class To>
    void totals(const double* coefficients, int sets, const To& to) const {
        const std::int64_t per_channel = soap_lm(p) * p.n_stride;
        for (int z = 0; z < p.n_channels; ++z) {
            if (z == p.total || !k.present[z]) continue;
            for (int x = 0; x < sets; ++x) {
                double* dc = k.dc + (z * sets + x) * per_channel;
                if (!task.strain)
                    for (std::int64_t i = 0; i < per_channel; ++i) dc[i] = -dc[i];
                for (int l = 0; l <= p.l_max; ++l)
                    change_features(p, k, coefficients, z, l, dc + std::int64_t(l) * l * p.n_stride,
                                    to(x));
            }
        }
    }

    void tile(const double* coefficients, int z, int j, int n, std::int64_t first) const {
        geometry(p, k, j, n);
        Parts y[kSoapTile / W];
        std::int64_t block[kSoapTile];
        bool add[kSoapTile];
        for (int t = 0; t < n; t += W)
            harmonic_parts(p, simd::load(k.ux + t), simd::load(k.uy + t), simd::load(k.uz + t),
                           V(1.0), y[t / W]);
        for (int t = 0; t < n; ++t) {
            const std::int32_t source = k.source[j + t];
            block[t] = -1;
            if (task.strain) continue;
            if (source >= 0)
                block[t] = pair[source];
            else if (!task.blocks.attach)
                block[t] = task.blocks.own[c];
            if (!wanted(block[t])) block[t] = -1;
            if (block[t] >= 0) add[t] = visit(block[t], first);
        }
        const bool sum = task.strain || (task.blocks.attach && wanted(task.blocks.own[c]));
        for (int l = 0; l <= p.l_max; ++l) {
            radial<true>(p, k, l, n);
            for (int t = 0; t < n; t += W) change_factors(p, k, y[t / W], l, t, task.factor);
            for (int t = 0; t < n; ++t) {
                if (block[t] < 0 && !(sum && k.source[j + t] >= 0)) continue;
                changes(l, t);
                if (sum && k.source[j + t] >= 0) add_total(z, l, j + t);
                if (block[t] < 0) continue;
                for (int x = 0; x < 3; ++x)
                    change_features(
                        p, k, coefficients, z, l, k.change + x * (2 * l + 1) * p.n_stride,
                        Output<T>{values + (3 * block[t] + x) * p.n_features, add[t]});
            }
        }
    }
    // dc of one neighbor and l, (3, 2 l + 1, n_stride)
    void changes(int l, int t) const {
        const int rows = 3 * (2 * l + 1);
        for (int v = 0; v < p.n_max; v += W) {
            const V f = simd::load(k.f + t * p.n_stride + v),
                    df = simd::load(k.df + t * p.n_stride + v);
            for (int i = 0; i < rows; ++i)
                simd::store(k.change + i * p.n_stride + v,
                            simd::fma(V(k.across[i * kSoapTile + t]), f,
                                      V(k.along[i * kSoapTile + t]) * df));
        }
    }
    void add_total(int z, int l, int j) const {
        const std::int64_t per_channel = soap_lm(p) * p.n_stride, at = std::int64_t(l) * l * p.n_stride;
        const std::int64_t n = std::int64_t(2 * l + 1) * p.n_stride;
        const double r[3] = {k.x[j], k.y[j], k.z[j]};
        for (int x = 0; x < 3; ++x) {
            const double* from = k.change + x * n;
            for (int a = 0; a < (task.strain ? 3 : 1); ++a) {
                const int set = task.strain ? 9 * z + 3 * a + x : 3 * z + x;
                double* to = k.dc + set * per_channel + at;
                const V factor = task.strain ? r[a] : 1.0;
                for (std::int64_t i = 0; i < n; i += W)
                    simd::store(to + i, simd::fma(factor, simd::load(from + i), simd::load(to + i)));
            }
        }
    }

    const SoapParams& p;
    const SoapJacobianTask& task;
    T* values;
    const Work& k;
    std::int64_t c, low_, high_, output;
    const std::int64_t* pair;
};

template <class T>
void jacobian(const SoapParams& p, const System& s, const Neighbors& list, const SoapTask& task,
              const SoapJacobianTask& job, int n_threads, T* values) {
    const auto center = [&](std::int64_t c, std::int64_t low, std::int64_t high, Work k) {
        gather(p, s, list, task.centers.row[c], k);
        if (job.mean)
            for (int ch = 0; ch < p.n_channels; ++ch) k.present[ch] |= 2;
        else
            density(p, k);
        CenterJacobian<T> one(p, list, task.centers, job, values, k, c, low, high);
        one.run(job.mean ? job.mean : k.c);
    };
    const auto work = [&](int thread) {
        Work k = carve(p, task.scratch + thread * task.scratch_stride, task.centers.longest);
        // Rows end in zeros, also where no kernel writes them.
        for (std::int64_t i = 0; i < 3 * (2 * p.l_max + 1) * p.n_stride; ++i) k.change[i] = 0.0;
        return k;
    };
    if (job.one_row) {
        parallel_for_thread(n_threads, n_threads, 1, [&](std::int64_t part, int thread) {
            const Work k = work(thread);
            for (std::int64_t c = 0; c < task.centers.n; ++c)
                center(c, job.n_blocks * part / n_threads, job.n_blocks * (part + 1) / n_threads,
                       k);
        });
    } else {
        parallel_for_thread(task.centers.n, n_threads, 1, [&](std::int64_t c, int thread) {
            center(c, 0, job.n_blocks, work(thread));
        });
    }
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
