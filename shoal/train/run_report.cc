#include "shoal/train/run_report.h"

#include <nlohmann/json.hpp>

namespace shoal {

nlohmann::ordered_json to_json(const RunReport& report) {
  nlohmann::ordered_json mesh = nlohmann::ordered_json::object();
  for (const auto& [axis, size] : report.mesh) mesh[axis] = size;
  nlohmann::ordered_json json{
      {"model", report.model}, {"parameters", report.parameters}, {"workers", report.workers},
      {"mesh", mesh},          {"first_step", report.first_step}, {"steps", report.steps},
      {"loss", report.loss}};
  if (!report.evaluations.empty()) {
    const EvaluationReport& last = report.evaluations.back();
    json["eval"] = {{"set", last.set}, {"samples", last.samples}, {"loss", last.loss}};
    if (last.classifies) json["eval"]["accuracy"] = last.accuracy;
    for (const auto& [name, value] : last.metrics) json["eval"][name] = value;
    json["eval"]["weights"] = last.averaged ? "moving average" : "last";
  }
  json["weights_sha256"] = report.weights_sha256;
  json["samples_per_second"] = report.samples_per_second;
  json["step_seconds"] = {
      {"p50", report.step_p50}, {"p99", report.step_p99}, {"all", report.step_seconds}};
  json["start_seconds"] = report.start_seconds;
  json["share"] = {{"compute", report.share_compute},
                   {"communication", report.share_communication},
                   {"data", report.share_data},
                   {"other", report.share_other}};
  json["bytes_sent"] = report.bytes_sent;
  json["peak_tensor_bytes"] = report.peak_tensor_bytes;
  json["memory_bound_bytes"] = report.memory_bound;
  json["busy"] = report.busy;
  if (report.skipped_steps > 0) json["skipped_steps"] = report.skipped_steps;
  if (report.best_step >= 0) json["best_step"] = report.best_step;
  if (!report.stopped_early.empty()) json["stopped_early"] = report.stopped_early;
  if (!report.stopped_by.empty()) json["stopped_by"] = report.stopped_by;
  return json;
}

}  // namespace shoal
