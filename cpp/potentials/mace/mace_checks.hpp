// Refusals of fields that do not fit. For sources that are compiled with exceptions.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace mdkern {

namespace {

[[noreturn]] inline void refuse(const std::string& name, std::int64_t value,
                                const std::string& wanted) {
    throw std::invalid_argument(name + ": " + std::to_string(value) + "; expected " + wanted);
}
inline void check(const std::string& name, std::int64_t k, std::int64_t least, std::int64_t end) {
    if (k < least || k >= end)
        refuse(name, k, std::to_string(least) + " to " + std::to_string(end - 1));
}

}  // namespace

}  // namespace mdkern
