// Entry of every C++ test, compiled for the baseline: asks the CPU for the ISA of the test before
// any of its code runs. The argument --few asks for fewer numbers, where each takes a hundred times
// as long. It includes no standard header with templates, whose copy the linker might
// take from an object compiled for the ISA.
#include <stdio.h>
#include <string.h>

#include "core/cpu.hpp"

int run_tests(bool few);

static bool cpu_has(const char* isa) {
    if (strcmp(isa, "scalar") == 0) return true;
    if (strcmp(isa, "avx2") == 0) return mdkern::cpu_has_avx2();
    if (strcmp(isa, "avx512") == 0) return mdkern::cpu_has_avx512();
#if defined(__aarch64__)
    return strcmp(isa, "neon") == 0;
#endif
    return false;
}

int main(int argc, char** argv) {
    if (!cpu_has(MDKERN_TEST_ISA)) {
        printf("skipped: this CPU lacks %s\n", MDKERN_TEST_ISA);
        return 77;
    }
    return run_tests(argc > 1 && strcmp(argv[1], "--few") == 0);
}
