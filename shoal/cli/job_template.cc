#include "shoal/cli/job_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "shoal/train/job.h"

namespace shoal {
namespace {

std::string first_sentence(const std::string& help) {
  const std::size_t end = help.find(". ");
  if (end != std::string::npos) return help.substr(0, end);
  return help.ends_with('.') ? help.substr(0, help.size() - 1) : help;
}

// What a choice is between is said here, when the first sentence does not.
std::string comment_of(const Option& option) {
  std::string words = first_sentence(option.help);
  const auto is_said = [&](const std::string& value) { return words.find(value) != words.npos; };
  if (option.get().is_boolean() ||
      std::all_of(option.values.begin(), option.values.end(), is_said)) {
    return words;
  }
  return fmt::format("{} ({})", words, fmt::join(option.values, ", "));
}

constexpr std::size_t kColumn = 30;  // where comments begin
constexpr std::size_t kWidth = 100;

// A comment of as many lines as it takes.
std::string comment_lines(const std::string& words) {
  std::string out, line = "#";
  std::istringstream stream(words);
  for (std::string word; stream >> word;) {
    if (line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = "#";
    }
    line += " " + word;
  }
  return out + line + "\n";
}

// `key`: "lr = 0.1", or "# lr = 0.01".
std::string key_lines(const std::string& key, const std::string& comment) {
  if (key.size() + 2 <= kColumn && kColumn + 2 + comment.size() <= kWidth) {
    return fmt::format("{:<{}}# {}\n", key, kColumn, comment);
  }
  return comment_lines(comment) + key + "\n";
}

// As a table with nothing but this key has it.
std::string key_of(const Option& option) {
  const std::string line = to_toml({OptionTable{"", "", {option}}});
  return line.substr(0, line.find('\n'));
}

// `all`: the tables that `table` is one of.
std::string table_lines(const OptionTable& table, std::vector<OptionTable>& all,
                        const std::set<std::string>& said) {
  std::string set, unset;
  for (const Option& option : table.options) {
    const bool is_set =
        said.contains(table.name.empty() ? option.name : table.name + "." + option.name);
    const std::string key = key_of(option);
    // TOML cannot say that there is no value of any kind.
    if (key.empty()) continue;
    // Of another kind than what was chosen. What waits for a number above 0 may be wanted yet.
    const auto why = why_idle(option, table.name, all);
    if (!is_set && why && !why->because.values.empty()) continue;
    (is_set ? set : unset) += key_lines((is_set ? "" : "# ") + key, comment_of(option));
  }
  if (table.name.empty()) return set + unset;
  return fmt::format("\n{}[{}]\n{}{}", comment_lines(table.help), table.name, set, unset);
}

}  // namespace

std::vector<std::string> first_settings(const std::string& model) {
  static const std::map<std::string, std::vector<std::string>> known = {
      {"softmax", {"train.optimizer=sgd", "train.lr=0.1", "train.epochs=5"}},
      {"mlp", {"train.optimizer=sgd", "train.lr=0.1", "train.epochs=5"}},
      {"mynet", {"train.optimizer=sgd", "train.lr=0.05"}},
      {"keras",
       {"train.optimizer=adam", "train.eps=1e-7", "train.lr=1e-3", "train.batch=32",
        "train.epochs=3"}},
      {"bigram", {"train.optimizer=adam", "train.lr=0.05", "train.batch=32"}},
      {"tcn",
       {"train.optimizer=adamw", "train.lr=2e-3", "train.lr_schedule=cosine",
        "train.warmup_steps=50", "train.batch=32"}},
      {"wide", {"train.optimizer=sgd", "train.momentum=0.9", "train.lr=0.02"}},
  };
  const auto found = known.find(model);
  if (found != known.end()) return found->second;
  return {"train.optimizer=adamw", "train.lr=2e-3", "train.lr_schedule=cosine",
          "train.warmup_steps=100", "train.epochs=3"};
}

std::string job_template(const std::vector<std::string>& settings, const std::string& title) {
  Job job;
  std::vector<OptionTable> tables = job.tables();
  std::set<std::string> said;
  for (const std::string& setting : settings) {
    apply_setting(setting, tables);
    said.insert(setting.substr(0, setting.find('=')));
  }
  std::string text = fmt::format(
      "# {}\n"
      "# Keys behind '#' have their defaults; `shoal options` says more about all of them.\n\n",
      title);
  for (const OptionTable& table : tables) text += table_lines(table, tables, said);
  return text;
}

}  // namespace shoal
