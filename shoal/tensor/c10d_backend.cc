#include "shoal/tensor/c10d_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "shoal/core/error.h"
#include "shoal/tensor/c10d_tensors.h"
#include "shoal/tensor/torch_store.h"

namespace shoal {
namespace {

class BackendOptions final : public c10d::Backend::Options {
 public:
  using Options::Options;
};

}  // namespace

C10dBackend::C10dBackend(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
                         Settings settings)
    : Backend(rank, size),
      options_(c10::make_intrusive<BackendOptions>("shoal", settings.timeout)),
      name_(std::move(settings.group)) {
  init();
  try {
    const Deadline join = deadline(settings.timeout);
    settings.comm.collective_seconds = std::chrono::duration<double>(settings.timeout).count();
    const std::string ranks = fmt::format("{}/", fmt::join(settings.global_ranks, ","));
    world_ = join_world(with_prefix(over_torch_store(std::move(store), "the job's store"), ranks),
                        {.rank = rank, .size = size}, settings.comm, join);
    group_ = std::make_unique<AsyncGroup>(world_->form_group(name_, all_ranks(size), join));
  } catch (const Error&) {
    std::rethrow_exception(torch_error(std::current_exception()));
  }
}

C10dBackend::~C10dBackend() { close(); }

void C10dBackend::close() {
  if (tensors_) tensors_->stop();
  group_.reset();
  world_.reset();
}

AsyncGroup& C10dBackend::group() {
  TORCH_CHECK(group_ != nullptr, "group ", name_, " of shoal was shut down");
  return *group_;
}

bool C10dBackend::share_tensors(std::size_t least_bytes) {
  AsyncGroup& shared = group();
  if (!shared.shares_memory()) return false;
  if (tensors_) tensors_->stop();
  tensors_ = std::make_shared<SharedTensors>(
      [&shared](std::size_t bytes) { return shared.allocate(bytes); },
      [least_bytes](std::size_t bytes) { return bytes >= least_bytes; });
  share_tensors_everywhere(tensors_);
  return true;
}

void C10dBackend::abort() {
  if (group_) group_->abort();
}

c10d::ErrorType C10dBackend::getError() {
  return *failed_ ? c10d::ErrorType::COMM_ERROR : c10d::ErrorType::SUCCESS;
}

Deadline C10dBackend::deadline(std::chrono::milliseconds timeout) const {
  return Deadline::after(timeout.count() < 0 ? options_->timeout : timeout);
}

C10dBackend::WorkPtr C10dBackend::start(const Asked& asked, Tensors inputs, Tensors outputs,
                                        AsyncGroup::Call call) {
  C10dWork::What what{rank_,      asked.type,        ++number_,
                      asked.name, std::move(inputs), std::move(outputs)};
  const Deadline end = deadline(asked.timeout);
  if (asked.async) {
    const Handle handle = group().start(asked.name, std::move(call), end);
    handle.then([handle, failed = failed_] {
      if (handle.error()) *failed = true;
    });
    return remember(C10dWork::of(std::move(what), handle));
  }
  std::exception_ptr error;
  try {
    group().run(call, end);
  } catch (const Error&) {
    error = std::current_exception();
    *failed_ = true;
  }
  return remember(C10dWork::ended(std::move(what), error));
}

C10dBackend::WorkPtr C10dBackend::remember(c10::intrusive_ptr<C10dWork> work) {
  const std::lock_guard lock(mutex_);
  if (coalescing_) coalesced_.push_back(work);
  return work;
}

void C10dBackend::startCoalescing() {
  const std::lock_guard lock(mutex_);
  TORCH_CHECK(!coalescing_, "shoal: startCoalescing was called twice without endCoalescing");
  coalescing_ = true;
}

C10dBackend::WorkPtr C10dBackend::endCoalescing() {
  std::vector<c10::intrusive_ptr<C10dWork>> works;
  {
    const std::lock_guard lock(mutex_);
    TORCH_CHECK(coalescing_, "shoal: endCoalescing was called without startCoalescing");
    coalescing_ = false;
    works.swap(coalesced_);
  }
  return C10dWork::all({rank_, c10d::OpType::COALESCED, number_, "shoal:coalesced", {}, {}},
                       std::move(works));
}

C10dBackend::WorkPtr C10dBackend::send(Tensors& tensors, int to, int tag) {
  const Dense data(only_one(tensors, "send"));
  try {
    const Handle handle = group().send(data.moved(), to, tag, deadline(c10d::kUnsetTimeout));
    handle.then([data] {});  // its memory is needed until then
    return remember(
        C10dWork::of({rank_, c10d::OpType::SEND, number_, "shoal:send", tensors, {}}, handle));
  } catch (const InvalidInput& error) {
    TORCH_CHECK(false, error.what());
  }
}

C10dBackend::WorkPtr C10dBackend::receive(Tensors& tensors, int from, int tag, c10d::OpType type) {
  const at::Tensor& tensor = only_one(tensors, "recv");
  TORCH_CHECK(tensor.is_contiguous(), "shoal recv: the tensor has to be contiguous");
  const Buffer into = moved_buffer(tensor);
  try {
    const Handle handle = group().receive(into, from, tag, deadline(c10d::kUnsetTimeout));
    return remember(C10dWork::of({rank_, type, number_, "shoal:recv", {}, tensors}, handle));
  } catch (const InvalidInput& error) {
    TORCH_CHECK(false, error.what());
  }
}

C10dBackend::WorkPtr C10dBackend::recv(Tensors& tensors, int from, int tag) {
  return receive(tensors, from, tag, c10d::OpType::RECV);
}

C10dBackend::WorkPtr C10dBackend::recvAnysource(Tensors& tensors, int tag) {
  return receive(tensors, kAnySource, tag, c10d::OpType::RECVANYSOURCE);
}

}  // namespace shoal
