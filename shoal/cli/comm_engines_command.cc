// What each engine can do on this machine, found out by doing it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shoal/cli/comm_trials.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/job_worlds.h"
#include "shoal/comm/mpi_process.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/launch/mpi_launcher.h"

namespace shoal {
namespace {

// What came of trying one way to exchange data.
struct Found {
  std::string name;
  std::string note = {};  // "engine mpi over Open MPI v4.1.4", or why it could not be tried
  bool was_tried = true;
  std::map<std::string, std::string> faults = {};  // by operation
  // "yes", or why not.
  std::string answer(const std::string& operation) const {
    if (!was_tried) return note;
    const auto fault = faults.find(operation);
    return fault == faults.end() ? "yes" : fault->second;
  }
  std::string column(const std::string& text) const {
    return fmt::format("{:<{}}", text, std::max<std::size_t>(8, name.size() + 2));
  }
};

CommOptions options_of(Engine engine) {
  CommOptions options;
  options.engine = engine;
  return options;
}

std::vector<Found> found_by_threads() {
  const RunsOnRanks run = [](const CommOptions& options, const std::function<void(World&)>& body) {
    run_ranks(kTrialRanks, options, body);
  };
  std::vector<Found> all;
  for (const Engine engine : kEngines) {
    if (engine == Engine::automatic || engine == Engine::mpi) continue;
    all.push_back(
        {.name = std::string(name_of(engine)), .faults = faults_of(options_of(engine), run)});
  }
  // Two addresses of the loopback stand for two networks.
  CommOptions hybrid = options_of(Engine::tcp);
  hybrid.interface_address = "127.0.0.1";
  hybrid.second_interface_address = "127.0.0.2";
  all.push_back({.name = "hybrid", .faults = faults_of(hybrid, run)});
  return all;
}

// A file for the answer of another process; gone with this object.
class AnswerFile {
 public:
  AnswerFile()
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("shoal-engines-{}.json", getpid())) {}
  ~AnswerFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  AnswerFile(const AnswerFile&) = delete;
  AnswerFile& operator=(const AnswerFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

// This same command as two processes that the MPI's own launcher starts. (It is called from tests,
// too: they lie beside it.)
Found found_over(Mpi mpi) {
  Found found{.name = std::string(name_of(mpi))};
  try {
    found.note = fmt::format("engine mpi over {}", load_mpi(mpi)->name());
    const MpiLauncher launcher = find_mpi_launcher(mpi);
    const AnswerFile answer;
    const std::string command =
        (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "shoal").string();
    run_under_mpi(launcher,
                  {.ranks = kTrialRanks,
                   .program = {command, "comm", "engines", "--json", answer.path().string()}},
                  Deadline::after(std::chrono::seconds(60)));
    std::ifstream file(answer.path());
    const nlohmann::json json = nlohmann::json::parse(file);
    for (const auto& [operation, says] : json.at(found.name).at("cpu").items()) {
      if (says != "yes") found.faults[operation] = says;
    }
  } catch (const Error& error) {
    found.note = error.what();
    found.was_tried = false;
  }
  return found;
}

// As a worker of a job that an MPI has started.
Found found_in_job(const WorkerPlace& place) {
  if (place.mpi == Mpi::automatic || place.size != kTrialRanks) {
    throw InvalidInput(
        "in a job, `shoal comm engines` tries engine mpi alone: start it by mpirun -n 2, or "
        "outside of a job");
  }
  JobWorlds worlds(place, CommOptions{}.join_seconds);
  const RunsOnRanks run = [&](const CommOptions& options, const std::function<void(World&)>& body) {
    body(*worlds.join(options));
  };
  return {.name = std::string(name_of(place.mpi)),
          .faults = faults_of(options_of(Engine::mpi), run)};
}

void end_line(std::string& row) {
  row.erase(row.find_last_not_of(' ') + 1);
  row += "\n";
}

std::string table_of(const std::vector<Found>& all) {
  std::string table = fmt::format("{:<16}", "memory of a CPU");
  for (const Found& found : all) table += found.column(found.name);
  end_line(table);
  for (const Trial& trial : trials()) {
    std::string row = fmt::format("{:<16}", trial.operation);
    for (const Found& found : all)
      row += found.column(found.answer(trial.operation) == "yes" ? "yes" : "no");
    end_line(row);
    table += row;
  }
  for (const Found& found : all) {
    for (const auto& [operation, fault] : found.faults) {
      table += fmt::format("{} over {}: {}\n", operation, found.name, fault);
    }
    if (!found.note.empty()) table += fmt::format("{}: {}\n", found.name, found.note);
  }
  return table;
}

nlohmann::json json_of(const std::vector<Found>& all) {
  nlohmann::json json;
  for (const Found& found : all) {
    for (const Trial& trial : trials()) {
      json[found.name]["cpu"][trial.operation] = found.answer(trial.operation);
    }
  }
  return json;
}

}  // namespace

int comm_engines_command(const CommEnginesArguments& arguments) {
  try {
    const auto place = place_from_environment(process_environment());
    // Opened first: a folder that is not there should not cost the trials.
    std::optional<AtomicFile> json;
    if (!arguments.json.empty() && (!place || place->rank == 0)) json.emplace(arguments.json);
    std::vector<Found> all;
    if (place) {
      all = {found_in_job(*place)};
      if (place->rank != 0) return kOk;
    } else {
      all = found_by_threads();
      for (const Mpi mpi : kMpis) {
        if (mpi != Mpi::automatic) all.push_back(found_over(mpi));
      }
    }
    if (json) {
      json->write(json_of(all).dump(2) + "\n");
      json->commit();
    }
    std::cout
        << table_of(all)
        << "c10d: over a backend that a program brings; shoal.try_backend() in Python tries one\n"
           "memory of a GPU: no engine takes it; copy to the CPU first\n";
    const bool right = std::all_of(all.begin(), all.end(),
                                   [](const Found& found) { return found.faults.empty(); });
    return right ? kOk : kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal
