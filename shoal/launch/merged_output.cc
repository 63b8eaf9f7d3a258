#include "shoal/launch/merged_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ostream>

namespace shoal {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr std::size_t kMostErrors = 1000;  // remembered, so that a chatty program costs no memory

}  // namespace

MergedOutput::MergedOutput(std::ostream& out, std::ostream& err, MergedOutputOptions options)
    : out_(out), err_(err), options_(options) {}

void MergedOutput::add(int rank, Stream stream, std::string_view bytes, Clock::time_point now) {
  if (stream == Stream::out && rank == options_.verbatim_rank) {
    pass_through(bytes);
    return;
  }
  Partial& partial = partial_[{rank, stream}];
  for (const char byte : bytes) {
    if (byte == '\n') {
      take_line(rank, stream, partial.text, now);
      partial = {};
      continue;
    }
    if (byte == '\r') {
      partial.overwrite = true;
      continue;
    }
    if (partial.overwrite) partial = {};
    partial.text += byte;
    if (partial.text.size() >= kLongestLine) {
      take_line(rank, stream, partial.text, now);
      partial = {};
    }
  }
}

void MergedOutput::end(int rank, Stream stream, Clock::time_point now) {
  const auto found = partial_.find({rank, stream});
  if (found == partial_.end()) return;
  if (!found->second.text.empty()) take_line(rank, stream, found->second.text, now);
  partial_.erase(found);
}

void MergedOutput::say(std::string_view sentence) { show(err_, "", sentence); }

void MergedOutput::take_line(int rank, Stream stream, std::string_view line,
                             Clock::time_point now) {
  if (stream == Stream::err && line.starts_with("error: ")) {
    explained_.insert(rank);
    hold(rank, std::string(line), now);
    return;
  }
  const bool prefixed = options_.prefix && rank != options_.verbatim_rank;
  show(stream == Stream::out ? out_ : err_, prefixed ? fmt::format("[rank {}] ", rank) : "", line);
}

void MergedOutput::hold(int rank, const std::string& line, Clock::time_point now) {
  if (errors_.size() >= kMostErrors) {
    std::erase_if(errors_, [](const auto& entry) { return !entry.second.due; });
  }
  HeldError& held = errors_[line];
  const bool said_before = !held.ranks.insert(rank).second;
  if (held.due) return;
  // Shown already: another rank's same error adds nothing, the same rank's is news.
  const bool first = held.ranks.size() == 1;
  if (!first && !said_before) return;
  held.ranks = {rank};
  held.due = now + options_.hold_errors;
  error_order_.push_back(line);
}

std::optional<MergedOutput::Clock::time_point> MergedOutput::next_due() const {
  if (error_order_.empty()) return std::nullopt;
  return errors_.at(error_order_.front()).due;
}

void MergedOutput::show_due(Clock::time_point now) {
  while (!error_order_.empty()) {
    const std::string line = error_order_.front();
    HeldError& held = errors_.at(line);
    if (held.due > now) return;
    error_order_.erase(error_order_.begin());
    show_error(line, held);
  }
}

void MergedOutput::show_all() { show_due(Clock::time_point::max()); }

void MergedOutput::show_error(const std::string& line, HeldError& held) {
  held.due.reset();
  std::string prefix;
  if (options_.prefix) {
    prefix =
        fmt::format("[rank{} {}] ", held.ranks.size() == 1 ? "" : "s", fmt::join(held.ranks, ", "));
  }
  show(err_, prefix, line);
}

void MergedOutput::show(std::ostream& sink, std::string_view prefix, std::string_view line) {
  if (verbatim_line_open_) {
    // A progress bar stands on the line: it will be drawn anew on the next one.
    out_ << '\n' << std::flush;
    verbatim_line_open_ = false;
  }
  sink << prefix << line << '\n' << std::flush;
}

void MergedOutput::pass_through(std::string_view bytes) {
  if (bytes.empty()) return;
  out_ << bytes << std::flush;
  verbatim_line_open_ = bytes.back() != '\n';
}

}  // namespace shoal
