// An ordered set of ranks that run collectives together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/deadline.h"
#include "shoal/core/element_type.h"

namespace shoal {

enum class ReduceOp : std::uint8_t { sum, min, max, product, mean, bit_and, bit_or, bit_xor };
std::string_view name_of(ReduceOp op);
struct Call;

// Memory with a type. Borrowed: it must stay valid until the call returns.
struct Buffer {
  std::byte* data = nullptr;
  std::size_t elements = 0;
  ElementType type = ElementType::float32;
  std::size_t bytes() const { return elements * size_of(type); }
};
struct ConstBuffer {
  const std::byte* data = nullptr;
  std::size_t elements = 0;
  ElementType type = ElementType::float32;
  ConstBuffer() = default;
  ConstBuffer(const std::byte* d, std::size_t n, ElementType t) : data(d), elements(n), type(t) {}
  ConstBuffer(const Buffer& b) : data(b.data), elements(b.elements), type(b.type) {}
  std::size_t bytes() const { return elements * size_of(type); }
};
template <typename T>
Buffer buffer(std::span<T> values);
template <typename T>
ConstBuffer buffer(std::span<const T> values);

// How the bytes travel and in which order a float reduction adds. Part of the resolved plan: two
// engines that run the same algorithm give the same bits.
enum class Algorithm : std::uint8_t {
  // Of the schedules in comm/algorithms only this one has ways of its own in every engine: every
  // element is summed in one place, in the order of ranks 0, 1, 2, ...
  two_shot,
  ring,
  recursive_doubling,
  rabenseifner,
  double_tree,
  hop_by_hop,
  two_way_ring,
  tree,
  hierarchical,
  // Of options only: what a table of measurements says (choices.h), else hierarchical in groups
  // over several hosts of which some has two ranks or more, else two_shot.
  automatic,
};

// All members make the same calls in the same order (point-to-point calls apart); a call returns
// once the local result is usable and no peer still reads the caller's memory.
// Collectives of one Group are made by one thread at a time; sends of one pair by one thread;
// different Groups share nothing.
// Throws InvalidInput when members' calls differ (naming what each rank called), PeerLost when a
// member is gone, TimedOut (naming absent ranks, operation, sequence number and group) when
// `deadline` passes, Cancelled after abort(). After any of these the Group is spent.
// bfloat16 and float16 are summed in float32.
class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;  // 0 <= rank() < size()
  virtual int size() const = 0;
  virtual const std::string& name() const = 0;
  virtual std::string_view engine() const = 0;  // "memory", "shm", "tcp", "hierarchical", "hybrid"

  // Leaves the element-wise reduction over all ranks in `parts`, the same bits on every rank. The
  // parts, all of one type, count as one vector in the order given (a bucket of tensors needs no
  // flat copy). The same sizes on every rank; 0 elements still wait for everybody.
  virtual void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) = 0;
  // `data` of rank `root` becomes `data` of all. The root may be done before others call.
  virtual void broadcast(Buffer data, int root, Deadline deadline) = 0;
  // `out` holds size() times `in`, in order of rank; `in` is the same size on every rank.
  virtual void all_gather(ConstBuffer in, Buffer out, Deadline deadline) = 0;
  // `in` counts as size() equal pieces (elements divisible by size()); `out` becomes the reduction
  // of piece rank().
  virtual void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) = 0;
  // `out` of `root` becomes the reduction of all `in`, which are of one size. Other ranks' `out` is
  // not looked at.
  virtual void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) = 0;
  virtual void barrier(Deadline deadline) = 0;

  // The next five take lists of size() buffers, by rank, all of one type. Sizes may differ from
  // pair to pair, and be 0, as long as both ranks of a pair name the same: else InvalidInput that
  // names both. Every byte goes once, directly. What a rank gives itself is copied.

  // in[q] of rank r becomes out[r] of rank q.
  void all_to_all(std::span<const ConstBuffer> in, std::span<const Buffer> out, Deadline deadline);
  // The reduction of all ranks' in[r], which are of one size, becomes `out` of rank r; added in the
  // order of ranks. Needs scratch memory of the size of `out` for each other rank.
  void reduce_scatter(std::span<const ConstBuffer> in, Buffer out, ReduceOp op, Deadline deadline);
  // `in` of rank r becomes out[r] of every rank.
  void all_gather(ConstBuffer in, std::span<const Buffer> out, Deadline deadline);
  // `in` of rank r becomes out[r] of `root`; elsewhere `out` is not looked at.
  void gather(ConstBuffer in, std::span<const Buffer> out, int root, Deadline deadline);
  // in[r] of `root` becomes `out` of rank r; elsewhere `in` is not looked at.
  void scatter(std::span<const ConstBuffer> in, Buffer out, int root, Deadline deadline);

  // Point to point: messages of one ordered pair arrive in order, and a receive must ask for the
  // size that was sent (else InvalidInput on the receiver, naming both). `send` returns when `data`
  // may be reused, which may be before the peer receives.
  virtual void send(ConstBuffer data, int to, Deadline deadline) = 0;
  virtual void receive(Buffer data, int from, Deadline deadline) = 0;
  // Whether a receive from there has something to begin with: a message, or the reason why none
  // will come. Does not block; false while another thread receives from there.
  virtual bool has_message(int from) = 0;

  // Zeroed memory from a multiple of 64 bytes on, for buffers of calls. Where it is shared
  // (shares_memory()), what lies in it is not copied on the way: the parts of an all_reduce
  // (two_shot) and the input of a reduce_scatter or all_gather that are such memory on all ranks,
  // the root's buffer of a broadcast, and what a rank gives in a transfer of lists. Ordinary memory
  // else, and where 16 GiB (1 GiB in groups of more than 16) are in use. It may outlive the group.
  // After a call has failed, others may still write to its buffers until they have failed too. Any
  // thread. Throws OutOfMemory.
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes);
  // Whether the ranks reach what allocate() gives: memory and shm groups, unless the system refuses
  // the address space. Any thread.
  virtual bool shares_memory() const { return false; }

  // From any thread: every call under way and to come throws Cancelled.
  virtual void abort() = 0;

  virtual std::uint64_t bytes_sent() const = 0;  // payload bytes handed to peers so far
  // Those of them that went to peers on other hosts.
  virtual std::uint64_t bytes_between_hosts() const { return 0; }

 protected:
  // in[q] goes to rank q, out[q] takes what rank q gives. `call` is compared. What a rank gives
  // itself is copied, unless both are one place.
  virtual void transfer(const Call& call, std::span<const ConstBuffer> in,
                        std::span<const Buffer> out, Deadline deadline) = 0;
  // For groups that hand it on to another.
  static void transfer_of(Group& other, const Call& call, std::span<const ConstBuffer> in,
                          std::span<const Buffer> out, Deadline deadline) {
    other.transfer(call, in, out, deadline);
  }
};

template <typename T>
constexpr ElementType element_type_of();
template <>
constexpr ElementType element_type_of<float>() {
  return ElementType::float32;
}
template <>
constexpr ElementType element_type_of<double>() {
  return ElementType::float64;
}
template <>
constexpr ElementType element_type_of<std::int32_t>() {
  return ElementType::int32;
}
template <>
constexpr ElementType element_type_of<std::int64_t>() {
  return ElementType::int64;
}
template <>
constexpr ElementType element_type_of<std::uint8_t>() {
  return ElementType::uint8;
}

template <typename T>
Buffer buffer(std::span<T> values) {
  return {reinterpret_cast<std::byte*>(values.data()), values.size(), element_type_of<T>()};
}
template <typename T>
ConstBuffer buffer(std::span<const T> values) {
  return {reinterpret_cast<const std::byte*>(values.data()), values.size(), element_type_of<T>()};
}

}  // namespace shoal
