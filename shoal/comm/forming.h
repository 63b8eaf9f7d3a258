// How the groups of each engine come into being. All members call at the same time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/choices.h"
#include "shoal/comm/group_registry.h"
#include "shoal/comm/members.h"
#include "shoal/comm/topology.h"

namespace shoal {

struct FrameGroupSpec;

struct Forming {
  std::string name;
  std::vector<int> ranks;        // world ranks
  int rank = 0;                  // ours in the group
  std::shared_ptr<Store> store;  // of this group alone
  Engine engine = Engine::tcp;   // that serves the group
  std::shared_ptr<Members> members;
  std::shared_ptr<GroupRegistry> registry;
  CommOptions options;
  AlgorithmPolicy algorithms;
  NetworkLayout layout;  // of `ranks`
};

// Between these two calls the world makes sure that all members have come.
class FormsGroup {
 public:
  virtual ~FormsGroup() = default;
  // What the others need to know from this rank; read by them in finish().
  virtual std::string offer(Deadline deadline) = 0;
  virtual std::unique_ptr<Group> finish(Deadline deadline) = 0;
};

// What all groups over frames need; the wires are still missing. Defined in frame_group.cc.
FrameGroupSpec frame_spec_of(const Forming& forming);

std::unique_ptr<FormsGroup> forms_shared_group(const Forming& forming);  // memory, shm
std::unique_ptr<FormsGroup> forms_tcp_group(const Forming& forming);     // tcp, hierarchical
std::unique_ptr<FormsGroup> forms_mpi_group(const Forming& forming);
// Over two networks: comm.second_interface_address. A tcp or hierarchical group in each.
std::unique_ptr<FormsGroup> forms_hybrid_group(const Forming& forming);

}  // namespace shoal
