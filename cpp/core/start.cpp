#include "core/start.hpp"

#include <mutex>

#include "core/dispatch.hpp"
#include "core/threads.hpp"

namespace mdkern {

std::string start() {
    static std::mutex lock;
    static bool started = false;
    const std::lock_guard<std::mutex> held(lock);
    if (started) return "";
    init_isa();
    std::string complaint = init_threads();
    started = true;
    return complaint;
}

}  // namespace mdkern
