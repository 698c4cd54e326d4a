#include <cmath>
#include <map>
#include <stdexcept>

#include "core/errors.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

// Filled before main() and only read afterwards.
std::map<std::string, Registration::Make>& registry() {
    static std::map<std::string, Registration::Make> made;
    return made;
}

}  // namespace

Registration::Registration(const char* name, Make make) { registry().emplace(name, make); }

std::vector<std::string> potential_names() {
    std::vector<std::string> names;
    for (const auto& entry : registry()) names.push_back(entry.first);
    return names;
}

std::shared_ptr<const Potential> make_potential(const Fields& fields) {
    const std::string& name = fields.text("potential");
    const auto it = registry().find(name);
    if (it != registry().end()) {
        auto made = it->second(fields);
        const double cutoff = made->traits().cutoff;
        if (!(std::isfinite(cutoff) && cutoff > 0.0))
            throw std::invalid_argument(fields.prefix() + "cutoff: " + number(cutoff) +
                                        "; expected a finite number above 0");
        return made;
    }
    std::string known;
    for (const std::string& other : potential_names()) known += (known.empty() ? "" : ", ") + other;
    throw std::invalid_argument(fields.prefix() + "potential: '" + name + "'; expected one of " +
                                known);
}

}  // namespace mdkern
