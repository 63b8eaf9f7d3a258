// The Python extension behind `import shoal`: makes shoal's groups a backend of torch.distributed.
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include <nlohmann/json.hpp>

#include "shoal/comm/try_group.h"
#include "shoal/core/error.h"
#include "shoal/core/options.h"
#include "shoal/tensor/c10d_backend.h"
#include "shoal/tensor/c10d_group.h"

namespace py = pybind11;

namespace {

// Python destroys it with its global lock held, which the threads that close() waits for may need.
class PythonBackend final : public shoal::C10dBackend {
 public:
  using C10dBackend::C10dBackend;
  ~PythonBackend() override {
    if (PyGILState_Check() == 0) {
      close();
      return;
    }
    const py::gil_scoped_release unlocked;
    close();
  }
};

// `comm`: keys of the job file's table [comm].
c10::intrusive_ptr<PythonBackend> create(const c10d::DistributedBackendOptions& given,
                                         const std::map<std::string, std::string>& comm) {
  shoal::C10dBackend::Settings settings;
  if (!given.group_id.empty()) settings.group = given.group_id;
  settings.global_ranks = given.global_ranks_in_group;
  settings.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(given.timeout);
  try {
    shoal::from_json({{"comm", comm}}, "environment", {describe(settings.comm)});
  } catch (const shoal::InvalidInput& error) {
    throw py::value_error(error.what());
  }
  const py::gil_scoped_release unlocked;
  return c10::make_intrusive<PythonBackend>(given.store, given.group_rank, given.group_size,
                                            std::move(settings));
}

// Wrong results of any backend, tried as the engine of a Group.
std::vector<std::string> try_backend(const c10::intrusive_ptr<c10d::Backend>& backend,
                                     double seconds) {
  const py::gil_scoped_release unlocked;
  shoal::C10dGroup group(backend, "tried");
  return try_group(group, shoal::Algorithm::two_shot, {}, seconds).faults;
}

}  // namespace

PYBIND11_MODULE(_c10d, module) {
  py::module_::import("torch.distributed");
  py::class_<PythonBackend, c10::intrusive_ptr<PythonBackend>, c10d::Backend>(module, "Backend")
      .def("share_tensors", &PythonBackend::share_tensors, py::arg("least_bytes"));
  module.def("create", &create, py::arg("options"), py::arg("comm"));
  module.def("try_backend", &try_backend, py::arg("backend"), py::arg("seconds"));
}
