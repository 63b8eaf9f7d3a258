#include "shoal/comm/forms_region.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "shoal/comm/in_process.h"
#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {

using std::chrono::milliseconds;

FormsRegion::FormsRegion(const Forming& forming, std::vector<int> places)
    : forming_(forming), places_(std::move(places)) {}

std::string FormsRegion::key() const { return fmt::format("region of rank {}", places_.front()); }

void FormsRegion::offer(Deadline deadline) {
  if (forming_.members->in_one_process()) {
    auto* in_process = dynamic_cast<InProcess*>(forming_.store.get());
    check(in_process != nullptr, "threads of one process have a store in it");
    region_ = std::static_pointer_cast<Region>(
        in_process->share(key(), [&] { return Region::in_process(size()); }));
    return;
  }
  if (!is_lowest()) return;
  const std::string random = random_bytes(token_.size());
  std::memcpy(token_.data(), random.data(), token_.size());
  const std::string door_name = "shoal-" + random_name();
  door_ = listen_local(door_name);
  region_ = Region::in_file(size(), token_);
  forming_.store->set(key(), door_name + " " + random, deadline);
}

std::shared_ptr<Region> FormsRegion::finish(Deadline deadline) {
  if (!forming_.members->in_one_process()) {
    if (is_lowest()) {
      hand_out(deadline);
    } else {
      take(deadline);
    }
    region_->close_file();  // the mapping stays, and a descriptor less is open
  }
  return std::move(region_);
}

// Throws when a member has gone or time is up.
void FormsRegion::look_around(Deadline deadline) const {
  forming_.members->check_alive(forming_.ranks, "forming group " + forming_.name);
  if (deadline.passed()) {
    throw TimedOut(fmt::format("the shared memory of group {} was not handed over within {} ms",
                               forming_.name, deadline.waited().count()),
                   {});
  }
}

void FormsRegion::hand_out(Deadline deadline) {
  int served = 1;
  while (served < size()) {
    const Deadline soon = Deadline::after(std::min(deadline.left(), milliseconds(100)));
    if (!await_events(door_.fd(), POLLIN, soon)) {
      look_around(deadline);
      continue;
    }
    const Socket visitor(accept4(door_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    // The door's name is a secret of the job; a visitor of another user still gets nothing.
    if (visitor && local_peer(visitor).user == static_cast<std::int64_t>(getuid()) &&
        hand_file(visitor, region_->file())) {
      ++served;
    }
  }
}

Socket FormsRegion::reach(const std::string& door, Deadline deadline) const {
  // A process that is killed closes its door before it counts as dead.
  const Deadline dying = Deadline::after(milliseconds(500));
  for (;;) {
    if (Socket connection = connect_local(door)) return connection;
    look_around(deadline);
    if (dying.passed()) {
      throw InvalidInput(
          fmt::format("rank {} of group {} cannot be reached on this host although "
                      "its processes are here; choose engine tcp",
                      places_.front(), forming_.name));
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

void FormsRegion::take(Deadline deadline) {
  const std::string offered = forming_.store->get(key(), deadline);
  const std::size_t space = offered.find(' ');
  check(space != std::string::npos && offered.size() == space + 1 + token_.size(),
        "the lowest rank offers a door and a token");
  std::memcpy(token_.data(), offered.data() + space + 1, token_.size());
  const Socket door = reach(offered.substr(0, space), deadline);
  for (;;) {
    Socket file = take_file(door, Deadline::after(std::min(deadline.left(), milliseconds(100))));
    if (file) {
      region_ = Region::from_file(file.release(), size(), token_);
      return;
    }
    look_around(deadline);
  }
}

}  // namespace shoal
