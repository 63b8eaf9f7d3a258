// How the launchers of one job on several nodes keep an eye on each other, through the job's store.
//
// The store says of a launcher whose connection has ended (`launch/gone/<node>`); against a network
// that swallows everything, every launcher also counts up `launch/beat/<node>`. Node 0, which
// serves the store, watches both, and the others notice the loss of node 0 by the loss of the
// store. The first failure with a cause of its own is kept in `launch/cause`, the first that only
// follows from another in `launch/failed`, a request to stop in `launch/stop`, the end of a node's
// workers in `launch/done/<node>`.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shoal/comm/store.h"
#include "shoal/core/deadline.h"
#include "shoal/launch/supervisor.h"

namespace shoal {

struct NodeLinkOptions {
  int node = 0;
  int nodes = 1;
  int workers = 1;                           // of all nodes together
  std::chrono::milliseconds join{60000};     // for all launchers to come
  std::chrono::milliseconds silence{10000};  // after which a launcher counts as lost
};

// Thread safe. Owns a thread that talks to the store.
class NodeLink : public Neighbours {
 public:
  // Waits for node 0 to have said what the job looks like. Throws InvalidInput when this launcher
  // was started with other numbers than node 0, or another one is this node already; TimedOut.
  NodeLink(std::shared_ptr<Store> store, NodeLinkOptions options, Deadline deadline);
  ~NodeLink() override;

  void tell_failure(const Failure& failure) override;
  void tell_stop(int signal_number) override;
  // The workers of this node have ended; called before the destructor.
  void tell_done();

  std::optional<Failure> failure() override;
  int stop_signal() override;
  bool is_needed() override;

 private:
  struct Neighbour {
    std::int64_t beat = 0;
    std::chrono::steady_clock::time_point changed;
    bool done = false;
    bool lost = false;
  };

  void announce(Deadline deadline);
  void watch(const std::stop_token& end);
  void look_around();
  void look_at(int node, std::chrono::steady_clock::time_point now);
  std::optional<std::string> loss_of(const Neighbour& other, int node, bool gone,
                                     std::chrono::steady_clock::time_point now) const;
  void note_failure(Failure failure);

  const std::shared_ptr<Store> store_;  // shared with whoever made the link
  const NodeLinkOptions options_;
  const Deadline join_until_;

  std::mutex mutex_;               // guards what follows
  std::vector<Neighbour> others_;  // by node; filled on node 0 only
  std::optional<Failure> failure_;
  int stop_signal_ = 0;
  bool store_is_gone_ = false;
  std::condition_variable_any wake_;

  std::jthread thread_;
};

}  // namespace shoal
