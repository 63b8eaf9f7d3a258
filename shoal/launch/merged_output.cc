#include "shoal/launch/merged_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <ostream>
#include <tuple>
#include <utility>

namespace shoal {
namespace {

constexpr std::size_t kLongestLine = std::size_t{64} << 10;
constexpr std::string_view kError = "error: ";

// The ranks of "[rank 3] error: ..." or "[ranks 0, 2] error: ...", and the rest; without such a
// prefix no ranks and the whole line.
std::pair<std::set<int>, std::string_view> split_prefix(std::string_view line) {
  const std::size_t end = line.find("] error: ");
  for (const std::string_view begin : {"[rank ", "[ranks "}) {
    if (end == std::string_view::npos || !line.starts_with(begin)) continue;
    std::set<int> ranks;
    const char* at = line.data() + begin.size();
    const char* const stop = line.data() + end;
    while (at < stop) {
      int rank = 0;
      const auto [next, error] = std::from_chars(at, stop, rank);
      if (error != std::errc()) return {{}, line};
      ranks.insert(rank);
      at = std::find_if(next, stop, [](char c) { return c != ',' && c != ' '; });
    }
    return {ranks, line.substr(end + 2)};
  }
  return {{}, line};
}

}  // namespace

MergedOutput::MergedOutput(std::ostream& out, std::ostream& err, MergedOutputOptions options)
    : out_(out), err_(err), options_(options), errors_(options.errors) {}

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

void MergedOutput::add_error(int rank, std::string_view text, Clock::time_point now) {
  take_error(rank, fmt::format("{}{}", kError, text), now);
}

void MergedOutput::take_line(int rank, Stream stream, std::string_view line,
                             Clock::time_point now) {
  if (stream == Stream::err && take_error(rank, line, now)) return;
  const bool prefixed = options_.prefix && rank != options_.verbatim_rank;
  show(stream == Stream::out ? out_ : err_, prefixed ? fmt::format("[rank {}] ", rank) : "", line);
}

// False when the line is no error.
bool MergedOutput::take_error(int source, std::string_view line, Clock::time_point now) {
  std::set<int> ranks;
  if (options_.prefix) {
    ranks = {source};
  } else {
    std::tie(ranks, line) = split_prefix(line);
  }
  if (!line.starts_with(kError)) return false;
  explained_.insert_or_assign(source, std::string(line.substr(kError.size())));
  show_errors(errors_.add(source, std::move(ranks), std::string(line), now));
  return true;
}

void MergedOutput::show_due(Clock::time_point now) { show_errors(errors_.take_due(now)); }

void MergedOutput::show_all() { show_errors(errors_.take_all()); }

std::optional<std::string> MergedOutput::explanation(int rank) const {
  const auto found = explained_.find(rank);
  if (found == explained_.end()) return std::nullopt;
  return found->second;
}

void MergedOutput::show_errors(const std::vector<HeldErrors::Shown>& errors) {
  for (const auto& [ranks, text] : errors) {
    std::string prefix;
    if (!ranks.empty()) {
      prefix = fmt::format("[rank{} {}] ", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
    }
    show(err_, prefix, text);
  }
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
