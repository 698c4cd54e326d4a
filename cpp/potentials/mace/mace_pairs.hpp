// Neighbors of a centre, their harmonics and what these give for each path. Include from kernels only.
#pragma once

#include "forces/force_block.hpp"
#include "forces/near.hpp"
#include "potentials/mace/mace_scratch.hpp"
#include "simd/math.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Pairs of one centre, `n` of them, padded with harmless ones to whole lines.
template <class T> struct MaceCentre {
    std::int64_t row = 0, place = 0;
    int n = 0, species = 0;
    const std::int32_t *index, *source, *slot, *interval;
    double *dx, *dy, *dz, *r;
    T *ux, *uy, *uz, *frac, *rate;  // rate: derivative of frac by the distance
    T* radial;                      // dE/dr by the radial functions
    T *t, *s;                       // (chunk of kLine pairs, entry, kLine): T, and dE/dT
    // Pairs [begin[g], begin[g + 1]) read the table of group g.
    int n_groups = 0;
    int begin[kMaxSpecies + 1];
    const MaceRadialTable<T>* table[kMaxSpecies];
    int padded_n() const { return (n + kPadLanes - 1) / kPadLanes * kPadLanes; }
};

// Real harmonics on the unit sphere, polar axis y, sum_m Y_lm^2 = 2 l + 1, as
//   Y_lm = N_lm Q_lm(Z) Re or Im (X + i Y)^|m|,  Q_lm = d^m P_l / dZ^m,  (X, Y, Z) = (z, x, y)
// and, where wanted, the gradient of these polynomials; off the sphere they mean nothing, so that only
// its part along the sphere counts.
template <class V> struct MaceHarmonics {
    static constexpr int kParts = (kMaceMaxL + 1) * (kMaceMaxL + 2) / 2;
    V q[kParts + kMaceMaxL + 2], re[kMaceMaxL + 1], im[kMaceMaxL + 1];

    void parts(int l_max, V x, V y, V z) {
        re[0] = 1.0;
        im[0] = 0.0;
        for (int m = 1; m <= l_max; ++m) {
            re[m] = simd::fnma(x, im[m - 1], z * re[m - 1]);
            im[m] = simd::fma(z, im[m - 1], x * re[m - 1]);
        }
        q[0] = 1.0;
        for (int l = 1; l <= l_max; ++l) {
            V* now = q + l * (l + 1) / 2;
            const V *up = now - l, *upper = up - l + 1;
            for (int m = 0; m < l - 1; ++m)
                now[m] = simd::fnma(V(double(l + m - 1) / (l - m)), upper[m],
                                    V(double(2 * l - 1) / (l - m)) * y * up[m]);
            now[l - 1] = V(double(2 * l - 1)) * y * up[l - 1];
            now[l] = V(double(2 * l - 1)) * up[l - 1];
        }
    }
    // body(lm, N Q, its derivative by Z, m, whether Im)
    template <class Body> void each(int l_max, const double* norms, const Body& body) const {
        for (int l = 0; l <= l_max; ++l)
            for (int m = 0; m <= l; ++m) {
                const int at = l * (l + 1) / 2 + m;
                const V n = norms[at];
                const V value = n * q[at], slope = m < l ? n * q[at + 1] : V(0.0);
                body(l * l + l + m, value, slope, m, false);
                if (m > 0) body(l * l + l - m, value, slope, m, true);
            }
    }
};

// The pairs of the row at `place` in part `sub` of the scratch.
template <class T> void mace_gather(const MaceJob<T>& job, MaceScratch<T>& w, int layer, int sub,
                                    std::int64_t place, MaceCentre<T>& c) {
    using D = simd::Vec<double>;
    const MaceLayer<T>& l = job.model->layers[layer];
    const MacePlan& plan = job.plan;
    const std::int64_t at = sub * w.room, i = plan.row[place];
    c.row = i;
    c.place = place;
    c.species = int(job.s.rows[4 * i + 3]);
    std::int32_t *index = w.index + at, *home = w.place + at, *slot = w.slot + at,
                 *source = w.source + at, *interval = w.interval + at;
    c.index = index;
    c.slot = slot;
    c.source = source;
    c.interval = interval;
    c.dx = w.dx + at;
    c.dy = w.dy + at;
    c.dz = w.dz + at;
    c.r = w.r + at;
    c.ux = w.ux + at;
    c.uy = w.uy + at;
    c.uz = w.uz + at;
    c.frac = w.frac + at;
    c.rate = w.rate + at;
    c.radial = w.radial + at;
    c.t = w.t + at * l.n_entries;
    c.s = w.s + at * l.n_entries;
    const std::int64_t first = plan.list.first[i];
    const std::int32_t* begin = plan.list.index + first;
    const D rc2 = job.model->cutoff * job.model->cutoff;
    c.n = gather_near(
        job.s.rows, i, begin, begin + plan.list.count[i],
        [&](const Listed<double>& v) MDKERN_BODY { return v.r2 < rc2; },
        [&](const Listed<double>& v, simd::Mask<double> mask, const std::int32_t* k,
            int n) MDKERN_BODY {
            simd::compress_store(index + n, v.j, mask);
            simd::compress_store(w.kind + n, v.w, mask);
            v.keep_vectors(mask, c.dx + n, c.dy + n, c.dz + n);
            const std::int64_t from = first + (k - begin);
            simd::compress_store(home + n, simd::load_int<double>(plan.place + from, mask), mask);
            simd::compress_store(slot + n, simd::load_int<double>(plan.slot + from, mask), mask);
        });
    const int n = c.n, end = c.padded_n();
    for (int k = n; k < end; ++k) {
        c.dx[k] = c.dy[k] = 0.0;
        c.dz[k] = 1.0;
        index[k] = std::int32_t(i);
        w.kind[k] = 0.0;
        slot[k] = plan.own_slot[place];
        home[k] = std::int32_t(place);
    }
    for (int k = 0; k < end; k += D::width) {
        const D x = simd::load(c.dx + k), y = simd::load(c.dy + k), z = simd::load(c.dz + k);
        const D r = simd::sqrt(simd::fma(x, x, simd::fma(y, y, z * z)));
        simd::store(c.r + k, r);
    }
    using V = simd::Vec<T>;
    for (int k = 0; k < end; k += V::width) {  // from the neighbor to the centre
        const V inverse = V(T(-1)) / simd::load_as<T>(c.r + k);
        simd::store(c.ux + k, inverse * simd::load_as<T>(c.dx + k));
        simd::store(c.uy + k, inverse * simd::load_as<T>(c.dy + k));
        simd::store(c.uz + k, inverse * simd::load_as<T>(c.dz + k));
        simd::store(c.radial + k, V(T(0)));
    }
    for (int k = 0; k < end; ++k) source[k] = l.first ? std::int32_t(w.kind[k]) : home[k];

    // Groups of one table.
    const MaceRadialTable<T>* tables =
        job.tables.radial + std::int64_t(layer) * job.model->n_species * job.model->n_species +
        std::int64_t(c.species) * job.model->n_species;
    c.n_groups = 0;
    if (job.model->exact) {
        c.n_groups = n > 0;
        c.begin[0] = 0;
        for (int k = 0; k < n; ++k) {
            interval[k] = k;
            c.frac[k] = T(0);
            c.rate[k] = T(1);
        }
    } else {
        for (int k = 0; k < n; ++k) {
            const MaceRadialTable<T>* table = tables + int(w.kind[k]);
            if (c.n_groups == 0 || c.table[c.n_groups - 1]->rows != table->rows) {
                c.begin[c.n_groups] = k;
                c.table[c.n_groups++] = table;
            }
            double x, rate;
            interval[k] = table->find(c.r[k], x, rate);
            c.frac[k] = T(x);
            c.rate[k] = T(rate);
        }
    }
    c.begin[c.n_groups] = n;
}

// T of all pairs of a centre.
template <class T> void mace_angular(const MaceJob<T>& job, const MaceLayer<T>& l, T* angular,
                                     const MaceCentre<T>& c) {
    using V = simd::Vec<T>;
    constexpr int kWidth = V::width;
    MaceHarmonics<V> h;
    for (int k = 0; k < c.padded_n(); k += kWidth) {
        h.parts(l.l_max, simd::load(c.ux + k), simd::load(c.uy + k), simd::load(c.uz + k));
        h.each(l.l_max, job.model->norms, [&](int lm, V value, V, int m, bool im) MDKERN_BODY {
            simd::store(angular + lm * kWidth, value * (im ? h.im[m] : h.re[m]));
        });
        T* to = c.t + (k / kLine<T>)*l.n_entries * kLine<T> + k % kLine<T>;
        const MaceTerm* term = l.terms;
        const MaceTerm* const end = l.terms + l.n_terms;
        for (int e = 0; e < l.n_entries; ++e) {
            V sum = T(0);
            for (; term < end && term->entry == e; ++term)
                sum = simd::fma(V(T(term->value)), simd::load(angular + term->lm * kWidth), sum);
            simd::store(to + e * kLine<T>, sum);
        }
    }
}

// Forces from dE/dT and dE/dr of all pairs of a centre.
template <class T> void mace_pair_forces(const MaceJob<T>& job, const MaceLayer<T>& l, T* angular,
                                         const MaceCentre<T>& c, double* entries,
                                         double* virial_entries, double* virial) {
    using V = simd::Vec<T>;
    constexpr int kWidth = V::width;
    const int n_lm = (l.l_max + 1) * (l.l_max + 1);
    MaceHarmonics<V> h;
    GradientSums<T> sums;
    for (int k = 0; k < c.padded_n(); k += kWidth) {
        for (int lm = 0; lm < n_lm; ++lm) simd::store(angular + lm * kWidth, V(T(0)));
        const T* from = c.s + (k / kLine<T>)*l.n_entries * kLine<T> + k % kLine<T>;
        for (const MaceTerm* t = l.terms; t < l.terms + l.n_terms; ++t) {
            if (t->lm == 0) continue;  // a constant
            T* y = angular + t->lm * kWidth;
            simd::store(y, simd::fma(V(T(t->value)), simd::load(from + t->entry * kLine<T>),
                                     simd::load(y)));
        }
        const V x = simd::load(c.ux + k), y = simd::load(c.uy + k), z = simd::load(c.uz + k);
        h.parts(l.l_max, x, y, z);
        V gx = T(0), gy = T(0), gz = T(0);
        h.each(l.l_max, job.model->norms,
               [&](int lm, V value, V slope, int m, bool im) MDKERN_BODY {
                   const V g = simd::load(angular + lm * kWidth);
                   gy = simd::fma(g * slope, im ? h.im[m] : h.re[m], gy);
                   if (m == 0) return;
                   const V s = g * value * V(T(m));
                   // d Re = m (re, -im), d Im = m (im, re) by (X, Y) = (z, x).
                   gz = simd::fma(s, im ? h.im[m - 1] : h.re[m - 1], gz);
                   gx = im ? simd::fma(s, h.re[m - 1], gx) : simd::fnma(s, h.im[m - 1], gx);
               });
        // The gradient by r_i - r_j; the radial part along it.
        const V dot = simd::fma(gx, x, simd::fma(gy, y, gz * z));
        const V inverse = V(T(1)) / simd::load_as<T>(c.r + k);
        const V along = simd::fnma(dot, inverse, simd::load(c.radial + k));
        const auto live = simd::first_n<T>(c.n - k);
        const V px = simd::keep(live, -simd::fma(gx, inverse, along * x));
        const V py = simd::keep(live, -simd::fma(gy, inverse, along * y));
        const V pz = simd::keep(live, -simd::fma(gz, inverse, along * z));
        const V dx = simd::load_as<T>(c.dx + k), dy = simd::load_as<T>(c.dy + k),
                dz = simd::load_as<T>(c.dz + k);
        simd::subtract_rows(entries, c.slot + k, px, py, pz);
        sums.add_force(px, py, pz);
        sums.add_virial(dx, dy, dz, px, py, pz);
        if (!virial_entries) continue;
        const auto credit = [&](int stride, int q, V v) {
            T lanes[kWidth];
            simd::store(lanes, v);
            for (int lane = 0; lane < kWidth; ++lane)
                virial_entries[stride * std::int64_t(c.slot[k + lane]) + q] -= double(lanes[lane]);
        };
        if (job.state.virial_width == 9) {
            const V d[3] = {dx, dy, dz}, p[3] = {px, py, pz};
            for (int q = 0; q < 9; ++q) credit(9, q, d[kNine[q][0]] * p[kNine[q][1]]);
            continue;
        }
        const V half = T(0.5);
        const V v[6] = {dx * px,
                        dy * py,
                        dz * pz,
                        half * simd::fma(dy, pz, dz * py),
                        half * simd::fma(dx, pz, dz * px),
                        half * simd::fma(dx, py, dy * px)};
        for (int q = 0; q < 6; ++q) credit(8, q, v[q]);
    }
    T twelve[12];
    sums.store(twelve);
    double* own = entries + 4 * std::int64_t(job.plan.own_slot[c.place]);
    for (int q = 0; q < 3; ++q) own[q] += double(twelve[q]);
    for (int q = 0; q < 6; ++q) virial[q] -= double(twelve[3 + q]);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
