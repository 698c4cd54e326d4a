#include "bindings/bindings.hpp"

namespace mdkern {

void check_shape(const py::array& a, const char* name, std::initializer_list<std::int64_t> shape) {
    bool same = a.ndim() == py::ssize_t(shape.size());
    std::string want, have;
    py::ssize_t k = 0;
    for (std::int64_t n : shape) {
        if (same && n >= 0 && a.shape(k) != n) same = false;
        want += (k ? ", " : "") + (n < 0 ? std::string("n") : std::to_string(n));
        ++k;
    }
    if (same) return;
    for (k = 0; k < a.ndim(); ++k) have += (k ? ", " : "") + std::to_string(a.shape(k));
    throw std::invalid_argument(std::string(name) + ": shape (" + have + "); expected (" + want +
                                ")");
}

AtomsView atoms_view(const DoubleArray& positions, const DoubleArray& cell, const BoolArray& pbc,
                     const IntArray* species) {
    check_shape(positions, "positions", {-1, 3});
    check_shape(cell, "cell", {3, 3});
    check_shape(pbc, "pbc", {3});
    AtomsView a;
    a.n = positions.shape(0);
    if (species) {
        check_shape(*species, "species", {a.n});
        a.species = species->data();
    }
    a.positions = positions.data();
    a.cell = cell.data();
    a.pbc = pbc.data();
    return a;
}

void check_virials(const Potential& potential, int virial_width) {
    if (virial_width == 0 || virial_width == 6) return;
    if (virial_width != 9)
        throw std::invalid_argument("virials: " + std::to_string(virial_width) +
                                    "; expected 0, 6 or 9 components");
    if (!potential.traits().nine_virials)
        throw std::invalid_argument("virials: 9; this potential has 6 components");
}

PyResult::PyResult(std::int64_t n, int virial_width, bool want_charges, int n_members)
    : energies(n),
      forces(py::array::ShapeContainer{n, std::int64_t(3)}),
      n_blocks(mdkern::n_blocks(n)) {
    blocks.reset(new double[7 * n_blocks + 1]);
    view.energies = energies.mutable_data();
    view.forces = forces.mutable_data();
    view.block_totals = blocks.get();
    const auto make = [](std::optional<DoubleArray>& array, py::array::ShapeContainer shape) {
        return array.emplace(std::move(shape)).mutable_data();
    };
    if (want_charges) view.charges = make(charges, {n});
    if (n_members) {
        view.deviation = make(deviation, {n});
        view.members = make(members, {std::int64_t(n_members), std::int64_t(kMemberNumbers)});
    }
    if (virial_width == 0) return;
    view.virial_width = virial_width;
    view.virials = make(virials, {n, std::int64_t(virial_width)});
}

py::tuple PyResult::finish() {
    DoubleArray virial(6);
    double energy = 0.0, *w = virial.mutable_data();
    for (int c = 0; c < 6; ++c) w[c] = 0.0;
    for (std::int64_t b = 0; b < n_blocks; ++b) {
        energy += blocks[7 * b];
        for (int c = 0; c < 6; ++c) w[c] += blocks[7 * b + 1 + c];
    }
    const auto where = [](const std::optional<DoubleArray>& a) {
        return a ? py::object(*a) : py::object(py::none());
    };
    return py::make_tuple(
        energy, energies, forces, virial, where(virials), where(charges), overflow,
        members ? py::object(py::make_tuple(*deviation, *members)) : py::object(py::none()));
}

Workspace& PyNeighborTable::workspace(const std::shared_ptr<const Potential>& potential) {
    for (std::size_t k = 0; k < places_.size();) {
        const auto held = places_[k].potential.lock();
        if (held == potential) return *places_[k].space;
        if (!held)
            places_.erase(places_.begin() + std::ptrdiff_t(k));
        else
            ++k;
    }
    places_.push_back({potential, potential->workspace()});
    return *places_.back().space;
}

}  // namespace mdkern
