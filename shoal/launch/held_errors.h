// The error lines of several workers, held back until it is clear which of them say why a job ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

struct HeldErrorsOptions {
  // How long a line waits for other workers that print the same one.
  std::chrono::milliseconds share{300};
  // How long a line waits for its worker to end, whose exit code says whose fault it was. A worker
  // that complains and goes on is heard that much later.
  std::chrono::milliseconds living{2000};
};

// Whose doing the end of a worker was.
enum class Because : std::uint8_t {
  own,     // its own: what it says is a cause
  others,  // it lost another worker: what it says is a consequence
};

// When one worker fails, the others lose it, and say so. Only the cause is worth reading:
// - Lines of a worker that ended because of others wait for the end of the job, and are dropped
//   when a cause has come to be known. Without one they are all there is, and are shown; where the
//   launcher has named a lost worker itself, the first of them is enough.
// - The same line from several workers is shown once. Lines of different workers that differ in
//   numbers only (the file of rank 0, that of rank 1) count as the same; the first is shown.
// Not thread safe. Never blocks. At most 1000 lines are held or remembered.
class HeldErrors {
 public:
  using Clock = std::chrono::steady_clock;

  struct Shown {
    std::set<int> ranks;
    std::string text;
  };

  explicit HeldErrors(HeldErrorsOptions options) : options_(options) {}

  // `source` is the process that printed the line, `ranks` whom it speaks of (a launcher's line:
  // its workers). Returns what has to be shown at once because too much is held.
  std::vector<Shown> add(int source, std::set<int> ranks, std::string text, Clock::time_point now);
  void ended(int source, Because because) { ended_[source] = because; }
  // Somebody has failed for a reason of its own.
  void know_cause() { cause_known_ = true; }
  // A worker that died without a word has been named.
  void know_loss() { loss_known_ = true; }

  bool empty() const { return held_.empty(); }
  // When something may be due next; nothing when all that is held waits for the end of a worker.
  std::optional<Clock::time_point> next_due() const;
  std::vector<Shown> take_due(Clock::time_point now);
  // The job is over.
  std::vector<Shown> take_all();

 private:
  struct Line {
    std::string text;
    std::string masked;  // without its numbers
    std::set<int> sources;
    std::set<int> ranks;
    Clock::time_point since;
  };
  enum class Verdict : std::uint8_t { cause, consequence, open };

  Verdict verdict(const Line& line) const;
  std::optional<Clock::time_point> due(const Line& line) const;
  void drop_consequences();
  // Takes the line at `index` out, with those that count as the same when `fold_numbers`. Nothing
  // when such a line was shown already.
  std::optional<Shown> take(std::size_t index, bool fold_numbers);

  HeldErrorsOptions options_;
  std::vector<Line> held_;   // oldest first
  std::vector<Line> shown_;  // oldest first
  std::map<int, Because> ended_;
  bool cause_known_ = false;
  bool loss_known_ = false;
};

}  // namespace shoal
