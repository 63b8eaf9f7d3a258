#include "shoal/cli/command_words.h"

#include "shoal/cli/command_set.h"
#include "shoal/launch/run_command.h"

namespace shoal {
namespace {

std::vector<std::string> parts_of(const std::string& names) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= names.size()) {
    const std::size_t end = std::min(names.find('|', begin), names.size());
    parts.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// What a type_name says (see command_set.h). CLI11 adds to it, behind a colon, what checks the
// value.
ValueWords value_of(std::string type) {
  type.resize(std::min(type.find(':'), type.size()));
  if (type == kFile) return {.kind = WordKind::file};
  if (type == kFolder) return {.kind = WordKind::folder};
  if (type == kJob) return {.kind = WordKind::job};
  if (type == kSetting) return {.kind = WordKind::setting};
  if (type.find('|') != std::string::npos) {
    return {.kind = WordKind::one_of, .names = parts_of(type)};
  }
  return {.kind = WordKind::free};
}

void add_option_words(const CLI::Option& option, CommandWords& words) {
  const ValueWords value =
      option.get_items_expected_max() == 0 ? ValueWords{} : value_of(option.get_type_name());
  if (option.get_positional()) {
    words.positionals.push_back(value);
    return;
  }
  for (const std::string& name : option.get_lnames()) {
    words.flags.push_back({"--" + name, option.get_description(), value});
  }
  for (const std::string& name : option.get_snames()) {
    words.flags.push_back({"-" + name, option.get_description(), value});
  }
}

void add_launch_words(CommandWords& words) {
  for (const LaunchOptionWords& option : launch_option_words()) {
    ValueWords value;
    if (!option.value.empty()) value = value_of(option.value == "PATH" ? kFile : option.value);
    words.flags.push_back({option.name, option.help, value});
  }
}

CommandWords words_of(const CLI::App& app, const std::string& path) {
  CommandWords words{.name = app.get_name(), .path = path, .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) add_option_words(*option, words);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = command->get_name();
    words.commands.push_back(words_of(*command, path.empty() ? name : path + " " + name));
  }
  words.starts_program = path == "run";
  if (path == "run" || path == "train") add_launch_words(words);
  return words;
}

}  // namespace

CommandWords command_words(const CLI::App& app) { return words_of(app, ""); }

std::vector<SettingWords> setting_words(const std::vector<OptionTable>& tables) {
  std::vector<SettingWords> settings;
  for (const OptionTable& table : tables) {
    for (const Option& option : table.options) {
      ValueWords value{.kind = option.type == "text" ? WordKind::file : WordKind::free};
      if (!option.values.empty()) {
        value = ValueWords{.kind = WordKind::one_of, .names = option.values};
      }
      settings.push_back(
          {table.name.empty() ? option.name : table.name + "." + option.name, value});
    }
  }
  return settings;
}

}  // namespace shoal
