// A c10d::Backend as a Group: what shoal's strategies need, carried by PyTorch's Gloo or another
// backend that a program brings. (The other way round: c10d_backend.h.)
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/failure.h"
#include "shoal/comm/world.h"

namespace shoal {

// In which order floats are added is the backend's own affair, and so are the bits of sums. Before
// every collective the ranks compare their calls: one all-gather of 8 bytes each more. The backend
// knows no more about a failure than its words, which the errors hand on: PeerLost and TimedOut
// name no ranks. has_message() needs a backend whose works tell when they are done before they are
// waited for; Gloo's do not. A send is done when its copy is with the backend, which may keep
// kMostUnheard of them for a peer that does not receive. Memory is the CPU's. bytes_sent() is what
// this rank gave to the backend. Tried with Gloo and shoal's own backend (tests); not with NCCL.
class C10dGroup final : public Group {
 public:
  // The backend has the ranks of this group.
  C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, std::string name);
  // Waits until the others have received what was sent to them, at most 10 s.
  ~C10dGroup() override;
  static constexpr std::size_t kMostUnheard = 16;

  int rank() const override { return backend_->getRank(); }
  int size() const override { return backend_->getSize(); }
  const std::string& name() const override { return name_; }
  std::string_view engine() const override { return "c10d"; }

  void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) override;
  void broadcast(Buffer data, int root, Deadline deadline) override;
  void all_gather(ConstBuffer in, Buffer out, Deadline deadline) override;
  void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) override;
  void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;
  void send(ConstBuffer data, int to, Deadline deadline) override;
  void receive(Buffer data, int from, Deadline deadline) override;
  bool has_message(int from) override;
  void abort() override;
  std::uint64_t bytes_sent() const override { return bytes_.load(std::memory_order_relaxed); }

 protected:
  void transfer(const Call& call, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                Deadline deadline) override;

 private:
  using WorkPtr = c10::intrusive_ptr<c10d::Work>;
  struct UnderWay {
    WorkPtr work;
    at::Tensor content;
  };
  // Turns what the backend throws into an error of this group, which is then spent.
  void carry_out(const Place& place, Deadline deadline, const std::function<void()>& body);
  Place begin(const Call& call, Deadline deadline);  // compares the calls
  void wait(const WorkPtr& work, Deadline deadline) const;
  void gather_words(std::int64_t* own, std::int64_t* all, std::int64_t each, Deadline deadline);
  void check_sizes(const Place& place, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                   Deadline deadline);
  void sum(const at::Tensor& tensor, ReduceOp op, Deadline deadline);
  void expect_announcement(int from);

  const c10::intrusive_ptr<c10d::Backend> backend_;
  const std::string name_;
  Spent spent_;
  std::uint64_t calls_ = 0;  // of the thread that makes collectives
  // By rank: the type and elements of the next message, of the thread that receives from there;
  // messages of which it is not known that they came, of the thread that sends there.
  std::vector<UnderWay> announced_;
  std::vector<std::deque<UnderWay>> unheard_;
  std::vector<std::uint64_t> sent_, received_;  // messages by rank
  std::atomic<std::uint64_t> bytes_{0};
};

// Gives the backend of a group that forms: its name, and its ranks in the job.
using C10dBackendFactory = std::function<c10::intrusive_ptr<c10d::Backend>(
    const std::string& name, const std::vector<int>& ranks)>;

// A world whose groups are such; ranks, hosts and store are those of `world`.
std::unique_ptr<World> over_backends(std::unique_ptr<World> world, C10dBackendFactory make);

}  // namespace shoal
