#include "shoal/comm/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

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
  if (waited.count() == 0 && !present.empty()) {
    text += fmt::format(", as {} found out", rank_list(present));
  } else if (!present.empty()) {
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
  std::vector<std::pair<std::uint64_t, std::vector<int>>> ranks_of_call;  // in order of first rank
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    const auto same = std::find_if(ranks_of_call.begin(), ranks_of_call.end(),
                                   [&](const auto& entry) { return entry.first == calls[rank]; });
    const auto place = same != ranks_of_call.end()
                           ? same
                           : ranks_of_call.insert(same, {calls[rank], std::vector<int>{}});
    place->second.push_back(static_cast<int>(rank));
  }
  std::string_view separator = " ";
  for (const auto& [call, ranks] : ranks_of_call) {
    const std::string_view verb = ranks.size() == 1 ? "has" : "have";
    text += separator;
    text += rank_list(ranks);
    text += call == 0 ? fmt::format(" {} not been heard yet", verb)
                      : " called " + Call::unpacked(call).text();
    separator = ", ";
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
