#include "shoal/core/log.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace shoal {
namespace {

std::string_view tag_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug: ";
    case Level::info:
      return "";
    case Level::warning:
      return "warning: ";
    case Level::error:
      return "error: ";
  }
  return "";
}

// A log has nobody to tell that it failed: what cannot be written is dropped.
void write_all(int descriptor, std::string_view text) {
  constexpr int kPatienceMilliseconds = 1000;
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{.fd = descriptor, .events = POLLOUT, .revents = 0};
      if (::poll(&ready, 1, kPatienceMilliseconds) == 0) return;
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "?";
}

DescriptorLog::DescriptorLog(LogOptions options, int descriptor)
    : options_(std::move(options)), descriptor_(descriptor) {}

void DescriptorLog::line(Level level, std::string_view text) {
  if (level < options_.least) return;
  std::string out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += options_.prefix;
    out += tag_of(level);
    out += text.substr(begin, end - begin);
    out += '\n';
    begin = end + 1;
  }
  const std::scoped_lock lock(writing_);
  write_all(descriptor_, out);
}

void MemoryLog::line(Level level, std::string_view text) {
  const std::scoped_lock lock(mutex_);
  lines_.emplace_back(level, text);
}

std::vector<std::pair<Level, std::string>> MemoryLog::lines() const {
  const std::scoped_lock lock(mutex_);
  return lines_;
}

std::string MemoryLog::text() const {
  const std::scoped_lock lock(mutex_);
  std::string all;
  for (const auto& [level, line] : lines_) all += line + '\n';
  return all;
}

}  // namespace shoal
