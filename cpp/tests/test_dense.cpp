// Dense nets of Deep Potential models for the ISA of this compilation: products of matrices against
// sums in long double, rows that do not depend on their neighbors, and for each activation and skip
// values against libm, slopes against differences, gradients against slopes.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "nn/dense_net.hpp"

namespace {

using namespace mdkern_tests;
using namespace mdkern;
using namespace mdkern::MDKERN_ISA;

template <class T>
constexpr double kTolerance = sizeof(T) == 8 ? 1e-13 : 1e-4;

template <class T>
std::vector<T> random_values(Random& random, std::size_t n, double most) {
    std::vector<T> x(n);
    for (T& v : x) v = T(random.uniform(-most, most));
    return x;
}

// The layout of dense.hpp, from its definition.
template <class T>
std::vector<T> packed(const std::vector<T>& w, int rows, int columns, bool transposed) {
    const int panels = (columns + kPanel<T> - 1) / kPanel<T>;
    std::vector<T> out(std::size_t(panels) * rows * kPanel<T>, T(0));
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j)
            out[(std::size_t(j / kPanel<T>) * rows + i) * kPanel<T> + j % kPanel<T>] =
                transposed ? w[std::size_t(j) * rows + i] : w[std::size_t(i) * columns + j];
    return out;
}

template <class T>
void test_gemm(Random& random, int m, int n, int k) {
    const auto a = random_values<T>(random, std::size_t(m) * k, 1.0),
               b = random_values<T>(random, std::size_t(k) * n, 1.0), p = packed(b, k, n, false);
    const int ld = padded(n);
    const auto start = random_values<T>(random, std::size_t(ld), 1.0);
    std::vector<T> c(std::size_t(m) * ld), alone(std::size_t(1) * ld);
    int finished = 0;
    gemm<T>(m, n, k, {a.data(), k}, p.data(), {start.data(), 0}, {c.data(), ld},
            [&](int, int rows, int, int columns) { finished += rows * columns; });
    const int width = simd::Vec<T>::width, covered = (n + width - 1) / width * width;
    CHECK(finished == m * covered, "%d of %d entries finished", finished, m * covered);
    double worst = 0.0;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
            long double sum = start[j];
            for (int l = 0; l < k; ++l)
                sum +=
                    static_cast<long double>(a[std::size_t(i) * k + l]) * b[std::size_t(l) * n + j];
            worst = std::fmax(worst, double(std::fabs(sum - c[std::size_t(i) * ld + j])));
        }
    CHECK(worst < kTolerance<T> * k, "(%d, %d, %d): error %g", m, n, k, worst);
    const int last = m - 1;
    gemm<T>(1, n, k, {a.data() + std::size_t(last) * k, k}, p.data(), {start.data(), 0},
            {alone.data(), ld}, [](int, int, int, int) {});
    int different = 0;
    for (int j = 0; j < n; ++j) different += !same(alone[j], c[std::size_t(last) * ld + j]);
    CHECK(different == 0, "(%d, %d, %d): %d entries of a row depend on others", m, n, k, different);
}

// One layer with its memory.
template <class T>
struct OwnLayer {
    std::vector<T> w, wp, wt, b, idt;
    Layer<T> layer;

    OwnLayer(Random& random, int n_in, int n_out, Activation activation, Skip skip, bool step) {
        w = random_values<T>(random, std::size_t(n_in) * n_out, 1.0 / std::sqrt(double(n_in)));
        wp = packed(w, n_in, n_out, false);
        wt = packed(w, n_out, n_in, true);
        b = random_values<T>(random, std::size_t(padded(n_out)), 0.5);
        idt = random_values<T>(random, std::size_t(padded(n_out)), 1.0);
        layer.n_in = n_in;
        layer.n_out = n_out;
        layer.activation = activation;
        layer.skip = skip;
        layer.threshold = 0.5;  // silu(1/2) and its slope
        const double s = 1.0 / (1.0 + std::exp(-0.5));
        layer.offset = 0.5 * s;
        layer.slope = s * (1.0 + 0.5 * (1.0 - s));
        layer.w = wp.data();
        layer.w_transposed = wt.data();
        layer.b = b.data();
        layer.idt = step ? idt.data() : nullptr;
    }
    double expected(double z) const {
        const double s = 1.0 / (1.0 + std::exp(-z));
        switch (layer.activation) {
            case Activation::tanh:
                return std::tanh(z);
            case Activation::relu:
                return z > 0 ? z : 0;
            case Activation::relu6:
                return z < 0 ? 0 : z > 6 ? 6 : z;
            case Activation::softplus:
                return std::log1p(std::exp(z));
            case Activation::sigmoid:
                return s;
            case Activation::silu:
                return z * s;
            case Activation::gelu:
                return 0.5 * z *
                       (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (z + 0.044715 * z * z * z)));
            case Activation::silut:
                return z < layer.threshold
                           ? z * s
                           : std::tanh(layer.slope * (z - layer.threshold)) + layer.offset;
            default:
                return z;
        }
    }
};

template <class T>
struct OwnTape {
    NetTape<T> tape;
    std::vector<T> memory;
    OwnTape(const Net<T>& net, int rows) {
        Arena count;
        take_tape(count, &net, 1, rows, true, tape);
        memory.resize(count.used / sizeof(T));
        Arena arena{reinterpret_cast<char*>(memory.data())};
        take_tape(arena, &net, 1, rows, true, tape);
    }
};

template <class T>
void test_net(Random& random, Activation activation) {
    const int rows = 11, n_in = 5, wide = padded(n_in);
    const OwnLayer<T> first(random, n_in, 10, activation, Skip::twice, false),
        second(random, 10, 10, activation, Skip::same, true),
        third(random, 10, 27, activation, Skip::none, false);
    const Layer<T> layers[] = {first.layer, second.layer, third.layer};
    const Net<T> net{3, layers};
    const std::vector<T> zeros(64, T(0));
    auto x = random_values<T>(random, std::size_t(rows) * wide, 1.0);
    const auto dx = random_values<T>(random, x.size(), 1.0);
    const int out = padded(27);

    const auto value = [&](const std::vector<double>& row) {
        std::vector<double> y = row;
        for (const OwnLayer<T>* own : {&first, &second, &third}) {
            const Layer<T>& l = own->layer;
            std::vector<double> h(l.n_out);
            for (int j = 0; j < l.n_out; ++j) {
                double z = own->b[j];
                for (int i = 0; i < l.n_in; ++i) z += y[i] * own->w[i * l.n_out + j];
                h[j] = own->expected(z) * (l.idt ? double(own->idt[j]) : 1.0);
                if (l.skip == Skip::same) h[j] += y[j];
                if (l.skip == Skip::twice) h[j] += y[j % l.n_in];
            }
            y = h;
        }
        return y;
    };

    OwnTape<T> own(net, rows);
    net_forward(net, rows, Matrix<const T>{x.data(), wide}, own.tape);
    const T* dy = net_tangent(net, rows, Matrix<const T>{dx.data(), wide}, own.tape, zeros.data());
    double worst = 0.0, worst_slope = 0.0;
    for (int r = 0; r < rows; ++r) {
        const double h = 1e-6;
        std::vector<double> at(n_in), up(n_in), down(n_in);
        for (int i = 0; i < n_in; ++i) {
            at[i] = double(x[r * wide + i]);
            up[i] = at[i] + h * double(dx[r * wide + i]);
            down[i] = at[i] - h * double(dx[r * wide + i]);
        }
        const auto y = value(at), y_up = value(up), y_down = value(down);
        for (int j = 0; j < 27; ++j) {
            worst = std::fmax(worst, std::fabs(y[j] - double(own.tape.y[2][r * out + j])));
            const double slope = (y_up[j] - y_down[j]) / (2 * h);
            worst_slope = std::fmax(worst_slope, std::fabs(slope - double(dy[r * out + j])));
        }
    }
    const int kind = int(activation);
    CHECK(worst < 20 * kTolerance<T>, "activation %d: value off by %g", kind, worst);
    CHECK(worst_slope < 1e-8 + 20 * kTolerance<T>, "activation %d: slope off by %g", kind,
          worst_slope);

    // gy . dy = gx . dx for each row.
    auto gy = random_values<T>(random, std::size_t(rows) * out, 1.0);
    std::vector<double> want(rows, 0.0);
    for (int r = 0; r < rows; ++r)
        for (int j = 0; j < 27; ++j) want[r] += double(gy[r * out + j]) * double(dy[r * out + j]);
    net_backward(net, rows, gy.data(), Matrix<T>{x.data(), wide}, own.tape, zeros.data());
    for (int r = 0; r < rows; ++r) {
        double have = 0.0;
        for (int i = 0; i < n_in; ++i) have += double(x[r * wide + i]) * double(dx[r * wide + i]);
        CHECK(std::fabs(have - want[r]) < 100 * kTolerance<T>, "activation %d: %g, %g", kind, have,
              want[r]);
    }
}

template <class T>
void test_all(bool few) {
    Random random;
    for (int m : {1, 2, 3, 7, 8, 13, 43})
        for (int n : {1, 8, 17, 24, 25, 49, 100})
            for (int k : {1, 3, 60, few ? 67 : 257}) test_gemm<T>(random, m, n, k);
    test_gemm<T>(random, 9, 240, 600);
    for (int kind = 0; kind <= int(Activation::silut); ++kind)
        test_net<T>(random, Activation(kind));
}

}  // namespace

int run_tests(bool few) {
    test_all<double>(few);
    test_all<float>(few);
    return report("test_dense");
}
