#include "shoal/core/stop_request.h"

#include <cerrno>

#include "shoal/core/check.h"

namespace shoal {
namespace {

// A signal handler gets no argument of ours, so these two are the one exception to "no global
// state": signals belong to the process.
std::atomic<StopRequest*> asked_by_signals{nullptr};
std::atomic<bool> a_signal_came{false};
static_assert(std::atomic<StopRequest*>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// Only what POSIX allows in a handler: lock-free atomics, signal, raise.
void on_signal(int number) {
  const int saved_errno = errno;
  StopRequest* const request = asked_by_signals.load(std::memory_order_acquire);
  // Counted apart from the request, which another worker's signal may have set already.
  if (request && !a_signal_came.exchange(true, std::memory_order_acq_rel)) {
    request->ask(number);
  } else {
    ::signal(number, SIG_DFL);
    ::raise(number);  // waits until this handler returns, then ends the process
  }
  errno = saved_errno;
}

}  // namespace

SignalsAskToStop::SignalsAskToStop(StopRequest& request) {
  StopRequest* nobody = nullptr;
  check(asked_by_signals.compare_exchange_strong(nobody, &request, std::memory_order_acq_rel),
        "only one SignalsAskToStop lives in a process");
  a_signal_came.store(false, std::memory_order_release);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  // The other signal waits meanwhile, so that two at once count as two.
  ::sigaddset(&action.sa_mask, SIGINT);
  ::sigaddset(&action.sa_mask, SIGTERM);
  ::sigaction(SIGINT, &action, &before_interrupt_);
  ::sigaction(SIGTERM, &action, &before_terminate_);
}

SignalsAskToStop::~SignalsAskToStop() {
  ::sigaction(SIGINT, &before_interrupt_, nullptr);
  ::sigaction(SIGTERM, &before_terminate_, nullptr);
  asked_by_signals.store(nullptr, std::memory_order_release);
}

}  // namespace shoal
