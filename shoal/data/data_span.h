// What a trace shows of data: the first three of a worker's six steps.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace shoal {

struct DataSpan {
  // "preprocess": files read, unpacked, checked, split and measured, once per run;
  // "partition": which samples of a batch are this worker's; "load": those samples read and scaled.
  std::string_view name;    // lives as long as the program
  std::int64_t batch = -1;  // index of the loader's plan; -1 for preprocess
  std::chrono::steady_clock::time_point start;
  std::chrono::steady_clock::time_point end;
};

// Called by whichever thread did the work, so it has to be thread safe. May be empty.
using DataSpanSink = std::function<void(const DataSpan&)>;

}  // namespace shoal
