#include "forces/lane_table.hpp"

#include <cmath>
#include <stdexcept>

namespace mdkern {

const double* lane_table(const Fields& f, const std::string& name,
                         std::initializer_list<std::int64_t> shape, double most) {
    const double* x = f.array<double>(name, shape);
    for (std::int64_t k = 0; k < f.size(name); ++k)
        if (!(std::fabs(x[k]) <= most))
            throw std::invalid_argument(f.prefix() + name + ": " + std::to_string(x[k]) +
                                        "; expected a finite number" +
                                        (most < 1e300 ? " up to " + std::to_string(most) : ""));
    return x;
}

}  // namespace mdkern
