#include "bindings/descriptors.hpp"

namespace mdkern {

void bind_acsf(py::module_&) {}

}  // namespace mdkern
