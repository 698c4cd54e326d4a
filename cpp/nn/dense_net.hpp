// Dense nets on blocks of rows: values, derivatives along a direction, gradients. Include from
// kernels only.
#pragma once

#include "nn/activation.hpp"
#include "nn/gemm.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// y = act(z) idt + skip and slope = act'(z) idt for a part of a layer; z is found in y.
template <Activation kind, class T>
[[gnu::noinline]] void finish_layer(const Layer<T>& layer, int first, int rows, int column,
                                    int columns, Matrix<const T> x, Matrix<T> y, T* slope) {
    using V = simd::Vec<T>;
    const int n_in = layer.n_in;
    for (int i = first; i < first + rows; ++i) {
        T *to = y.row(i), *at = slope + i * y.ld;
        const T* from = x.row(i);
        for (int j = column; j < column + columns; j += V::width) {
            auto h = activate<kind, T>(simd::load(to + j), layer);
            if (layer.idt) {
                const V idt = simd::load(layer.idt + j);
                h = {h.value * idt, h.derivative * idt};
            }
            if (layer.skip == Skip::same)
                h.value = h.value + simd::load(from + j, simd::first_n<T>(n_in - j));
            simd::store(to + j, h.value);
            simd::store(at + j, h.derivative);
        }
        if (layer.skip == Skip::twice)
            for (int j = column; j < column + columns && j < layer.n_out; ++j)
                to[j] += from[j < n_in ? j : j - n_in];
    }
}

template <class T>
void layer_forward(const Layer<T>& layer, int rows, Matrix<const T> x, T* y_data, T* slope) {
    const Matrix<T> y{y_data, padded(layer.n_out)};
    const auto run = [&](auto finish) {
        gemm<T>(rows, layer.n_out, layer.n_in, x, layer.w, Matrix<const T>{layer.b, 0}, y,
                [&](int i, int m, int j, int n) { finish(layer, i, m, j, n, x, y, slope); });
    };
    switch (layer.activation) {
        case Activation::tanh:
            return run(finish_layer<Activation::tanh, T>);
        case Activation::relu:
            return run(finish_layer<Activation::relu, T>);
        case Activation::relu6:
            return run(finish_layer<Activation::relu6, T>);
        case Activation::softplus:
            return run(finish_layer<Activation::softplus, T>);
        case Activation::sigmoid:
            return run(finish_layer<Activation::sigmoid, T>);
        case Activation::silu:
            return run(finish_layer<Activation::silu, T>);
        case Activation::gelu:
            return run(finish_layer<Activation::gelu, T>);
        case Activation::silut:
            return run(finish_layer<Activation::silut, T>);
        case Activation::gaussian:
            return run(finish_layer<Activation::gaussian, T>);
        case Activation::cosine:
            return run(finish_layer<Activation::cosine, T>);
        case Activation::decay:
            return run(finish_layer<Activation::decay, T>);
        case Activation::square:
            return run(finish_layer<Activation::square, T>);
        default:
            return run(finish_layer<Activation::linear, T>);
    }
}

// Outputs and slopes of all layers for rows of x; the net's result is tape.y of the last layer, in
// rows of padded(n_out).
template <class T>
void net_forward(const Net<T>& net, int rows, Matrix<const T> x, const NetTape<T>& tape) {
    for (int l = 0; l < net.n_layers; ++l) {
        layer_forward(net.layers[l], rows, x, tape.y[l], tape.slope[l]);
        x = {tape.y[l], padded(net.layers[l].n_out)};
    }
}

// d y / dt for inputs that move by dx/dt, after net_forward: dy = slope (dx w) + skip(dx). The
// result lies in tape.extra.
template <class T>
const T* net_tangent(const Net<T>& net, int rows, Matrix<const T> dx, const NetTape<T>& tape,
                     const T* zeros) {
    using V = simd::Vec<T>;
    for (int l = 0; l < net.n_layers; ++l) {
        const Layer<T>& layer = net.layers[l];
        const int ld = padded(layer.n_out), n_in = layer.n_in;
        const Matrix<T> y{tape.extra[l % 2], ld};
        gemm<T>(rows, layer.n_out, n_in, dx, layer.w, Matrix<const T>{zeros, 0}, y,
                [&](int first, int m, int column, int columns) {
                    for (int i = first; i < first + m; ++i) {
                        T* to = y.row(i);
                        const T *at = tape.slope[l] + i * std::int64_t(ld), *from = dx.row(i);
                        for (int j = column; j < column + columns; j += V::width) {
                            V d = simd::load(to + j) * simd::load(at + j);
                            if (layer.skip == Skip::same)
                                d = d + simd::load(from + j, simd::first_n<T>(n_in - j));
                            simd::store(to + j, d);
                        }
                        if (layer.skip == Skip::twice)
                            for (int j = column; j < column + columns && j < layer.n_out; ++j)
                                to[j] += from[j < n_in ? j : j - n_in];
                    }
                });
        dx = {y.data, y.ld};
    }
    return dx.data;
}

// dE/dx from dE/dy in `gy`, rows of padded(n_out), which is overwritten where there are several
// layers; after net_forward. Slopes are overwritten by dE/dz. gx may be where x was.
template <class T> void net_backward(const Net<T>& net, int rows, T* gy, Matrix<T> gx,
                                     const NetTape<T>& tape, const T* zeros) {
    using V = simd::Vec<T>;
    for (int l = net.n_layers; l-- > 0;) {
        const Layer<T>& layer = net.layers[l];
        const int ld = padded(layer.n_out), n_in = layer.n_in;
        const Matrix<T> out = l > 0 ? Matrix<T>{tape.y[l - 1], padded(n_in)} : gx;
        for (int i = 0; i < rows; ++i) {
            const T* g = gy + i * std::int64_t(ld);
            T* z = tape.slope[l] + i * std::int64_t(ld);
            for (int j = 0; j < layer.n_out; j += V::width)
                simd::store(z + j, simd::load(z + j) * simd::load(g + j));
            T* to = out.row(i);
            if (layer.skip == Skip::same)
                for (int j = 0; j < n_in; ++j) to[j] = g[j];
            else if (layer.skip == Skip::twice)
                for (int j = 0; j < n_in; ++j) to[j] = g[j] + g[j + n_in];
        }
        const Matrix<const T> start = layer.skip == Skip::none ? Matrix<const T>{zeros, 0}
                                                               : Matrix<const T>{out.data, out.ld};
        gemm<T>(rows, n_in, layer.n_out, Matrix<const T>{tape.slope[l], ld}, layer.w_transposed,
                start, out, NoFinish());
        gy = out.data;
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
