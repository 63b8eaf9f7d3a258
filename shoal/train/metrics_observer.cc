#include "shoal/train/metrics_observer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/train/metrics_formats.h"

namespace shoal {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

// A file that grows by whole records.
class MetricsObserver::File {
 public:
  File(const MetricsFormat& format, const std::filesystem::path& folder, bool resume,
       std::int64_t first_step)
      : format_(format), path_(folder / format.file) {
    if (!resume && std::filesystem::exists(path_)) {
      throw InvalidInput(fmt::format(
          "[metrics] path holds a run already ({}): go on from it with --resume, or choose another "
          "path",
          path_.string()));
    }
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd_ < 0) fail("cannot be opened");
    if (resume) cut_after(first_step);
    if (lseek(fd_, 0, SEEK_END) == 0) append(format_.header());
  }
  ~File() {
    fdatasync(fd_);
    close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_jsonl() const { return std::string_view(format_.name) == "jsonl"; }
  // An evaluation is not repeated by a run that was resumed only to be evaluated.
  void add(const MetricsRecord& record) {
    if (record.set != "train" && kept_.contains({record.step, record.set})) return;
    append(format_.encode(record));
  }

  // All or nothing: of what a full disk took a part, nothing stays.
  void append(const std::string& record) {
    const off_t before = lseek(fd_, 0, SEEK_END);
    std::string_view rest = record;
    while (!rest.empty()) {
      const ssize_t written = write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        (void)!ftruncate(fd_, before);
        errno = reason;
        fail("cannot be written");
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw InvalidInput(fmt::format("[metrics] {} {}: {}: choose another path, or make room",
                                   path_.string(), what, std::strerror(errno)));
  }

  void cut_after(std::int64_t step) {
    const std::string content = read_file(path_);
    std::string_view rest = content;
    try {
      while (!rest.empty()) {
        const auto record = format_.next(rest);
        if (!record || record->step > step) break;
        if (record->step == step && record->set != "run") kept_.insert({step, record->set});
        rest.remove_prefix(record->bytes);
      }
    } catch (const InvalidInput& error) {
      throw InvalidInput(
          fmt::format("[metrics] {} {} (byte {}): move it away, or choose another path",
                      path_.string(), error.what(), content.size() - rest.size()));
    }
    if (ftruncate(fd_, static_cast<off_t>(content.size() - rest.size())) != 0) {
      fail("cannot be shortened");
    }
  }

  const MetricsFormat& format_;
  std::filesystem::path path_;
  int fd_ = -1;
  std::set<std::pair<std::int64_t, std::string>> kept_;  // of the step that is resumed from
};

MetricsObserver::MetricsObserver(const MetricsOptions& options, bool resume,
                                 std::int64_t first_step)
    : step_(first_step) {
  const std::filesystem::path folder = options.path;
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) {
    throw InvalidInput(fmt::format("[metrics] path {} cannot be made: {}: choose another folder",
                                   folder.string(), failure.message()));
  }
  for (const MetricsFormat& format : metrics_formats()) {
    if (std::find(options.formats.begin(), options.formats.end(), format.name) ==
        options.formats.end()) {
      continue;
    }
    files_.push_back(std::make_unique<File>(format, folder, resume, first_step));
  }
}
MetricsObserver::~MetricsObserver() = default;

void MetricsObserver::started(const StartReport& report) {
  nlohmann::ordered_json facts{{"model", report.model},
                               {"parameters", report.parameters},
                               {"workers", report.workers},
                               {"mesh", report.mesh},
                               {"samples", report.samples},
                               {"steps_per_epoch", report.steps_per_epoch},
                               {"total_steps", report.total_steps}};
  if (!report.resumed_from.empty()) facts["resumed_from"] = report.resumed_from;
  if (report.steps_per_epoch > 0 && step_ > 0) epoch_ = (step_ - 1) / report.steps_per_epoch + 1;
  for (const auto& file : files_) {
    if (file->is_jsonl()) file->append(run_line(step_, now(), facts));
  }
}

void MetricsObserver::after_step(const StepReport& report) {
  step_ = report.step + 1;
  epoch_ = report.epoch + 1;
  MetricsRecord record{.step = step_, .epoch = epoch_, .set = "train", .time = now(), .values = {}};
  const auto add = [&](const char* name, double value) { record.values.emplace_back(name, value); };
  add("loss", report.loss);
  add("rate", report.rate);
  if (report.gradient_norm > 0) add("gradient_norm", report.gradient_norm);
  add("samples", static_cast<double>(report.samples));
  add("seconds", report.seconds);
  if (report.seconds > 0) {
    add("samples_per_second", static_cast<double>(report.samples) / report.seconds);
  }
  add("compute", report.compute_seconds);
  add("communication", report.communication_seconds);
  add("data", report.data_seconds);
  add("other", std::max(0.0, report.seconds - report.compute_seconds -
                                 report.communication_seconds - report.data_seconds));
  for (const auto& file : files_) file->add(record);
}

void MetricsObserver::evaluated(const EvaluationReport& report) {
  MetricsRecord record{
      .step = step_, .epoch = epoch_, .set = report.set, .time = now(), .values = {}};
  record.values.emplace_back("loss", report.loss);
  if (report.classifies) record.values.emplace_back("accuracy", report.accuracy);
  record.values.emplace_back("samples", static_cast<double>(report.samples));
  for (const auto& file : files_) file->add(record);
}

}  // namespace shoal
