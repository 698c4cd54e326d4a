#include "potentials/ace/ace.hpp"

#include "potentials/ace/ace_scratch.hpp"

namespace mdkern {

std::size_t ace_scratch_bytes(const AceParams& p, std::int64_t largest) {
    AceScratch s;
    return AceScratch::layout(p, largest, nullptr, s);
}

}  // namespace mdkern
