#include "nn/net.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mdkern {

namespace {

struct Jet {
    double f, d, dd;  // value, first and second derivative
};

Jet sigmoid(double x) {
    const double e = std::exp(-std::fabs(x)), s = (x < 0 ? e : 1.0) / (1.0 + e);
    return {s, s * (1 - s), s * (1 - s) * (1 - 2 * s)};
}
Jet tanh_jet(double x) {
    const double t = std::tanh(x);
    return {t, 1 - t * t, -2 * t * (1 - t * t)};
}
Jet silu(double x) {
    const Jet s = sigmoid(x);
    return {x * s.f, s.f + x * s.d, 2 * s.d + x * s.dd};
}

Jet activate(const DenseLayer& layer, double x) {
    switch (layer.activation) {
        case Activation::tanh:
            return tanh_jet(x);
        case Activation::relu:
            return {std::max(x, 0.0), x > 0 ? 1.0 : 0.0, 0.0};
        case Activation::relu6:
            return {std::min(std::max(x, 0.0), 6.0), x > 0 && x < 6 ? 1.0 : 0.0, 0.0};
        case Activation::softplus: {
            const Jet s = sigmoid(x);
            return {std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))), s.f, s.d};
        }
        case Activation::sigmoid:
            return sigmoid(x);
        case Activation::silu:
            return silu(x);
        case Activation::gelu: {
            const double a = 0.79788456080286536, b = 0.044715;
            const Jet t = tanh_jet(a * (x + b * x * x * x));
            const double u = a * (1 + 3 * b * x * x), v = 6 * a * b * x;
            return {0.5 * x * (1 + t.f), 0.5 * (1 + t.f) + 0.5 * x * t.d * u,
                    t.d * u + 0.5 * x * (t.dd * u * u + t.d * v)};
        }
        case Activation::silut: {
            if (x <= layer.threshold) return silu(x);
            const Jet at = silu(layer.threshold);
            const Jet t = tanh_jet(at.d * (x - layer.threshold));
            return {t.f + at.f, t.d * at.d, t.dd * at.d * at.d};
        }
        case Activation::gaussian: {
            const double e = std::exp(-0.5 * x * x);
            return {e, -x * e, (x * x - 1) * e};
        }
        case Activation::cosine:
            return {std::cos(x), -std::sin(x), -std::cos(x)};
        case Activation::decay:
            return {std::exp(-x), -std::exp(-x), std::exp(-x)};
        case Activation::square:
            return {x * x, 2 * x, 2.0};
        default:
            return {x, 1.0, 0.0};
    }
}

// z_k = x_k w for the n rows of x, (n, n_in) -> (n, n_out).
std::vector<double> product(const DenseLayer& layer, const std::vector<double>& x, int n) {
    std::vector<double> z(std::size_t(n) * layer.n_out, 0.0);
    for (int k = 0; k < n; ++k)
        for (int i = 0; i < layer.n_in; ++i) {
            const double factor = x[std::size_t(k) * layer.n_in + i];
            const double* w = layer.w.data() + std::size_t(i) * layer.n_out;
            double* to = z.data() + std::size_t(k) * layer.n_out;
            for (int j = 0; j < layer.n_out; ++j) to[j] += factor * w[j];
        }
    return z;
}

// What the skip adds to output j.
double skipped(const DenseLayer& layer, const double* x, int j) {
    if (layer.skip == Skip::none) return 0.0;
    return x[j < layer.n_in ? j : j - layer.n_in];
}

}  // namespace

void set_activation(DenseLayer& layer, const std::string& name) {
    const std::size_t colon = name.find(':');
    const std::string kind = name.substr(0, colon);
    const std::pair<const char*, Activation> names[] = {
        {"tanh", Activation::tanh},         {"relu", Activation::relu},
        {"relu6", Activation::relu6},       {"softplus", Activation::softplus},
        {"sigmoid", Activation::sigmoid},   {"silu", Activation::silu},
        {"gelu", Activation::gelu},         {"gelu_tf", Activation::gelu},
        {"linear", Activation::linear},     {"none", Activation::linear},
        {"silut", Activation::silut},       {"custom_silu", Activation::silut},
        {"gaussian", Activation::gaussian}, {"cosine", Activation::cosine},
        {"decay", Activation::decay},       {"square", Activation::square},
    };
    for (const auto& [known, activation] : names) {
        if (kind != known) continue;
        layer.activation = activation;
        if (colon != std::string::npos) {
            if (activation != Activation::silut) break;
            try {
                layer.threshold = std::stod(name.substr(colon + 1));
            } catch (const std::exception&) {
                break;
            }
            if (!std::isfinite(layer.threshold)) break;
        }
        return;
    }
    throw std::invalid_argument("activation: '" + name +
                                "'; expected tanh, relu, relu6, softplus, sigmoid, silu, gelu, "
                                "gelu_tf, linear, none, gaussian, cosine, decay, square, silut "
                                "or silut:THRESHOLD");
}

std::shared_ptr<const DenseNet> make_net(const Fields& fields) {
    auto net = std::make_shared<DenseNet>();
    for (const Fields& f : fields.groups("layers")) {
        DenseLayer layer;
        const std::int64_t n_in = f.length("w", 0), n_out = f.length("w", 1);
        if (n_in < 1 || n_in > (1 << 20) || n_out < 1 || n_out > kMaxWidth)
            throw std::invalid_argument(f.prefix() + "w: " + std::to_string(n_in) + " inputs and " +
                                        std::to_string(n_out) + " outputs; expected 1 to " +
                                        std::to_string(1 << 20) + " and 1 to " +
                                        std::to_string(kMaxWidth));
        layer.n_in = int(n_in);
        layer.n_out = int(n_out);
        if (!net->layers.empty() && net->n_out() != layer.n_in)
            throw std::invalid_argument(f.prefix() + "w: a layer of " + std::to_string(n_in) +
                                        " inputs after one of " + std::to_string(net->n_out()) +
                                        " outputs");
        layer.w = f.values("w", {n_in, n_out});
        if (f.has("b")) layer.b = f.values("b", {n_out});
        if (f.has("idt")) layer.idt = f.values("idt", {n_out});
        set_activation(layer, f.text("activation"));
        const bool resnet = f.flag("resnet");
        if (resnet && layer.n_out == layer.n_in) layer.skip = Skip::same;
        if (resnet && layer.n_out == 2 * layer.n_in) layer.skip = Skip::twice;
        net->layers.push_back(std::move(layer));
    }
    if (net->layers.empty() || int(net->layers.size()) > kMaxLayers)
        throw std::invalid_argument(fields.prefix() +
                                    "layers: " + std::to_string(net->layers.size()) +
                                    "; expected 1 to " + std::to_string(kMaxLayers));
    return net;
}

NetList make_nets(const Fields& fields, const std::string& name) {
    NetList nets;
    for (const Fields& f : fields.groups(name)) nets.push_back(make_net(f));
    return nets;
}

std::vector<double> DenseNet::value(const double* x) const {
    std::vector<double> y(x, x + n_in());
    for (const DenseLayer& layer : layers) {
        std::vector<double> z = product(layer, y, 1);
        for (int j = 0; j < layer.n_out; ++j) {
            const double h = activate(layer, z[j] + (layer.b.empty() ? 0.0 : layer.b[j])).f;
            z[j] = h * (layer.idt.empty() ? 1.0 : layer.idt[j]) + skipped(layer, y.data(), j);
        }
        y = std::move(z);
    }
    return y;
}

void DenseNet::jet(double x, double* out) const {
    std::vector<double> y{x, 1.0, 0.0};
    for (const DenseLayer& layer : layers) {
        std::vector<double> z = product(layer, y, 3);
        const int n = layer.n_out;
        for (int j = 0; j < n; ++j) {
            const Jet h = activate(layer, z[j] + (layer.b.empty() ? 0.0 : layer.b[j]));
            const double idt = layer.idt.empty() ? 1.0 : layer.idt[j], d = z[n + j],
                         dd = z[2 * n + j];
            z[j] = idt * h.f + skipped(layer, y.data(), j);
            z[n + j] = idt * h.d * d + skipped(layer, y.data() + layer.n_in, j);
            z[2 * n + j] =
                idt * (h.dd * d * d + h.d * dd) + skipped(layer, y.data() + 2 * layer.n_in, j);
        }
        y = std::move(z);
    }
    std::copy(y.begin(), y.end(), out);
}

std::size_t packed_size(int rows, int columns, int panel) {
    return std::size_t((columns + panel - 1) / panel) * std::size_t(rows) * std::size_t(panel);
}

template <class T>
void pack_panels(const double* w, int rows, int columns, bool transposed, T* out) {
    pack_right(Matrix<const double>{w, transposed ? rows : columns}, rows, columns, transposed,
               out);
}
template void pack_panels(const double*, int, int, bool, double*);
template void pack_panels(const double*, int, int, bool, float*);

template <class T>
const T* PackedNets<T>::pack(const std::vector<double>& w, int rows, int columns, bool transposed) {
    T* out = take(packed_size(rows, columns, kPanel<T>));
    pack_panels(w.data(), rows, columns, transposed, out);
    return out;
}

template <class T> const T* PackedNets<T>::pad(const std::vector<double>& x, int n) {
    T* out = take(std::size_t(padded(n)));
    std::fill_n(out, padded(n), T(0));
    for (std::size_t k = 0; k < x.size(); ++k) out[k] = T(x[k]);
    return out;
}

template <class T> PackedNets<T>::PackedNets(const NetList& nets) {
    std::size_t size = 0;
    for (const auto& net : nets)
        for (const DenseLayer& l : net->layers)
            size += packed_size(l.n_in, l.n_out, kPanel<T>) +
                    packed_size(l.n_out, l.n_in, kPanel<T>) + 2 * std::size_t(padded(l.n_out));
    next_ = memory_.reserve(size);
    for (const auto& net : nets) {
        std::vector<Layer<T>> packed;
        for (const DenseLayer& layer : net->layers) {
            Layer<T> p;
            p.n_in = layer.n_in;
            p.n_out = layer.n_out;
            p.activation = layer.activation;
            p.skip = layer.skip;
            const Jet at = silu(layer.threshold);
            p.threshold = layer.threshold;
            p.slope = at.d;
            p.offset = at.f;
            p.w = pack(layer.w, layer.n_in, layer.n_out, false);
            p.w_transposed = pack(layer.w, layer.n_out, layer.n_in, true);
            p.b = pad(layer.b, layer.n_out);
            p.idt = layer.idt.empty() ? nullptr : pad(layer.idt, layer.n_out);
            packed.push_back(p);
        }
        layers_.push_back(std::move(packed));
    }
    for (const auto& l : layers_) nets_.push_back({int(l.size()), l.data()});
}
template class PackedNets<double>;
template class PackedNets<float>;

namespace {

// Coefficients of the quintic with given values, slopes and curvatures at both ends of a step h, in
// (x - x0) / h.
void quintic(const double* left, const double* right, int n, int j, double h, double* c) {
    const double rise = right[j] - left[j], d0 = h * left[n + j], d1 = h * right[n + j],
                 dd0 = h * h * left[2 * n + j], dd1 = h * h * right[2 * n + j];
    c[0] = left[j];
    c[1] = d0;
    c[2] = 0.5 * dd0;
    c[3] = 10 * rise - 4 * d1 - 6 * d0 - 0.5 * (3 * dd0 - dd1);
    c[4] = -15 * rise + 7 * d1 + 8 * d0 + 0.5 * (3 * dd0 - 2 * dd1);
    c[5] = 6 * rise - 3 * (d0 + d1) + 0.5 * (dd1 - dd0);
}

struct Nodes {
    int n_steps = 0;
    double step = 0.0;
    std::vector<double> jets;  // (n_steps + 1, 3, n_out)
};

Nodes sample(const DenseNet& net, double lower, double upper, double step) {
    Nodes nodes;
    nodes.step = step;
    nodes.n_steps = std::max(1, int(std::ceil((upper - lower) / step)));
    const std::size_t size = 3 * std::size_t(net.n_out());
    nodes.jets.resize(size * std::size_t(nodes.n_steps + 1));
    for (int k = 0; k <= nodes.n_steps; ++k)
        net.jet(lower + k * step, nodes.jets.data() + size * std::size_t(k));
    return nodes;
}

// Whether the interpolation holds where the error of its slope is largest, u = 0.27 (and 0.73).
bool holds(const DenseNet& net, const Nodes& nodes, double lower, double tolerance) {
    const int n = net.n_out();
    const std::size_t size = 3 * std::size_t(n);
    std::vector<double> exact(size);
    double most = 0.0, most_slope = 0.0, error = 0.0, error_slope = 0.0;
    for (int k = 0; k < nodes.n_steps; ++k) {
        const double u = k % 2 ? 0.27 : 0.73;
        net.jet(lower + (k + u) * nodes.step, exact.data());
        const double* left = nodes.jets.data() + size * std::size_t(k);
        for (int j = 0; j < n; ++j) {
            double c[6];
            quintic(left, left + size, n, j, nodes.step, c);
            double g = c[5], d = c[5];
            g = g * u + c[4];
            for (int q = 3; q >= 0; --q) {
                d = d * u + g;
                g = g * u + c[q];
            }
            most = std::max(most, std::fabs(exact[j]));
            most_slope = std::max(most_slope, std::fabs(exact[n + j]));
            error = std::max(error, std::fabs(g - exact[j]));
            error_slope = std::max(error_slope, std::fabs(d / nodes.step - exact[n + j]));
        }
    }
    return error <= tolerance * most && error_slope <= tolerance * most_slope;
}

}  // namespace

template <class T>
bool Tables<T>::add(const DenseNet& net, double lower, double upper, double tolerance) {
    for (const DenseLayer& layer : net.layers) room_ += kTableFactor * 8.0 * double(layer.w.size());
    double step = 0.1, bytes = 0.0;
    Nodes nodes;
    for (int k = 0; k < kTableSteps; ++k, step *= 0.5) {
        bytes = 6.0 * sizeof(T) * net.n_out() * (upper - lower) / step;
        if (!(upper - lower <= kMostSteps * step && bytes <= room_)) return false;
        nodes = sample(net, lower, upper, step);
        if (holds(net, nodes, lower, tolerance)) break;
        if (k + 1 == kTableSteps) return false;
    }
    room_ -= bytes;
    const int n = net.n_out(), line = kLine<T>, blocks = (n + line - 1) / line;
    const std::size_t size = 3 * std::size_t(n);
    T* c = memory_.emplace_back().reserve(std::size_t(nodes.n_steps) * blocks * 6 * line);
    for (int k = 0; k < nodes.n_steps; ++k) {
        const double* left = nodes.jets.data() + size * std::size_t(k);
        T* to = c + std::size_t(k) * blocks * 6 * line;
        for (int j = 0; j < blocks * line; ++j) {
            double q[6] = {0, 0, 0, 0, 0, 0};
            if (j < n) quintic(left, left + size, n, j, nodes.step, q);
            for (int d = 0; d < 6; ++d) to[(j / line * 6 + d) * line + j % line] = T(q[d]);
        }
    }
    tables_.push_back({lower, 1.0 / nodes.step, nodes.n_steps, blocks, c});
    return true;
}
template class Tables<double>;
template class Tables<float>;

}  // namespace mdkern
