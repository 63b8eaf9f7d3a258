// The Python extension behind `import shoal`: makes shoal's groups a backend of torch.distributed.
#include <pybind11/chrono.h>
#include <torch/csrc/utils/pybind.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/tensor/c10d_backend.h"

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

template <typename Value, typename Values>
Value called(const Values& values, const std::string& name, const char* kind) {
  std::string known;
  for (const Value value : values) {
    if (name == shoal::name_of(value)) return value;
    known += (known.empty() ? "" : ", ") + std::string(shoal::name_of(value));
  }
  throw py::value_error("shoal: there is no " + std::string(kind) + " '" + name +
                        "': choose one of " + known);
}

c10::intrusive_ptr<PythonBackend> create(const c10d::DistributedBackendOptions& given,
                                         const std::string& engine, const std::string& algorithm,
                                         const std::string& interface_address) {
  shoal::C10dBackend::Settings settings;
  if (!given.group_id.empty()) settings.group = given.group_id;
  settings.global_ranks = given.global_ranks_in_group;
  settings.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(given.timeout);
  settings.comm.engine = called<shoal::Engine>(shoal::kEngines, engine, "engine");
  settings.comm.algorithm = called<shoal::Algorithm>(shoal::kAlgorithms, algorithm, "algorithm");
  settings.comm.interface_address = interface_address;
  const py::gil_scoped_release unlocked;
  return c10::make_intrusive<PythonBackend>(given.store, given.group_rank, given.group_size,
                                            std::move(settings));
}

}  // namespace

PYBIND11_MODULE(_c10d, module) {
  py::module_::import("torch.distributed");
  py::class_<PythonBackend, c10::intrusive_ptr<PythonBackend>, c10d::Backend>(module, "Backend");
  module.def("create", &create, py::arg("options"), py::arg("engine"), py::arg("algorithm"),
             py::arg("interface_address"));
}
