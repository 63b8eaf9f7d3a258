// Groups over a region: memory of one process, or a memory file that the group's first rank makes
// and hands to the others over a local socket. The file has no name, so nothing has to be removed.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "shoal/comm/failure.h"
#include "shoal/comm/forming.h"
#include "shoal/comm/in_process.h"
#include "shoal/comm/shared_group.h"
#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<SharedGroup> group_over(const Forming& forming, std::string_view engine,
                                        std::shared_ptr<Region> region) {
  const Members& members = *forming.members;
  const int host = members.of(forming.ranks[forming.rank]).host;
  SharedGroupSpec spec;
  spec.name = forming.name;
  spec.engine = engine;
  spec.rank = forming.rank;
  spec.region = std::move(region);
  spec.patience = Patience::of(static_cast<int>(members.ranks_of_host(host).size()),
                               members.usable_cores(host));
  spec.algorithm = forming.options.algorithm;
  spec.topology = forming.topology;
  spec.dead = [members = forming.members, ranks = forming.ranks] { return members->dead(ranks); };
  return std::make_unique<SharedGroup>(std::move(spec), forming.registry);
}

class MemoryGroupForms final : public FormsGroup {
 public:
  explicit MemoryGroupForms(const Forming& forming) : forming_(forming) {}

  std::string offer(Deadline) override {
    auto* in_process = dynamic_cast<InProcess*>(forming_.store.get());
    check(in_process != nullptr, "engine memory has a store in this process");
    const int size = static_cast<int>(forming_.ranks.size());
    region_ = std::static_pointer_cast<Region>(
        in_process->share("region", [&] { return Region::in_process(size); }));
    return "memory";
  }
  std::unique_ptr<Group> finish(Deadline) override {
    return group_over(forming_, "memory", std::move(region_));
  }

 private:
  const Forming forming_;
  std::shared_ptr<Region> region_;
};

class ShmGroupForms final : public FormsGroup {
 public:
  explicit ShmGroupForms(const Forming& forming) : forming_(forming) {}

  std::string offer(Deadline) override {
    if (forming_.rank != 0) return "shm";
    const std::string random = random_bytes(token_.size());
    std::memcpy(token_.data(), random.data(), token_.size());
    door_name_ = "shoal-" + random_name();
    door_ = listen_local(door_name_);
    region_ = Region::in_file(static_cast<int>(forming_.ranks.size()), token_);
    return door_name_ + " " + random;
  }

  std::unique_ptr<Group> finish(Deadline deadline) override {
    if (forming_.rank == 0) {
      hand_out(deadline);
    } else {
      take(deadline);
    }
    region_->close_file();  // the mapping stays, and a descriptor less is open
    auto group = group_over(forming_, "shm", std::move(region_));
    // The first rank closes its door when it has served all, which they know when they are here.
    group->meet(deadline);
    return group;
  }

 private:
  std::string what() const { return "forming group " + forming_.name; }

  // Throws when a member has gone or time is up.
  void look_around(Deadline deadline) const {
    forming_.members->check_alive(forming_.ranks, what());
    if (deadline.passed()) {
      throw TimedOut(fmt::format("the shared memory of group {} was not handed over within {} ms",
                                 forming_.name, deadline.waited().count()),
                     {});
    }
  }

  void hand_out(Deadline deadline) {
    std::size_t served = 1;
    while (served < forming_.ranks.size()) {
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

  void take(Deadline deadline) {
    const std::string offered = forming_.store->get("offer/0", deadline);
    const std::size_t space = offered.find(' ');
    check(space != std::string::npos && offered.size() == space + 1 + token_.size(),
          "the first rank offers a door and a token");
    std::memcpy(token_.data(), offered.data() + space + 1, token_.size());
    const Socket door = connect_local(offered.substr(0, space));
    if (!door) {
      look_around(deadline);
      throw InvalidInput(
          fmt::format("rank 0 of group {} cannot be reached on this host although "
                      "its processes are here; choose engine tcp",
                      forming_.name));
    }
    for (;;) {
      Socket file = take_file(door, Deadline::after(std::min(deadline.left(), milliseconds(100))));
      if (file) {
        region_ =
            Region::from_file(file.release(), static_cast<int>(forming_.ranks.size()), token_);
        return;
      }
      look_around(deadline);
    }
  }

  const Forming forming_;
  RegionToken token_{};
  std::string door_name_;
  Socket door_;
  std::shared_ptr<Region> region_;
};

}  // namespace

std::unique_ptr<FormsGroup> forms_memory_group(const Forming& forming) {
  return std::make_unique<MemoryGroupForms>(forming);
}

std::unique_ptr<FormsGroup> forms_shm_group(const Forming& forming) {
  return std::make_unique<ShmGroupForms>(forming);
}

}  // namespace shoal
