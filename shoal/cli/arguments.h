// The options of `shoal train`, `plan`, `evaluate` and `comm`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "shoal/launch/local_workers.h"

namespace shoal {

enum class WorkerMode : std::uint8_t { processes, threads };

struct TrainArguments {
  std::string job;
  std::vector<std::string> settings;  // table.key=value
  WorkerMode mode = WorkerMode::processes;
  bool resume = false;
  bool quiet = false;
  std::filesystem::path report;
  std::filesystem::path trace;
  std::string metrics;   // folder; empty: what the job says
  std::string facts;     // read block facts from here
  std::string programs;  // run these programs
  LaunchOptions launch;
  bool workers_given = false;  // -n stood in the command
};

struct InitArguments {
  std::string model = "convnet";
  std::string data;                 // empty: the first that is there and fits
  std::string path;                 // of its files
  std::string output = "job.toml";  // "-": standard output
  bool force = false;
};

struct DoctorArguments {
  std::filesystem::path json;
  std::string plugin;  // empty: none is looked at
};

struct PlanArguments {
  std::string job;
  std::vector<std::string> settings;
  int workers = 0;  // 0: as many as the mesh has, else 1
  std::filesystem::path svg;
  std::filesystem::path save_facts;
  std::filesystem::path save_programs;
  std::string facts;
  bool no_costs = false;
};

struct CommPlanArguments {
  std::string algorithm = "two_shot";
  std::optional<int> ranks;  // absent: as many as the topology has, else 4
  std::filesystem::path topology;
  std::optional<int> ranks_per_host;  // so many in a row; absent: half of them, rounded up
  std::int64_t elements = 1 << 20;    // float32
  std::filesystem::path json;
};

struct CommEnginesArguments {
  std::filesystem::path json;
};

struct CommTestArguments {
  std::optional<int> ranks;
  std::optional<int> ranks_per_host;
  std::string engine;     // empty: all
  std::string algorithm;  // empty: all
};

struct CommTuneArguments {
  std::vector<int> ranks = {2, 4};
  std::optional<int> ranks_per_host;
  std::string engine;                    // empty: all
  std::string operation;                 // empty: all
  std::optional<std::int64_t> from, to;  // bytes
  int rounds = 3;
  std::filesystem::path output = "choices.toml";
};

struct CommBenchArguments {
  std::optional<int> ranks;  // absent: 2, and in a job all of its workers
  std::optional<int> ranks_per_host;
  std::string engine;  // empty: shm, and in a job automatic
  std::string algorithm = "automatic";
  std::filesystem::path choices;  // empty: the shipped ones
  std::string operation = "all_reduce";
  std::string buffers = "ordinary";
  std::optional<std::int64_t> from, to;  // bytes
  int repetitions = 5;
  std::string against;  // names of MPIs, with commas between; empty: none
  std::filesystem::path json;
  std::filesystem::path svg;
};

struct EvaluateArguments {
  std::string checkpoint;
  std::string job;
  std::vector<std::string> settings;
  std::string set = "test";  // or "validation", "train"
  int workers = 1;           // threads of this process
};

struct ExportArguments {
  std::string checkpoint;
  std::string format = "safetensors";  // or "npy"
  std::string output;
};

enum class PredictionFormat : std::uint8_t { csv, npy };

struct PredictArguments {
  EvaluateArguments of;             // set: empty when files are given
  std::vector<std::string> inputs;  // files; empty: the job's own samples
  std::string output;               // empty: standard output
  PredictionFormat format = PredictionFormat::csv;
  int top = 1;  // classes of a sample, the most probable first
};

}  // namespace shoal
