#include "shoal/comm/choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

using nlohmann::json;

auto list_of(const Choice& choice) {
  return std::tuple(choice.engine, choice.operation, choice.ranks);
}

std::string text_of(const Choice& choice) {
  return fmt::format(
      "{{ engine = \"{}\", operation = \"{}\", ranks = {}, from_bytes = {}, algorithm = \"{}\" }}",
      name_of(choice.engine), name_of(choice.operation), choice.ranks, choice.from_bytes,
      name_of(choice.algorithm));
}

// Reads the entries of `choices`, and collects what is wrong with them.
class ChoiceReader {
 public:
  explicit ChoiceReader(std::vector<std::string>& faults) : faults_(faults) {}

  std::optional<Choice> read(const json& entry) {
    ++number_;
    if (!entry.is_object()) return fault("is no table");
    static const std::set<std::string> known{"engine", "operation", "ranks", "from_bytes",
                                             "algorithm"};
    for (const auto& [key, value] : entry.items()) {
      if (!known.contains(key)) {
        return fault(fmt::format("has the unknown key {}; known are {}", key,
                                 "engine, operation, ranks, from_bytes, algorithm"));
      }
    }
    Choice choice;
    if (!take(entry, "engine", kEngines, choice.engine) || choice.engine == Engine::automatic) {
      return fault("needs an engine: memory, shm, tcp or hierarchical");
    }
    if (!take(entry, "operation", kChosenOperations, choice.operation)) {
      return fault("needs an operation: all_reduce, reduce_scatter, all_gather or broadcast");
    }
    if (!take(entry, "algorithm", kAlgorithms, choice.algorithm)) {
      return fault("needs an algorithm: one of " + algorithm_names());
    }
    if (!has_algorithm(choice.operation, choice.algorithm)) {
      return fault(fmt::format("names {}, which {} does not have", name_of(choice.algorithm),
                               name_of(choice.operation)));
    }
    const auto number = [&](const char* key, std::int64_t least, std::int64_t most) {
      const json value = entry.value(key, json());
      const bool good = value.is_number_integer() && value >= least && value <= most;
      return good ? std::optional(value.get<std::int64_t>()) : std::nullopt;
    };
    const auto ranks = number("ranks", 2, 4096);
    if (!ranks) return fault("needs ranks from 2 to 4096");
    const auto from_bytes = number("from_bytes", 0, std::int64_t{1} << 50);
    if (!from_bytes) return fault("needs from_bytes of 0 or more");
    choice.ranks = static_cast<int>(*ranks);
    choice.from_bytes = *from_bytes;
    return choice;
  }

 private:
  std::optional<Choice> fault(std::string_view what) {
    faults_.push_back(fmt::format("entry {} of choices {}", number_, what));
    return std::nullopt;
  }

  template <typename Enum, std::size_t n>
  static bool take(const json& entry, const char* key, const Enum (&all)[n], Enum& field) {
    const json value = entry.value(key, json());
    for (const Enum one : all) {
      if (value != std::string(name_of(one))) continue;
      field = one;
      return true;
    }
    return false;
  }

  std::vector<std::string>& faults_;
  int number_ = 0;
};

}  // namespace

bool has_algorithm(Operation operation, Algorithm algorithm) {
  if (operation == Operation::all_reduce) return algorithm != Algorithm::automatic;
  if (operation == Operation::reduce_scatter && algorithm == Algorithm::ring) return true;
  return algorithm == Algorithm::two_shot || algorithm == Algorithm::hierarchical;
}

ChoiceTable::ChoiceTable(std::vector<Choice> choices) : choices_(std::move(choices)) {
  std::sort(choices_.begin(), choices_.end(), [](const Choice& a, const Choice& b) {
    return std::tuple(list_of(a), a.from_bytes) < std::tuple(list_of(b), b.from_bytes);
  });
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const Choice& one = choices_[i];
    const bool begins = i == 0 || list_of(one) != list_of(choices_[i - 1]);
    if (begins && one.from_bytes != 0) {
      throw InvalidInput(fmt::format("the first choice of a list does not hold from 0 bytes on: {}",
                                     text_of(one)));
    }
    if (!begins && one.from_bytes == choices_[i - 1].from_bytes) {
      throw InvalidInput(fmt::format("there are two choices from one size on: {}", text_of(one)));
    }
  }
}

std::vector<Choice> ChoiceTable::list(Engine engine, Operation operation, int ranks) const {
  int best = 0;
  for (const Choice& choice : choices_) {  // ascending in ranks
    if (choice.engine != engine || choice.operation != operation) continue;
    if (best == 0 || choice.ranks <= ranks) best = choice.ranks;
  }
  std::vector<Choice> found;
  std::copy_if(
      choices_.begin(), choices_.end(), std::back_inserter(found),
      [&](const Choice& choice) { return list_of(choice) == std::tuple(engine, operation, best); });
  return found;
}

ChoiceTable ChoiceTable::with(const ChoiceTable& lists) const {
  std::vector<Choice> all = choices_;
  std::erase_if(all, [&](const Choice& old) {
    return std::any_of(lists.choices_.begin(), lists.choices_.end(),
                       [&](const Choice& one) { return list_of(one) == list_of(old); });
  });
  all.insert(all.end(), lists.choices_.begin(), lists.choices_.end());
  return ChoiceTable(std::move(all));
}

std::string ChoiceTable::text() const {
  std::string text = "choices = [\n";
  for (const Choice& choice : choices_) text += "  " + text_of(choice) + ",\n";
  return text + "]\n";
}

ChoiceTable choices_from(std::string_view text, std::string_view source) {
  json entries = json::array();
  read_toml(text, source, {{"", "Choices.", {option("choices", entries, "A list of tables.")}}});
  std::vector<std::string> faults;
  std::vector<Choice> choices;
  if (!entries.is_array()) {
    faults.emplace_back("choices is no list");
  } else {
    ChoiceReader reader(faults);
    for (const json& entry : entries) {
      if (const auto choice = reader.read(entry)) choices.push_back(*choice);
    }
  }
  for (std::string& fault : faults) fault = fmt::format("{}: {}", source, fault);
  require_none(faults);
  try {
    return ChoiceTable(std::move(choices));
  } catch (const InvalidInput& error) {
    throw InvalidInput(fmt::format("{}: {}", source, error.what()));
  }
}

ChoiceTable read_choices(const std::filesystem::path& path) {
  return choices_from(read_file(path), path.string());
}

AlgorithmPolicy::AlgorithmPolicy(const ChoiceTable& table, Engine engine, int ranks,
                                 Algorithm otherwise)
    : otherwise_(otherwise) {
  for (const Operation operation : kChosenOperations) {
    for (const Choice& choice : table.list(engine, operation, ranks)) {
      steps_[static_cast<std::size_t>(operation)].push_back(
          {static_cast<std::size_t>(choice.from_bytes), choice.algorithm});
    }
  }
}

bool AlgorithmPolicy::uses(Algorithm algorithm) const {
  if (otherwise_ == algorithm) return true;
  return std::any_of(steps_.begin(), steps_.end(), [&](const std::vector<Step>& steps) {
    return std::any_of(steps.begin(), steps.end(),
                       [&](const Step& step) { return step.algorithm == algorithm; });
  });
}

std::string AlgorithmPolicy::text() const {
  std::string text{name_of(otherwise_)};
  for (const Operation operation : kChosenOperations) {
    for (const Step& step : steps_[static_cast<std::size_t>(operation)]) {
      text += fmt::format(", {} from {} B {}", name_of(operation), step.from_bytes,
                          name_of(step.algorithm));
    }
  }
  return text;
}

}  // namespace shoal
