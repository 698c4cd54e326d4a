#include "descriptors/weighted.hpp"

#include <stdexcept>

#include "descriptors/acsf_model.hpp"
#include "descriptors/bispectrum_model.hpp"
#include "descriptors/soap_model.hpp"

namespace mdkern {

std::unique_ptr<const WeightedDescriptor> make_descriptor(const Fields& f) {
    const std::string& kind = f.text("kind");
    if (kind == "soap") return std::make_unique<const SoapModel>(f);
    if (kind == "acsf") return std::make_unique<const AcsfModel>(f);
    if (kind == "bispectrum") return std::make_unique<const BispectrumModel>(f);
    throw std::invalid_argument(f.prefix() + "kind: '" + kind +
                                "'; expected soap, acsf or bispectrum");
}

}  // namespace mdkern
