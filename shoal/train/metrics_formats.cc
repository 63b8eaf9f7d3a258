#include "shoal/train/metrics_formats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using nlohmann::ordered_json;

std::optional<std::string_view> whole_line(std::string_view rest) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

[[noreturn]] void refuse_line(std::string_view line) {
  throw InvalidInput(fmt::format("has a line that is no record: {:.60}", line));
}

std::string no_header() { return ""; }

std::string json_line(const MetricsRecord& record) {
  ordered_json json{
      {"step", record.step}, {"epoch", record.epoch}, {"set", record.set}, {"time", record.time}};
  for (const auto& [name, value] : record.values) {
    if (name == "samples") {
      json[name] = static_cast<std::int64_t>(value);
    } else {
      json[name] = value;
    }
  }
  return json.dump() + "\n";
}

std::optional<FoundRecord> next_json_line(std::string_view rest) {
  const auto line = whole_line(rest);
  if (!line) return std::nullopt;
  const auto json = nlohmann::json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer() ||
      !json.contains("set") || !json["set"].is_string()) {
    refuse_line(*line);
  }
  return FoundRecord{line->size() + 1, json["step"].get<std::int64_t>(),
                     json["set"].get<std::string>()};
}

std::string csv_header() {
  return fmt::format("step,epoch,set,time,{}\n", fmt::join(kMetrics, ","));
}

std::string csv_line(const MetricsRecord& record) {
  std::string line =
      fmt::format("{},{},{},{:.3f}", record.step, record.epoch, record.set, record.time);
  for (const char* name : kMetrics) {
    line += ',';
    for (const auto& [known, value] : record.values) {
      if (known == name) line += fmt::format("{}", value);
    }
  }
  return line + "\n";
}

std::optional<FoundRecord> next_csv_line(std::string_view rest) {
  const auto line = whole_line(rest);
  if (!line) return std::nullopt;
  if (rest.starts_with(csv_header())) return FoundRecord{line->size() + 1, 0, "header"};
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), step);
  const auto cells = std::count(line->begin(), line->end(), ',') + 1;
  if (error != std::errc() || *end != ',' ||
      cells != static_cast<std::ptrdiff_t>(std::size(kMetrics)) + 4) {
    refuse_line(*line);
  }
  const std::size_t epoch = line->find(',') + 1;
  const std::size_t set = line->find(',', epoch) + 1;
  return FoundRecord{line->size() + 1, step,
                     std::string(line->substr(set, line->find(',', set) - set))};
}

constexpr MetricsFormat kFormats[] = {
    {"jsonl", "metrics.jsonl", no_header, json_line, next_json_line},
    {"csv", "metrics.csv", csv_header, csv_line, next_csv_line},
    {"tensorboard", "events.out.tfevents.shoal", tensorboard::header, tensorboard::encode,
     tensorboard::next},
};

}  // namespace

std::span<const MetricsFormat> metrics_formats() { return kFormats; }

std::string run_line(std::int64_t step, double time, const ordered_json& facts) {
  ordered_json json{{"step", step}, {"set", "run"}, {"time", time}};
  json.update(facts);
  return json.dump() + "\n";
}

}  // namespace shoal
