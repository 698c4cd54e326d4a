// A potential whose atoms pass messages, for tests of Table::forward and reverse; messages_data.py builds it
// as a library that registers it beside mdkern's own.
//
//   h_ic = sum_j phi_c(r_ij),  E_i = scale sum_jc phi_c(r_ij) h_jc^2,  phi_c(r) = (1 - r^2/rc^2)^2 (1 + c/C r/rc)
#include <algorithm>
#include <cmath>
#include <vector>

#include "model/potential.hpp"

namespace mdkern {

namespace {

struct MessageSpace final : Workspace {
    std::vector<double> h, slope;
};

class MessagePassing final : public Potential {
public:
    explicit MessagePassing(const Fields& f)
        : cutoff_(f.number("cutoff")),
          scale_(f.number("scale")),
          width_(int(f.number("width"))),
          stride_(width_ + 3) {}
    Traits traits() const override {
        Traits t;
        t.cutoff = cutoff_;
        t.exchanges = 2;
        t.reverses = 1;
        t.exchange_width = width_;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override {
        return std::make_unique<MessageSpace>();
    }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<MessageSpace&>(workspace);
        const System s = table.system();
        const auto place = [&](std::int64_t row) {
            const std::int64_t home = s.home[row];
            return home < s.n_real && s.order ? s.order[home] : home;
        };
        space.h.assign(std::size_t(s.n_total * stride_), 0.0);
        space.slope.assign(std::size_t(s.n_total * stride_), 0.0);
        double *h = space.h.data(), *slope = space.slope.data();
        if (out.energies) std::fill_n(out.energies, s.n_real, 0.0);
        std::fill_n(out.forces, 3 * s.n_homes, 0.0);
        if (out.virials) std::fill_n(out.virials, 6 * s.n_homes, 0.0);
        if (out.block_totals) std::fill_n(out.block_totals, 7 * n_blocks(s.n_real), 0.0);

        for_pairs(table, [&](std::int64_t i, std::int64_t, const double*, double r) {
            for (int c = 0; c < width_; ++c) h[i * stride_ + c] += phi(r, c);
        });
        table.forward(h, width_, stride_, threads);
        for_pairs(table, [&](std::int64_t i, std::int64_t j, const double*, double r) {
            double energy = 0.0;
            for (int c = 0; c < width_; ++c) {
                const double hj = h[j * stride_ + c];
                energy += scale_ * phi(r, c) * hj * hj;
                slope[j * stride_ + c] += 2.0 * scale_ * phi(r, c) * hj;
            }
            if (out.energies) out.energies[place(i)] += energy;
            if (out.block_totals) out.block_totals[7 * (i / kPairBlock)] += energy;
        });
        table.reverse(slope, width_, stride_, threads);
        for_pairs(table, [&](std::int64_t i, std::int64_t j, const double* d, double r) {
            double by_r = 0.0;
            for (int c = 0; c < width_; ++c) {
                const double hj = h[j * stride_ + c];
                by_r += (scale_ * hj * hj + slope[i * stride_ + c]) * derivative(r, c);
            }
            const int axes[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};
            for (int a = 0; a < 3; ++a) {
                out.forces[3 * place(i) + a] += by_r * d[a] / r;
                out.forces[3 * place(j) + a] -= by_r * d[a] / r;
            }
            for (int v = 0; v < 6; ++v) {
                const double w = -by_r * d[axes[v][0]] * d[axes[v][1]] / r;
                if (out.virials) out.virials[6 * place(i) + v] += w;
                if (out.block_totals) out.block_totals[7 * (i / kPairBlock) + 1 + v] += w;
            }
        });
    }

private:
    // body(i, j, r_j - r_i, distance) for the pairs within the cutoff.
    template <class Body> void for_pairs(Table& table, const Body& body) const {
        const System s = table.system();
        const Neighbors list = table.neighbors();
        for (std::int64_t i = 0; i < s.n_real; ++i)
            for (std::int32_t k = 0; k < list.count[i]; ++k) {
                const std::int64_t j = list.index[list.first[i] + k];
                double d[3], r2 = 0.0;
                for (int a = 0; a < 3; ++a) {
                    d[a] = s.rows[4 * j + a] - s.rows[4 * i + a];
                    r2 += d[a] * d[a];
                }
                if (r2 < cutoff_ * cutoff_) body(i, j, d, std::sqrt(r2));
            }
    }
    double phi(double r, int c) const {
        const double t = r / cutoff_, u = 1.0 - t * t;
        return u * u * (1.0 + t * c / width_);
    }
    double derivative(double r, int c) const {
        const double t = r / cutoff_, u = 1.0 - t * t;
        return (-4.0 * t * u * (1.0 + t * c / width_) + u * u * c / width_) / cutoff_;
    }

    double cutoff_, scale_;
    int width_, stride_;
};

const Registration registration = register_potential<MessagePassing>("message_passing_test");

}  // namespace

}  // namespace mdkern
