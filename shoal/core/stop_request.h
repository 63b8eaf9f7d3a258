// Ctrl-C and SIGTERM as a value: the first asks for a clean stop, which all workers then agree on;
// the second ends the process at once.
#pragma once

#include <signal.h>

#include <atomic>

namespace shoal {

// Any thread may ask and look at any time.
class StopRequest {
 public:
  // The signal that asked, 0 when none did.
  int signal() const { return signal_.load(std::memory_order_acquire); }
  void ask(int signal_number) { signal_.store(signal_number, std::memory_order_release); }

 private:
  std::atomic<int> signal_{0};
};

// While it lives, SIGINT and SIGTERM set `request`, which outlives it; a second one of either kind
// acts as it did before any handler: the process ends. One at a time per process (checked). System
// calls that a signal interrupts go on, where the system can (SA_RESTART).
class SignalsAskToStop {
 public:
  explicit SignalsAskToStop(StopRequest& request);
  ~SignalsAskToStop();  // puts the earlier handlers back
  SignalsAskToStop(const SignalsAskToStop&) = delete;
  SignalsAskToStop& operator=(const SignalsAskToStop&) = delete;

 private:
  struct sigaction before_interrupt_ {};
  struct sigaction before_terminate_ {};
};

}  // namespace shoal
