// An MPI among the threads of a test: messages of one pair and tag arrive in order, large ones are
// done when they are taken (as a rendezvous is), and now and then nothing has happened yet.
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "shoal/comm/mpi_process.h"

namespace shoal::test {

// Any thread.
class FakeMpi {
 public:
  static constexpr std::size_t kEagerBytes = 4096;

  explicit FakeMpi(int size) {
    for (int rank = 0; rank < size; ++rank) {
      processes_.push_back(std::make_shared<MpiProcess>(std::make_shared<Calls>(*this, rank),
                                                        [](Deadline) { return true; }));
    }
  }
  std::shared_ptr<MpiProcess> process(int rank) { return processes_[rank]; }
  int largest_tag = 1 << 20;
  // Everything to and from this rank fails from now on.
  void lose(int rank) {
    const std::lock_guard lock(mutex_);
    lost_.insert(rank);
  }
  // Flips a bit of what is sent from now on.
  void damage_byte(std::size_t position) {
    const std::lock_guard lock(mutex_);
    damaged_ = static_cast<std::ptrdiff_t>(position);
  }
  // Requests that are not done.
  std::size_t open_requests() {
    const std::lock_guard lock(mutex_);
    std::size_t open = 0;
    for (const auto& [word, operation] : operations_) open += operation.done ? 0 : 1;
    return open;
  }

 private:
  struct Wire {
    int from;
    int to;
    int tag;
    auto operator<=>(const Wire&) const = default;
  };
  struct Operation {
    Wire wire;
    std::byte* memory;  // of a send: only read
    std::size_t bytes;
    bool done = false;
  };
  struct Waiting {
    std::deque<std::uint64_t> receives;
    std::deque<std::pair<std::uint64_t, std::vector<std::byte>>> sends;  // 0: nobody waits for it
  };

  class Calls final : public MpiCalls {
   public:
    Calls(FakeMpi& mpi, int rank) : mpi_(mpi), rank_(rank) {}
    std::string name() override { return "threads of a test"; }
    std::string start() override { return ""; }
    void end() override {}
    int rank() override { return rank_; }
    int size() override { return static_cast<int>(mpi_.processes_.size()); }
    int largest_tag() override { return mpi_.largest_tag; }
    MpiRequest send(const std::byte* data, std::size_t bytes, int to, int tag) override {
      return {mpi_.begin({{rank_, to, tag}, const_cast<std::byte*>(data), bytes}, true)};
    }
    MpiRequest receive(std::byte* memory, std::size_t bytes, int from, int tag) override {
      return {mpi_.begin({{from, rank_, tag}, memory, bytes}, false)};
    }
    State test(MpiRequest& request, std::size_t& bytes) override {
      return mpi_.test(request, bytes);
    }
    void cancel(MpiRequest& request) override { mpi_.cancel(request); }

   private:
    FakeMpi& mpi_;
    const int rank_;
  };

  std::uint64_t begin(Operation operation, bool sends) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t word = ++words_;
    Waiting& waiting = waiting_[operation.wire];
    operation.done = sends && operation.bytes <= kEagerBytes;
    if (sends) {
      std::vector<std::byte> copy(operation.memory, operation.memory + operation.bytes);
      if (damaged_ >= 0 && damaged_ < static_cast<std::ptrdiff_t>(copy.size())) {
        copy[static_cast<std::size_t>(damaged_)] ^= std::byte{4};
      }
      waiting.sends.emplace_back(operation.done ? 0 : word, std::move(copy));
    } else {
      waiting.receives.push_back(word);
    }
    operations_.emplace(word, operation);
    match(waiting);
    return word;
  }

  void match(Waiting& waiting) {
    while (!waiting.receives.empty() && !waiting.sends.empty()) {
      Operation& receive = operations_.at(waiting.receives.front());
      auto& [send, bytes] = waiting.sends.front();
      if (!bytes.empty()) std::memcpy(receive.memory, bytes.data(), bytes.size());
      receive.bytes = bytes.size();
      receive.done = true;
      if (send != 0) operations_.at(send).done = true;
      waiting.receives.pop_front();
      waiting.sends.pop_front();
    }
  }

  MpiCalls::State test(MpiRequest& request, std::size_t& bytes) {
    const std::lock_guard lock(mutex_);
    if (request.word == 0) return MpiCalls::State::done;  // as of a request that is no more
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    const Operation& operation = operations_.at(request.word);
    if (lost_.contains(operation.wire.from) || lost_.contains(operation.wire.to)) {
      return MpiCalls::State::failed;
    }
    if (!operation.done || (random_ >> 33) % 4 == 0) return MpiCalls::State::under_way;
    bytes = operation.bytes;
    operations_.erase(request.word);
    request.word = 0;
    return MpiCalls::State::done;
  }

  void cancel(const MpiRequest& request) {
    const std::lock_guard lock(mutex_);
    const auto found = operations_.find(request.word);
    if (found == operations_.end() || found->second.done) return;
    std::erase(waiting_[found->second.wire].receives, request.word);
    found->second.bytes = 0;
    found->second.done = true;
  }

  std::mutex mutex_;  // guards everything below
  std::map<Wire, Waiting> waiting_;
  std::map<std::uint64_t, Operation> operations_;
  std::set<int> lost_;
  std::ptrdiff_t damaged_ = -1;
  std::uint64_t words_ = 0;
  std::uint64_t random_ = 1;
  std::vector<std::shared_ptr<MpiProcess>> processes_;  // last: its members use the rest
};

}  // namespace shoal::test
