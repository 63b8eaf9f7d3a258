// One stream of whole lines from the outputs of several workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/launch/held_errors.h"

namespace shoal {

enum class Stream : std::uint8_t { out, err };

struct MergedOutputOptions {
  // What stands before a line, "[rank 3] ". Off where the lines have one already, or need none.
  bool prefix = true;
  // Rank whose standard output passes through byte by byte, a progress bar included; -1 for none.
  int verbatim_rank = -1;
  HeldErrorsOptions errors{};
};

// Lines of a worker's standard output go to `out`, those of its standard error to `err`, in the
// order in which they are completed; each is flushed at once.
// - A line on standard error that begins with "error: " (without prefix also with
//   "[ranks 0, 2] error: ") is held back until it is clear whether it tells a cause, and shown once
//   for all ranks that print it: "[ranks 0, 2] error: ...". See HeldErrors.
// - "\r" within a line works as on a terminal: what stood before it is dropped.
// - A line without end is cut at 64 KiB.
// One thread at a time. Never blocks, except where `out` or `err` do.
class MergedOutput {
 public:
  using Clock = std::chrono::steady_clock;

  MergedOutput(std::ostream& out, std::ostream& err, MergedOutputOptions options);

  void add(int rank, Stream stream, std::string_view bytes, Clock::time_point now);
  // The stream has ended: a last line without "\n" is shown too.
  void end(int rank, Stream stream, Clock::time_point now);
  // A sentence of the launcher itself, on standard error.
  void say(std::string_view sentence);
  // An error of a rank, as if it had printed it: `text` without its "error: ".
  void add_error(int rank, std::string_view text, Clock::time_point now);

  // What is known about the end of the job, for the errors that are held back.
  void ended(int rank, Because because) { errors_.ended(rank, because); }
  void know_cause() { errors_.know_cause(); }
  void know_loss() { errors_.know_loss(); }
  bool holds_errors() const { return !errors_.empty(); }

  // When held errors are due; nothing when none wait for a point in time.
  std::optional<Clock::time_point> next_due() const { return errors_.next_due(); }
  void show_due(Clock::time_point now);
  // The job is over: what is still held is shown as far as it is no mere consequence.
  void show_all();

  // The rank's last error line without "error: ", which says why it ended; nothing when it has
  // printed none.
  std::optional<std::string> explanation(int rank) const;

 private:
  struct Partial {
    std::string text;
    bool overwrite = false;  // the last byte was "\r"
  };

  void take_line(int rank, Stream stream, std::string_view line, Clock::time_point now);
  bool take_error(int source, std::string_view line, Clock::time_point now);
  void show(std::ostream& sink, std::string_view prefix, std::string_view line);
  void show_errors(const std::vector<HeldErrors::Shown>& errors);
  void pass_through(std::string_view bytes);

  std::ostream& out_;
  std::ostream& err_;
  MergedOutputOptions options_;
  std::map<std::pair<int, Stream>, Partial> partial_;
  HeldErrors errors_;
  std::map<int, std::string> explained_;
  bool verbatim_line_open_ = false;  // the verbatim rank's last byte was not "\n"
};

}  // namespace shoal
