#include "shoal/train/weights_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "shoal/comm/across_ranks.h"
#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

struct Located {
  int block = 0;
  std::vector<std::int64_t> shape;
};

// By name: the order of the digest.
std::map<std::string, Located> parameters_by_name(const Programs& programs) {
  std::map<std::string, Located> all;
  for (std::size_t block = 0; block < programs.blocks.size(); ++block) {
    for (const auto& parameter : programs.blocks[block].parameters) {
      all[parameter.name] = {static_cast<int>(block), parameter.shape};
    }
  }
  return all;
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()),
          static_cast<std::size_t>(tensor.nbytes())};
}

// Ranks that hold a block compare one digest a block.
void require_equal_replicas(Group& world, const Programs& programs,
                            const std::map<int, std::uint64_t>& own, Deadline deadline) {
  const std::size_t blocks = programs.blocks.size();
  std::vector<std::int64_t> mine(blocks, 0);
  for (const auto& [block, digest] : own) mine[block] = static_cast<std::int64_t>(digest);
  std::vector<std::int64_t> of_all(blocks * static_cast<std::size_t>(world.size()));
  world.all_gather(buffer(std::span<const std::int64_t>(mine)), buffer(std::span(of_all)),
                   deadline);
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto holders = holders_of_block(programs, static_cast<int>(block));
    for (const int rank : holders) {
      check(of_all[rank * blocks + block] == of_all[holders.front() * blocks + block],
            fmt::format("ranks {} and {} hold different weights of block {}", holders.front(), rank,
                        programs.blocks[block].name));
    }
  }
}

}  // namespace

std::vector<int> holders_of_block(const Programs& programs, int block) {
  std::vector<int> holders;
  for (const Program& program : programs.named.at("train")) {
    const auto blocks = program.blocks();
    if (std::find(blocks.begin(), blocks.end(), block) != blocks.end()) {
      holders.push_back(program.rank);
    }
  }
  return holders;
}

std::string weights_sha256(Group& world, const Programs& programs, const RankModel& model,
                           Deadline deadline) {
  std::map<std::string, at::Tensor> own;
  std::map<int, Sha256> digests;
  for (const HeldTensor& held : model.held()) {
    if (held.role != "parameter") continue;
    const at::Tensor contiguous = held.tensor.detach().cpu().contiguous();
    own[held.name] = contiguous.to(at::kFloat);
    digests[held.block].add(bytes_of(contiguous));
  }
  std::map<int, std::uint64_t> by_block;
  for (auto& [block, digest] : digests) by_block[block] = name_hash(digest.hex());
  require_equal_replicas(world, programs, by_block, deadline);

  Sha256 all;
  for (const auto& [name, located] : parameters_by_name(programs)) {
    const int owner = holders_of_block(programs, located.block).front();
    if (owner == world.rank() && owner != 0) world.send(buffer_of(own.at(name)), 0, deadline);
    if (world.rank() != 0) continue;
    at::Tensor tensor = owner == 0 ? own.at(name) : at::empty(located.shape, at::kFloat);
    if (owner != 0) world.receive(buffer_of(tensor), owner, deadline);
    all.add(bytes_of(tensor));
  }
  return text_of_rank_0(world, all.hex(), deadline);
}

}  // namespace shoal
