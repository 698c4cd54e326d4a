// Limits that Linux's control groups set: containers, jobs of a cluster, slices of systemd. The limits of all groups around the
// process's own hold too, so the tightest of them counts. Elsewhere there are none.
#pragma once

#include <limits>
#include <string>

namespace mdkern {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

struct CpuQuota {
    double cpus = kNoLimit;  // time on CPUs by time
    std::string group;       // folder of the group that sets it
};

struct MemoryQuota {
    double limit = kNoLimit;  // bytes
    double used = 0.0;        // without pages of files, which can be dropped
    std::string group;
    double left() const { return limit > used ? limit - used : 0.0; }
};

// `root` is what stands in front of /proc/self and of where the groups are mounted. Files that are missing
// or make no sense set no limit.
CpuQuota cgroup_cpus(const std::string& root = "");
MemoryQuota cgroup_memory(const std::string& root = "");

}  // namespace mdkern
