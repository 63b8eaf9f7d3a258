#include "shoal/comm/failure.h"

#include <fmt/format.h>

namespace shoal {

std::string rank_list(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (i != 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  return text;
}

std::string Place::text() const {
  return fmt::format("{} #{} of group {}", operation, number, group);
}

TimedOut not_joined(const Place& place, const std::vector<int>& absent,
                    const std::vector<int>& present, std::chrono::milliseconds waited) {
  std::string text = fmt::format("{} {} not joined {}", rank_list(absent),
                                 absent.size() == 1 ? "has" : "have", place.text());
  if (!present.empty()) {
    text += fmt::format("; {} {} waited {:.3g} s", rank_list(present),
                        present.size() == 1 ? "has" : "have",
                        static_cast<double>(waited.count()) / 1000);
  }
  return TimedOut(std::move(text), absent);
}

PeerLost peer_gone(const Place& place, int rank, const std::string& how) {
  return PeerLost(fmt::format("rank {} {} during {}", rank, how, place.text()), {rank});
}

InvalidInput calls_differ(const Place& place, const std::vector<std::uint64_t>& calls) {
  std::string text = fmt::format(
      "the ranks' calls for operation #{} of group {} differ:", place.number, place.group);
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    text += fmt::format("{} rank {} {}", rank == 0 ? "" : ",", rank,
                        calls[rank] == 0 ? std::string("has not called yet")
                                         : "called " + Call::unpacked(calls[rank]).text());
  }
  return InvalidInput(std::move(text));
}

Cancelled aborted(const Place& place) {
  return Cancelled(fmt::format("{} was aborted", place.text()));
}

bool Spent::set(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (error_) return false;
  error_ = std::move(error);
  set_.store(true, std::memory_order_release);
  return true;
}

void Spent::rethrow() const {
  std::exception_ptr error;
  {
    const std::lock_guard lock(mutex_);
    error = error_;
  }
  std::rethrow_exception(error);
}

}  // namespace shoal
