// What is read of the environment when the library is used first.
#pragma once

#include <string>

namespace mdkern {

// Chooses the instruction set and the number of threads, once for the process. Returns what there is
// to say of other libraries' variables. std::runtime_error names a variable of ours and its value.
std::string start();

}  // namespace mdkern
