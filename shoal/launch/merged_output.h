// One stream of whole lines from the outputs of several workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

enum class Stream : std::uint8_t { out, err };

struct MergedOutputOptions {
  // What stands before a line, "[rank 3] ". Off where the lines have one already.
  bool prefix = true;
  // Rank whose standard output passes through byte by byte, a progress bar included; -1 for none.
  int verbatim_rank = -1;
  // How long an error line is held back, so that ranks that print the same one share a line.
  std::chrono::milliseconds hold_errors{300};
};

// Lines of a worker's standard output go to `out`, those of its standard error to `err`, in the
// order in which they are completed; each is flushed at once.
// - A line on standard error that begins with "error: " is shown once for all ranks that print it:
//   "[ranks 0, 2] error: ...".
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

  // When held errors are due; nothing when none are held.
  std::optional<Clock::time_point> next_due() const;
  void show_due(Clock::time_point now);
  void show_all();

  // Whether the rank has printed an error line: it has said itself why it ended.
  bool has_explained(int rank) const { return explained_.contains(rank); }

 private:
  struct HeldError {
    std::set<int> ranks;
    std::optional<Clock::time_point> due;  // nothing once shown
  };
  struct Partial {
    std::string text;
    bool overwrite = false;  // the last byte was "\r"
  };

  void take_line(int rank, Stream stream, std::string_view line, Clock::time_point now);
  void hold(int rank, const std::string& line, Clock::time_point now);
  void show(std::ostream& sink, std::string_view prefix, std::string_view line);
  void show_error(const std::string& line, HeldError& held);
  void pass_through(std::string_view bytes);

  std::ostream& out_;
  std::ostream& err_;
  MergedOutputOptions options_;
  std::map<std::pair<int, Stream>, Partial> partial_;
  std::map<std::string, HeldError> errors_;
  std::vector<std::string> error_order_;  // of errors held back, oldest first
  std::set<int> explained_;
  bool verbatim_line_open_ = false;  // the verbatim rank's last byte was not "\n"
};

}  // namespace shoal
