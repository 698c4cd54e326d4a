#include "potentials/d3/d3.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr std::int64_t kRunRoom = 16;
constexpr double kPairNs = 3.0, kWeighNs = 6.0;  // of a pair, of a place, for team_size()

struct D3Space final : Workspace {
    PlaceTable places, merged;
    std::int64_t n_sorts = 0;
    Buffer<double> weights, slope, radius, cn, by_cn, rows, near, moments, nine;
    Buffer<std::int32_t> runs;
};

class D3 final : public Potential {
public:
    explicit D3(const Fields& f) : fields_(f) {
        const std::int64_t n = f.length("pair", 0, 1, kMaxSpecies);
        D3Params& p = params_;
        p.n_species = int(n);
        p.pair = fields_.array<double>("pair", {n, n, 8});
        p.cutoff = f.positive("cutoff");
        p.cn_cutoff = f.positive("cn_cutoff");
        p.abc_cutoff = f.positive("abc_cutoff");
        p.width = width(f, "width", p.cutoff);
        p.cn_width = width(f, "cn_width", p.cn_cutoff);
        p.abc_width = width(f, "abc_width", p.abc_cutoff);
        p.s6 = f.number("s6");
        p.s9 = f.number("s9");
        p.alp = f.positive("alp");
        p.damping = damping(f.text("damping"));
        p.n_references = f.length("ref_cn", 0, n, kMostReferences * n);
        p.ref_cn = fields_.array<double>("ref_cn", {p.n_references});
        p.c6 = fields_.array<double>("c6", {p.n_references, p.n_references});
        p.first = fields_.array<std::int32_t>("first", {n + 1});
        bool good = p.first[0] == 0 && p.first[n] == p.n_references;
        for (std::int64_t k = 0; k < n; ++k) {
            // A difference of any two numbers of a file may not fit.
            const std::int64_t own = std::int64_t(p.first[k + 1]) - p.first[k];
            good = good && own >= 1 && own <= kMostReferences;
        }
        if (!good)
            throw std::invalid_argument(
                f.prefix() + "first: expected the first reference of each species, 1 to " +
                std::to_string(kMostReferences) + " for each, and their number " +
                std::to_string(p.n_references) + " as the last");
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = longest();
        t.n_species = params_.n_species;
        t.forces_alone = true;
        t.list_cutoff = 0.0;
        t.exchanges = 2;
        t.exchange_width = 1;
        t.nine_virials = true;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<D3Space>(); }
    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<D3Space&>(workspace);
        const D3Params& p = params_;
        const System s = table.system();
        const std::int64_t build = table.build_number();
        const Places places = space.places.update(s, build, p.n_species, false, p.cutoff, threads);
        const Places merged =
            space.merged.update(s, build, p.n_species, true, p.cn_cutoff, threads);
        const int team = team_size(threads, s.n_real, row_ns(places));
        const bool totals = out.block_totals || out.energies || out.virials;

        D3Scratch work;
        work.stride = places.n + kPlaceRoom;
        work.weights = space.weights.reserve(std::size_t(kMostReferences * work.stride));
        work.slope = space.slope.reserve(std::size_t(work.stride));
        for (int q = 0; q < kMostReferences; ++q)  // read with the last places, and masked
            std::fill_n(work.weights + q * work.stride + places.n, kPlaceRoom, 0.0);
        std::fill_n(work.slope + places.n, kPlaceRoom, 0.0);
        work.radius = space.radius.reserve(std::size_t(work.stride));
        if (space.n_sorts != merged.n_sorts) {
            d3_radius_compute(p, s, merged, work);
            std::fill_n(work.radius + places.n, kPlaceRoom, 0.0);
            space.n_sorts = merged.n_sorts;
        }
        work.cn = space.cn.reserve(std::size_t(s.n_total) + 1);
        work.by_cn = space.by_cn.reserve(std::size_t(s.n_total) + 1);
        work.rows = space.rows.reserve(std::size_t(kD3Row * s.n_real) + 1);
        for (int k = 0; k < merged.n_columns; ++k) add_runs(merged.columns[k], work);
        for (int k = 0; k < places.n_columns; ++k) add_runs(places.columns[k], work);
        work.runs = space.runs.reserve(std::size_t(2 * team * work.n_runs) + 1);

        d3_count_compute(p, s, merged, work, team);
        table.forward(work.cn, 1, 1, team);
        d3_weigh_compute(p, places, work, team_size(threads, places.n, kWeighNs));
        d3_pairs_compute(p, s, places, work, totals, team);
        if (out.nine()) {
            work.moments = space.moments.reserve(std::size_t(3 * s.n_total) + 1);
            work.nine = space.nine.reserve(std::size_t(9 * s.n_real) + 1);
            d3_moments_compute(p, s, places, work, team);
        }
        if (p.s9 != 0.0) {
            work.n_near = places.n + kPlaceRoom;
            work.near = space.near.reserve(std::size_t(team * kD3Near * work.n_near));
            d3_triangles_compute(p, s, places, work, totals, team);
        }
        table.forward(work.by_cn, 1, 1, team);
        d3_finish_compute(p, s, merged, work, team, out);
        if (!out.nine()) return;
        table.forward(work.moments, 3, 3, team);
        d3_nine_compute(p, s, merged, work, team, out);
    }

private:
    static void add_runs(const Columns& c, D3Scratch& work) {
        const std::int64_t most =
            std::int64_t(c.end) - c.begin + 2 * std::int64_t(c.n[0]) * c.n[1] + kRunRoom;
        work.n_runs = std::max(work.n_runs, most);
    }
    static double width(const Fields& f, const char* name, double cutoff) {
        const double w = f.number(name);
        if (!(w >= 0.0 && w <= cutoff))
            throw std::invalid_argument(f.prefix() + name + " is " + std::to_string(w) +
                                        "; expected 0 to its cutoff, " + std::to_string(cutoff));
        return w;
    }
    D3Damping damping(const std::string& name) const {
        if (name == "bj") return D3Damping::bj;
        if (name != "zero")
            throw std::invalid_argument(fields_.prefix() + "damping is '" + name +
                                        "'; expected 'bj' or 'zero'");
        bool even = params_.alp == 14.0;
        for (std::int64_t k = 0; k < std::int64_t(params_.n_species) * params_.n_species; ++k)
            even = even && params_.pair[8 * k + 3] == 0.0;
        return even ? D3Damping::zero : D3Damping::general;
    }
    double longest() const {
        const double two = std::max(params_.cutoff, params_.cn_cutoff);
        return params_.s9 != 0.0 ? std::max(two, params_.abc_cutoff) : two;
    }
    // What a row takes, from the density of the places.
    double row_ns(const Places& places) const {
        double pairs = 0.0;
        for (int k = 0; k < places.n_columns; ++k) {
            const Columns& c = places.columns[k];
            double volume = 1.0;
            for (int d = 0; d < 3; ++d) volume *= c.n[d] * c.size[d];
            const double n = double(c.end - c.begin),
                         rc = std::max(params_.cutoff, params_.cn_cutoff);
            pairs += std::min(n, n / volume * 4.19 * rc * rc * rc);
        }
        return 100.0 + kPairNs * pairs;
    }

    Fields fields_;
    D3Params params_;
};

const Registration registration = register_potential<D3>("d3");

}  // namespace

}  // namespace mdkern
