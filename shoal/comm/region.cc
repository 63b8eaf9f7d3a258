#include "shoal/comm/region.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::uint64_t kMagic = 0x314e4f4947455253;  // "SREGION1"

struct alignas(128) Header {
  std::uint64_t magic;
  std::int32_t size;
  std::int32_t unused;
  std::uint64_t bytes;
  RegionToken token;
};

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

std::byte* map(int file, std::size_t bytes) {
  const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, file, 0);
  if (base == MAP_FAILED) {
    throw InvalidInput(
        fmt::format("cannot map {} bytes of shared memory: {}; raise the limit on "
                    "address space (ulimit -v) or choose engine tcp",
                    bytes, std::strerror(errno)));
  }
  return static_cast<std::byte*>(base);
}

// The system would end the process by a signal.
void require_file_size(std::size_t bytes) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      limit.rlim_cur >= bytes) {
    return;
  }
  throw InvalidInput(fmt::format(
      "shared memory of {} bytes is beyond the limit on the size of files (ulimit -f): raise it or "
      "choose engine tcp",
      bytes));
}

}  // namespace

RegionShape RegionShape::of(int size) {
  RegionShape shape;
  shape.size = size;
  // Many ranks have many pairs.
  if (size > 16) shape.channel_bytes = std::size_t{256} << 10;
  // Address space only: pages come when they are used.
  shape.arena_bytes = std::size_t{size > 16 ? 1U : 16U} << 30;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  shape.arena_bytes = std::size_t{64} << 20;
#endif
  return shape;
}

std::size_t RegionShape::states_at() const { return 4096; }
std::size_t RegionShape::small_at() const {
  return round_up(states_at() + sizeof(RankState) * size, 4096);
}
std::size_t RegionShape::notices_at() const { return small_at() + kSmallBytes * 2 * size; }
std::size_t RegionShape::staging_at() const {
  return round_up(notices_at() + kNoticeBytes * RankState::kLines * size, 4096);
}
std::size_t RegionShape::channel_states_at() const { return staging_at() + kChunkBytes * 2 * size; }
std::size_t RegionShape::channels_at() const {
  return round_up(channel_states_at() + sizeof(ChannelState) * channels(), 4096);
}
std::size_t RegionShape::arenas_at() const {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  return round_up(channels_at() + channel_bytes * channels(), kHugePage);
}
std::size_t RegionShape::bytes() const { return arenas_at() + arena_stride() * size; }

Region::Region(int file, std::byte* base, RegionShape shape)
    : file_(file),
      base_(base),
      shape_(shape),
      states_(reinterpret_cast<RankState*>(base + shape.states_at())),
      channel_states_(reinterpret_cast<ChannelState*>(base + shape.channel_states_at())) {
  if (shape.arena_bytes == 0) return;
  // Refused where there are no such pages. Arenas hold what their users can make again.
  std::byte* const arenas = base + shape.arenas_at();
  madvise(arenas, shape.arena_stride() * shape.size, MADV_HUGEPAGE);
  madvise(arenas, shape.arena_stride() * shape.size, MADV_DONTDUMP);
}

Region::~Region() {
  munmap(base_, shape_.bytes());
  close_file();
}

void Region::close_file() {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

void Region::make(const RegionToken& token) {
  for (int rank = 0; rank < shape_.size; ++rank) new (&states_[rank]) RankState;
  for (int index = 0; index < shape_.channels(); ++index)
    new (&channel_states_[index]) ChannelState;
  auto* header = new (base_) Header;
  header->magic = kMagic;
  header->size = shape_.size;
  header->bytes = shape_.bytes();
  header->token = token;
}

// Where the system does not give the address space for arenas, there are none.
template <typename Make>
std::shared_ptr<Region> Region::with_or_without_arenas(int size, const Make& make) {
  RegionShape shape = RegionShape::of(size);
  try {
    return make(shape);
  } catch (const InvalidInput&) {
    shape.arena_bytes = 0;
  }
  return make(shape);
}

std::shared_ptr<Region> Region::in_process(int size) {
  return with_or_without_arenas(size, [](const RegionShape& shape) {
    std::shared_ptr<Region> region(new Region(-1, map(-1, shape.bytes()), shape));
    region->make({});
    return region;
  });
}

std::shared_ptr<Region> Region::in_file(int size, const RegionToken& token) {
  return with_or_without_arenas(size, [&](const RegionShape& shape) {
    require_file_size(shape.bytes());
    const int file = memfd_create("shoal", MFD_CLOEXEC);
    if (file < 0) {
      throw InvalidInput(fmt::format("cannot make a memory file: {}", std::strerror(errno)));
    }
    if (ftruncate(file, static_cast<off_t>(shape.bytes())) != 0) {
      const int reason = errno;
      close(file);
      throw InvalidInput(fmt::format("cannot give a memory file {} bytes: {}", shape.bytes(),
                                     std::strerror(reason)));
    }
    try {
      std::shared_ptr<Region> region(new Region(file, map(file, shape.bytes()), shape));
      region->make(token);
      return region;
    } catch (const Error&) {
      close(file);
      throw;
    }
  });
}

std::shared_ptr<Region> Region::from_file(int file, int size, const RegionToken& token) {
  RegionShape shape = RegionShape::of(size);
  struct stat status {};
  const bool known = fstat(file, &status) == 0;
  const auto offered = static_cast<std::size_t>(status.st_size);
  if (offered != shape.bytes()) shape.arena_bytes = 0;
  if (!known || offered != shape.bytes()) {
    close(file);
    throw InvalidInput(
        fmt::format("the shared memory offered for a group of {} ranks has another "
                    "size than this build expects; run one build everywhere",
                    size));
  }
  std::byte* base = nullptr;
  try {
    base = map(file, shape.bytes());
  } catch (const Error&) {
    close(file);
    throw;
  }
  std::shared_ptr<Region> region(new Region(file, base, shape));
  const auto* header = reinterpret_cast<const Header*>(base);
  if (header->magic != kMagic || header->size != size || header->bytes != shape.bytes() ||
      header->token != token) {
    throw InvalidInput(
        "the shared memory offered for a group does not carry the group's token: it "
        "belongs to another job or another build");
  }
  return region;
}

}  // namespace shoal
