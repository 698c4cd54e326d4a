// Every operation of simd.hpp, for the backend of this compilation, against plain loops over the
// lanes.
#include "simd/simd.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

#include "check.hpp"

namespace {

using namespace mdkern_tests;
namespace simd = mdkern::MDKERN_ISA::simd;
using simd::Int;
using simd::Mask;
using simd::Vec;

template <class T>
constexpr int W = Vec<T>::width;
template <class T>
struct Lanes {
    T v[W<T>];
    T& operator[](int l) { return v[l]; }
};

template <class T>
Lanes<T> lanes(Vec<T> a) {
    Lanes<T> out;
    simd::store(out.v, a);
    return out;
}
template <class T>
struct IntLanes {
    std::int32_t v[W<T>];
    explicit IntLanes(Int<T> a) { simd::store_int(v, a); }
    std::int32_t operator[](int l) const { return v[l]; }
};
bool live(unsigned mask_bits, int lane) { return (mask_bits >> lane) & 1; }

template <class T>
Mask<T> make_mask(unsigned mask_bits) {
    T flags[W<T>];
    for (int l = 0; l < W<T>; ++l) flags[l] = T(live(mask_bits, l));
    return simd::load(flags) == Vec<T>(T(1));
}
template <class T>
constexpr unsigned kMasks = 1u << W<T>;

template <class T>
T value(int k) {
    return T(k) + T(0.25);
}

// Ordinary, extreme and special values; their number is a multiple of every width.
template <class T>
struct Pool {
    static constexpr int size = 48;
    T v[size];
    Pool() {
        using L = std::numeric_limits<T>;
        const T fixed[] = {T(0),
                           -T(0),
                           L::infinity(),
                           -L::infinity(),
                           L::quiet_NaN(),
                           L::max(),
                           L::lowest(),
                           L::min(),
                           -L::min(),
                           L::denorm_min(),
                           -L::denorm_min(),
                           L::min() / 3,
                           L::epsilon(),
                           T(1),
                           T(-1),
                           T(0.5),
                           T(-0.5),
                           T(1.5),
                           T(2.5),
                           T(-2.5),
                           T(0.49999997),
                           T(-0.3),
                           T(0.7),
                           T(-0.7),
                           T(1e30),
                           T(1) / L::epsilon(),
                           T(-1) / L::epsilon(),
                           T(1) / L::epsilon() - T(0.5),
                           T(0.5) / L::epsilon() + T(0.5),
                           T(2) / L::epsilon() - T(2),
                           T(-8388607.5),
                           T(3),
                           T(-7)};
        constexpr int n = sizeof fixed / sizeof fixed[0];
        static_assert(n <= size, "enlarge the pool");
        Random random;
        for (int k = 0; k < size; ++k) v[k] = k < n ? fixed[k] : T(random.uniform(-100, 100));
    }
};

// f on whole vectors of the pool against g on its elements.
template <class T, class F, class G>
void check_unary(const char* name, F f, G g) {
    const Pool<T> pool;
    for (int k = 0; k < pool.size; k += W<T>) {
        Lanes<T> got = lanes<T>(f(simd::load(pool.v + k)));
        for (int l = 0; l < W<T>; ++l) {
            const T x = pool.v[k + l], want = g(x);
            CHECK(same(got[l], want), "%s(%.17g) = %.17g, expected %.17g", name, double(x),
                  double(got[l]), double(want));
        }
    }
}
template <class T, class F, class G>
void check_binary(const char* name, F f, G g) {
    const Pool<T> pool;
    for (int j = 0; j < pool.size; ++j) {
        for (int k = 0; k < pool.size; k += W<T>) {
            Lanes<T> got = lanes<T>(f(simd::load(pool.v + k), Vec<T>(pool.v[j])));
            for (int l = 0; l < W<T>; ++l) {
                const T x = pool.v[k + l], y = pool.v[j], want = g(x, y);
                CHECK(same(got[l], want), "%s(%.17g, %.17g) = %.17g, expected %.17g", name,
                      double(x), double(y), double(got[l]), double(want));
            }
        }
    }
}
template <class T, class F, class G>
void check_compare(const char* name, F f, G g) {
    const Pool<T> pool;
    for (int j = 0; j < pool.size; ++j) {
        for (int k = 0; k < pool.size; k += W<T>) {
            const unsigned got = simd::bits(f(simd::load(pool.v + k), Vec<T>(pool.v[j])));
            unsigned want = 0;
            for (int l = 0; l < W<T>; ++l) want |= unsigned(g(pool.v[k + l], pool.v[j])) << l;
            CHECK(got == want, "%s at %d, %d", name, k, j);
        }
    }
}

template <class T>
void test_plain_memory() {
    T p[3 * W<T> + 1];
    std::int32_t q[3 * W<T> + 1];
    for (int k = 0; k <= 3 * W<T>; ++k) p[k] = value<T>(k), q[k] = 7 * k - 5;
    for (int offset = 0; offset <= W<T>; ++offset) {
        T out[3 * W<T>];
        std::int32_t iout[3 * W<T>];
        for (int k = 0; k < 3 * W<T>; ++k) out[k] = T(-1), iout[k] = -1;
        simd::store(out + offset, simd::load(p + offset));
        simd::store_int(iout + offset, simd::load_int<T>(q + offset));
        for (int k = 0; k < 3 * W<T>; ++k) {
            const bool inside = k >= offset && k < offset + W<T>;
            CHECK(same(out[k], inside ? p[k] : T(-1)), "offset %d, element %d", offset, k);
            CHECK(iout[k] == (inside ? q[k] : -1), "offset %d, element %d", offset, k);
        }
    }
    Lanes<T> s = lanes(Vec<T>(T(2.5)));
    const IntLanes<T> i(simd::set_int<T>(-9));
    for (int l = 0; l < W<T>; ++l) CHECK(same(s[l], T(2.5)) && i[l] == -9, "lane %d", l);
}

// Live elements are the first or the last of accessible memory; dead ones lie beyond it.
template <class T>
void check_masked_at(T* p, std::int32_t* q, unsigned b) {
    const Mask<T> m = make_mask<T>(b);
    for (int l = 0; l < W<T>; ++l) {
        if (live(b, l)) p[l] = value<T>(l), q[l] = 100 + l;
    }
    Lanes<T> got = lanes(simd::load(p, m));
    const IntLanes<T> igot(simd::load_int<T>(q, m));
    for (int l = 0; l < W<T>; ++l) {
        CHECK(same(got[l], live(b, l) ? value<T>(l) : T(0)), "mask %x, lane %d", b, l);
        CHECK(igot[l] == (live(b, l) ? 100 + l : 0), "mask %x, lane %d", b, l);
    }
    simd::store(p, Vec<T>(T(-3)), m);
    for (int l = 0; l < W<T>; ++l) {
        if (live(b, l)) CHECK(same(p[l], T(-3)), "mask %x, lane %d", b, l);
    }
}
template <class T>
void test_masked_memory() {
    const Guarded memory(64 * sizeof(T)), imemory(64 * sizeof(std::int32_t));
    for (unsigned b = 0; b < kMasks<T>; ++b) {
        int lowest = 0, past = W<T>;
        while (lowest < W<T> && !live(b, lowest)) ++lowest;
        while (past > 0 && !live(b, past - 1)) --past;
        check_masked_at<T>(memory.end<T>() - past, imemory.end<std::int32_t>() - past, b);
        check_masked_at<T>(memory.begin<T>() - lowest, imemory.begin<std::int32_t>() - lowest, b);
        T out[W<T>];  // dead lanes inside accessible memory are left alone, too
        for (T& x : out) x = T(5);
        simd::store(out, Vec<T>(T(-3)), make_mask<T>(b));
        for (int l = 0; l < W<T>; ++l)
            CHECK(same(out[l], live(b, l) ? T(-3) : T(5)), "mask %x, lane %d", b, l);
    }
}

template <class T>
void test_gathers() {
    constexpr int rows = 37;
    const Guarded m4(4 * rows * sizeof(T)), m8(8 * rows * sizeof(T)),
        mi(4 * rows * sizeof(std::int32_t));
    T *p4 = m4.end<T>() - 4 * rows, *p8 = m8.end<T>() - 8 * rows;
    std::int32_t* pi = mi.end<std::int32_t>() - 4 * rows;
    for (int k = 0; k < 4 * rows; ++k) p4[k] = value<T>(k), pi[k] = 3 * k + 1;
    for (int k = 0; k < 8 * rows; ++k) p8[k] = value<T>(1000 + k);
    Random random;
    for (int trial = 0; trial < 200; ++trial) {
        std::int32_t i[W<T>];
        for (int& k : i) k = trial == 0 ? rows - 1 : trial == 1 ? 0 : random.below(rows);
        const Int<T> index = simd::load_int<T>(i);
        Vec<T> c[8];
        simd::load_rows(p4, index, c[0], c[1], c[2], c[3]);
        Lanes<T> x = lanes(c[0]), y = lanes(c[1]), z = lanes(c[2]), w = lanes(c[3]),
                 g = lanes(simd::gather(p4, index));
        for (int l = 0; l < W<T>; ++l) {
            const T* r = p4 + 4 * i[l];
            CHECK(same(x[l], r[0]) && same(y[l], r[1]) && same(z[l], r[2]) && same(w[l], r[3]),
                  "lane %d", l);
            CHECK(same(g[l], p4[i[l]]), "lane %d", l);
        }
        simd::load_rows<8>(p8, i, c[0], c[1], c[2], c[3]);
        simd::load_rows(p4, i, c[4], c[5], c[6], c[7]);
        for (int k = 0; k < 8; ++k) {
            Lanes<T> col = lanes(c[k]);
            for (int l = 0; l < W<T>; ++l)
                CHECK(same(col[l], k < 4 ? p8[8 * i[l] + k] : p4[4 * i[l] + k - 4]),
                      "column %d, lane %d", k, l);
        }
        Vec<T> in_memory[8];
        simd::load_rows8(p8, i, in_memory);
        simd::load_rows8(p8, index, c);
        for (int k = 0; k < 8; ++k)
            for (int l = 0; l < W<T>; ++l)
                CHECK(same(lanes(in_memory[k])[l], lanes(c[k])[l]), "column %d, lane %d", k, l);
        for (int k = 0; k < 8; ++k) {
            Lanes<T> col = lanes(c[k]);
            for (int l = 0; l < W<T>; ++l)
                CHECK(same(col[l], p8[8 * i[l] + k]), "column %d, lane %d", k, l);
        }
        if constexpr (std::is_same_v<T, double>) {
            Int<T> a, b, d, e;
            simd::load_rows_int(pi, index, a, b, d, e);
            const IntLanes<T> ia(a), ib(b), id(d), ie(e);
            for (int l = 0; l < W<T>; ++l) {
                const std::int32_t* r = pi + 4 * i[l];
                CHECK(ia[l] == r[0] && ib[l] == r[1] && id[l] == r[2] && ie[l] == r[3], "lane %d",
                      l);
            }
        }
    }
}

// Rows that several lanes share, and every number of live lanes.
void test_add_rows() {
    using T = double;
    const int rows = 5;
    Random random;
    for (int trial = 0; trial < 200; ++trial) {
        std::int32_t i[W<T>];
        for (int& k : i) k = trial == 0 ? 2 : random.below(rows);
        const int n = trial % W<T> + 1;
        T in[4][W<T>], out[4 * rows], expected[4 * rows];
        for (int c = 0; c < 4; ++c)
            for (int l = 0; l < W<T>; ++l) in[c][l] = value<T>(7 * c + l + trial);
        for (int k = 0; k < 4 * rows; ++k) out[k] = expected[k] = value<T>(k);
        for (int l = 0; l < n; ++l)
            for (int c = 0; c < 4; ++c) expected[4 * i[l] + c] += in[c][l];
        simd::add_rows(out, simd::load_int<T>(i), simd::load(in[0]), simd::load(in[1]),
                       simd::load(in[2]), simd::load(in[3]), n);
        for (int k = 0; k < 4 * rows; ++k)
            CHECK(same(out[k], expected[k]), "row %d, column %d, %d lanes", k / 4, k % 4, n);
    }
}

// load_as and subtract_rows: rows of doubles whatever T is, the same row in several lanes too.
template <class T>
void test_rows_of_doubles() {
    constexpr int rows = 9;
    const Guarded source(W<T> * 8), memory(4 * rows * 8);
    double* from = source.end<double>() - W<T>;
    double* p = memory.end<double>() - 4 * rows;
    Random random;
    for (int trial = 0; trial < 200; ++trial) {
        for (int l = 0; l < W<T>; ++l) from[l] = random.uniform(-1, 1);
        const Vec<T> x = simd::load_as<T>(from);
        for (int l = 0; l < W<T>; ++l) CHECK(same(lanes(x)[l], T(from[l])), "lane %d", l);
        T y[W<T>], z[W<T>];
        std::int32_t i[W<T>];
        double want[4 * rows];
        for (int k = 0; k < 4 * rows; ++k) want[k] = p[k] = random.uniform(-1, 1);
        for (int l = 0; l < W<T>; ++l) {
            y[l] = T(random.uniform(-1, 1)), z[l] = T(random.uniform(-1, 1));
            i[l] = trial == 0 ? rows - 1 : random.below(rows);
            want[4 * i[l]] -= double(T(from[l]));
            want[4 * i[l] + 1] -= double(y[l]);
            want[4 * i[l] + 2] -= double(z[l]);
        }
        simd::subtract_rows(p, i, x, simd::load(y), simd::load(z));
        for (int k = 0; k < 4 * rows; ++k) CHECK(same(p[k], want[k]), "trial %d, %d", trial, k);
    }
}

template <class T>
void test_compress() {
    T in[W<T>], out[W<T> + 4];
    std::int32_t iin[W<T>], iout[W<T> + 4];
    for (int l = 0; l < W<T>; ++l) in[l] = value<T>(l), iin[l] = 50 - l;
    for (unsigned b = 0; b < kMasks<T>; ++b) {
        for (int k = 0; k < W<T> + 4; ++k) out[k] = T(-1), iout[k] = -1;
        const Mask<T> m = make_mask<T>(b);
        CHECK(simd::bits(simd::from_bits<T>(b)) == b, "mask %x", b);
        const int n = simd::compress_store(out, simd::load(in), m);
        const int ni = simd::compress_store(iout, simd::load_int<T>(iin), m);
        int expected = 0;
        for (int l = 0; l < W<T>; ++l) {
            if (!live(b, l)) continue;
            CHECK(same(out[expected], in[l]) && iout[expected] == iin[l], "mask %x, lane %d", b, l);
            ++expected;
        }
        if constexpr (sizeof(T) == 8) {
            const auto spread = lanes(simd::expand_load(in, m));
            for (int l = 0, k = 0; l < W<T>; ++l)
                CHECK(same(spread.v[l], live(b, l) ? in[k++] : T(0)), "mask %x, lane %d", b, l);
        }
        CHECK(n == expected && ni == expected, "mask %x: %d and %d", b, n, ni);
        for (int k = W<T>; k < W<T> + 4; ++k)
            CHECK(same(out[k], T(-1)) && iout[k] == -1, "mask %x wrote at %d", b, k);
    }
}

// store_interleaved3, store_int64 and store_interleaved3_int64 for every n; memory ends where the
// output does.
void test_partial_stores() {
    using T = double;
    constexpr int w = W<T>;
    const Guarded memory(64 * 8);
    T x[w], y[w], z[w];
    std::int32_t i[w], j[w], k[w];
    for (int l = 0; l < w; ++l) {
        x[l] = value<T>(l), y[l] = value<T>(100 + l), z[l] = value<T>(200 + l);
        i[l] = -1 - l, j[l] = 1000 + l, k[l] = 0x7fffff00 + l;
    }
    const auto vx = simd::load(x), vy = simd::load(y), vz = simd::load(z);
    const auto vi = simd::load_int<T>(i), vj = simd::load_int<T>(j), vk = simd::load_int<T>(k);
    for (int n = -2; n <= w + 2; ++n) {
        const int rows = n < 0 ? 0 : n > w ? w : n;
        T* p = memory.end<T>() - 3 * rows;
        simd::store_interleaved3(p, vx, vy, vz, n);
        for (int l = 0; l < rows; ++l) {
            CHECK(same(p[3 * l], x[l]) && same(p[3 * l + 1], y[l]) && same(p[3 * l + 2], z[l]),
                  "n %d, lane %d", n, l);
        }
        std::int64_t* q = memory.end<std::int64_t>() - 3 * rows;
        simd::store_interleaved3_int64(q, vi, vj, vk, n);
        for (int l = 0; l < rows; ++l) {
            CHECK(q[3 * l] == i[l] && q[3 * l + 1] == j[l] && q[3 * l + 2] == k[l], "n %d, lane %d",
                  n, l);
        }
        q = memory.end<std::int64_t>() - rows;
        simd::store_int64(q, vi, n);
        for (int l = 0; l < rows; ++l) CHECK(q[l] == i[l], "n %d, lane %d", n, l);

        T after[3 * w + 3];  // and nothing is written behind, where memory goes on
        for (T& a : after) a = T(-1);
        simd::store_interleaved3(after, vx, vy, vz, n);
        for (int l = 3 * rows; l < 3 * w + 3; ++l)
            CHECK(same(after[l], T(-1)), "n %d wrote at %d", n, l);
    }
}

void test_stream() {
    alignas(64) double to[24];
    double from[9];
    for (int l = 0; l < 9; ++l) from[l] = value<double>(l);
    for (double& x : to) x = -1.0;
    simd::stream_line(to + 8, from + 1);
    simd::stream_fence();
    for (int l = 0; l < 24; ++l)
        CHECK(same(to[l], l >= 8 && l < 16 ? from[l - 7] : -1.0), "value %d", l);
}

template <class T>
void test_sums() {
    Random random;
    for (int trial = 0; trial < 100; ++trial) {
        T in[4][W<T>], out[6];
        double want[4] = {0, 0, 0, 0};
        for (int k = 0; k < 4; ++k) {
            for (T& x : in[k])
                want[k] += x = T(random.below(2001) - 1000);  // integers: exact in any order
        }
        for (T& x : out) x = T(-1);
        simd::store_sums4(out, simd::load(in[0]), simd::load(in[1]), simd::load(in[2]),
                          simd::load(in[3]));
        for (int k = 0; k < 4; ++k) {
            CHECK(out[k] == T(want[k]), "sum %d", k);
            CHECK(simd::sum(simd::load(in[k])) == T(want[k]), "sum %d", k);
        }
        CHECK(same(out[4], T(-1)) && same(out[5], T(-1)), "wrote behind four sums");
    }
}

template <class T>
void test_arithmetic() {
    using V = Vec<T>;
    check_binary<T>("+", [](V a, V b) { return a + b; }, [](T a, T b) { return a + b; });
    check_binary<T>("-", [](V a, V b) { return a - b; }, [](T a, T b) { return a - b; });
    check_binary<T>("*", [](V a, V b) { return a * b; }, [](T a, T b) { return a * b; });
    check_binary<T>("/", [](V a, V b) { return a / b; }, [](T a, T b) { return a / b; });
    check_binary<T>(
        "min", [](V a, V b) { return min(a, b); }, [](T a, T b) { return a < b ? a : b; });
    check_binary<T>(
        "max", [](V a, V b) { return max(a, b); }, [](T a, T b) { return a > b ? a : b; });
    check_binary<T>(
        "copysign", [](V a, V b) { return copysign(a, b); },
        [](T a, T b) { return std::copysign(a, b); });
    check_unary<T>("-", [](V a) { return -a; }, [](T a) { return -a; });
    check_unary<T>("sqrt", [](V a) { return sqrt(a); }, [](T a) { return std::sqrt(a); });
    check_unary<T>("abs", [](V a) { return abs(a); }, [](T a) { return std::fabs(a); });
    check_unary<T>("round", [](V a) { return round(a); }, [](T a) { return std::nearbyint(a); });
    check_unary<T>("floor", [](V a) { return floor(a); }, [](T a) { return std::floor(a); });

    const auto product_sum = [](T a, T b, T c) {
        return W<T> == 1 ? a * b + c : std::fma(a, b, c);
    };
    const T third = T(1) / T(3);
    const T thirds[] = {T(0), third, -third, T(-1) / T(9), std::numeric_limits<T>::infinity()};
    for (const T c : thirds) {
        check_binary<T>(
            "fma", [c](V a, V b) { return fma(a, b, V(c)); },
            [&](T a, T b) { return product_sum(a, b, c); });
        check_binary<T>(
            "fnma", [c](V a, V b) { return fnma(a, b, V(c)); },
            [&](T a, T b) { return product_sum(-a, b, c); });
    }
    const V cancel =
        fma(V(third), V(third), -V(third) * V(third));  // fused: the rounding error of the product
    const T expected = W<T> == 1 ? T(0) : std::fma(third, third, -third * third);
    CHECK(same(lanes(cancel)[0], expected), "%g, expected %g", double(lanes(cancel)[0]),
          double(expected));

    double worst = 0;
    Random random;
    const double top = std::numeric_limits<T>::max_exponent - 2;
    for (int k = 0; k < 20000; ++k) {
        T x[W<T>];
        for (T& a : x) a = T(std::exp2(random.uniform(-top, top)));
        Lanes<T> y = lanes(simd::rsqrt_estimate(simd::load(x)));
        for (int l = 0; l < W<T>; ++l) {
            const double e = std::fabs(double(y[l]) * std::sqrt(double(x[l])) - 1);
            CHECK(e < 0x1p-11, "rsqrt_estimate(%g)", double(x[l]));
            worst = e > worst ? e : worst;
        }
    }
    std::printf("rsqrt_estimate, %d bytes: relative error below 2^%.1f\n", int(sizeof(T)),
                std::log2(worst + 1e-300));
}

template <class T>
void test_masks() {
    using V = Vec<T>;
    check_compare<T>("<", [](V a, V b) { return a < b; }, [](T a, T b) { return a < b; });
    check_compare<T>("<=", [](V a, V b) { return a <= b; }, [](T a, T b) { return a <= b; });
    check_compare<T>(">", [](V a, V b) { return a > b; }, [](T a, T b) { return a > b; });
    check_compare<T>(">=", [](V a, V b) { return a >= b; }, [](T a, T b) { return a >= b; });
    check_compare<T>("==", [](V a, V b) { return a == b; }, [](T a, T b) { return a == b; });

    const T nan = std::numeric_limits<T>::quiet_NaN();
    const unsigned full = kMasks<T> - 1;
    for (unsigned b = 0; b < kMasks<T>; ++b) {
        const Mask<T> m = make_mask<T>(b);
        const unsigned other = (b * 2654435761u >> 7) & full;
        CHECK(simd::bits(m) == b && simd::bits(simd::not_(m)) == (~b & full), "mask %x", b);
        CHECK(simd::any(m) == (b != 0) && simd::all(m) == (b == full), "mask %x", b);
        CHECK(simd::count(m) == __builtin_popcount(b), "mask %x", b);
        CHECK(simd::bits(m & make_mask<T>(other)) == (b & other), "mask %x, %x", b, other);
        CHECK(simd::bits(m | make_mask<T>(other)) == (b | other), "mask %x, %x", b, other);
        Lanes<T> s = lanes(simd::select(m, V(T(1)), V(nan))),
                 t = lanes(simd::select(m, V(nan), V(T(2))));
        Lanes<T> kept = lanes(simd::keep(simd::not_(m), simd::select(m, V(nan), V(T(3)))));
        for (int l = 0; l < W<T>; ++l) {
            CHECK(same(s[l], live(b, l) ? T(1) : nan) && same(t[l], live(b, l) ? nan : T(2)),
                  "mask %x, lane %d", b, l);
            CHECK(same(kept[l], live(b, l) ? T(0) : T(3)), "mask %x, lane %d", b, l);
        }
    }
    const std::int64_t big = std::numeric_limits<std::int64_t>::max();
    const std::int64_t extremes[] = {-big - 1,
                                     -big,
                                     -(std::int64_t(1) << 32),
                                     -(std::int64_t(1) << 31),
                                     -300,
                                     -1,
                                     100,
                                     257,
                                     65536,
                                     std::int64_t(1) << 31,
                                     std::int64_t(1) << 32,
                                     (std::int64_t(1) << 32) + 1,
                                     big};
    for (const std::int64_t n : extremes) {
        CHECK(simd::bits(simd::first_n<T>(n)) == (n < 0 ? 0 : full), "n %lld",
              static_cast<long long>(n));
    }
    for (int n = 0; n <= W<T> + 1; ++n) {
        CHECK(simd::bits(simd::first_n<T>(n)) == (((1u << n) - 1u) & full), "n %d", n);
    }
}

template <class T>
void test_integers() {
    Random random;
    for (int trial = 0; trial < 1000; ++trial) {
        std::int32_t a[W<T>], b[W<T>];
        T x[W<T>];
        for (int l = 0; l < W<T>; ++l) {
            a[l] = random.below(80001) - 40000, b[l] = random.below(80001) - 40000;
            x[l] = T(random.uniform(-1e6, 1e6));
        }
        const Int<T> i = simd::load_int<T>(a), j = simd::load_int<T>(b);
        const IntLanes<T> sum(i + j), difference(i - j), product(i * j), low(min(i, j)),
            high(max(i, j));
        const IntLanes<T> truncated(simd::to_int(simd::load(x)));
        Lanes<T> back = lanes(simd::to_vec<T>(i));
        for (int l = 0; l < W<T>; ++l) {
            CHECK(
                sum[l] == a[l] + b[l] && difference[l] == a[l] - b[l] && product[l] == a[l] * b[l],
                "lane %d", l);
            CHECK(low[l] == (a[l] < b[l] ? a[l] : b[l]) && high[l] == (a[l] > b[l] ? a[l] : b[l]),
                  "lane %d", l);
            CHECK(truncated[l] == std::int32_t(x[l]), "to_int(%g)", double(x[l]));
            CHECK(back[l] == T(a[l]), "to_vec(%d)", a[l]);
        }
    }
}

template <class T, int K>
void check_bit(int n) {
    Lanes<T> x = lanes(Vec<T>(T(n)));
    const unsigned got = simd::bits(simd::has_bit<K>(simd::load(x.v)));
    CHECK(got == (((unsigned(n) >> K) & 1) ? kMasks<T> - 1 : 0), "bit %d of %d", K, n);
}

template <class T>
void check_scale(T a, int n) {
    const T want = std::ldexp(a, n), got = lanes(simd::scale2(Vec<T>(a), Vec<T>(T(n))))[W<T> - 1];
    CHECK(same(got, want), "scale2(%a, %d) = %a, expected %a", double(a), n, double(got),
          double(want));
    if (std::fabs(a) >= T(0.5) && std::fabs(a) <= T(2) &&
        std::abs(n) <= (sizeof(T) == 8 ? 2000 : 240)) {
        const T unit = lanes(simd::scale2_unit(Vec<T>(a), Vec<T>(T(n))))[W<T> - 1];
        CHECK(same(unit, want), "scale2_unit(%a, %d) = %a, expected %a", double(a), n, double(unit),
              double(want));
    }
}

template <class T>
void test_exponents() {
    using L = std::numeric_limits<T>;
    const int limit = sizeof(T) == 8 ? 2048 : 256;
    Random random;
    for (int n = -limit; n <= limit; ++n) {
        const Pool<T> pool;
        for (const T a : pool.v) check_scale(a, n);
        for (int k = 0; k < 20; ++k) {
            check_scale(T(random.uniform(0.5, 2)), n);
            check_scale(L::denorm_min() * T(1 + random.below(1000)), n);
            check_scale(-L::min() * T(random.uniform(0.01, 4)), n);
        }
        if (n >= L::min_exponent - 1 && n < L::max_exponent) {
            CHECK(same(lanes(simd::pow2(Vec<T>(T(n))))[0], std::ldexp(T(1), n)), "pow2(%d)", n);
        }
        check_bit<T, 0>(n), check_bit<T, 1>(n), check_bit<T, 2>(n), check_bit<T, 7>(n),
            check_bit<T, 20>(n);
        check_bit<T, 0>(8191 * n), check_bit<T, 1>(8191 * n), check_bit<T, 19>(8191 * n);
    }
    for (int e = L::min_exponent - L::digits; e < L::max_exponent; ++e) {
        for (int k = 0; k < 40; ++k) {
            T m = k == 0 ? T(1) : k == 1 ? T(2) - L::epsilon() : T(random.uniform(1, 2));
            const T x = std::ldexp(k & 1 ? -m : m, e);
            if (!std::isfinite(x) || x == T(0)) continue;
            const int want = std::ilogb(x);
            const T got = lanes(simd::exponent(Vec<T>(x)))[W<T> - 1],
                    part = lanes(simd::mantissa(Vec<T>(x)))[W<T> - 1];
            CHECK(got == T(want), "exponent(%a) = %g", double(x), double(got));
            CHECK(same(part, std::ldexp(x, -want)), "mantissa(%a) = %a", double(x), double(part));
        }
    }
}

template <class T>
void test_type() {
    test_plain_memory<T>();
    test_masked_memory<T>();
    test_gathers<T>();
    test_rows_of_doubles<T>();
    test_compress<T>();
    if (std::is_same_v<T, double>) test_add_rows();
    test_sums<T>();
    test_arithmetic<T>();
    test_masks<T>();
    test_integers<T>();
    test_exponents<T>();
}

}  // namespace

int run_tests(bool) {
    test_type<double>();
    test_type<float>();
    test_partial_stores();
    test_stream();
    return report("test_simd");
}
