// shoal's groups as a backend of c10d: what torch.distributed.init_process_group("shoal") and C++
// users of c10d::ProcessGroup run on.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "shoal/comm/async_group.h"
#include "shoal/comm/world.h"
#include "shoal/tensor/c10d_work.h"
#include "shoal/tensor/shared_tensors.h"

namespace shoal {

// CPU tensors of any type and layout. Operations asked for with asyncOp = false are carried out on
// the caller's thread; others by a thread of the group, or by whoever waits for them. Errors of
// communication come out of Work::wait as c10::DistBackendError; wrong arguments as c10::Error from
// the call. Thread safe as AsyncGroup is.
class C10dBackend : public c10d::Backend {
 public:
  struct Settings {
    std::string group = "default";  // names it in messages
    // Ranks in the job, when known: PyTorch gives groups of different ranks one name and one store.
    std::vector<std::int64_t> global_ranks;
    std::chrono::milliseconds timeout = kBackendDefaultTimeout;
    CommOptions comm;
  };
  // Joins the other ranks through `store`, which is theirs alone, and waits for them.
  C10dBackend(c10::intrusive_ptr<c10d::Store> store, int rank, int size, Settings settings);
  ~C10dBackend() override;

  const std::string getBackendName() const override { return "shoal"; }
  c10::intrusive_ptr<Options> getBackendOptions() override { return options_; }
  void setTimeout(std::chrono::milliseconds timeout) override { options_->timeout = timeout; }

  using Tensors = std::vector<at::Tensor>;
  using Lists = std::vector<Tensors>;
  using WorkPtr = c10::intrusive_ptr<c10d::Work>;
  WorkPtr broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) override;
  WorkPtr allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override;
  WorkPtr allreduce_sparse(Tensors& tensors, const c10d::AllreduceOptions& options) override;
  WorkPtr allreduce_coalesced(Tensors& tensors,
                              const c10d::AllreduceCoalescedOptions& options) override;
  WorkPtr reduce(Tensors& tensors, const c10d::ReduceOptions& options) override;
  WorkPtr allgather(Lists& outputs, Tensors& inputs,
                    const c10d::AllgatherOptions& options) override;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override;
  WorkPtr allgather_coalesced(Lists& outputs, Tensors& inputs,
                              const c10d::AllgatherOptions& options) override;
  WorkPtr allgather_into_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                          const c10d::AllgatherOptions& options) override;
  WorkPtr gather(Lists& outputs, Tensors& inputs, const c10d::GatherOptions& options) override;
  WorkPtr scatter(Tensors& outputs, Lists& inputs, const c10d::ScatterOptions& options) override;
  WorkPtr reduce_scatter(Tensors& outputs, Lists& inputs,
                         const c10d::ReduceScatterOptions& options) override;
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& options) override;
  WorkPtr reduce_scatter_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                          const c10d::ReduceScatterOptions& options) override;
  WorkPtr alltoall_base(at::Tensor& output, at::Tensor& input, std::vector<int64_t>& output_splits,
                        std::vector<int64_t>& input_splits,
                        const c10d::AllToAllOptions& options) override;
  WorkPtr alltoall(Tensors& outputs, Tensors& inputs,
                   const c10d::AllToAllOptions& options) override;
  WorkPtr barrier(const c10d::BarrierOptions& options) override;
  // A barrier that rank 0 leads: it names the first rank that does not come (or all), and tells the
  // others that it gave up. The group stays usable.
  void monitoredBarrier(const c10d::BarrierOptions& options, bool wait_all_ranks) override;

  WorkPtr send(Tensors& tensors, int to, int tag) override;
  WorkPtr recv(Tensors& tensors, int from, int tag) override;
  WorkPtr recvAnysource(Tensors& tensors, int tag) override;

  // What is called between the two ends with the Work that endCoalescing returns.
  bool supportsCoalescing() const override { return true; }
  void startCoalescing() override;
  WorkPtr endCoalescing() override;

  void setSequenceNumberForGroup() override {}  // all ranks count from 0
  uint64_t getSequenceNumberForGroup() override { return number_; }
  void enableCollectivesTiming() override {}  // always on
  c10d::ErrorType getError() override;
  void abort() override;
  void shutdown() override { close(); }
  // Ends what is under way; calls after it fail. Waits for the group's threads, which may be
  // calling the user's code: without locks that it needs (Python's).
  void close();

  // From now on CPU tensors of at least so many bytes that this process makes lie, until close(),
  // where all ranks of this group reach them. False, and nothing changes, over other engines than
  // shm and memory.
  bool share_tensors(std::size_t least_bytes);

  AsyncGroup& group();  // throws c10::Error after close()

 private:
  struct Asked {
    c10d::OpType type;
    const char* name;
    std::chrono::milliseconds timeout;
    bool async;
  };
  template <typename Options>
  static Asked asked(c10d::OpType type, const char* name, const Options& options) {
    return {type, name, options.timeout, options.asyncOp};
  }
  WorkPtr start(const Asked& asked, Tensors inputs, Tensors outputs, AsyncGroup::Call call);
  // Of monitoredBarrier: what rank 0 does, and what the others do.
  void lead_barrier(Deadline end, std::chrono::milliseconds timeout, bool wait_all_ranks);
  void follow_barrier(Deadline end);
  WorkPtr receive(Tensors& tensors, int from, int tag, c10d::OpType type);
  WorkPtr remember(c10::intrusive_ptr<C10dWork> work);
  Deadline deadline(std::chrono::milliseconds timeout) const;

  const c10::intrusive_ptr<Options> options_;
  const std::string name_;
  std::unique_ptr<World> world_;
  std::unique_ptr<AsyncGroup> group_;
  std::shared_ptr<SharedTensors> tensors_;  // of share_tensors()
  std::atomic<std::uint64_t> number_{0};    // collectives so far
  const std::shared_ptr<std::atomic<bool>> failed_ = std::make_shared<std::atomic<bool>>(false);
  std::mutex mutex_;  // guards the next two
  bool coalescing_ = false;
  std::vector<c10::intrusive_ptr<C10dWork>> coalesced_;
};

}  // namespace shoal
