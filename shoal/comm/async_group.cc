#include "shoal/comm/async_group.h"

#include "shoal/comm/checks.h"

namespace shoal {

AsyncGroup::AsyncGroup(std::unique_ptr<Group> group)
    : group_(std::move(group)),
      open_(std::make_shared<std::atomic<int>>(0)),
      collectives_(std::make_shared<Lane>("collectives", open_)) {}

AsyncGroup::~AsyncGroup() {
  if (*open_ != 0) group_->abort();
  collectives_->stop();
}

Handle AsyncGroup::start(std::string what, Call call, Deadline deadline) {
  const auto here = [this, call = std::move(call), deadline] { call(*group_, deadline); };
  return collectives_->start(std::move(what), here, deadline, Lane::Start::now);
}

void AsyncGroup::run(const Call& call, Deadline deadline) {
  collectives_->run([&] { call(*group_, deadline); });
}

Mailbox& AsyncGroup::mailbox() {
  const std::lock_guard lock(mutex_);
  if (!mailbox_) mailbox_ = std::make_unique<Mailbox>(*group_, open_);
  return *mailbox_;
}

Handle AsyncGroup::send(ConstBuffer data, int to, std::int64_t tag, Deadline deadline) {
  check_peer(to, rank(), size(), "send to");
  return mailbox().send(data, to, tag, deadline);
}

Handle AsyncGroup::receive(Buffer data, int from, std::int64_t tag, Deadline deadline) {
  if (from != kAnySource) check_peer(from, rank(), size(), "receive from");
  return mailbox().receive(data, from, tag, deadline);
}

}  // namespace shoal
