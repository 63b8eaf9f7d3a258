#include "shoal/execute/trace.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace shoal {

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Trace::add(TraceSpan span) {
  const std::scoped_lock lock(mutex_);
  spans_.push_back(std::move(span));
}

std::vector<TraceSpan> Trace::spans() const {
  const std::scoped_lock lock(mutex_);
  return spans_;
}

std::string spans_to_text(const Trace& trace) {
  nlohmann::json all = nlohmann::json::array();
  for (const TraceSpan& span : trace.spans()) {
    all.push_back(
        {span.name, span.category, span.lane, span.step, span.op, span.start_ns, span.end_ns});
  }
  return all.dump();
}

std::string chrome_trace(const std::vector<std::string>& by_rank) {
  std::vector<nlohmann::json> parsed;
  std::int64_t zero = std::numeric_limits<std::int64_t>::max();
  for (const auto& text : by_rank) {
    parsed.push_back(nlohmann::json::parse(text));
    for (const auto& span : parsed.back()) zero = std::min(zero, span[5].get<std::int64_t>());
  }
  nlohmann::json events = nlohmann::json::array();
  for (std::size_t rank = 0; rank < parsed.size(); ++rank) {
    events.push_back({{"ph", "M"},
                      {"name", "process_name"},
                      {"pid", rank},
                      {"args", {{"name", "rank " + std::to_string(rank)}}}});
    std::map<std::string, int> lanes;
    for (const auto& span : parsed[rank]) {
      const auto [lane, is_new] = lanes.emplace(span[2].get<std::string>(), lanes.size());
      if (is_new) {
        events.push_back({{"ph", "M"},
                          {"name", "thread_name"},
                          {"pid", rank},
                          {"tid", lane->second},
                          {"args", {{"name", lane->first}}}});
      }
      const auto start = span[5].get<std::int64_t>();
      const auto end = span[6].get<std::int64_t>();
      events.push_back({{"ph", "X"},
                        {"name", span[0]},
                        {"cat", span[1]},
                        {"pid", rank},
                        {"tid", lane->second},
                        {"ts", static_cast<double>(start - zero) / 1e3},
                        {"dur", static_cast<double>(end - start) / 1e3},
                        {"args", {{"step", span[3]}, {"op", span[4]}}}});
    }
  }
  return nlohmann::json{{"displayTimeUnit", "ms"}, {"traceEvents", events}}.dump(1);
}

}  // namespace shoal
