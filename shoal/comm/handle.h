// An operation that goes on while its caller does something else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shoal/core/deadline.h"

namespace shoal {

class Lane;

// How many operations are not over yet.
using OpenCount = std::shared_ptr<std::atomic<int>>;

// What the one who carries an operation out and those who wait for it share. Thread safe.
class Ticket {
 public:
  struct Terms {
    std::string what;               // "receive from rank 2", for messages
    Deadline deadline;              // the operation's own
    bool ends_itself = true;        // when that passes; else whoever waits gives up then
    std::weak_ptr<Lane> lane = {};  // a waiter may carry out what comes before in it, to get on
    std::vector<int> awaited = {};  // ranks, for messages
    OpenCount open = {};            // counted there, unless null
  };
  explicit Ticket(Terms terms);

  void begin();
  // Ends the operation, once: later calls do nothing. `source`: the rank a message came from.
  void end(std::exception_ptr error, int source = -1);

 private:
  friend class Handle;
  const Terms terms_;
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable ended_;
  bool running_ = false;
  bool decided_ = false;  // how it ends is known; then_ is being called
  bool over_ = false;
  std::exception_ptr error_;
  int source_ = -1;
  std::vector<std::function<void()>> then_;
};

// Copies stand for the same operation. Dropping all of them does not stop it. Any thread.
class Handle {
 public:
  enum class State : std::uint8_t { waiting, running, done, failed };

  Handle() = default;  // of nothing: only to be assigned to
  explicit Handle(std::shared_ptr<Ticket> ticket) : ticket_(std::move(ticket)) {}

  State state() const;
  bool over() const;                 // done or failed
  std::exception_ptr error() const;  // of one that failed, else null
  int source() const;                // the rank that a received message came from, else -1

  // Returns when it is done; throws what it failed with. With a `deadline` earlier than the
  // operation's own, throws TimedOut when that passes; the operation goes on.
  void wait(Deadline deadline = Deadline::never()) const;
  // Calls `call` once it has ended, in the thread that ends it and before anybody who waits hears
  // of it; at once when it has ended already. `call` must not throw, nor wait for this operation;
  // error() and source() are there for it.
  void then(std::function<void()> call) const;

 private:
  std::shared_ptr<Ticket> ticket_;
};

}  // namespace shoal
