// Where sentences for people go: a sink handed down by whoever owns the terminal or the log file.
// Libraries never print by themselves.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

enum class Level : std::uint8_t { debug, info, warning, error };

std::string_view name_of(Level level);

// All functions may be called from any thread. Nothing is thrown when a sink cannot take a line.
class Log {
 public:
  virtual ~Log() = default;
  // A sentence without a newline at its end; inner newlines make further lines.
  virtual void line(Level level, std::string_view text) = 0;

  void debug(std::string_view text) { line(Level::debug, text); }
  void info(std::string_view text) { line(Level::info, text); }
  void warning(std::string_view text) { line(Level::warning, text); }
  void error(std::string_view text) { line(Level::error, text); }
};

struct LogOptions {
  std::string prefix;         // begins every line, for example "[rank 3] "
  Level least = Level::info;  // what is below is dropped
};

// To a file descriptor, by default standard error: "<prefix>warning: <text>"; info has no tag.
// A call is one write(2), so lines of several processes on one pipe or terminal stay whole (on a
// pipe up to 4096 bytes). A reader that does not read for a second loses the rest of a text.
class DescriptorLog final : public Log {
 public:
  explicit DescriptorLog(LogOptions options = {}, int descriptor = 2);
  void line(Level level, std::string_view text) override;

 private:
  const LogOptions options_;
  const int descriptor_;  // borrowed
  std::mutex writing_;    // so that a torn write goes on before another begins
};

// In memory, for tests and for sending to another rank.
class MemoryLog final : public Log {
 public:
  void line(Level level, std::string_view text) override;
  std::vector<std::pair<Level, std::string>> lines() const;
  std::string text() const;  // all lines, each with a newline

 private:
  mutable std::mutex mutex_;  // guards lines_
  std::vector<std::pair<Level, std::string>> lines_;
};

// Drops everything.
class NoLog final : public Log {
 public:
  void line(Level, std::string_view) override {}
};

}  // namespace shoal
