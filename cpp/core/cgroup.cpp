#include "core/cgroup.hpp"

#if defined(__linux__)
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>
#endif

namespace mdkern {

#if defined(__linux__)

namespace {

constexpr double kNone = -1.0;

// A count in decimal digits, kNone for everything else: "max", "-1", damage. No count is infinite: a quota divided by
// such a period would be no CPU at all.
double count(const std::string& word) {
    const bool digits = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    const double number = digits ? std::strtod(word.c_str(), nullptr) : kNone;
    return std::isfinite(number) ? number : kNone;
}

double count_in(const std::string& file) {
    std::string word;
    std::ifstream(file) >> word;
    return count(word);
}

bool in_list(const std::string& list, const std::string& word) {  // a,b,c
    return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// Blanks and the like in /proc/self/mountinfo are octal numbers: \040.
std::string unescaped(const std::string& text) {
    std::string plain;
    for (std::size_t k = 0; k < text.size(); ++k) {
        const std::string digits = text[k] == '\\' ? text.substr(k + 1, 3) : "";
        const bool octal =
            digits.size() == 3 && digits.find_first_not_of("01234567") == std::string::npos;
        plain += octal ? char(std::strtol(digits.c_str(), nullptr, 8)) : text[k];
        if (octal) k += 3;
    }
    return plain;
}

// Where a hierarchy of groups is mounted, and which of its groups that is: "/" is the top one, or that of the container.
struct Mount {
    std::string group, folder, type, options;
};

std::vector<Mount> mounts(const std::string& root) {
    std::vector<Mount> found;
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string number, word, source;
        Mount m;
        words >> number >> number >> number >> m.group >> m.folder;
        while (words >> word && word != "-") {
        }
        words >> m.type;
        words.get();
        std::getline(words, source, ' ');  // may be empty, so that two blanks follow each other
        if (!(words >> m.options)) continue;
        if (m.type != "cgroup" && m.type != "cgroup2") continue;
        m.group = unescaped(m.group);
        m.folder = root + unescaped(m.folder);
        found.push_back(m);
    }
    return found;
}

bool goes_up(const std::string& path) { return (path + "/").find("/../") != std::string::npos; }

// Whether a path is nothing but steps up, "/../..".
bool only_goes_up(const std::string& path) {
    for (std::size_t k = 0; k < path.size(); k += 3)
        if (path.compare(k, 3, "/..") != 0) return false;
    return true;
}

// Folders of a group and of those around it, as far as they are mounted. Its path and what is mounted are both told from the
// group that the namespace begins with, "/"; what is not inside of that begins with "/..".
void add_groups(const std::vector<Mount>& mounted, const std::string& path,
                std::vector<std::string>& folders) {
    for (const Mount& m : mounted) {
        const std::string top = m.group == "/" ? "" : m.group;
        if ((path + "/").compare(0, top.size() + 1, top + "/") == 0) {
            std::string inner = path == "/" ? "" : path.substr(top.size());
            if (goes_up(inner)) continue;  // out of what is mounted
            for (; !inner.empty(); inner.resize(inner.rfind('/')))
                folders.push_back(m.folder + inner);
            folders.push_back(m.folder);
        } else if (only_goes_up(top)) {
            // Mounted from further up than the path begins: the group is below, nobody says where.
            folders.push_back(m.folder);
        }
    }
}

// Of the groups that this process is in.
std::vector<std::string> groups(const std::string& root, const std::string& controller) {
    std::vector<std::string> folders;
    const std::vector<Mount> mounted = mounts(root);
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {  // number:controllers:path
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string path = line.substr(second + 1);
        if (path.empty() || path[0] != '/') continue;
        std::vector<Mount> here;
        for (const Mount& m : mounted)
            if (controllers.empty() ? m.type == "cgroup2"
                                    : m.type == "cgroup" && in_list(controllers, controller) &&
                                          in_list(m.options, controller))
                here.push_back(m);
        add_groups(here, path, folders);
    }
    return folders;
}

// Bytes of files' pages, from lines "name number": the kernel drops them before a limit is reached. The names of version 1
// count the groups inside as well, which those of version 2 always do.
double file_pages(const std::string& folder, const std::string& prefix) {
    std::ifstream file(folder + "/memory.stat");
    double bytes = 0.0;
    for (std::string name, number; file >> name >> number;)
        if (name == prefix + "inactive_file" || name == prefix + "active_file")
            bytes += count(number) > 0.0 ? count(number) : 0.0;
    return bytes;
}

}  // namespace

CpuQuota cgroup_cpus(const std::string& root) {
    CpuQuota least;
    for (const std::string& folder : groups(root, "cpu")) {
        std::string quota, period;
        if (!(std::ifstream(folder + "/cpu.max") >> quota >> period)) {  // version 2, or 1
            std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
            std::ifstream(folder + "/cpu.cfs_period_us") >> period;
        }
        if (count(quota) <= 0.0 || count(period) <= 0.0) continue;
        const double cpus = count(quota) / count(period);
        if (cpus < least.cpus) least = {cpus, folder};
    }
    return least;
}

MemoryQuota cgroup_memory(const std::string& root) {
    MemoryQuota least;
    for (const std::string& folder : groups(root, "memory")) {
        double limit = count_in(folder + "/memory.max");  // version 2, or 1
        double used = count_in(folder + "/memory.current");
        std::string prefix;
        if (limit == kNone) {
            limit = count_in(folder + "/memory.limit_in_bytes");
            used = count_in(folder + "/memory.usage_in_bytes");
            prefix = "total_";
        }
        if (limit == kNone || limit >= 0x1p62) continue;  // version 1 has no word for "none"
        used -= file_pages(folder, prefix);
        const MemoryQuota quota{limit, used > 0.0 ? used : 0.0, folder};
        if (quota.left() < least.left()) least = quota;
    }
    return least;
}

#else

CpuQuota cgroup_cpus(const std::string&) { return {}; }
MemoryQuota cgroup_memory(const std::string&) { return {}; }

#endif

}  // namespace mdkern
