#include <pybind11/stl.h>

#include <tuple>

#include "bindings/bindings.hpp"
#include "core/cgroup.hpp"
#include "core/dispatch.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"

namespace mdkern {

namespace {

// As os.fsdecode: names of files need not be UTF-8.
py::str path(const std::string& name) {
    PyObject* decoded = PyUnicode_DecodeFSDefaultAndSize(name.data(), Py_ssize_t(name.size()));
    if (!decoded) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(decoded);
}

}  // namespace

void bind_runtime(py::module_& m) {
    m.attr("__version__") = MDKERN_VERSION;
    m.def("get_num_threads", &get_num_threads);
    m.def("set_num_threads", &set_num_threads, py::arg("n"));
    m.def("available_cpus", &available_cpus);
    m.def("available_memory", &available_memory);
    m.def(
        "cgroup_cpus",
        [](const std::string& root) -> std::optional<std::tuple<double, py::str>> {
            const CpuQuota q = cgroup_cpus(root);
            if (q.cpus == kNoLimit) return std::nullopt;
            return std::tuple(q.cpus, path(q.group));
        },
        py::arg("root") = "",
        "The tightest limit of CPUs of the control groups of this process, and the folder of the "
        "group that sets it.");
    m.def(
        "cgroup_memory",
        [](const std::string& root) -> std::optional<std::tuple<double, double, py::str>> {
            const MemoryQuota q = cgroup_memory(root);
            if (q.limit == kNoLimit) return std::nullopt;
            return std::tuple(q.limit, q.used, path(q.group));
        },
        py::arg("root") = "",
        "The limit of memory that leaves least, what is used of it (bytes), and the folder of the "
        "group that sets it.");
    m.def("get_isa", [] { return isa_name(active_isa()); });
    m.def("set_isa", &set_isa, py::arg("name"));
    m.def("build_info", [] {
        py::dict d;
        py::list compiled, supported;
        for (Isa isa : kIsas) {
            if (isa_compiled(isa)) compiled.append(isa_name(isa));
            if (isa_supported(isa)) supported.append(isa_name(isa));
        }
#if defined(__clang__)
        // Not __clang_version__, which ends with a blank or with the origin of the sources.
        d["compiler"] = py::str("clang {}.{}.{}")
                            .format(__clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
        d["compiler"] = std::string("gcc ") + __VERSION__;
#else
        d["compiler"] = "unknown";
#endif
        d["isas_compiled"] = compiled;
        d["isas_supported"] = supported;
        d["openmp"] = has_openmp();
        d["cpu"] = cpu_name();
        return d;
    });
}

}  // namespace mdkern
