// Middle of the ACE kernel: from A of a batch of centers of one element through the graph of products to their
// densities and energies, and back to dE/dA. Lanes are centers. Include from kernels only.
//
// The slope of a complex value v is dE/d(Re v) - i dE/d(Im v): that of v in Re(v u) is u, so that slopes
// multiply like values.
#pragma once

#include "math/cutoffs.hpp"
#include "potentials/ace/ace_pairs.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Values of the graph, of which a complex one is two vectors.
template <bool kReal> struct AceValue {
    V re, im;
    static AceValue load(const double* base, std::int64_t k) {
        if constexpr (kReal) return {simd::load(base + k * W), V(0.0)};
        return {simd::load(base + 2 * k * W), simd::load(base + (2 * k + 1) * W)};
    }
    void store(double* base, std::int64_t k) const {
        if constexpr (kReal) return simd::store(base + k * W, re);
        simd::store(base + 2 * k * W, re);
        simd::store(base + (2 * k + 1) * W, im);
    }
    // With the sign of the imaginary part that conjugation gives.
    AceValue turned(V sign) const { return {re, im * sign}; }
    // this + a b
    AceValue plus(const AceValue& a, const AceValue& b) const {
        if constexpr (kReal) return {simd::fma(a.re, b.re, re), im};
        return {simd::fnma(a.im, b.im, simd::fma(a.re, b.re, re)),
                simd::fma(a.im, b.re, simd::fma(a.re, b.im, im))};
    }
    static AceValue zero() { return {V(0.0), V(0.0)}; }
};
template <bool kReal> [[gnu::always_inline]] inline V real_part(const AceValue<kReal>& a,
                                                                const AceValue<kReal>& b) {
    if constexpr (kReal) return a.re * b.re;
    return simd::fnma(a.im, b.im, a.re * b.re);
}
inline V sign_of(std::int32_t conjugate) { return V(conjugate ? -1.0 : 1.0); }

// Values of the nodes from those of A.
template <bool kReal> [[gnu::noinline]] void evaluate_graph(const AceGraph& g, double* values) {
    using Value = AceValue<kReal>;
    Value{V(1.0), V(0.0)}.store(values, g.n_a);
    for (int k = 0; k < g.n_nodes; ++k) {
        const AceNode& n = g.node[k];
        const Value a = Value::load(values, n.a),
                    b = Value::load(values, n.b).turned(sign_of(n.conjugate));
        Value::zero().plus(a, b).store(values, g.n_a + 1 + k);
    }
}

// Slopes of A and of nodes are handed down from each node to its factors.
template <bool kReal>
[[gnu::noinline]] void descend_graph(const AceGraph& g, const double* values, double* slopes) {
    using Value = AceValue<kReal>;
    for (int k = g.n_nodes; k-- > 0;) {
        const AceNode& n = g.node[k];
        const V sign = sign_of(n.conjugate);
        const Value d = Value::load(slopes, g.n_a + 1 + k), a = Value::load(values, n.a),
                    b = Value::load(values, n.b).turned(sign);
        Value::load(slopes, n.a).plus(d, b).store(slopes, n.a);
        // Twice the same factor: what was just stored is read again.
        Value::load(slopes, n.b).plus(d.turned(sign), a.turned(sign)).store(slopes, n.b);
    }
}

// G of the rows, into `sums`, and from it rho; kP densities, or as many as there are.
template <bool kReal, int kP>
[[gnu::noinline]] void densities(const AceRows& rows, int n_densities, const double* values,
                                 double* sums, V* rho) {
    using Value = AceValue<kReal>;
    const int n = kP ? kP : n_densities;
    constexpr int kMost = kP ? kP : kAceMaxDensities;
    for (int p = 0; p < n; ++p) rho[p] = 0.0;
    for (int k = 0; k < rows.n; ++k) {
        const AceRow& row = rows.row[k];
        Value g[kMost];
        for (int p = 0; p < n; ++p) g[p] = Value::zero();
        const double* c = rows.c + std::int64_t(row.begin) * n;
        for (int e = row.begin; e < row.middle; ++e, c += n) {
            const Value v = Value::load(values, rows.entry[e]);
#pragma GCC unroll 4
            for (int p = 0; p < n; ++p) {
                const V w = c[p];
                g[p].re = simd::fma(w, v.re, g[p].re);
                if constexpr (!kReal) g[p].im = simd::fma(w, v.im, g[p].im);
            }
        }
        if constexpr (!kReal)
            for (int e = row.middle; e < row.end; ++e, c += n) {
                const Value v = Value::load(values, rows.entry[e]);
#pragma GCC unroll 4
                for (int p = 0; p < n; ++p) {
                    const V w = c[p];
                    g[p].re = simd::fma(w, v.re, g[p].re);
                    g[p].im = simd::fnma(w, v.im, g[p].im);
                }
            }
        const Value own = Value::load(values, row.value);
        for (int p = 0; p < n; ++p) {
            rho[p] = rho[p] + real_part(own, g[p]);
            g[p].store(sums, std::int64_t(k) * n + p);
        }
    }
}

// Slopes of all values by the terms of rho that they are in, from those of the densities, `theta`.
template <bool kReal, int kP>
[[gnu::noinline]] void slopes_of_terms(const AceProgram& program, int n_densities, const V* theta,
                                       const double* values, const double* sums, double* slopes) {
    using Value = AceValue<kReal>;
    const int n = kP ? kP : n_densities;
    for (int k = 0; k < program.graph.n_values(); ++k) Value::zero().store(slopes, k);
    const AceRows& forward = program.forward;
    for (int k = 0; k < forward.n; ++k) {
        Value d = Value::zero();
        for (int p = 0; p < n; ++p) {
            const Value g = Value::load(sums, std::int64_t(k) * n + p);
            d.re = simd::fma(theta[p], g.re, d.re);
            if constexpr (!kReal) d.im = simd::fma(theta[p], g.im, d.im);
        }
        d.store(slopes, forward.row[k].value);
    }
    const AceRows& rows = program.backward;
    for (int k = 0; k < rows.n; ++k) {
        const AceRow& row = rows.row[k];
        Value d = Value::load(slopes, row.value);
        const double* c = rows.c + std::int64_t(row.begin) * n;
        const auto weight = [&]() MDKERN_BODY {
            V t = theta[0] * V(c[0]);
            for (int p = 1; p < n; ++p) t = simd::fma(theta[p], V(c[p]), t);
            c += n;
            return t;
        };
        for (int e = row.begin; e < row.middle; ++e) {
            const Value v = Value::load(values, rows.entry[e]);
            const V t = weight();
            d.re = simd::fma(t, v.re, d.re);
            if constexpr (!kReal) d.im = simd::fma(t, v.im, d.im);
        }
        if constexpr (!kReal)
            for (int e = row.middle; e < row.end; ++e) {
                const Value v = Value::load(values, rows.entry[e]);
                const V t = weight();
                d.re = simd::fma(t, v.re, d.re);
                d.im = simd::fnma(t, v.im, d.im);
            }
        d.store(slopes, row.value);
    }
}

// Functions B, into `out` by function.
template <bool kReal> [[gnu::noinline]] void evaluate_functions(const AceFunctions& f,
                                                                const double* values, double* out) {
    using Value = AceValue<kReal>;
    for (int k = 0; k < f.n; ++k) {
        V sum = 0.0;
        for (int e = f.first[k]; e < f.first[k + 1]; ++e) {
            const AceLeaf& t = f.leaf[e];
            const Value a = Value::load(values, t.a),
                        b = Value::load(values, t.b).turned(sign_of(t.conjugate));
            sum = simd::fma(V(t.c), real_part(a, b), sum);
        }
        simd::store(out + k * W, sum);
    }
}
// Slopes from weights of the functions [begin, end).
template <bool kReal>
[[gnu::noinline]] void slopes_of_functions(const AceFunctions& f, int begin, int end,
                                           const double* weights, const double* values,
                                           double* slopes) {
    using Value = AceValue<kReal>;
    for (int k = 0; k < f.graph.n_values(); ++k) Value::zero().store(slopes, k);
    for (int k = begin; k < end; ++k)
        for (int e = f.first[k]; e < f.first[k + 1]; ++e) {
            const AceLeaf& t = f.leaf[e];
            const V w = V(t.c) * simd::load(weights + k * W), sign = sign_of(t.conjugate);
            const Value a = Value::load(values, t.a), b = Value::load(values, t.b).turned(sign);
            Value::load(slopes, t.a).plus({w, V(0.0)}, b).store(slopes, t.a);
            Value::load(slopes, t.b).plus({w, V(0.0)}, a.turned(sign)).store(slopes, t.b);
        }
}

// x^m for x > 0.
inline V power(V x, double m) {
    if (m == 0.5) return simd::sqrt(x);
    if (m == 2.0) return x * x;
    return math::exp(V(m) * math::log(x));
}

// F of the densities, whose slopes take their place.
inline V embed(const AceEmbedding& e, V* rho) {
    V sum = 0.0;
    for (int p = 0; p < e.n; ++p) {
        const V x = rho[p], a = simd::abs(x), w = e.w[p];
        const double m = e.m[p];
        if (m == 1.0) {
            sum = simd::fma(w, x, sum);
            rho[p] = w;
            continue;
        }
        V f, slope;
        if (e.shifted) {
            const V decay = math::exp(-a), xo = V(e.q[p]) * decay, yo = V(e.s[p]) * decay,
                    inside = xo + a, y = power(inside, m);
            f = y - yo;
            slope = simd::fma(V(m) * (V(1.0) - xo), y / inside, yo);
        } else {
            const V l = e.l[p], u = V(1e6) * a, cube = u * u * u;
            const V g = simd::keep(cube <= V(30.0), math::exp(-cube));
            const V dg = V(-3e6) * (u * u) * g;
            const auto tiny = a <= V(1e-10);
            const V safe = simd::max(a, V(1e-10)), y = power(safe, m);
            f = simd::select(tiny, l * a, simd::fma(V(1.0) - g, y, l * g * a));
            slope = simd::select(tiny, l,
                                 simd::fma((V(1.0) - g) * V(m), y / safe,
                                           simd::fma(l, simd::fma(dg, a, g), -(dg * y))));
        }
        sum = simd::fma(w, simd::copysign(f, f * x), sum);
        rho[p] = w * slope;
    }
    return sum;
}

// P(t; c, w) and its derivative.
inline V fall(V t, double c, double w, V& slope) {
    const V one = 1.0, u = (t - V(c)) * V(w > 0.0 ? 1.0 / w : 0.0) + one;
    const auto flat = t <= V(c - w), gone = t >= V(c);
    const auto f = math::quintic_switch(u);
    slope = simd::select(flat | gone, V(0.0), f.derivative * V(w > 0.0 ? 1.0 / w : 0.0));
    return simd::select(flat, one, simd::select(gone, V(0.0), f.value));
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
