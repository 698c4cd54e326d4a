// Dense nets as they are read from a file: weights in double, values and derivatives without haste,
// and packing for the kernels (dense.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "nn/dense.hpp"
#include "nn/quintic_table.hpp"

namespace mdkern {

struct DenseLayer {
    int n_in = 0, n_out = 0;
    Activation activation = Activation::linear;
    Skip skip = Skip::none;
    double threshold = 3.0;      // of silut
    std::vector<double> w;       // (n_in, n_out)
    std::vector<double> b, idt;  // (n_out) or empty
};

// "tanh", "silut:3.0", ... std::invalid_argument for others.
void set_activation(DenseLayer& layer, const std::string& name);

struct DenseNet {
    std::vector<DenseLayer> layers;
    int n_in() const { return layers.front().n_in; }
    int n_out() const { return layers.back().n_out; }
    // Output of one row.
    std::vector<double> value(const double* x) const;
    // Of a net of one input: values, first and second derivatives, (3, n_out).
    void jet(double x, double* out) const;
};

using NetList = std::vector<std::shared_ptr<const DenseNet>>;

// From groups layers.0, layers.1, ...: w (n_in, n_out), b and idt (n_out) where there are some,
// activation (a text), and resnet: whether the input is added to the output, where widths fit.
// Throws std::invalid_argument.
std::shared_ptr<const DenseNet> make_net(const Fields& fields);
// Of groups name.0, name.1, ...
NetList make_nets(const Fields& fields, const std::string& name);

// Nets in a kernel's layout, with their memory.
template <class T> class PackedNets {
public:
    explicit PackedNets(const NetList& nets);
    const Net<T>* data() const { return nets_.data(); }

private:
    const T* pack(const std::vector<double>& w, int n_in, int n_out, bool transposed);
    const T* pad(const std::vector<double>& x, int n);
    T* take(std::size_t n) {
        T* taken = next_;
        next_ += n;
        return taken;
    }
    Buffer<T> memory_;  // one for all: weights of some MB get huge pages
    T* next_ = nullptr;
    std::vector<std::vector<Layer<T>>> layers_;
    std::vector<Net<T>> nets_;
};

// (rows, columns) into panels.
template <class T> void pack_panels(const double* w, int rows, int columns, bool transposed,
                                    T* out);
std::size_t packed_size(int rows, int columns, int panel);

// Tables of nets of one input on [lower, upper]. The step is the largest of 0.1, 0.05, 0.025, ...
// whose values and slopes, between the nodes, differ from the net's by at most `tolerance` of the
// largest of each; no table where none of kTableSteps does.
// A file's statistics may stretch that range at will: no table where it would have more than
// kMostSteps steps (models of water have some hundred), or all tables more than kTableSpare bytes and
// kTableFactor times those of their nets' weights (with nets of 25-50-100 about 30 times).
constexpr int kTableSteps = 6, kMostSteps = 1 << 14;
constexpr double kTableSpare = 32 << 20, kTableFactor = 64;
template <class T> class Tables {
public:
    // Returns whether the net could be tabulated.
    bool add(const DenseNet& net, double lower, double upper, double tolerance);
    const QuinticTable<T>* data() const { return tables_.data(); }

private:
    std::vector<Buffer<T>> memory_;
    std::vector<QuinticTable<T>> tables_;
    double room_ = kTableSpare;  // bytes
};

}  // namespace mdkern
