// Who the workers of a world are, which of them share our host, and which have gone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/flag.h"
#include "shoal/comm/socket.h"
#include "shoal/comm/store.h"
#include "shoal/comm/world.h"

namespace shoal {

// One worker as it describes itself in the store.
struct Member {
  std::int64_t process = 0;   // process id
  std::string process_space;  // in which ids are numbered: boot id and process id namespace
  std::string door;           // name of a local socket on which it listens
  std::vector<int> cores;     // it may use
  int machine = 0;            // lowest rank that is proved to be on its machine
  int host = 0;               // lowest rank of its host: its machine, or a part that counts as one
};

// Thread safe once made.
class Members {
 public:
  // Announces this worker in `store` and waits for all others.
  // Throws TimedOut naming those that did not come, PeerLost when one died, InvalidInput when two
  // workers have one rank.
  Members(std::shared_ptr<Store> store, Membership me, const CommOptions& options,
          Deadline deadline);
  ~Members();
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  const Member& of(int rank) const { return members_[rank]; }
  bool in_one_process() const { return in_one_process_; }
  bool on_one_machine(const std::vector<int>& ranks) const {
    return alike(ranks, &Member::machine);
  }
  bool on_one_host(const std::vector<int>& ranks) const { return alike(ranks, &Member::host); }
  std::vector<int> ranks_of_host(int host) const;  // ascending
  // How ranks of this worker's machine should wait: by its workers and the cores they may use.
  Patience patience() const;

  // The value of `key`, which appears once all `ranks` (world ranks) have come to `what`. While it
  // waits it watches their lives. Throws TimedOut naming (by place in `ranks`) those whose
  // `key_of_rank` is missing, and PeerLost.
  struct Awaited {
    std::string key;
    std::string key_of_rank;  // followed by the place in `ranks`
    std::string what;         // "forming group data"
  };
  std::string await(const Awaited& awaited, const std::vector<int>& ranks, Deadline deadline) const;

  // Places in `ranks` of members whose processes on this host have ended. Cheap.
  std::vector<int> dead(const std::vector<int>& ranks) const;
  // Throws PeerLost when one of them has died or left.
  void check_alive(const std::vector<int>& ranks, const std::string& what) const;

 private:
  // By place in `ranks`.
  struct Gone {
    std::vector<int> died;
    std::vector<int> left;
  };
  Gone gone_of(const std::vector<int>& ranks) const;
  bool alike(const std::vector<int>& ranks, int Member::*what) const;
  void announce(Deadline deadline);
  void meet(Deadline deadline);
  void find_machines(Deadline deadline);
  void tell_hosts(int ranks_per_host);
  std::chrono::milliseconds slice() const;

  const std::shared_ptr<Store> store_;  // shared: the world and its user have it too
  const Membership me_;
  const double death_seconds_;
  std::vector<Member> members_;
  std::vector<Socket> life_;  // by rank: a handle that becomes readable when the process ends
  Socket door_;               // that we can be reached here proves that we share a host
  bool in_one_process_ = false;
};

}  // namespace shoal
