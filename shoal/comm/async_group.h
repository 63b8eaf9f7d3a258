// A group whose operations go on while the caller does something else.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "shoal/comm/group.h"
#include "shoal/comm/handle.h"
#include "shoal/comm/lane.h"
#include "shoal/comm/mailbox.h"

namespace shoal {

// Owns the group. All members make the same collectives in the same order, asynchronous or not,
// from one thread at a time; sends and receives may be made from any. The memory that an operation
// works on must stay valid until its handle is over.
class AsyncGroup {
 public:
  // One operation, or several to be made without a pause (a coalesced list).
  using Call = std::function<void(Group& group, Deadline deadline)>;

  explicit AsyncGroup(std::unique_ptr<Group> group);
  // Aborts what is under way. Not to be called from a Handle::then().
  ~AsyncGroup();
  AsyncGroup(const AsyncGroup&) = delete;
  AsyncGroup& operator=(const AsyncGroup&) = delete;

  int rank() const { return group_->rank(); }
  int size() const { return group_->size(); }
  const Group& group() const { return *group_; }

  // Collectives, after all that were given before. start() returns at once:
  //   const Handle sum = group.start("all_reduce", [=](Group& g, Deadline d) {
  //     g.all_reduce(parts, ReduceOp::sum, d);
  //   }, deadline);
  // A thread of this group carries them out, unless the caller waits at once: then it does itself.
  Handle start(std::string what, Call call, Deadline deadline);
  // The same on this thread; returns when it is done. Throws like Group.
  void run(const Call& call, Deadline deadline);

  // Messages with a tag; see Mailbox. A receive may name kAnySource.
  Handle send(ConstBuffer data, int to, std::int64_t tag, Deadline deadline);
  Handle receive(Buffer data, int from, std::int64_t tag, Deadline deadline);

  void abort() { group_->abort(); }  // from any thread
  // As Group's, from any thread.
  std::shared_ptr<std::byte> allocate(std::size_t bytes) { return group_->allocate(bytes); }
  bool shares_memory() const { return group_->shares_memory(); }

 private:
  Mailbox& mailbox();

  const std::unique_ptr<Group> group_;
  const OpenCount open_;
  const std::shared_ptr<Lane> collectives_;
  std::mutex mutex_;                  // guards mailbox_
  std::unique_ptr<Mailbox> mailbox_;  // once there was a message
};

}  // namespace shoal
