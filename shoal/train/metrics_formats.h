// Formats of metrics files: how one record is written, and found again.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

// The figures of one step, or of one evaluation after it.
struct MetricsRecord {
  std::int64_t step = 0;   // updates done, so 1 is the first
  std::int64_t epoch = 0;  // counted from 1
  std::string set;         // "train" for a step; "validation", "test" for an evaluation
  double time = 0;         // seconds since 1970
  std::vector<std::pair<std::string, double>> values;  // known ones only, of kMetrics
};

// Everything that a record may say, in the order of the columns of CSV. Seconds are rank 0's: of
// the step, and what of it was computing, waiting for others, waiting for data, anything else.
inline constexpr const char* kMetrics[] = {
    "loss",    "accuracy",      "rate", "gradient_norm", "samples", "seconds", "samples_per_second",
    "compute", "communication", "data", "other"};

struct FoundRecord {
  std::size_t bytes = 0;  // that it takes
  std::int64_t step = 0;
  std::string set;
};

// The functions throw nothing but InvalidInput.
struct MetricsFormat {
  const char* name;         // in a job
  const char* file;         // below the folder
  std::string (*header)();  // what an empty file begins with
  std::string (*encode)(const MetricsRecord&);
  // The record at the beginning of `rest`; none when `rest` ends before it does. Throws
  // InvalidInput when there is something else. `rest` is not empty.
  std::optional<FoundRecord> (*next)(std::string_view rest);
};
std::span<const MetricsFormat> metrics_formats();

// A line of metrics.jsonl that says how a run began: its "set" is "run".
std::string run_line(std::int64_t step, double time, const nlohmann::ordered_json& facts);

namespace tensorboard {
// Event files: records of TFRecord (length, its masked CRC-32C, data, its masked CRC-32C; little
// endian) that hold Event messages of protocol buffers, each with one Summary of scalars whose tags
// are "set/name". Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto
// and framework/summary.proto.
std::string header();
std::string encode(const MetricsRecord& record);
std::optional<FoundRecord> next(std::string_view rest);
}  // namespace tensorboard

}  // namespace shoal
