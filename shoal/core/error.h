// The exceptions of shoal. Callers act on the type and its fields, never on the text.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// Base of everything shoal throws. The message says what, where and the remedy. A layer on the way
// up may say what it was doing: `error.add_context("loading runs/a"); throw;` keeps type and
// fields.
class Error : public std::exception {
 public:
  explicit Error(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  // The text becomes "<context>: <text so far>".
  void add_context(std::string_view context) { message_ = std::string(context) + ": " + message_; }

 private:
  std::string message_;
};

// What the caller, a job file or an input file gave cannot be used. One sentence per fault.
class InvalidInput : public Error {
 public:
  explicit InvalidInput(std::string fault) : Error(fault), faults{std::move(fault)} {}
  explicit InvalidInput(std::vector<std::string> all);
  std::vector<std::string> faults;  // never empty
};

// Throws InvalidInput with every fault; returns when there is none.
void require_none(std::vector<std::string> faults);

// The system has not given the memory that was asked for.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// A process or connection of the world is gone.
class PeerLost : public Error {
 public:
  PeerLost(std::string message, std::vector<int> ranks)
      : Error(std::move(message)), lost(std::move(ranks)) {}
  std::vector<int> lost;  // ranks in the group, ascending
};

// A deadline passed. `missing` are the ranks that did not come, when the wait was for ranks.
class TimedOut : public Error {
 public:
  TimedOut(std::string message, std::vector<int> ranks)
      : Error(std::move(message)), missing(std::move(ranks)) {}
  // "ranks {..} have not joined {operation} after {waited}"
  TimedOut(std::string_view operation, std::vector<int> absent, std::chrono::milliseconds waited);
  std::vector<int> missing;  // ranks in the group, ascending; may be empty
};

// Bytes that were expected to be whole are not: torn, truncated, altered, or of another format.
class Corrupt : public Error {
 public:
  Corrupt(std::string message, std::string file)
      : Error(std::move(message)), path(std::move(file)) {}
  std::string path;
};

// Somebody asked for a stop (Ctrl-C, SIGTERM, an abort from another thread).
class Cancelled : public Error {
 public:
  explicit Cancelled(std::string message, int signal_number = 0)
      : Error(std::move(message)), signal(signal_number) {}
  int signal;  // 0 when no signal was the reason
};

// The loss or a gradient is not finite; the step was not applied.
class NotFinite : public Error {
 public:
  NotFinite(std::string message, std::int64_t at_step, std::string in_block)
      : Error(std::move(message)), step(at_step), block(std::move(in_block)) {}
  std::int64_t step;
  std::string block;  // first block whose output is not finite; "input" for the batch itself
};

}  // namespace shoal
