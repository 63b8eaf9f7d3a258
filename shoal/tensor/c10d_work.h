// An operation of a group as c10d's Work.
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Work.hpp>
#include <vector>

#include "shoal/comm/handle.h"

namespace shoal {

// What an error of shoal becomes for callers of c10d: c10::DistBackendError with the same text.
std::exception_ptr torch_error(const std::exception_ptr& error);

// Thread safe. Keeps the tensors alive until the operation is over, also when its user drops it.
class C10dWork final : public c10d::Work {
 public:
  struct What {
    int rank = -1;
    c10d::OpType type = c10d::OpType::UNKNOWN;
    std::uint64_t number = 0;
    const char* title = nullptr;  // in profiles
    std::vector<at::Tensor> inputs;
    std::vector<at::Tensor> outputs;
  };
  static c10::intrusive_ptr<C10dWork> of(What what, Handle handle);
  // One that has ended already, with `error` unless null.
  static c10::intrusive_ptr<C10dWork> ended(What what, std::exception_ptr error);
  // One that ends with the last of several, with the first error.
  static c10::intrusive_ptr<C10dWork> all(What what,
                                          const std::vector<c10::intrusive_ptr<C10dWork>>& works);

  bool isCompleted() override { return handle_.over(); }
  bool isSuccess() const override { return handle_.over() && !handle_.error(); }
  std::exception_ptr exception() const override { return torch_error(handle_.error()); }
  int sourceRank() const override { return handle_.source(); }
  std::vector<at::Tensor> result() override { return outputs_; }
  // Throws what the operation failed with; a deadline that passes is an error, too.
  bool wait(std::chrono::milliseconds timeout) override;
  void synchronize() override { wait(kNoTimeout); }
  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override;
  c10::intrusive_ptr<c10::ivalue::Future> getFutureResult() override;
  float getDuration() const override;  // milliseconds from the call to its end; 0 before
  std::uint64_t getSequencenumber() const override { return number_; }

  C10dWork(What what, Handle handle);  // for make_intrusive

 private:
  void finish_with_handle();

  const std::uint64_t number_;
  const std::vector<at::Tensor> outputs_;
  const Handle handle_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::atomic<std::int64_t> nanoseconds_{0};
  std::vector<c10::intrusive_ptr<C10dWork>> parts_;  // of all()
};

}  // namespace shoal
