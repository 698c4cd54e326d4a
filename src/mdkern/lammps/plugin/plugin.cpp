// SPDX-License-Identifier: BSD-3-Clause
//
// What LAMMPS calls when it loads this library.
#include <cstdio>

#include "lammps.h"
#include "library.h"
#include "pair_mdkern.h"

using namespace LAMMPS_NS;

namespace {

// What LAMMPS's function for registration takes: its documentation describes the members. Its header is not
// among those that are installed.
struct PluginStyle {
    const char *version, *style, *name, *info, *author;
    union {
        void* (*with_lammps)(void*);
        void* (*with_words)(void*, int, char**);
    } creator;
    void* handle;
};

Pair* make_pair(LAMMPS* lammps) { return new PairMdkern(lammps); }

// Objects of C++ cross the border: what was compiled for another LAMMPS would read other members. Only
// functions of C are called before that is known.
bool fits(void* lammps) {
    const auto say = [&](const char* what, int is, int expected) {
        if (lammps_extract_setting(lammps, "world_rank") == 0)
            std::fprintf(
                stderr,
                "mdkernplugin.so is not loaded: %s %d; it was built for %d. Build it again: "
                "python -m mdkern.lammps build\n",
                what, is, expected);
        return false;
    };
    if (lammps_version(lammps) != MDKERN_LAMMPS_VERSION)
        return say("LAMMPS version", lammps_version(lammps), MDKERN_LAMMPS_VERSION);
    const int bigint_size = lammps_extract_setting(lammps, "bigint");
    if (bigint_size != int(sizeof(bigint)))
        return say("size of bigint", bigint_size, int(sizeof(bigint)));
    const int tagint_size = lammps_extract_setting(lammps, "tagint");
    if (tagint_size != int(sizeof(tagint)))
        return say("size of tagint", tagint_size, int(sizeof(tagint)));
    if (mdkern_api_version() != MDKERN_API_VERSION)
        return say("version of mdkern's C interface", mdkern_api_version(), MDKERN_API_VERSION);
    return true;
}

}  // namespace

extern "C" void lammpsplugin_init(void* lammps, void* handle, void* add) {
    if (!fits(lammps)) return;
    PluginStyle style = {};
    style.version = static_cast<LAMMPS*>(lammps)->version;
    style.style = "pair";
    style.name = "mdkern";
    style.info = "mdkern pair style";
    style.author = "the mdkern developers";
    style.creator.with_lammps = reinterpret_cast<void* (*)(void*)>(&make_pair);
    style.handle = handle;
    reinterpret_cast<void (*)(PluginStyle*, void*)>(add)(&style, lammps);
}
