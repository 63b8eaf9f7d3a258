// The ordinary memory of the other ranks of a host, read where it lies: one copy in place of the
// two through staging memory, and no steps between them.
//
// The kernel copies (cross-memory attach, process_vm_readv(2)). It finds every page anew, so that
// this is for large pieces; but memory that its owner has given up meanwhile is an error, not a
// crash, also between threads of one process. A system may forbid it (other user ids, a seccomp
// filter, ptrace_scope of Yama): ranks find out when their group forms, and all do without when one
// of them must.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "shoal/comm/region.h"

namespace shoal {

class PeerMemory {
 public:
  // `processes`: by rank, the ids of their processes here; 0 for one that is not numbered here.
  // None at all: nothing is read. `least_bytes`: from which size on reading pays.
  PeerMemory(std::shared_ptr<Region> region, int rank, std::vector<int> processes,
             std::size_t least_bytes);
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  // Reads a word of every other rank, all of which have been made.
  void try_all();
  // Once all have tried.
  void conclude();

  // From which size on others had better read a piece of this rank's memory; the largest number
  // when they cannot.
  std::size_t least_bytes() const { return least_bytes_; }
  // Whether the system reads this memory of this rank at all: not what a device has mapped.
  bool can_lend(const std::byte* data, std::size_t bytes) const;
  // Copies from an address in rank `peer`, which keeps the memory until then. 0, or the error's
  // number.
  int read(int peer, std::uint64_t address, std::byte* to, std::size_t bytes) const;

 private:
  static std::uint64_t word_at(std::uint64_t address) { return address * 0x9e3779b97f4a7c15; }

  const std::shared_ptr<Region> region_;
  const int rank_;
  const std::vector<int> processes_;
  std::uint64_t word_ = 0;  // word_at its own address: what others must find there
  const std::size_t pays_from_;
  std::size_t least_bytes_;
};

}  // namespace shoal
