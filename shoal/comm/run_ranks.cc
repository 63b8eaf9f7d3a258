#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "shoal/comm/in_process.h"
#include "shoal/comm/store_world.h"
#include "shoal/comm/world.h"
#include "shoal/core/check.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

// Errors that only report another rank's end: that rank's own error says more.
bool is_echo(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const PeerLost&) {
    return true;
  } catch (const Cancelled& cancelled) {
    return cancelled.signal == 0;
  } catch (...) {
    return false;
  }
}

class Ranks {
 public:
  explicit Ranks(int size) : worlds_(static_cast<std::size_t>(size)) {}

  void run(int rank, const CommOptions& options, const std::function<void(World&)>& body) {
    name_this_thread(fmt::format("rank{}", rank));
    const auto join = std::chrono::duration<double>(options.join_seconds);
    std::unique_ptr<World> world;
    try {
      world =
          join_world(store_, {.rank = rank, .size = static_cast<int>(worlds_.size())}, options,
                     Deadline::after(std::chrono::duration_cast<std::chrono::nanoseconds>(join)));
      enter(rank, *world);
      body(*world);
    } catch (...) {
      fail(rank, std::current_exception());
    }
    leave(rank);
  }

  void rethrow_first() const {
    if (errors_.empty()) return;
    const auto cause = std::find_if_not(errors_.begin(), errors_.end(), is_echo);
    std::rethrow_exception(cause == errors_.end() ? errors_.front() : *cause);
  }

 private:
  void enter(int rank, World& world) {
    const std::lock_guard lock(mutex_);
    worlds_[rank] = static_cast<StoreWorld*>(&world);
    if (!errors_.empty()) worlds_[rank]->abort_groups();
  }
  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    worlds_[rank] = nullptr;
  }
  void fail(int rank, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    errors_.push_back(std::move(error));
    dynamic_cast<InProcess&>(*store_).close(fmt::format("rank {} has failed", rank));
    for (StoreWorld* world : worlds_) {
      if (world != nullptr) world->abort_groups();
    }
  }

  // Shared by the ranks' worlds.
  const std::shared_ptr<Store> store_ = make_memory_store();
  std::mutex mutex_;  // guards everything below
  std::vector<StoreWorld*> worlds_;
  std::vector<std::exception_ptr> errors_;  // in the order of time
};

}  // namespace

void run_ranks(int size, const CommOptions& options, const std::function<void(World&)>& body) {
  require_none(options.problems());
  if (size < 1) throw InvalidInput(fmt::format("cannot run {} ranks; give at least 1", size));
  Ranks ranks(size);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] { ranks.run(rank, options, body); });
    }
  }
  ranks.rethrow_first();
}

}  // namespace shoal
