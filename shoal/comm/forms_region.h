// How ranks of one machine come to share a region: threads of one process find it in the store;
// processes get it from the lowest of them as a memory file, over a local socket. The file has no
// name, so nothing has to be removed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/forming.h"
#include "shoal/comm/region.h"
#include "shoal/comm/socket.h"

namespace shoal {

class FormsRegion {
 public:
  // `places`: the ranks of the group that share the region, ascending, ours among them.
  FormsRegion(const Forming& forming, std::vector<int> places);

  // The lowest of them tells the others through the store where to come.
  void offer(Deadline deadline);
  // Once all have offered. Throws PeerLost and TimedOut.
  std::shared_ptr<Region> finish(Deadline deadline);

 private:
  bool is_lowest() const { return places_.front() == forming_.rank; }
  int size() const { return static_cast<int>(places_.size()); }
  std::string key() const;  // in the store
  void look_around(Deadline deadline) const;
  void hand_out(Deadline deadline);
  // Through the door of the lowest rank.
  Socket reach(const std::string& door, Deadline deadline) const;
  void take(Deadline deadline);

  const Forming& forming_;
  const std::vector<int> places_;
  RegionToken token_{};
  Socket door_;
  std::shared_ptr<Region> region_;
};

}  // namespace shoal
