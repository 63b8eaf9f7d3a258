// What really ran, and when: written as a Chrome / Perfetto trace.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace shoal {

// One span on one lane of one rank. `category` is one of a worker's six steps: "preprocess",
// "partition", "load", "train", "synchronize", "update".
struct TraceSpan {
  std::string name;
  std::string category;
  std::string lane;
  std::int64_t step = -1;
  int op = -1;                // index into the program's list, -1 for what is not an operation
  std::int64_t start_ns = 0;  // steady clock
  std::int64_t end_ns = 0;
};

// Collects spans of one rank. Any thread may add.
class Trace {
 public:
  explicit Trace(int rank) : rank_(rank) {}
  int rank() const { return rank_; }
  void add(TraceSpan span);
  std::vector<TraceSpan> spans() const;

 private:
  int rank_;
  mutable std::mutex mutex_;  // guards spans_
  std::vector<TraceSpan> spans_;
};

std::int64_t steady_ns();

// The spans of one rank as text for the rank that writes the file, and back.
std::string spans_to_text(const Trace& trace);

// The trace of all ranks in Chrome's JSON array format, a process per rank, a thread per lane,
// times in microseconds from the first span on. `by_rank` holds what spans_to_text gave.
// Clocks of several hosts are taken as they are.
std::string chrome_trace(const std::vector<std::string>& by_rank);

}  // namespace shoal
