#include <algorithm>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/model_descriptor.hpp"
#include "core/threads.hpp"
#include "potentials/coulomb.hpp"
#include "potentials/nep/nep.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 30.0;  // of a listed pair, for team_size()

// Arrays of a model by name, kept alive as long as the kernel that reads them.
struct Arrays {
    py::dict source;
    std::vector<py::object> kept;

    template <class T>
    const T* get(const char* name, std::initializer_list<std::int64_t> shape) {
        using Array = py::array_t<T, py::array::c_style>;
        const py::object value = source[name];
        if (!py::isinstance<Array>(value))
            throw py::type_error(std::string(name) +
                                 ": expected a C-contiguous array of the kernel's precision");
        const Array array = py::reinterpret_borrow<Array>(value);
        check_shape(array, name, shape);
        kept.push_back(array);
        return array.data();
    }
};

std::int64_t padded(int n) { return (n + kNepLanes - 1) / kNepLanes * kNepLanes; }

template <class T> NepTables<T> tables(const NepParams& p, Arrays& a, std::int64_t n_nets) {
    const std::int64_t n = p.n_types, hidden = padded(p.hidden), n_d = padded(p.n_descriptors);
    NepTables<T> t;
    t.inverse_rc_radial = a.get<T>("inverse_rc_radial", {n, n});
    t.inverse_rc_angular = a.get<T>("inverse_rc_angular", {n, n});
    t.rc2_angular = a.get<T>("rc2_angular", {n, n});
    t.radial_kn = a.get<T>("radial_kn", {n, n, p.k_radial, padded(p.n_radial)});
    t.radial_nk = a.get<T>("radial_nk", {n, n, p.n_radial, 2, padded(p.k_radial)});
    t.angular = a.get<T>("angular", {n, n, p.n_angular, p.k_angular, 2});
    t.w0_dh = a.get<T>("w0_dh", {n_nets, p.n_descriptors, hidden});
    t.w0_hd = a.get<T>("w0_hd", {n_nets, p.hidden, n_d});
    t.b0 = a.get<T>("b0", {n_nets, hidden});
    t.w1 = a.get<T>("w1", {n_nets, hidden});
    if (a.source.contains("w1_charge")) t.w1_charge = a.get<T>("w1_charge", {n_nets, hidden});
    t.bias = a.get<double>("bias", {n_nets});
    return t;
}

// A model as the kernel reads it.
struct PyNep final : ForceStep {
    NepParams p;
    CoulombParams coulomb;
    Arrays arrays;
    bool single;
    NepTables<double> wide;
    NepTables<float> narrow;

    PyNep(int l_max, int n_radial, int n_angular, int k_radial, int k_angular, int hidden,
          double cutoff, bool uniform_cutoff, bool dipole, bool single_, int charge_mode,
          const py::dict& source)
        : arrays{source, {}}, single(single_) {
        const auto count = [&](const char* name, int axis) {
            return py::reinterpret_borrow<py::array>(py::object(source[name])).shape(axis);
        };
        p.n_types = int(count("keep", 0));
        p.l_max = l_max;
        p.n_radial = n_radial;
        p.n_angular = n_angular;
        p.k_radial = k_radial;
        p.k_angular = k_angular;
        p.hidden = hidden;
        p.cutoff = cutoff;
        p.uniform_cutoff = uniform_cutoff;
        p.dipole = dipole;
        p.n_bodies = int(count("bodies", 0));
        p.n_descriptors = n_radial + n_angular * (l_max + p.n_bodies);
        const std::int64_t n = p.n_types, n_nets = count("bias", 0);
        if (n > kMaxSpecies || l_max > kNepMaxL || n_radial > kNepMaxRadial ||
            k_radial > kNepMaxBasis || k_angular > kNepMaxBasis)
            throw std::invalid_argument("NEP: more functions than the kernel has room for");
        p.one_network = n_nets == 1;
        p.keep = arrays.get<double>("keep", {n, n});
        p.map = arrays.get<std::int32_t>("map", {-1, 2});
        p.n_map = int(count("map", 0));
        p.map_c = arrays.get<double>("map_c", {p.n_map});
        p.weight = arrays.get<double>("weight", {p.n_lm()});
        p.bodies = arrays.get<std::int32_t>("bodies", {p.n_bodies, 2});
        p.terms = arrays.get<std::int32_t>("terms", {-1, 3});
        p.term_c = arrays.get<double>("term_c", {count("terms", 0)});
        if (source.contains("zbl_phi")) {
            p.zbl_inner = arrays.get<double>("zbl_inner", {n, n});
            p.zbl_outer = arrays.get<double>("zbl_outer", {n, n});
            p.zbl_charge = arrays.get<double>("zbl_charge", {n, n});
            p.zbl_inverse_length = arrays.get<double>("zbl_inverse_length", {n, n});
            p.zbl_phi = arrays.get<double>("zbl_phi", {n, n, 8});
            p.zbl_range = *arrays.get<double>("zbl_range", {1});
        }
        if (charge_mode > 0) {
            coulomb.mode = charge_mode;
            coulomb.n_types = p.n_types;
            coulomb.r_cut = *arrays.get<double>("charge_range", {1});
            coulomb.rc2 = arrays.get<double>("rc2_radial", {n, n});
        }
        if (single)
            narrow = tables<float>(p, arrays, n_nets);
        else
            wide = tables<double>(p, arrays, n_nets);
    }

    void compute(PyNeighborTable& neighbors, int threads, const Result& out) const override {
        NepWork work;
        if (coulomb.mode == 0) return run(NepTask::energy, neighbors, work, threads, out);
        const NeighborTable& table = neighbors.table;
        const bool* pbc = table.lattice().pbc;
        if (coulomb.mode != 3 && !(pbc[0] && pbc[1] && pbc[2]))
            throw std::invalid_argument(
                "pbc: not periodic in all three directions; expected it for this model, whose "
                "charges interact through a sum over reciprocal vectors");
        const System s = table.system();
        Coulomb& c = neighbors.coulomb;
        work.charges = c.raw(s.n_real);
        run(NepTask::charge, neighbors, work, threads, out);
        const int team = team_size(threads, table.neighbors().n_pairs, kPairNs);
        c.begin(coulomb, s, table.neighbors(), table.cell(), team);
        work.charge_slope = c.slope();
        run(NepTask::energy, neighbors, work, threads, out);
        c.finish(s, out, team);
    }
    int n_features() const { return p.n_descriptors; }
    bool has_charges() const override { return coulomb.mode != 0; }
    void charges(const PyNeighborTable& neighbors, double* out) const override {
        const System s = neighbors.table.system();
        const double* by_row = neighbors.coulomb.charges();
        for (std::int64_t i = 0; i < s.n_real; ++i) out[s.order ? s.order[i] : i] = by_row[i];
    }
    // `work` names the task's own input and output.
    void run(NepTask task, PyNeighborTable& neighbors, NepWork work, int threads,
             const Result& out) const {
        const System s = neighbors.table.system();
        const Neighbors list = neighbors.table.neighbors();
        int team = team_size(threads, list.n_pairs, kPairNs);
        if (neighbors.plan_of_build != neighbors.table.build_number()) {
            neighbors.plan.build(s, list, neighbors.table.index(), p.n_types, team);
            neighbors.plan_of_build = neighbors.table.build_number();
        }
        const ForceBlocks plan = neighbors.plan.view();
        team = int(std::clamp<std::int64_t>(plan.n_blocks, 1, team));
        work.largest = neighbors.plan.largest_count();
        work.scratch_bytes =
            nep_scratch_bytes(p, work.largest, single ? sizeof(float) : sizeof(double));
        work.scratch = neighbors.scratch_bytes.reserve(team * work.scratch_bytes);
        work.slots = neighbors.scratch_index.reserve(team * s.n_total);
        if (task != NepTask::descriptor && task != NepTask::charge) {
            work.entries = neighbors.scratch_rows.reserve(4 * plan.n_entries);
            if (out.virials)
                work.virial_entries = neighbors.scratch_energy.reserve(8 * plan.n_entries);
        }
        if (single)
            nep_single_compute(task, p, narrow, s, list, plan, work, team, out);
        else
            nep_double_compute(task, p, wide, s, list, plan, work, team, out);
    }
};

}  // namespace

void bind_nep(py::module_& m) {
    py::class_<PyNep, ForceStep, std::shared_ptr<PyNep>> kind(m, "Nep");
    kind.def(py::init<int, int, int, int, int, int, double, bool, bool, bool, int,
                      const py::dict&>(),
             py::kw_only(), py::arg("l_max"), py::arg("n_radial"), py::arg("n_angular"),
             py::arg("k_radial"), py::arg("k_angular"), py::arg("hidden"), py::arg("cutoff"),
             py::arg("uniform_cutoff"), py::arg("dipole"), py::arg("single"),
             py::arg("charge_mode"), py::arg("arrays"))
        .def(
            "compute",
            [](const PyNep& nep, PyNeighborTable& neighbors, bool virials, int threads) {
                return evaluate(nep, neighbors, virials, threads);
            },
            py::arg("neighbors"), py::arg("virials"), py::arg("threads"))
        .def(
            "born",
            [](const PyNep& nep, PyNeighborTable& neighbors, int threads) {
                const TableUse use(neighbors);
                if (nep.coulomb.mode == 0) throw std::invalid_argument("a model without charges");
                PyResult out(neighbors.table.n(), true);
                {
                    py::gil_scoped_release nogil;
                    nep.run(NepTask::born, neighbors, {}, threads, out.view);
                }
                return out.finish();
            },
            py::arg("neighbors"), py::arg("threads"));
    bind_descriptor<NepTask, NepWork, PyNep>(kind);
}

}  // namespace mdkern
