#include "descriptors/acsf_scratch.hpp"

namespace mdkern {

std::int64_t acsf_scratch(const AcsfParams& p, std::int64_t longest, bool jacobian) {
    Arena arena;
    AcsfWork work;
    work.take(arena, p, longest, jacobian);
    return std::int64_t(arena.used / sizeof(double));
}

}  // namespace mdkern
