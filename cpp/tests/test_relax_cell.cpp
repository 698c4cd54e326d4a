// Functions of three by three matrices against closed forms, products and differences; coordinates of a cell
// there and back; averages over a space group.
#include <cmath>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "math/matrix3.hpp"
#include "relax/cell_filter.hpp"

namespace {

using namespace mdkern_tests;
using namespace mdkern;

void random_matrix(Random& random, double size, double* a) {
    for (int k = 0; k < 9; ++k) a[k] = random.uniform(-size, size);
}

double distance(const double* a, const double* b, int n) {
    double most = 0.0;
    for (int k = 0; k < n; ++k) most = std::fmax(most, std::fabs(a[k] - b[k]));
    return most;
}

void exponentials() {
    const double turn = 2.5;
    const double rotation[9] = {0, -turn, 0, turn, 0, 0, 0, 0, std::log(3.0)};
    const double turned[9] = {
        std::cos(turn), -std::sin(turn), 0, std::sin(turn), std::cos(turn), 0, 0, 0, 3};
    double e[9], l[9], x[9];
    matrix3::exponential(rotation, e);
    CHECK(distance(e, turned, 9) < 4e-15, "%g", distance(e, turned, 9));
    CHECK(matrix3::logarithm(turned, l), "a turn by less than half a circle");
    CHECK(distance(l, rotation, 9) < 4e-15, "%g", distance(l, rotation, 9));
    const double nilpotent[9] = {0, 2, 5, 0, 0, 3, 0, 0, 0}, exact[9] = {1, 2, 8, 0, 1, 3, 0, 0, 1};
    matrix3::exponential(nilpotent, e);
    CHECK(distance(e, exact, 9) < 4e-15, "%g", distance(e, exact, 9));
    CHECK(matrix3::logarithm(exact, l), "one eigenvalue, one vector");
    CHECK(distance(l, nilpotent, 9) < 4e-14, "%g", distance(l, nilpotent, 9));
    matrix3::identity(x);
    CHECK(matrix3::logarithm(x, l) && matrix3::norm(l) == 0.0, "the logarithm of 1");
    Random random;
    for (const double size : {1e-9, 1e-3, 0.05, 0.3, 0.8}) {
        for (int repeat = 0; repeat < 100; ++repeat) {
            double a[9], back[9];
            random_matrix(random, size, a);
            matrix3::exponential(a, e);
            CHECK(matrix3::logarithm(e, l), "size %g", size);
            CHECK(distance(l, a, 9) < 3e-15 + 2e-14 * size, "%g: %g", size, distance(l, a, 9));
            matrix3::exponential(l, back);
            CHECK(distance(back, e, 9) < 2e-14 * matrix3::norm(e), "%g", distance(back, e, 9));
        }
    }
}

void no_logarithm() {
    double l[9];
    const double half_turn[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1},
                 mirror[9] = {-1, 0, 0, 0, 1, 0, 0, 0, 1};
    const double two_negative[9] = {-2, 1, 0, 0, -3, 7, 0, 0, 1},
                 flat[9] = {1, 2, 3, 2, 4, 6, 0, 0, 1};
    const double nothing[9] = {0.0 / 1.0, 0, 0, 0, std::nan(""), 0, 0, 0, 1};
    for (const double* a : {half_turn, mirror, two_negative, flat, nothing})
        CHECK(!matrix3::logarithm(a, l), "eigenvalues on the cut");
    double x[9];
    CHECK(!matrix3::inverse(flat, x), "rank 2");
}

void derivatives() {
    Random random;
    for (int repeat = 0; repeat < 200; ++repeat) {
        double a[9], t[9], v[9], w[9], d[9], adjoint[9], up[9], down[9], moved[9], sums[2] = {};
        random_matrix(random, repeat % 2 ? 0.1 : 1.5, a);
        random_matrix(random, 1.0, v);
        random_matrix(random, 1.0, w);
        matrix3::exponential_derivative(a, v, d);
        const double h = 1e-4;
        for (int k = 0; k < 9; ++k) moved[k] = a[k] + h * v[k];
        matrix3::exponential(moved, up);
        for (int k = 0; k < 9; ++k) moved[k] = a[k] - h * v[k];
        matrix3::exponential(moved, down);
        for (int k = 0; k < 9; ++k) moved[k] = (up[k] - down[k]) / (2 * h);
        CHECK(distance(moved, d, 9) < 3e-7 * matrix3::norm(d), "%g", distance(moved, d, 9));
        matrix3::transpose(a, t);
        matrix3::exponential_derivative(t, w, adjoint);
        for (int k = 0; k < 9; ++k) {
            sums[0] += d[k] * w[k];
            sums[1] += v[k] * adjoint[k];
        }
        CHECK(std::fabs(sums[0] - sums[1]) < 1e-13 * matrix3::norm(d), "%g %g", sums[0], sums[1]);
    }
}

void coordinates_there_and_back() {
    Random random;
    const std::int64_t n = 4;
    for (const auto kind :
         {CellCoordinates::none, CellCoordinates::deformation, CellCoordinates::logarithm}) {
        double cell[9] = {4, 0.2, 0, -0.3, 5, 0.1, 0, 0.4, 6};
        std::vector<double> x(3 * n), q(3 * n + 9), again(3 * n + 9), old(3 * n);
        for (double& v : x) v = random.uniform(0.0, 5.0);
        CellOptions options;
        options.kind = kind;
        CellFilter filter;
        filter.start(options, n, cell);
        filter.coordinates(x.data(), q.data());
        for (int step = 0; step < 5; ++step) {
            const int rows = int(filter.n_rows());
            for (int k = 0; k < 3 * rows; ++k) q[std::size_t(k)] += random.uniform(-0.1, 0.1);
            filter.place(q.data(), {}, x.data(), cell, nullptr);
            filter.coordinates(x.data(), again.data());
            CHECK(distance(q.data(), again.data(), 3 * rows) < 1e-14, "%g",
                  distance(q.data(), again.data(), 3 * rows));
            // With atoms that stay, q becomes the coordinates of what was placed.
            filter.place(q.data(), {fix_atoms({1, 3})}, x.data(), cell, old.data());
            filter.coordinates(x.data(), again.data());
            CHECK(distance(q.data(), again.data(), 3 * rows) < 1e-14, "fixed");
        }
    }
}

void refused_steps_change_nothing() {
    double cell[9] = {4, 0, 0, 0, 4, 0, 0, 0, 4};
    std::vector<double> x(6, 1.0), old(6);
    CellOptions options;
    options.kind = CellCoordinates::deformation;
    CellFilter filter;
    filter.start(options, 2, cell);
    std::vector<double> q(15);
    filter.coordinates(x.data(), q.data());
    q[6] = -q[6];
    const std::vector<double> before(cell, cell + 9);
    bool thrown = false;
    try {
        filter.place(q.data(), {}, x.data(), cell, old.data());
    } catch (const std::runtime_error&) {
        thrown = true;
    }
    CHECK(thrown && distance(cell, before.data(), 9) == 0.0 && x[0] == 1.0, "inside out");
    CHECK(filter.state().deformation[0] == 1.0, "the filter");
}

void averages() {
    // Two atoms and the inversion that exchanges them; then a cell that is strained too much, and what is no group.
    const std::vector<double> rotations = {1, 0, 0, 0, 1, 0, 0, 0, 1, -1, 0, 0, 0, -1, 0, 0, 0, -1};
    const auto c = fix_symmetry(rotations, {0, 1, 1, 0}, 2, true, true);
    const double cell[9] = {3, 0, 0, 1, 4, 0, 0, 0, 5};
    double f[6] = {1, 2, 3, 5, 4, 3};
    const double expected[6] = {-2, -1, 0, 2, 1, 0};
    c->adjust_forces(2, cell, f);
    CHECK(distance(f, expected, 6) < 1e-15, "%g", distance(f, expected, 6));
    double far[9] = {4, 0, 0, 1, 4, 0, 0, 0, 5};
    int thrown = 0;
    try {
        c->adjust_cell(cell, far);
    } catch (const std::runtime_error&) {
        ++thrown;
    }
    for (const std::vector<std::int64_t>& map :
         std::vector<std::vector<std::int64_t>>{{0, 1, 0, 0}, {0, 2, 1, 0}, {0, 1}, {1, 0, 0, 1}}) {
        try {
            fix_symmetry(rotations, map, 2, true, true);
        } catch (const std::invalid_argument&) {
            ++thrown;
        }
    }
    CHECK(thrown == 5, "%d thrown", thrown);
}

}  // namespace

int run_tests(bool) {
    exponentials();
    no_logarithm();
    derivatives();
    coordinates_there_and_back();
    refused_steps_change_nothing();
    averages();
    return report("test_relax_cell");
}
