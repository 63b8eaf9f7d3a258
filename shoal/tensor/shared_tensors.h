// Tensors in memory that all ranks of a group reach (Group::allocate), so that its collectives of
// them copy nothing: LibTorch is made to allocate there.
#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace shoal {

// Memory that was given back stays here for the next tensor of about its size (an eighth more at
// most), as it is, not zeroed; it goes back to the group when all of it is twice what was ever in
// use at once. Tensors may outlive this and the group. A forked child makes ordinary tensors; those
// that it has from its parent are the parent's own, no copies. Thread safe.
class SharedTensors : public std::enable_shared_from_this<SharedTensors> {
 public:
  using Allocate = std::function<std::shared_ptr<std::byte>(std::size_t bytes)>;
  // `wants`: which tensors, by their bytes.
  SharedTensors(Allocate allocate, std::function<bool(std::size_t bytes)> wants);

  // Empty for a tensor that is not wanted, after stop(), and when there is no memory.
  c10::DataPtr take(std::size_t bytes);
  // No tensor is made here any more, and `allocate` is not called again.
  void stop();

  // What take() gave, or LibTorch's own allocator.
  static void release(void* data);

  std::size_t bytes_in_use() const;
  std::size_t bytes_idle() const;

 private:
  struct Lent;
  struct Ledger;
  void give_back(std::size_t rounded, std::shared_ptr<std::byte> memory);

  const std::function<bool(std::size_t)> wants_;
  mutable std::mutex mutex_;  // guards everything below
  Allocate allocate_;
  std::map<std::size_t, std::vector<std::shared_ptr<std::byte>>> idle_;  // by rounded size
  std::size_t bytes_in_use_ = 0;                                         // rounded
  std::size_t most_in_use_ = 0;
  std::size_t bytes_idle_ = 0;
};

// While it lives, CPU tensors that this thread makes are taken from `tensors` if it wants them.
// Null changes nothing. Nested scopes: the innermost counts.
class SharedTensorsScope {
 public:
  explicit SharedTensorsScope(std::shared_ptr<SharedTensors> tensors);
  ~SharedTensorsScope();
  SharedTensorsScope(const SharedTensorsScope&) = delete;
  SharedTensorsScope& operator=(const SharedTensorsScope&) = delete;

 private:
  SharedTensors* const before_;
  const std::shared_ptr<SharedTensors> tensors_;
};

// The same for all threads that are in no scope, until it is called again; null ends it.
void share_tensors_everywhere(std::shared_ptr<SharedTensors> tensors);

}  // namespace shoal
