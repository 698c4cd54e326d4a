#include <stdexcept>
#include <string>

#include "core/threads.hpp"
#include "forces/force_blocks.hpp"
#include "model/potential.hpp"
#include "potentials/coulomb.hpp"
#include "potentials/nep/nep.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 30.0;  // of a listed pair, for team_size()

template <class T> NepTables<T> tables(const NepParams& p, const Fields& f, std::int64_t n_nets) {
    const std::int64_t n = p.n_types, hidden = padded(p.hidden), n_d = padded(p.n_descriptors);
    NepTables<T> t;
    t.inverse_rc_radial = f.array<T>("inverse_rc_radial", {n, n});
    t.inverse_rc_angular = f.array<T>("inverse_rc_angular", {n, n});
    t.rc2_angular = f.array<T>("rc2_angular", {n, n});
    t.radial_kn = f.array<T>("radial_kn", {n, n, p.k_radial, padded(p.n_radial)});
    t.radial_nk = f.array<T>("radial_nk", {n, n, p.n_radial, 2, padded(p.k_radial)});
    t.angular = f.array<T>("angular", {n, n, p.n_angular, p.k_angular, 2});
    t.w0_dh = f.array<T>("w0_dh", {n_nets, p.n_descriptors, hidden});
    t.w0_hd = f.array<T>("w0_hd", {n_nets, p.hidden, n_d});
    t.b0 = f.array<T>("b0", {n_nets, hidden});
    t.w1 = f.array<T>("w1", {n_nets, hidden});
    if (f.has("w1_charge")) t.w1_charge = f.array<T>("w1_charge", {n_nets, hidden});
    t.bias = f.array<double>("bias", {n_nets});
    return t;
}

struct NepSpace final : Workspace {
    ForceBlockSpace blocks;
    Coulomb coulomb;
};

class Nep final : public Potential {
public:
    explicit Nep(const Fields& fields) : fields_(fields) {
        const Fields& f = fields_;
        p_.n_types = f.length("keep", 0, 1, kMaxSpecies);
        p_.l_max = f.integer("l_max", 1, kNepMaxL);
        p_.n_radial = f.integer("n_radial", 0, kNepMaxRadial);
        p_.n_angular = f.integer("n_angular", 0, 1 << 10);
        p_.k_radial = f.integer("k_radial", 1, kNepMaxBasis);
        p_.k_angular = f.integer("k_angular", 1, kNepMaxBasis);
        p_.hidden = f.integer("hidden", 1, 1 << 20);
        p_.cutoff = f.number("cutoff");
        p_.uniform_cutoff = f.flag("uniform_cutoff");
        p_.dipole = f.flag("dipole");
        p_.n_bodies = f.length("bodies", 0, 0, 64);
        p_.n_descriptors = p_.n_radial + p_.n_angular * (p_.l_max + p_.n_bodies);
        const std::int64_t n = p_.n_types, n_nets = f.length("bias", 0);
        if (n_nets != 1 && n_nets != n)
            throw std::invalid_argument(f.prefix() + "bias: of " + std::to_string(n_nets) +
                                        " nets; expected 1 or " + std::to_string(n));
        if (p_.n_descriptors < 1)
            throw std::invalid_argument(f.prefix() +
                                        "n_radial, n_angular: 0; expected at least one descriptor");
        p_.one_network = n_nets == 1;
        p_.keep = f.array<double>("keep", {n, n});
        p_.map = f.array<std::int32_t>("map", {-1, 2});
        p_.n_map = int(f.length("map", 0));
        p_.map_c = f.array<double>("map_c", {p_.n_map});
        p_.weight = f.array<double>("weight", {p_.n_lm()});
        p_.bodies = f.array<std::int32_t>("bodies", {p_.n_bodies, 2});
        p_.terms = f.array<std::int32_t>("terms", {-1, 3});
        p_.term_c = f.array<double>("term_c", {f.length("terms", 0)});
        check_places();
        if (f.has("zbl_phi")) {
            p_.zbl_inner = f.array<double>("zbl_inner", {n, n});
            p_.zbl_outer = f.array<double>("zbl_outer", {n, n});
            p_.zbl_charge = f.array<double>("zbl_charge", {n, n});
            p_.zbl_inverse_length = f.array<double>("zbl_inverse_length", {n, n});
            p_.zbl_phi = f.array<double>("zbl_phi", {n, n, 8});
            p_.zbl_range = f.number("zbl_range");
        }
        if (f.has("charge_mode")) {
            coulomb_.mode = f.integer("charge_mode", 1, 3);
            coulomb_.n_types = p_.n_types;
            coulomb_.r_cut = f.positive("charge_range");
            coulomb_.rc2 = f.array<double>("rc2_radial", {n, n});
        }
        single_ = f.flag("single");
        if (single_)
            narrow_ = tables<float>(p_, f, n_nets);
        else
            wide_ = tables<double>(p_, f, n_nets);
    }
    Traits traits() const override {
        Traits t;
        t.cutoff = p_.cutoff;
        t.charges = t.long_range = coulomb_.mode != 0;
        t.exchanges = t.exchange_width = coulomb_.mode != 0;
        t.n_features = p_.n_descriptors;
        // Charges are those less their mean, by which every atom's energy depends on all atoms.
        t.nine_virials = coulomb_.mode == 0 && !p_.dipole;
        t.n_species = p_.n_types;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<NepSpace>(); }

    void compute(Table& table, Workspace& workspace, const Outputs& out,
                 int threads) const override {
        auto& space = static_cast<NepSpace&>(workspace);
        if (out.features) return run(CentreTask::descriptor, table, space, {}, threads, out);
        if (out.feature_weights) return run(CentreTask::vjp, table, space, {}, threads, out);
        if (out.jacobian.values) return run(CentreTask::jacobian, table, space, {}, threads, out);
        if (coulomb_.mode == 0) {
            if (out.born) throw std::invalid_argument("born: a model without charges");
            return run(CentreTask::energy, table, space, {}, threads, out);
        }
        if (out.born) return run(CentreTask::born, table, space, {}, threads, out);
        const Box box = table.box();
        if (!box.cell)
            throw std::invalid_argument(
                "cell: none; expected it for this model, whose charges interact through it");
        if (coulomb_.mode != 3 && !(box.pbc[0] && box.pbc[1] && box.pbc[2]))
            throw std::invalid_argument(
                "pbc: not periodic in all three directions; expected it for this model, whose "
                "charges interact through a sum over reciprocal vectors");
        const System s = table.system();
        Coulomb& c = space.coulomb;
        NepWork work;
        work.charges = c.raw(s.n_real);
        run(CentreTask::charge, table, space, work, threads, out);
        const int team = team_size(threads, table.neighbors().n_pairs, kPairNs);
        c.begin(coulomb_, table, space.blocks.list(), team);
        work.charge_slope = c.slope();
        run(CentreTask::energy, table, space, work, threads, out);
        c.finish(table, out, team);
        if (!out.charges) return;
        for (std::int64_t i = 0; i < s.n_real; ++i)
            out.charges[s.order ? s.order[i] : i] = c.charges()[i];
    }

private:
    // Fields may come from anywhere: numbers of places must be of places that there are.
    void check_places() const {
        const auto check = [](const char* name, std::int64_t k, std::int64_t least,
                              std::int64_t n) {
            if (k < least || k >= n)
                throw std::invalid_argument(std::string(name) + ": " + std::to_string(k) +
                                            "; expected " + std::to_string(least) + " to " +
                                            std::to_string(n - 1));
        };
        for (int k = 0; k < p_.n_map; ++k) {
            check("map", p_.map[2 * k], 0, p_.n_lm());
            check("map", p_.map[2 * k + 1], 0, p_.n_basis());
        }
        const std::int64_t n_terms = fields_.length("terms", 0);
        for (std::int64_t k = 0; k < 3 * n_terms; ++k) check("terms", p_.terms[k], 0, p_.n_lm());
        for (int k = 0; k < p_.n_bodies; ++k) {
            const std::int32_t* b = p_.bodies + 2 * k;
            check("bodies", b[0], -1, n_terms + 1);
            check("bodies", b[1], b[0], n_terms + 1);
        }
    }
    // `work` names the task's own input and output.
    void run(CentreTask task, const Table& table, NepSpace& space, NepWork work, int threads,
             const Outputs& out) const {
        const System s = table.system();
        const Neighbors list = table.neighbors();
        const int team = space.blocks.update(s, list, table.build_number(), p_.n_types,
                                             team_size(threads, list.n_pairs, kPairNs));
        const ForceBlocks plan = space.blocks.blocks();
        const Neighbors& grouped = space.blocks.list();
        const bool gradients = task != CentreTask::descriptor && task != CentreTask::charge;
        const std::size_t bytes = nep_scratch_bytes(p_, space.blocks.largest_count(),
                                                    single_ ? sizeof(float) : sizeof(double));
        static_cast<ForceBlockWork&>(work) =
            space.blocks.work(s, team, bytes, gradients,
                              !gradients                 ? 0
                              : task == CentreTask::born ? 6
                                                         : out.width_of_virials());
        if (single_)
            nep_single_compute(task, p_, narrow_, s, grouped, plan, work, team, out);
        else
            nep_double_compute(task, p_, wide_, s, grouped, plan, work, team, out);
    }

    Fields fields_;
    NepParams p_;
    CoulombParams coulomb_;
    bool single_ = false;
    NepTables<double> wide_;
    NepTables<float> narrow_;
};

const Registration registration = register_potential<Nep>("nep");

}  // namespace

}  // namespace mdkern
