#include "potentials/mace/mace_model.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/errors.hpp"
#include "potentials/mace/mace_checks.hpp"

namespace mdkern {

template <class T>
MaceWeights<T>::MaceWeights(const Fields& fields, double bound, bool exact_radial)
    : fields_(fields), bound_(bound), cache_(std::make_unique<Cache>()) {
    const Fields& f = fields_;
    n_species_ = f.length("energy", 0, 1, kMaxSpecies);
    model_.n_species = n_species_;
    model_.energy = f.array<double>("energy", {n_species_});
    model_.cutoff = f.positive("cutoff");
    model_.scale = f.number("scale");
    const std::vector<Fields> groups = f.groups("layers");
    if (groups.empty() || groups.size() > std::size_t(kMaceMaxLayers))
        refuse(f.prefix() + "layers", std::int64_t(groups.size()),
               "1 to " + std::to_string(kMaceMaxLayers));
    layers_.resize(groups.size());
    products_.resize(groups.size());
    product_w_.resize(groups.size());
    std::vector<int> n_paths;
    for (std::size_t t = 0; t < groups.size(); ++t) {
        read_layer(groups[t], int(t), layers_[t]);
        n_paths.push_back(layers_[t].n_paths);
    }
    radial_ = std::make_unique<const MaceRadial>(f, n_species_, n_paths, channels_up_);
    std::size_t widest = 1;
    for (std::size_t t = 0; t < layers_.size(); ++t) {
        MaceLayer<T>& l = layers_[t];
        l.density = radial_->density(int(t));
        if (l.nonlinear && !l.density)
            throw std::invalid_argument(groups[t].prefix() +
                                        "density: none; expected one in a non-linear block");
        widest = std::max<std::size_t>(
            widest, std::max(std::size_t(l.a_row), std::size_t(l.k) * (l.n_x + l.n_gates)));
    }
    for (const Fields& g : f.groups("readouts")) {
        readouts_.emplace_back();
        read_readout(g, readouts_.back());
    }
    if (f.has("zbl.charge")) read_zbl(f.group("zbl"));
    for (int l = 0; l <= kMaceMaxL; ++l)
        for (int m = 0; m <= l; ++m) {
            double ratio = 1.0;  // (l - m)! / (l + m)!
            for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
            norms_.push_back(std::sqrt((m ? 2.0 : 1.0) * (2 * l + 1) * ratio));
        }
    model_.norms = norms_.data();
    memory_.emplace_back();
    model_.zeros = memory_.back().reserve(widest + 64);
    std::fill_n(memory_.back().data(), widest + 64, T(0));
    model_.n_layers = int(layers_.size());
    model_.layers = layers_.data();
    model_.n_readouts = int(readouts_.size());
    model_.readouts = readouts_.data();
    if (exact_radial) model_.exact = &MaceWeights::exact;
    model_.radial = radial_.get();
    const std::size_t n = layers_.size() * std::size_t(n_species_);
    cache_->radial.resize(n * std::size_t(n_species_));
    cache_->product.resize(n);
}

template <class T> MaceIrreps MaceWeights<T>::irreps(const Fields& f, const char* name) const {
    MaceIrreps out;
    out.n_slots = f.length(name, 0, 1, kMaceMaxL + 1);
    const std::int32_t* l = f.array<std::int32_t>(name, {out.n_slots});
    for (int o = 0; o < out.n_slots; ++o) {
        check(f.prefix() + name, l[o], 0, kMaceMaxL + 1);
        out.first[o] = out.n_components;
        out.n[o] = 2 * l[o] + 1;
        out.n_components += out.n[o];
    }
    return out;
}

template <class T>
const T* MaceWeights<T>::copy(const double* from, int rows, int columns, int padded_rows,
                              int padded_columns, bool transposed) {
    memory_.emplace_back();
    const std::size_t size = std::size_t(padded_rows) * std::size_t(padded_columns);
    T* to = memory_.back().reserve(size);
    std::fill_n(to, size, T(0));
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
            to[transposed ? j * padded_rows + i : i * padded_columns + j] =
                T(from[i * columns + j]);
    return to;
}

// Matrices of in_parts times `in` rows and out_parts times `out` columns, each part padded.
template <class T>
MaceLinear<T> MaceWeights<T>::linear(const double* w, std::int64_t n_sets, int in_parts, int in,
                                     int out_parts, int out) {
    const int pi = padded(in), po = padded(out);
    MaceLinear<T> x;
    x.n_in = in_parts * pi;
    x.n_out = out_parts * po;
    x.n_sets = n_sets;
    const auto size = [](int rows, int columns) {
        return std::int64_t((columns + kPanel<T> - 1) / kPanel<T>) * rows * kPanel<T>;
    };
    x.stride = size(x.n_in, x.n_out);
    x.stride_transposed = size(x.n_out, x.n_in);
    // Padding may take much more than what a small file has.
    packed_bytes_ += double(n_sets) * double(x.stride + x.stride_transposed) * sizeof(T);
    weight_bytes_ += 8.0 * double(n_sets) * in_parts * in * out_parts * out;
    if (packed_bytes_ > 64.0 * weight_bytes_ + 64e6)
        throw MemoryLimit("weights of " + number(weight_bytes_) + " bytes need " +
                          number(packed_bytes_) +
                          " when padded; expected at most 64 times as many");
    memory_.emplace_back();
    T* forward = memory_.back().reserve(std::size_t(n_sets * x.stride));
    memory_.emplace_back();
    T* back = memory_.back().reserve(std::size_t(n_sets * x.stride_transposed));
    // Without anything to pad the matrices are packed from where they are.
    const bool whole = in == pi && out == po;
    std::vector<double> wide(whole ? 0 : std::size_t(x.n_in) * std::size_t(x.n_out), 0.0);
    for (std::int64_t s = 0; s < n_sets; ++s, w += std::int64_t(in_parts * in) * out_parts * out) {
        for (int i = 0; !whole && i < in_parts * in; ++i)
            for (int o = 0; o < out_parts * out; ++o)
                wide[std::size_t(i / in * pi + i % in) * std::size_t(x.n_out) +
                     std::size_t(o / out * po + o % out)] =
                    w[std::int64_t(i) * out_parts * out + o];
        const Matrix<const double> m{whole ? w : wide.data(), x.n_out};
        pack_right(m, x.n_in, x.n_out, false, forward + s * x.stride);
        pack_right(m, x.n_out, x.n_in, true, back + s * x.stride_transposed);
    }
    x.w = forward;
    x.transposed = back;
    return x;
}
template <class T>
MaceLinear<T> MaceWeights<T>::linear(const Fields& f, const std::string& name, int in, int out) {
    return linear(f.array<double>(name, {in, out}), 1, 1, in, 1, out);
}

template <class T> void MaceWeights<T>::read_layer(const Fields& f, int t, MaceLayer<T>& l) {
    l.first = t == 0;
    l.up = irreps(f, "l_up");
    l.in = irreps(f, "l_in");
    l.out = irreps(f, "l_out");
    if (l.out.n[0] != 1)
        refuse(f.prefix() + "l_out", l.out.n[0] / 2, "scalars first in what a layer gives");
    const int before = t ? layers_[std::size_t(t - 1)].channels : 0;
    const int up = f.length(l.first ? "species_up" : "up.0", 1, 1, kMaxWidth);
    l.channels = f.length("product.0.lin", 1, 1, kMaxWidth);
    channels_up_.push_back(up);
    l.k_up = padded(up);
    l.k = padded(l.channels);
    if (l.first) {
        if (l.up.n_components != 1 || l.in.n_components != 1)
            refuse(f.prefix() + "l_up", l.up.n_components, "scalars alone in the first layer");
        l.species_up = copy(f.array<double>("species_up", {n_species_, up}), n_species_, up,
                            n_species_, l.k_up);
    } else {
        const MaceIrreps& last = layers_[std::size_t(t - 1)].out;
        if (l.in.n_slots != last.n_slots || !std::equal(l.in.n, l.in.n + l.in.n_slots, last.n) ||
            l.up.n_slots != last.n_slots || !std::equal(l.up.n, l.up.n + l.up.n_slots, last.n))
            refuse(f.prefix() + "l_up", l.up.n_slots, "the irreps of the layer before");
        linears_.emplace_back();
        for (int o = 0; o < l.up.n_slots; ++o)
            linears_.back().push_back(linear(f, "up." + std::to_string(o), before, up));
        l.up_w = linears_.back().data();
    }
    read_paths(f, l);

    const bool nonlinear = f.has("gates");
    l.nonlinear = nonlinear;
    if (nonlinear) {
        l.n_gates = f.integer("gates", 0, kMaceMaxL);
        if (l.n_gates != l.n_targets - 1 || l.targets[0].n != 1)
            refuse(f.prefix() + "gates", l.n_gates, "one for each irreps of x but the scalars");
        l.alpha = f.number("alpha");
        l.beta = f.number("beta");
        l.gate_silu = f.number("silu");
        l.gate_sigmoid = f.number("sigmoid");
    }
    linears_.emplace_back();
    for (int o = 0; o < l.n_targets; ++o) {
        const std::string name = "lin." + std::to_string(o);
        const int parts = o == 0 ? 1 + l.n_gates : 1, rows = l.targets[o].n_paths * up;
        const std::int64_t sets = f.length(name, 0, 1, kMaxSpecies);
        if (sets != 1 && (nonlinear || sets != n_species_))
            refuse(f.prefix() + name, sets,
                   nonlinear ? "one matrix" : "1 or " + std::to_string(n_species_) + " matrices");
        linears_.back().push_back(linear(f.array<double>(name, {sets, rows, parts * l.channels}),
                                         sets, l.targets[o].n_paths, up, parts, l.channels));
    }
    l.lin = linears_.back().data();
    if (nonlinear) {
        const std::int32_t* from = f.array<std::int32_t>("res_from", {l.n_targets});
        std::vector<MaceLinear<T>> res(std::size_t(l.n_targets)), lin2;
        for (int o = 0; o < l.n_targets; ++o) {
            const std::string at = std::to_string(o);
            check(f.prefix() + "res_from", from[o], -1, l.up.n_slots);
            const int parts = o == 0 ? 1 + l.n_gates : 1;
            if (from[o] >= 0) {
                if (l.up.n[from[o]] != l.targets[o].n)
                    refuse(f.prefix() + "res_from", from[o], "irreps as those of x");
                for (int before_o = 0; before_o < o; ++before_o)
                    if (from[before_o] == from[o])
                        refuse(f.prefix() + "res_from", from[o], "different irreps");
                l.res_from[o] = from[o];
                res[std::size_t(o)] = linear(f.array<double>("res." + at, {up, parts * l.channels}),
                                             1, 1, up, parts, l.channels);
            }
            lin2.push_back(linear(f, "lin2." + at, l.channels, l.channels));
        }
        linears_.push_back(std::move(res));
        l.res = linears_.back().data();
        linears_.push_back(std::move(lin2));
        l.lin2 = linears_.back().data();
    }

    std::vector<MaceLinear<T>> skip(std::size_t(l.out.n_slots));
    if (f.has("species_skip")) {
        if (!l.first) refuse(f.prefix() + "species_skip", t, "it in the first layer alone");
        const int n = l.out.n_slots;
        l.species_skip = copy(f.array<double>("species_skip", {n_species_, n, l.channels}),
                              n_species_ * n, l.channels, n_species_ * n, l.k);
    } else if (f.has("skip_from")) {
        if (l.first) refuse(f.prefix() + "skip_from", t, "species_skip in the first layer");
        const std::int32_t* from = f.array<std::int32_t>("skip_from", {l.out.n_slots});
        for (int o = 0; o < l.out.n_slots; ++o) {
            check(f.prefix() + "skip_from", from[o], -1, l.in.n_slots);
            if (from[o] < 0) continue;
            if (l.in.n[from[o]] != l.out.n[o])
                refuse(f.prefix() + "skip_from", from[o], "irreps as those of the output");
            const std::string name = "skip." + std::to_string(o);
            const std::int64_t sets = f.length(name, 0, 1, kMaxSpecies);
            if (sets != 1 && sets != n_species_)
                refuse(f.prefix() + name, sets, "1 or " + std::to_string(n_species_) + " matrices");
            l.skip_from[o] = from[o];
            skip[std::size_t(o)] = linear(f.array<double>(name, {sets, before, l.channels}), sets,
                                          1, before, 1, l.channels);
        }
    }
    linears_.push_back(std::move(skip));
    l.skip = linears_.back().data();
    read_products(f, t, l);
}

template <class T> void MaceWeights<T>::read_paths(const Fields& f, MaceLayer<T>& l) {
    const MaceIrreps x = irreps(f, "l_x");
    l.n_targets = x.n_slots;
    l.n_x = x.n_components;
    l.n_paths = f.length("paths", 0, 1, 256);
    const std::int32_t* p = f.array<std::int32_t>("paths", {l.n_paths, 4});
    std::vector<MaceTarget> targets(std::size_t(x.n_slots));
    for (int o = 0; o < x.n_slots; ++o) {
        targets[std::size_t(o)].first = x.first[o];
        targets[std::size_t(o)].n = x.n[o];
    }
    std::vector<MacePath> paths;
    std::vector<int> harmonic;
    const std::string name = f.prefix() + "paths";
    for (int q = 0; q < l.n_paths; ++q) {
        const std::int32_t up = p[4 * q], l2 = p[4 * q + 1], l3 = p[4 * q + 2], o = p[4 * q + 3];
        check(name, up, 0, l.up.n_slots);
        check(name, l2, 0, kMaceMaxL + 1);
        check(name, l3, 0, kMaceMaxL + 1);
        check(name, o, q ? p[4 * (q - 1) + 3] : 0, x.n_slots);
        MacePath path;
        path.up = l.up.first[up];
        path.n1 = l.up.n[up];
        path.n3 = 2 * l3 + 1;
        if (path.n3 != x.n[o]) refuse(name, l3, "the angular momentum of its irreps of x");
        path.target = o;
        path.place = targets[std::size_t(o)].n_paths++;
        path.entry = l.n_entries;
        l.n_entries += path.n1 * path.n3;
        l.l_max = std::max<int>(l.l_max, l2);
        paths.push_back(path);
        harmonic.push_back(l2);
    }
    int at = 0;
    for (MaceTarget& target : targets) {
        if (target.n_paths == 0) refuse(name, target.n / 2, "a path to every irreps of x");
        target.at = at;
        at += target.n * target.n_paths;
    }
    l.a_row = std::int64_t(at) * l.k_up;

    const std::int64_t n = f.length("cg", 0);
    const std::int32_t* index = f.array<std::int32_t>("cg_index", {n, 4});
    const double* value = f.array<double>("cg", {n});
    std::vector<MaceTerm> terms;
    for (std::int64_t k = 0; k < n; ++k) {
        const std::int32_t* c = index + 4 * k;
        check(f.prefix() + "cg_index", c[0], 0, l.n_paths);
        const MacePath& path = paths[std::size_t(c[0])];
        const int l2 = harmonic[std::size_t(c[0])];
        check(f.prefix() + "cg_index", c[1], 0, path.n1);
        check(f.prefix() + "cg_index", c[2], 0, 2 * l2 + 1);
        check(f.prefix() + "cg_index", c[3], 0, path.n3);
        terms.push_back({path.entry + c[1] * path.n3 + c[3], l2 * l2 + c[2], value[k]});
    }
    for (std::size_t q = 0; q < paths.size(); ++q) {
        if (harmonic[q] != 0) continue;
        MacePath& path = paths[q];
        std::vector<double> t(std::size_t(path.n1 * path.n3), 0.0);
        for (const MaceTerm& term : terms)
            if (term.entry >= path.entry && term.entry < path.entry + path.n1 * path.n3)
                t[std::size_t(term.entry - path.entry)] += term.value;
        bool identity = path.n1 == path.n3;
        for (int k = 0; identity && k < path.n1 * path.n3; ++k)
            identity = t[std::size_t(k)] == (k % (path.n1 + 1) ? 0.0 : t[0]);
        if (identity) path.factor = t[0];
    }
    std::stable_sort(terms.begin(), terms.end(),
                     [](const MaceTerm& a, const MaceTerm& b) { return a.entry < b.entry; });
    l.n_terms = int(terms.size());
    paths_.push_back(std::move(paths));
    terms_.push_back(std::move(terms));
    targets_.push_back(std::move(targets));
    l.paths = paths_.back().data();
    l.terms = terms_.back().data();
    l.targets = targets_.back().data();
}

template <class T> void MaceWeights<T>::read_readout(const Fields& f, MaceReadout<T>& r) {
    r.layer = f.integer("layer", 0, std::int64_t(layers_.size()) - 1);
    const MaceLayer<T>& l = layers_[std::size_t(r.layer)];
    r.bias = f.number("bias");
    if (!f.has("w1")) {
        r.w2 = copy(f.array<double>("w2", {l.channels}), 1, l.channels, 1, l.k);
        return;
    }
    const int n = f.length("w1", 1, 1, kMaceMaxHidden);
    r.hidden = padded(n);
    const double* w1 = f.array<double>("w1", {l.channels, n});
    r.w1 = copy(w1, l.channels, n, l.k, r.hidden);
    r.w1_transposed = copy(w1, l.channels, n, l.k, r.hidden, true);
    const std::string& kind = f.text("activation");
    if (kind == "silu")
        r.activation = Activation::silu;
    else if (kind == "tanh")
        r.activation = Activation::tanh;
    else if (kind == "sigmoid")
        r.activation = Activation::sigmoid;
    else
        throw std::invalid_argument(f.prefix() + "activation: '" + kind +
                                    "'; expected silu, tanh or sigmoid");
    r.factor = f.number("factor");
    r.w2 = copy(f.array<double>("w2", {n}), 1, n, 1, r.hidden);
    if (!f.has("mid")) return;
    const double* mid = f.array<double>("mid", {n, n});
    r.mid = copy(mid, n, n, r.hidden, r.hidden);
    r.mid_transposed = copy(mid, n, n, r.hidden, r.hidden, true);
    r.mid_bias = copy(f.array<double>("mid_bias", {n}), 1, n, 1, r.hidden);
}

template <class T> void MaceWeights<T>::read_zbl(const Fields& f) {
    MaceZbl& z = model_.zbl;
    z.on = true;
    std::copy_n(f.array<double>("c", {4}), 4, z.c);
    z.p = f.integer("p", 1, 100);
    z.charge = f.array<double>("charge", {n_species_, n_species_});
    z.inverse = f.array<double>("inverse", {n_species_, n_species_});
    z.range = f.array<double>("range", {n_species_, n_species_});
}

template class MaceWeights<double>;
template class MaceWeights<float>;

}  // namespace mdkern
