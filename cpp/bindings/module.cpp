#include "bindings/bindings.hpp"
#include "core/errors.hpp"
#include "core/start.hpp"
#include "model/model_file.hpp"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    using namespace mdkern;
    m.doc() =
        "Compiled kernels of mdkern. Use the Python package, which checks and converts its "
        "arguments.";
    try {
        const std::string complaint = start();
        if (!complaint.empty()) {
            const py::object kind = py::module_::import("mdkern.errors").attr("MDKernWarning");
            if (PyErr_WarnEx(kind.ptr(), ("mdkern: " + complaint).c_str(), 1) != 0)
                throw py::error_already_set();
        }
    } catch (const std::runtime_error& e) {
        throw py::import_error(std::string("mdkern: ") + e.what());
    }
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const MemoryLimit& e) {
            py::set_error(PyExc_MemoryError, e.what());
        } catch (const InUse& e) {
            py::set_error(py::module_::import("mdkern.errors").attr("InUseError"), e.what());
        } catch (const UnusableModel& e) {
            py::set_error(py::module_::import("mdkern.errors").attr("UnsupportedError"), e.what());
        } catch (const FileFormatError& e) {
            py::set_error(py::module_::import("mdkern.errors").attr("FormatError"), e.what());
        } catch (const FileReadError& e) {
            py::set_error(PyExc_OSError, e.what());
        }
    });
    bind_runtime(m);
    bind_snapshot(m);
    bind_neighbors(m);
    bind_potential(m);
    bind_nets(m);
    bind_limits(m);
    bind_md(m);
    bind_relax_cell(m);
    bind_relax(m);
    bind_relax_batch(m);
    bind_evaluate(m);
    bind_text(m);
    bind_soap(m);
    bind_acsf(m);
    bind_bispectrum(m);
}
