// One evaluation of a model through the C interface, or one product of matrices, for the counts of
// tools/arm_model.py:
//
//   driver MODEL.mdk ATOMS     ATOMS: n as int64, 9 doubles of the cell, 3 n positions, n types as int32
//   driver gemm M N K
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "capi/mdkern.h"
#include "core/dispatch.hpp"
#include "nn/dense.hpp"
#include "nn/gemm_check.hpp"

namespace {

int product(int m, int n, int k) {
    const int padded = (n + 95) / 96 * 96;  // whole panels of any backend
    std::vector<double> a(std::size_t(m) * k, 0.5), b(std::size_t(k) * padded, 0.25),
        zeros(padded, 0.0), c(std::size_t(m) * padded);
    mdkern::set_isa("auto");
    mdkern::dense_gemm_double_compute(m, n, k, a.data(), b.data(), zeros.data(), c.data(), padded);
    std::printf("%.17g\n", c[0]);
    return c[0] == 0.125 * k ? 0 : 1;
}

template <class T> bool read(std::FILE* file, T* to, std::size_t n) {
    return std::fread(to, sizeof(T), n, file) == n;
}

int evaluate(const char* model_path, const char* atoms_path) {
    std::FILE* file = std::fopen(atoms_path, "rb");
    std::int64_t n = 0;
    double cell[9];
    if (!file || !read(file, &n, 1) || !read(file, cell, 9)) return 2;
    std::vector<double> x(std::size_t(3 * n)), forces(std::size_t(3 * n));
    std::vector<std::int32_t> type(static_cast<std::size_t>(n));
    if (!read(file, x.data(), x.size()) || !read(file, type.data(), type.size())) return 2;
    std::fclose(file);
    mdkern_model* model = nullptr;
    mdkern_workspace* workspace = nullptr;
    mdkern_results results{};
    results.forces = forces.data();
    const int pbc[3] = {1, 1, 1};
    if (mdkern_model_open(model_path, &model) || mdkern_workspace_create(model, &workspace) ||
        mdkern_compute_system(model, workspace, n, x.data(), type.data(), cell, pbc, 0.3, 1,
                              &results)) {
        std::fprintf(stderr, "%s\n", mdkern_error_message());
        return 1;
    }
    std::printf("%.17g\n", results.energy);
    mdkern_workspace_destroy(workspace);
    mdkern_model_close(model);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 5 && !std::strcmp(argv[1], "gemm"))
        return product(std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]));
    return argc == 3 ? evaluate(argv[1], argv[2]) : 2;
}
