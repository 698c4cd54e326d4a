// Exceptions thrown by the core outside parallel regions; the bindings turn them into Python's.
#pragma once

#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>

namespace mdkern {

// A result that would not fit: MemoryError in Python, raised before the memory is taken.
struct MemoryLimit : std::bad_alloc {
    explicit MemoryLimit(std::string text) : message(std::move(text)) {}
    const char* what() const noexcept override { return message.c_str(); }
    std::string message;
};

// An object that another thread is using just now: mdkern.errors.InUseError in Python.
struct InUse : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A model that cannot be evaluated, as is found out when it is: mdkern.errors.UnsupportedError in Python.
struct UnusableModel : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::string number(double x) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", x);
    return text;
}

}  // namespace mdkern
