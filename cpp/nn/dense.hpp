// Dense nets of Deep Potential models, as kernels read them: layers
//
//   z = x w + b,  h = act(z) idt,  y = h, h + x (n_out = n_in) or h + (x, x) (n_out = 2 n_in)
//
// Weights are packed when a model is loaded, forward and transposed, in panels of kPanel columns:
// w[j / kPanel][i][j % kPanel], zero beyond the last column. A panel is three vectors of AVX-512,
// six of AVX2. Rows of activations and of biases have padded(n) entries, so that whole vectors may
// be read and written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/arena.hpp"

namespace mdkern {

enum class Activation : int {
    linear = 0,
    tanh,
    relu,
    relu6,
    softplus,
    sigmoid,
    silu,
    gelu,
    silut,
    gaussian,
    cosine,
    decay,
    square,
};
enum class Skip : int { none = 0, same, twice };

template <class T> constexpr int kLine = 64 / int(sizeof(T));  // entries of a cache line
template <class T> constexpr int kPanel = 3 * kLine<T>;

template <class T> struct Layer {
    int n_in = 0, n_out = 0;
    Activation activation = Activation::linear;
    Skip skip = Skip::none;
    // silut: from `threshold` on it is tanh(slope (x - threshold)) + offset.
    double threshold = 0.0, slope = 0.0, offset = 0.0;
    const T* w = nullptr;             // packed (n_in, n_out)
    const T* w_transposed = nullptr;  // packed (n_out, n_in)
    const T* b = nullptr;             // padded(n_out)
    const T* idt = nullptr;           // padded(n_out) or null
};

constexpr int kMaxLayers = 16, kMaxWidth = 8192;  // of a net; its input may be wider

template <class T> struct Net {
    int n_layers = 0;
    const Layer<T>* layers = nullptr;
    int n_in() const { return layers[0].n_in; }
    int n_out() const { return layers[n_layers - 1].n_out; }
};

// What a net leaves behind for `rows` rows: outputs of every layer and their slopes act'(z) idt.
// Layer l has rows of padded(n_out) entries. `extra`: two more matrices of the widest layer, for
// net_tangent.
template <class T> struct NetTape {
    T* y[kMaxLayers];
    T* slope[kMaxLayers];
    T* extra[2];
};

template <class T> struct Matrix {
    T* data;
    std::int64_t ld;  // entries from row to row; 0: all rows are the same
    T* row(int i) const { return data + i * ld; }
};

namespace {

// The right factor of a product, (rows, columns), in panels: from b, or b transposed.
template <class T, class From>
void pack_right(Matrix<const From> b, int rows, int columns, bool transposed, T* out) {
    for (int first = 0; first < columns; first += kPanel<T>)
        for (int i = 0; i < rows; ++i)
            for (int c = 0; c < kPanel<T>; ++c) {
                const int j = first + c;
                *out++ = j >= columns ? T(0) : T(transposed ? b.row(j)[i] : b.row(i)[j]);
            }
}

// Room for the tape of the larger of many nets, so that they can share it; `tangent`: net_tangent is
// used.
template <class T> void take_tape(Arena& arena, const Net<T>* nets, int n_nets, int rows,
                                  bool tangent, NetTape<T>& tape) {
    int widest = 0;
    for (int l = 0; l < kMaxLayers; ++l) {
        int n = 0;
        for (int k = 0; k < n_nets; ++k)
            if (l < nets[k].n_layers && padded(nets[k].layers[l].n_out) > n)
                n = padded(nets[k].layers[l].n_out);
        arena.take(tape.y[l], std::size_t(rows) * n);
        arena.take(tape.slope[l], std::size_t(rows) * n);
        if (n > widest) widest = n;
    }
    for (T*& x : tape.extra) arena.take(x, tangent ? std::size_t(rows) * widest : 0);
}

}  // namespace
}  // namespace mdkern
