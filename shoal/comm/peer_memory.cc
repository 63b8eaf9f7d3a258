#include "shoal/comm/peer_memory.h"

#include <sys/uio.h>

#include <cerrno>
#include <limits>

namespace shoal {
namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

}  // namespace

PeerMemory::PeerMemory(std::shared_ptr<Region> region, int rank, std::vector<int> processes,
                       std::size_t least_bytes)
    : region_(std::move(region)),
      rank_(rank),
      processes_(std::move(processes)),
      pays_from_(least_bytes),
      least_bytes_(kNever) {
  if (processes_.empty()) return;
  const auto address = reinterpret_cast<std::uintptr_t>(&word_);
  word_ = word_at(address);
  region_->state(rank_).word_address.store(address, std::memory_order_release);
}

void PeerMemory::try_all() {
  if (processes_.empty()) return;
  bool reads_all = true;
  for (int peer = 0; peer < region_->shape().size; ++peer) {
    const std::uint64_t address = region_->state(peer).word_address.load(std::memory_order_acquire);
    std::uint64_t word = 0;
    reads_all &= address != 0 && processes_[peer] != 0 &&
                 read(peer, address, reinterpret_cast<std::byte*>(&word), sizeof word) == 0 &&
                 word == word_at(address);
  }
  region_->state(rank_).reads_all.store(reads_all, std::memory_order_release);
}

void PeerMemory::conclude() {
  for (int peer = 0; peer < region_->shape().size; ++peer) {
    if (!region_->state(peer).reads_all.load(std::memory_order_acquire)) return;
  }
  least_bytes_ = pays_from_;
}

bool PeerMemory::can_lend(const std::byte* data, std::size_t bytes) const {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  std::byte one{};
  return read(rank_, address, &one, 1) == 0 && read(rank_, address + bytes - 1, &one, 1) == 0;
}

int PeerMemory::read(int peer, std::uint64_t address, std::byte* to, std::size_t bytes) const {
  auto* from = reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(address));
  while (bytes != 0) {
    const iovec local{to, bytes};
    const iovec remote{from, bytes};
    const ssize_t copied = process_vm_readv(processes_[peer], &local, 1, &remote, 1, 0);
    if (copied < 0) return errno;
    if (copied == 0) return EFAULT;
    to += copied;
    from += copied;
    bytes -= static_cast<std::size_t>(copied);
  }
  return 0;
}

}  // namespace shoal
