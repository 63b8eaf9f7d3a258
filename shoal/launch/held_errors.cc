#include "shoal/launch/held_errors.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr std::size_t kMostLines = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "rank-0012 at 7" becomes "rank-# at #".
std::string without_numbers(const std::string& text) {
  std::string masked;
  for (const char c : text) {
    if (!is_digit(c)) {
      masked += c;
    } else if (masked.empty() || masked.back() != '#') {
      masked += '#';
    }
  }
  return masked;
}

bool share_one(const std::set<int>& a, const std::set<int>& b) {
  return std::any_of(a.begin(), a.end(), [&](int each) { return b.contains(each); });
}

}  // namespace

std::vector<HeldErrors::Shown> HeldErrors::add(int source, std::set<int> ranks, std::string text,
                                               Clock::time_point now) {
  // The same from another worker adds nothing; repeated by the same one it is news.
  const auto is_same = [&](const Line& line) {
    return line.text == text && !line.sources.contains(source);
  };
  for (std::vector<Line>* lines : {&held_, &shown_}) {
    const auto same = std::find_if(lines->begin(), lines->end(), is_same);
    if (same == lines->end()) continue;
    same->sources.insert(source);
    same->ranks.merge(ranks);
    return {};
  }
  std::string masked = without_numbers(text);
  held_.push_back({.text = std::move(text),
                   .masked = std::move(masked),
                   .sources = {source},
                   .ranks = std::move(ranks),
                   .since = now});
  if (held_.size() <= kMostLines) return {};
  const auto oldest = take(0, /*fold_numbers=*/false);
  return oldest ? std::vector<Shown>{*oldest} : std::vector<Shown>{};
}

HeldErrors::Verdict HeldErrors::verdict(const Line& line) const {
  bool open = false;
  for (const int source : line.sources) {
    const auto found = ended_.find(source);
    if (found == ended_.end()) {
      open = true;
    } else if (found->second == Because::own) {
      return Verdict::cause;
    }
  }
  return open ? Verdict::open : Verdict::consequence;
}

std::optional<HeldErrors::Clock::time_point> HeldErrors::due(const Line& line) const {
  switch (verdict(line)) {
    case Verdict::cause:
      return line.since + options_.share;
    case Verdict::consequence:
      return std::nullopt;
    case Verdict::open:
      // Most likely it speaks of the known cause: its exit code will tell.
      if (cause_known_) return std::nullopt;
      return line.since + options_.living;
  }
  return std::nullopt;
}

std::optional<HeldErrors::Clock::time_point> HeldErrors::next_due() const {
  std::optional<Clock::time_point> next;
  for (const Line& line : held_) {
    const auto when = due(line);
    if (when && (!next || *when < *next)) next = when;
  }
  return next;
}

void HeldErrors::drop_consequences() {
  if (!cause_known_) return;
  std::erase_if(held_, [&](const Line& line) { return verdict(line) == Verdict::consequence; });
}

std::optional<HeldErrors::Shown> HeldErrors::take(std::size_t index, bool fold_numbers) {
  Line line = std::move(held_[index]);
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  if (fold_numbers) {
    const auto counts_as_same = [&](const Line& other) {
      return other.masked == line.masked && !share_one(other.sources, line.sources);
    };
    const auto before = std::find_if(shown_.begin(), shown_.end(), counts_as_same);
    if (before != shown_.end()) {
      before->sources.merge(line.sources);
      return std::nullopt;
    }
    for (auto other = held_.begin(); other != held_.end();) {
      if (!counts_as_same(*other)) {
        ++other;
        continue;
      }
      line.sources.merge(other->sources);
      line.ranks.merge(other->ranks);
      other = held_.erase(other);
    }
  }
  if (shown_.size() >= kMostLines) shown_.erase(shown_.begin());
  shown_.push_back(line);
  return Shown{.ranks = line.ranks, .text = line.text};
}

std::vector<HeldErrors::Shown> HeldErrors::take_due(Clock::time_point now) {
  drop_consequences();
  std::vector<Shown> taken;
  for (std::size_t i = 0; i < held_.size();) {
    const auto when = due(held_[i]);
    if (!when || *when > now) {
      ++i;
      continue;
    }
    if (auto shown = take(i, /*fold_numbers=*/true)) taken.push_back(std::move(*shown));
    i = 0;  // others may have gone with it
  }
  return taken;
}

std::vector<HeldErrors::Shown> HeldErrors::take_all() {
  drop_consequences();
  std::vector<Shown> taken;
  bool told_of_loss = false;
  while (!held_.empty()) {
    const bool consequence = verdict(held_.front()) == Verdict::consequence;
    if (consequence && loss_known_ && told_of_loss) {
      held_.erase(held_.begin());
      continue;
    }
    told_of_loss |= consequence;
    // With neither cause nor loss known, who waited for whom is all there is to go by.
    if (auto shown = take(0, !consequence || loss_known_)) taken.push_back(std::move(*shown));
  }
  return taken;
}

}  // namespace shoal
