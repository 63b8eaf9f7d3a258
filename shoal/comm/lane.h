// Operations that are carried out one at a time in the order in which they were given: by whoever
// waits for one of them, else by a thread of the lane. So one that is waited for at once costs no
// change of threads (20 to 50 us), and one that is not goes on by itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "shoal/comm/handle.h"

namespace shoal {

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  // `limit`: when the thread that carries it out wants it back; never for the lane's own thread.
  using Work = std::function<void(Deadline limit)>;
  enum class Start : std::uint8_t {
    now,     // the thread takes it at once
    lazily,  // the thread leaves it for a moment to a caller who is about to wait
  };

  // Operations are counted in `open`.
  Lane(std::string thread_name, OpenCount open)
      : thread_name_(std::move(thread_name)), open_(std::move(open)) {}
  ~Lane() { stop(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // `work` must not throw.
  void add(Work work, Start start);
  // An operation that ends when `call` returns or throws, which it does by `deadline`. When it is
  // dropped it fails with Cancelled. `what` names it in messages.
  Handle start(std::string what, std::function<void()> call, Deadline deadline, Start start);
  // Carries `call` out on this thread, after what was given before. Throws what it throws.
  void run(const std::function<void()>& call);

  // Waits for the work under way, drops what has not begun, and ends the thread. Not to be called
  // by work of the lane itself.
  void stop();

  // Carries the next one out on this thread; false when there is none or another thread is at it.
  bool carry_out_next(Deadline limit);
  // The caller will not carry out more: the thread goes on with what is left.
  void leave_to_thread();
  bool idle() const;

 private:
  struct Item {
    Work work;
    std::shared_ptr<Ticket> ticket;  // null, or to be cancelled when dropped
  };
  void add(Item item, Start start);
  void carry_out(std::unique_lock<std::mutex>& lock, Deadline limit);
  void be_free();  // with the lock
  void serve();

  const std::string thread_name_;
  const OpenCount open_;
  mutable std::mutex mutex_;       // guards everything below
  std::condition_variable to_do_;  // for the thread
  std::condition_variable free_;   // for run() and stop()
  std::deque<Item> items_;
  bool busy_ = false;
  bool hurry_ = false;  // the thread does not leave the next one to others
  bool stop_ = false;
  std::thread thread_;  // once there was something for it
};

}  // namespace shoal
