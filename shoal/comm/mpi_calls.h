// What shoal asks of an MPI library. Two libraries of one name would meet in a program that linked
// them, and most machines have one of them or none: so each is spoken to by a module of its own
// (mpi/module.cc), which is loaded when it is needed. No header of an MPI is included here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace shoal {

// A message under way. Its content is the module's own.
struct MpiRequest {
  std::uint64_t word = 0;
  bool failed = false;
};

// Any thread, one call at a time inside. Nothing but start() and end() waits.
class MpiCalls {
 public:
  static constexpr int kVersion = 1;  // of this class
  enum class State : std::uint8_t { under_way, done, failed };

  virtual ~MpiCalls() = default;
  virtual std::string name() = 0;  // "Open MPI v4.1.4"; before start(), too
  // Returns when all processes of the launch have called it: empty, or why MPI cannot be used.
  virtual std::string start() = 0;
  // Likewise. Does nothing when somebody else started MPI.
  virtual void end() = 0;

  // From here on only between start() and end(). Ranks are those of MPI_COMM_WORLD.
  virtual int rank() = 0;
  virtual int size() = 0;
  virtual int largest_tag() = 0;
  // Messages of one pair and tag arrive in order. The memory stays as it is until they are done.
  virtual MpiRequest send(const std::byte* data, std::size_t bytes, int to, int tag) = 0;
  virtual MpiRequest receive(std::byte* memory, std::size_t bytes, int from, int tag) = 0;
  // Once it is done or has failed, the request is no more. `bytes`: of a message that came.
  virtual State test(MpiRequest& request, std::size_t& bytes) = 0;
  // A receive that nobody wants any more; it is done soon, one way or the other.
  virtual void cancel(MpiRequest& request) = 0;
};

// The one symbol of a module. Null: the module was built for another version of shoal.
using MpiModuleEntry = MpiCalls* (*)(int version);
inline constexpr char kMpiModuleEntry[] = "shoal_mpi_calls";

}  // namespace shoal
