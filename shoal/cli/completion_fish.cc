#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/cli/completion.h"

namespace shoal {
namespace {

// Inside single quotes.
std::string fish_text(const std::string& words) {
  std::string out;
  for (const char c : words) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string fish_value(const ValueWords& value) {
  switch (value.kind) {
    case WordKind::none:
      return "";
    case WordKind::free:
      return " -x";
    case WordKind::file:
      return " -r -F";
    case WordKind::folder:
      return " -x -a '(__fish_complete_directories)'";
    case WordKind::job:
      return " -x -a '(__fish_complete_suffix .toml)'";
    case WordKind::setting:
      return " -x -a '(__shoal_settings)'";
    case WordKind::one_of:
      return fmt::format(" -x -a '{}'", fmt::join(value.names, " "));
  }
  return "";
}

std::string fish_flag(const std::string& name) {
  return name.starts_with("--") ? "-l " + name.substr(2) : "-s " + name.substr(1);
}

// What stands where no option does: a command of the group, or an argument of any place.
std::string fish_arguments(const CommandWords& command) {
  std::string lines;
  const std::string at = fmt::format("complete -c shoal -n '__shoal_at \"{}\"'", command.path);
  for (const CommandWords& below : command.commands) {
    lines += fmt::format("{} -a {} -d '{}'\n", at, below.name, fish_text(below.help));
  }
  for (const ValueWords& value : command.positionals) {
    const std::string words = fish_value(value);
    // -F alone would let files stand, -x would want a value: arguments are neither.
    lines +=
        value.kind == WordKind::file ? at + " -F\n" : at + words.substr(words.find(" -a")) + "\n";
  }
  if (command.starts_program) lines += at + " -a '(__fish_complete_subcommand)'\n";
  return lines;
}

void add_fish_command(const CommandWords& command, std::string& out) {
  out += fish_arguments(command);
  for (const FlagWords& flag : command.flags) {
    out += fmt::format("complete -c shoal -n '__shoal_at \"{}\"' {}{} -d '{}'\n", command.path,
                       fish_flag(flag.name), fish_value(flag.value), fish_text(flag.help));
  }
  for (const CommandWords& below : command.commands) add_fish_command(below, out);
}

constexpr const char* kAt = R"(
# Whether the words so far name this command, and no longer one.
function __shoal_at
    set -l path
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and break
        contains -- (string join ' ' $path $word) $__shoal_paths; or break
        set -a path $word
    end
    test (string join ' ' $path) = $argv[1]
end
)";

}  // namespace

std::string fish_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings) {
  std::string out = "# Completion of shoal in fish, made by `shoal completion fish`.\n\n";
  std::string paths;
  for (const CommandWords& command : shoal.commands) {
    paths += fmt::format(" '{}'", command.path);
    for (const CommandWords& below : command.commands) paths += fmt::format(" '{}'", below.path);
  }
  out += fmt::format("set -g __shoal_paths{}\n{}\n", paths, kAt);
  std::string cases = "        case '*=*'\n", keys;
  std::string known;
  for (const SettingWords& setting : settings) {
    keys += fmt::format(" {}=", setting.key);
    if (setting.value.kind == WordKind::one_of) {
      known += fmt::format("        case '{0}=*'\n            printf '{0}=%s\\n' {1}\n",
                           setting.key, fmt::join(setting.value.names, " "));
    } else if (setting.value.kind == WordKind::file) {
      known += fmt::format(
          "        case '{0}=*'\n            string replace -r '^' '{0}=' "
          "(__fish_complete_path (string replace '{0}=' '' $word) | string replace -r '\\t.*' "
          "'')\n",
          setting.key);
    }
  }
  out += "function __shoal_settings\n    set -l word (commandline -ct)\n    switch $word\n" +
         known + cases + "        case '*'\n            printf '%s\\n'" + keys +
         "\n    end\nend\n\n";
  out += "complete -c shoal -f\n";
  add_fish_command(shoal, out);
  return out;
}

}  // namespace shoal
