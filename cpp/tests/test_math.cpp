// Accuracy of math.hpp in ULP for the ISA of this compilation: sweeps against libm in long double
// (for double) or double (for float), values that std:: fixes exactly, and the bounds that the
// header states.
#include "math/cutoffs.hpp"
#include "simd/math.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"

namespace {

using namespace mdkern_tests;
namespace simd = mdkern::MDKERN_ISA::simd;
namespace math = mdkern::MDKERN_ISA::math;
using simd::Vec;

template <class T>
struct Wide;
template <>
struct Wide<double> {
    using type = long double;
};
template <>
struct Wide<float> {
    using type = double;
};
template <class T>
using W = typename Wide<T>::type;
template <class T>
using L = std::numeric_limits<T>;

int fewer = 1;  // a sweep has this part of its arguments

constexpr int kScalar = Vec<double>::width == 1;  // no fma: index of the second bound
template <class T>
const char* type_name() {
    return sizeof(T) == 8 ? "double" : "float";
}

// |got - want| in units of the last place of a T as large as `want`; infinity counts as
// 2^max_exponent; 1e30 for a wrong NaN.
template <class T>
double ulp_error(T got, W<T> want) {
    if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : 1e30;
    const W<T> top = std::ldexp(W<T>(1), L<T>::max_exponent);
    const W<T> g = std::isinf(got) ? std::copysign(top, W<T>(got)) : W<T>(got);
    const W<T> w = std::fabs(want) > top ? std::copysign(top, want) : want;
    int e = w == 0 ? L<T>::min_exponent : std::ilogb(w);
    if (e < L<T>::min_exponent - 1) e = L<T>::min_exponent - 1;
    if (e > L<T>::max_exponent - 1) e = L<T>::max_exponent - 1;
    return double(std::fabs(g - w) / std::ldexp(W<T>(1), e - L<T>::digits + 1));
}

// The arguments of a sweep: even and random points of [lo, hi], and points even in the logarithm
// down to `tiny` of both signs.
template <class T>
std::vector<T> arguments(double lo, double hi, double tiny = 0) {
    std::vector<T> x;
    Random random;
    const int n = 150000 / fewer;
    for (int k = 0; k <= n; ++k) {
        x.push_back(T(lo + (hi - lo) / n * k));
        x.push_back(T(random.uniform(lo, hi)));
        if (tiny > 0) {
            const double top = std::fmax(std::fabs(lo), std::fabs(hi));
            const T a = T(std::exp2(random.uniform(std::log2(tiny), std::log2(top))));
            if (double(a) >= lo && double(a) <= hi) x.push_back(a);
            if (-double(a) >= lo && -double(a) <= hi) x.push_back(-a);
        }
    }
    x.push_back(T(lo)), x.push_back(T(hi));
    while (x.size() % Vec<T>::width != 0) x.push_back(T(hi));
    return x;
}

// f on vectors against g on elements; prints the largest error and asserts that it is within
// bounds[without fma].
template <class T, class F, class G>
void sweep(const char* name, const std::vector<T>& x, F f, G g, const double (&bounds)[2]) {
    double worst = 0;
    T at = 0, lowest = x[0], highest = x[0];
    const double bound = bounds[kScalar];
    for (std::size_t k = 0; k < x.size(); k += Vec<T>::width) {
        T y[Vec<T>::width];
        simd::store(y, f(simd::load(x.data() + k)));
        for (int l = 0; l < Vec<T>::width; ++l) {
            lowest = std::fmin(lowest, x[k + l]), highest = std::fmax(highest, x[k + l]);
            const double error = ulp_error<T>(y[l], g(W<T>(x[k + l])));
            CHECK(error <= bound, "%s<%s>(%.17g) = %.17g: %.3g ULP, allowed %g", name,
                  type_name<T>(), double(x[k + l]), double(y[l]), error, bound);
            if (error > worst) worst = error, at = x[k + l];
        }
    }
    std::printf("%-28s %-6s [%11.5g, %11.5g]  %8.4f ULP (allowed %g) at %.9g\n", name,
                type_name<T>(), double(lowest), double(highest), worst, bound, double(at));
}

// f(x) has exactly the bits of `want`, in every lane.
template <class T, class F>
void exact(const char* name, F f, T x, T want) {
    T y[Vec<T>::width];
    simd::store(y, f(Vec<T>(x)));
    for (const T got : y) {
        CHECK(same(got, want), "%s<%s>(%.17g) = %.17g, expected %.17g", name, type_name<T>(),
              double(x), double(got), double(want));
    }
}

// A special value in one lane must not disturb the others.
template <class T, class F>
void check_lanes(const char* name, F f) {
    const T specials[] = {L<T>::quiet_NaN(),  L<T>::infinity(), -L<T>::infinity(), T(0), -T(0),
                          L<T>::denorm_min(), L<T>::max(),      L<T>::lowest()};
    T plain[Vec<T>::width], y[Vec<T>::width], x[Vec<T>::width];
    for (int l = 0; l < Vec<T>::width; ++l) x[l] = T(0.3) + T(l) * T(0.21);
    simd::store(plain, f(simd::load(x)));
    for (const T special : specials) {
        for (int l = 0; l < Vec<T>::width; ++l) {
            const T kept = x[l];
            x[l] = special;
            simd::store(y, f(simd::load(x)));
            x[l] = kept;
            for (int k = 0; k < Vec<T>::width; ++k) {
                if (k != l) CHECK(same(y[k], plain[k]), "%s<%s>: lane %d", name, type_name<T>(), k);
            }
        }
    }
}

template <class T>
void test_exp() {
    using V = Vec<T>;
    const auto f = [](V x) { return math::exp(x); };
    const auto g = [](W<T> x) { return std::exp(x); };
    const double lowest = std::log(double(L<T>::min())), top = std::log(double(L<T>::max()));
    const double bounds[2] = {1.0, 1.0}, denormal[2] = {1.0, 1.0};
    sweep<T>("exp", arguments<T>(lowest, top, 1e-18), f, g, bounds);
    sweep<T>("exp", arguments<T>(-1, 1, double(L<T>::min())), f, g, bounds);
    sweep<T>("exp, denormal or zero", arguments<T>(lowest * 1.06, lowest), f, g, denormal);
    sweep<T>("exp, around overflow", arguments<T>(top - 1e-3, top + 1e-3), f, g, bounds);
    const T inf = L<T>::infinity();
    for (const T zero : {T(0), -T(0), L<T>::denorm_min(), -L<T>::min()})
        exact("exp", f, zero, T(1));
    for (const T big : {T(top * 1.001), T(1000), L<T>::max(), inf}) exact("exp", f, big, inf);
    for (const T low :
         {T(sizeof(T) == 8 ? -745.14 : -103.98), T(-746), T(-1e6), L<T>::lowest(), -inf}) {
        exact("exp", f, low, T(0));
    }
    exact("exp", f, T(sizeof(T) == 8 ? -745.13 : -103.97), L<T>::denorm_min());
    exact("exp", f, L<T>::quiet_NaN(), L<T>::quiet_NaN());
    check_lanes<T>("exp", f);
}

template <class T>
void test_log() {
    using V = Vec<T>;
    const auto f = [](V x) { return math::log(x); };
    const auto g = [](W<T> x) { return std::log(x); };
    const double bounds[2] = {1.0, 1.0};
    sweep<T>(
        "log",
        arguments<T>(double(L<T>::denorm_min()), double(L<T>::max()), double(L<T>::denorm_min())),
        f, g, bounds);
    sweep<T>(
        "log, denormal",
        arguments<T>(double(L<T>::denorm_min()), double(L<T>::min()), 1e-45 * double(L<T>::min())),
        f, g, bounds);
    sweep<T>("log", arguments<T>(0.4, 3), f, g, bounds);
    sweep<T>("log, around 1", arguments<T>(0.999, 1.001), f, g, bounds);
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    exact("log", f, T(0), -inf), exact("log", f, -T(0), -inf), exact("log", f, T(1), T(0)),
        exact("log", f, inf, inf);
    for (const T bad : {T(-1), -L<T>::denorm_min(), L<T>::lowest(), -inf, nan})
        exact("log", f, bad, nan);
    for (const T edge : {L<T>::denorm_min(), L<T>::min(), L<T>::max()}) {
        T y[V::width];
        simd::store(y, f(V(edge)));
        CHECK(ulp_error<T>(y[0], std::log(W<T>(edge))) <= 1, "log(%g) = %.17g", double(edge),
              double(y[0]));
    }
    check_lanes<T>("log", f);
}

template <class T>
void test_tanh() {
    using V = Vec<T>;
    const auto g = [](W<T> x) { return std::tanh(x); };
    const auto dg = [](W<T> x) {
        const W<T> u = std::exp(-2 * std::fabs(x));
        return 4 * u / ((1 + u) * (1 + u));
    };
    const auto f = [](V x) { return math::tanh(x); };
    const auto f2 = [](V x) { return math::tanh_with_derivative(x).value; };
    const auto df = [](V x) { return math::tanh_with_derivative(x).derivative; };
    const double bounds[2] = {2.0, 2.0}, dbounds[2] = {3.0, 3.0};
    const double end = sizeof(T) == 8 ? 20 : 10, far = sizeof(T) == 8 ? 353.5 : 43;
    const std::vector<T> all = arguments<T>(-end, end, double(L<T>::denorm_min())),
                         small = arguments<T>(-1, 1, 1e-10);
    sweep<T>("tanh", all, f, g, bounds);
    sweep<T>("tanh", small, f, g, bounds);
    sweep<T>("tanh_with_derivative", all, f2, g, bounds);
    sweep<T>("tanh_with_derivative", small, f2, g, bounds);
    sweep<T>("tanh', relative", all, df, dg, dbounds);
    sweep<T>("tanh', relative", arguments<T>(-far, far), df, dg, dbounds);
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    for (const T x : {T(0), -T(0), L<T>::denorm_min(), -L<T>::denorm_min(), L<T>::min() / 2,
                      T(1e-30), T(-1e-30)}) {
        exact("tanh", f, x, x), exact("tanh_with_derivative", f2, x, x),
            exact("tanh'", df, x, T(1));
    }
    for (const T x : {T(25), T(100), T(1e6), L<T>::max(), inf}) {
        exact("tanh", f, x, T(1)), exact("tanh", f, -x, T(-1)),
            exact("tanh_with_derivative", f2, -x, T(-1));
    }
    for (const T x : {T(sizeof(T) == 8 ? 355 : 44.1), L<T>::lowest(), inf, -inf})
        exact("tanh'", df, x, T(0));
    exact("tanh", f, nan, nan), exact("tanh_with_derivative", f2, nan, nan),
        exact("tanh'", df, nan, nan);
    check_lanes<T>("tanh", f), check_lanes<T>("tanh'", df);
}

template <class T>
void test_sincos() {
    using V = Vec<T>;
    const auto s = [](V x) { return math::sincos(x).sin; };
    const auto c = [](V x) { return math::sincos(x).cos; };
    const auto sg = [](W<T> x) { return std::sin(x); };
    const auto cg = [](W<T> x) { return std::cos(x); };
    const double bounds[2] = {1.0, 1.0};
    std::vector<T> multiples;  // the T next to every multiple of pi/4, where the reduction cancels
                               // most, and its neighbours
    for (int k = -127000; k <= 127000; k += fewer) {
        const T x = T(W<T>(0.78539816339744830961566084581988L) * k);
        for (const T y : {std::nextafter(x, T(-1e9)), x, std::nextafter(x, T(1e9))}) {
            if (std::fabs(y) <= T(1e5)) multiples.push_back(y);
        }
    }
    while (multiples.size() % V::width != 0) multiples.push_back(T(1));
    const std::vector<T> near = arguments<T>(-7, 7, double(L<T>::denorm_min())),
                         far = arguments<T>(-1e5, 1e5, 1e-3);
    sweep<T>("sincos: sin", near, s, sg, bounds);
    sweep<T>("sincos: sin", far, s, sg, bounds);
    sweep<T>("sincos: sin, k pi/4", multiples, s, sg, bounds);
    sweep<T>("sincos: cos", near, c, cg, bounds);
    sweep<T>("sincos: cos", far, c, cg, bounds);
    sweep<T>("sincos: cos, k pi/4", multiples, c, cg, bounds);
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    for (const T x :
         {T(0), -T(0), L<T>::denorm_min(), -L<T>::denorm_min(), L<T>::min(), T(-1e-30)}) {
        exact("sin", s, x, x), exact("cos", c, x, T(1));
    }
    for (const T x : {std::nextafter(T(1e5), inf), T(-1e6), T(1e30), L<T>::max(), inf, -inf, nan}) {
        exact("sin", s, x, nan), exact("cos", c, x, nan);
    }
    check_lanes<T>("sin", s), check_lanes<T>("cos", c);
}

template <class T>
void test_rsqrt() {
    using V = Vec<T>;
    const auto f = [](V x) { return math::rsqrt(x); };
    const auto g = [](W<T> x) { return 1 / std::sqrt(x); };
    const double bounds[2] = {1.5, 1.5};
    sweep<T>(
        "rsqrt",
        arguments<T>(double(L<T>::denorm_min()), double(L<T>::max()), double(L<T>::denorm_min())),
        f, g, bounds);
    sweep<T>("rsqrt", arguments<T>(0.9, 4.1), f, g, bounds);
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    exact("rsqrt", f, T(0), inf), exact("rsqrt", f, -T(0), -inf), exact("rsqrt", f, inf, T(0));
    for (const T bad : {T(-1), -L<T>::denorm_min(), -L<T>::max(), -inf, nan})
        exact("rsqrt", f, bad, nan);
    for (const T x :
         {L<T>::denorm_min(), 3 * L<T>::denorm_min(), L<T>::min() / 3, L<T>::min(), L<T>::max()}) {
        T y[V::width];
        simd::store(y, f(V(x)));
        CHECK(ulp_error<T>(y[0], g(W<T>(x))) <= 1.5, "rsqrt(%g) = %.17g", double(x), double(y[0]));
    }
    check_lanes<T>("rsqrt", f);
}

template <class T, int N>
void check_power() {
    using V = Vec<T>;
    const auto g = [](W<T> x) { return std::pow(x, W<T>(N)); };
    const double bound = N < 1 ? 0 : N - 1, bounds[2] = {bound, bound};
    char name[2][32];
    std::snprintf(name[0], sizeof name[0], "pow_int<%d>(x)", N);
    std::snprintf(name[1], sizeof name[1], "pow_int(x, %d)", N);
    const std::vector<T> x = arguments<T>(-30, 30);
    sweep<T>(name[0], x, [](V a) { return math::pow_int<N>(a); }, g, bounds);
    sweep<T>(name[1], x, [](V a) { return math::pow_int(a, N); }, g, bounds);
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    for (const T a : {T(0), T(1), T(-1), inf, -inf, nan}) {
        const T want = std::pow(a, T(N));
        exact("pow_int", [](V b) { return math::pow_int<N>(b); }, a, want);
        exact("pow_int", [](V b) { return math::pow_int(b, N); }, a, want);
    }
}

// The textbook formulas in wide arithmetic against the rewritten ones; for r_cut = 1 no rounding of
// r / r_cut intervenes.
template <class T>
void test_switches() {
    using V = Vec<T>;
    constexpr W<T> pi = W<T>(3.14159265358979323846264338327950288L);
    const double bounds[2] = {5, 5}, quintic[2] = {6, 6}, loose[2] = {8, 8};
    const std::vector<T> x = arguments<T>(0, 1, double(L<T>::min()) / 8);
    const V one = T(1);
    sweep<T>(
        "cosine_cutoff", x, [&](V r) { return math::cosine_cutoff(r, one).value; },
        [&](W<T> r) {
            const W<T> c = std::sin(pi / 2 * (1 - r));
            return c * c;
        },
        bounds);
    sweep<T>(
        "cosine_cutoff'", x, [&](V r) { return math::cosine_cutoff(r, one).derivative; },
        [&](W<T> r) { return -pi / 2 * std::sin(pi * (r > W<T>(0.5) ? 1 - r : r)); }, bounds);
    sweep<T>(
        "tanh3_cutoff", x, [&](V r) { return math::tanh3_cutoff(r, one).value; },
        [&](W<T> r) {
            const W<T> t = std::tanh(1 - r);
            return t * t * t;
        },
        loose);
    sweep<T>(
        "tanh3_cutoff'", x, [&](V r) { return math::tanh3_cutoff(r, one).derivative; },
        [&](W<T> r) {
            const W<T> t = std::tanh(1 - r);
            return -3 * t * t * (1 - t * t);
        },
        bounds);
    sweep<T>(
        "quintic_switch", x, [&](V r) { return math::quintic_switch(r).value; },
        [&](W<T> r) {
            const W<T> v = 1 - r;
            return v * v * v * (1 + 3 * r + 6 * r * r);
        },
        quintic);
    sweep<T>(
        "quintic_switch'", x, [&](V r) { return math::quintic_switch(r).derivative; },
        [&](W<T> r) { return -30 * r * r * (1 - r) * (1 - r); }, bounds);

    // Absolute error in units of epsilon for a cutoff that is no power of two, and slopes in units
    // of 1 / r_cut.
    const T r_cut = T(6.3), inverse = T(1) / r_cut;
    const W<T> k = W<T>(inverse), eps = W<T>(L<T>::epsilon());
    for (int n = 0; n <= 6300; ++n) {
        const T r = T(n) / T(1000);
        T y[6][V::width];
        const auto c = math::cosine_cutoff(V(r), V(inverse)),
                   t = math::tanh3_cutoff(V(r), V(inverse));
        const auto q = math::quintic_switch(V(r * inverse));
        simd::store(y[0], c.value), simd::store(y[1], c.derivative), simd::store(y[2], t.value);
        simd::store(y[3], t.derivative), simd::store(y[4], q.value),
            simd::store(y[5], q.derivative);
        const W<T> u = W<T>(r) * k < 1 ? W<T>(r) * k : W<T>(1), v = W<T>(T(r * inverse)),
                   h = std::tanh(1 - u);
        const W<T> want[6] = {W<T>(0.5) * (1 + std::cos(pi * u)),
                              -pi / 2 * k * std::sin(pi * u),
                              h * h * h,
                              -3 * k * h * h * (1 - h * h),
                              1 + v * v * v * (-10 + v * (15 - 6 * v)),
                              v * v * (-30 + v * (60 - 30 * v))};
        for (int f = 0; f < 6; ++f) {
            const W<T> scale = f == 1 || f == 3 ? k : W<T>(1),
                       error = std::fabs(W<T>(y[f][0]) - want[f]);
            CHECK(error <= 5 * eps * scale, "function %d at r = %.9g: off by %.3g", f, double(r),
                  double(error));
        }
    }
    const T inf = L<T>::infinity(), nan = L<T>::quiet_NaN();
    for (const T r : {T(6.31), T(100), L<T>::max(), inf}) {
        const auto value = [&](auto f) { return [f, inverse](V a) { return f(a, V(inverse)); }; };
        exact("cosine_cutoff", value([](V a, V b) { return math::cosine_cutoff(a, b).value; }), r,
              T(0));
        exact("cosine_cutoff'",
              value([](V a, V b) { return abs(math::cosine_cutoff(a, b).derivative); }), r, T(0));
        exact("tanh3_cutoff", value([](V a, V b) { return math::tanh3_cutoff(a, b).value; }), r,
              T(0));
        exact("tanh3_cutoff'",
              value([](V a, V b) { return abs(math::tanh3_cutoff(a, b).derivative); }), r, T(0));
        exact("quintic_switch", [](V a) { return math::quintic_switch(a).value; }, r, T(0));
        exact("quintic_switch", [](V a) { return math::quintic_switch(a).value; }, -r, T(1));
        exact(
            "quintic_switch'", [](V a) { return abs(math::quintic_switch(a).derivative); }, r,
            T(0));
        exact(
            "quintic_switch'", [](V a) { return abs(math::quintic_switch(a).derivative); }, -r,
            T(0));
    }
    exact("cosine_cutoff", [&](V a) { return math::cosine_cutoff(a, one).value; }, T(0), T(1));
    exact("cosine_cutoff", [&](V a) { return math::cosine_cutoff(a, one).value; }, nan, nan);
    exact("cosine_cutoff'", [&](V a) { return math::cosine_cutoff(a, one).derivative; }, nan, nan);
    exact("tanh3_cutoff", [&](V a) { return math::tanh3_cutoff(a, one).value; }, nan, nan);
    exact("tanh3_cutoff'", [&](V a) { return math::tanh3_cutoff(a, one).derivative; }, nan, nan);
    exact("quintic_switch", [](V a) { return math::quintic_switch(a).value; }, nan, nan);
    exact("quintic_switch'", [](V a) { return math::quintic_switch(a).derivative; }, nan, nan);
}

// erfc and its derivative, relative; without fma the rounding of x^2 shows.
template <class T>
void test_erfc() {
    using V = Vec<T>;
    constexpr W<T> two_by_root_pi = W<T>(1.12837916709551257389615890312154517L);
    const double bounds[2] = {6, 16};
    const std::vector<T> x = arguments<T>(0, 3.3, double(L<T>::min()) / 8);
    sweep<T>(
        "erfc", x, [](V a) { return math::erfc_with_derivative(a).value; },
        [](W<T> a) { return std::erfc(a); }, bounds);
    sweep<T>(
        "erfc'", x, [](V a) { return math::erfc_with_derivative(a).derivative; },
        [=](W<T> a) { return -two_by_root_pi * std::exp(-a * a); }, bounds);
    const T nan = L<T>::quiet_NaN();
    exact("erfc", [](V a) { return math::erfc_with_derivative(a).value; }, nan, nan);
}

// Every 499th float of all bit patterns, or fewer.
template <class F, class G>
void sweep_floats(const char* name, float lo, float hi, F f, G g, const double (&bounds)[2]) {
    std::vector<float> x;
    for (std::uint64_t u = 0; u < (std::uint64_t(1) << 32); u += 499 * fewer) {
        const std::uint32_t pattern = std::uint32_t(u);
        float a;
        std::memcpy(&a, &pattern, sizeof a);
        if (a >= lo && a <= hi) x.push_back(a);
    }
    while (x.size() % Vec<float>::width != 0) x.push_back(hi);
    sweep<float>(name, x, f, g, bounds);
}
void test_all_floats() {
    using V = Vec<float>;
    const float max = L<float>::max();
    const double one[2] = {1, 1}, two[2] = {2, 2}, rsqrt_bound[2] = {1.5, 1.5};
    sweep_floats(
        "exp, all floats", -max, max, [](V x) { return math::exp(x); },
        [](double x) { return std::exp(x); }, one);
    sweep_floats(
        "log, all floats", 0, max, [](V x) { return math::log(x); },
        [](double x) { return std::log(x); }, one);
    sweep_floats(
        "tanh, all floats", -max, max, [](V x) { return math::tanh(x); },
        [](double x) { return std::tanh(x); }, two);
    sweep_floats(
        "sin, all floats", -1e5f, 1e5f, [](V x) { return math::sincos(x).sin; },
        [](double x) { return std::sin(x); }, one);
    sweep_floats(
        "cos, all floats", -1e5f, 1e5f, [](V x) { return math::sincos(x).cos; },
        [](double x) { return std::cos(x); }, one);
    sweep_floats(
        "rsqrt, all floats", 0, max, [](V x) { return math::rsqrt(x); },
        [](double x) { return 1 / std::sqrt(x); }, rsqrt_bound);
}

template <class T>
void test_type() {
    test_exp<T>();
    test_log<T>();
    test_tanh<T>();
    test_sincos<T>();
    test_rsqrt<T>();
    check_power<T, 0>(), check_power<T, 1>(), check_power<T, 2>(), check_power<T, 3>(),
        check_power<T, 5>();
    check_power<T, 6>(), check_power<T, 12>(), check_power<T, 17>();
    test_switches<T>();
    test_erfc<T>();
}

}  // namespace

int run_tests(bool few) {
    if (few) fewer = 25;
    test_type<double>();
    test_type<float>();
    test_all_floats();
    return report("test_math");
}
