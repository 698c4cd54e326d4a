#include "descriptors/soap_scratch.hpp"

namespace mdkern {

std::int64_t soap_scratch(const SoapParams& p, std::int64_t longest) {
    Arena arena;
    SoapWork batch[kSoapBatch];
    take_batch(arena, p, longest, batch);
    return std::int64_t(arena.used / sizeof(double));
}

}  // namespace mdkern
