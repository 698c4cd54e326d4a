#include "core/dispatch.hpp"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "core/cpu.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace mdkern {

namespace {

std::atomic<Isa> current{Isa::scalar};

bool cpu_runs(Isa isa) {
    if (isa == Isa::avx2) return cpu_has_avx2();
    if (isa == Isa::avx512) return cpu_has_avx512();
#if defined(__aarch64__)
    if (isa == Isa::neon) return true;  // part of the architecture
#endif
    return isa == Isa::scalar;
}

Isa parse(const std::string& name) {
    if (name == "auto") {
        Isa best = Isa::scalar;
        for (Isa isa : kIsas)
            if (isa_supported(isa)) best = isa;
        return best;
    }
    for (Isa isa : kIsas)
        if (name == isa_name(isa)) {
            if (isa_supported(isa)) return isa;
            throw std::invalid_argument("'" + name + "' is not supported " +
                                        (isa_compiled(isa) ? "by this CPU" : "by this build") +
                                        "; expected one of: " + supported_names());
        }
    throw std::invalid_argument("'" + name + "' is unknown; expected one of: " + supported_names());
}

}  // namespace

std::string supported_names() {
    std::string s = "auto";
    for (Isa isa : kIsas)
        if (isa_supported(isa)) s += std::string(", ") + isa_name(isa);
    return s;
}

const char* isa_name(Isa isa) {
    constexpr const char* kNames[] = {"scalar", "avx2", "avx512", "neon"};
    return kNames[int(isa)];
}

bool isa_compiled(Isa isa) {
#if !defined(MDKERN_HAVE_AVX2)
    if (isa == Isa::avx2) return false;
#endif
#if !defined(MDKERN_HAVE_AVX512)
    if (isa == Isa::avx512) return false;
#endif
#if !defined(MDKERN_HAVE_NEON)
    if (isa == Isa::neon) return false;
#endif
    return true;
}

bool isa_supported(Isa isa) { return isa_compiled(isa) && cpu_runs(isa); }

Isa active_isa() { return current.load(std::memory_order_relaxed); }

void set_isa(const std::string& name) {
    try {
        current = parse(name);
    } catch (const std::invalid_argument& e) {
        throw std::invalid_argument(std::string("isa: ") + e.what());
    }
}

void init_isa() {
    const char* env = std::getenv("MDKERN_ISA");
    try {
        current = parse(env && *env ? env : "auto");
    } catch (const std::invalid_argument& e) {
        throw std::runtime_error(std::string("environment variable MDKERN_ISA: ") + e.what());
    }
}

std::string cpu_name() {
#if defined(__x86_64__)
    unsigned word[4];
    std::string name;
    for (unsigned leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
        if (!__get_cpuid(leaf, &word[0], &word[1], &word[2], &word[3])) return "unknown";
        name.append(reinterpret_cast<const char*>(word), sizeof word);
    }
    name = name.c_str();  // zeros fill it up
    name.erase(0, name.find_first_not_of(' '));
    return name.erase(name.find_last_not_of(' ') + 1);
#elif defined(__APPLE__)
    char name[256] = "";
    std::size_t bytes = sizeof name;
    return sysctlbyname("machdep.cpu.brand_string", name, &bytes, nullptr, 0) == 0 ? name
                                                                                   : "unknown";
#else
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.rfind("model name", 0) == 0) {
            const auto colon = line.find(": ");
            if (colon != std::string::npos) return line.substr(colon + 2);
        }
    return "unknown";
#endif
}

}  // namespace mdkern
