#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/cli/completion.h"

namespace shoal {
namespace {

// Inside single quotes, where brackets and colons separate the parts of a specification.
std::string zsh_text(const std::string& words) {
  std::string out;
  for (const char c : words) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

std::string zsh_action(const ValueWords& value) {
  switch (value.kind) {
    case WordKind::none:
      return "";
    case WordKind::free:
      return " ";
    case WordKind::file:
      return "_files";
    case WordKind::folder:
      return "_files -/";
    case WordKind::job:
      return "_files -g \"*.toml\"";
    case WordKind::setting:
      return "_shoal_setting";
    case WordKind::one_of:
      return fmt::format("({})", fmt::join(value.names, " "));
  }
  return "";
}

std::string flag_spec(const FlagWords& flag) {
  const bool repeats = flag.value.kind == WordKind::setting;
  std::string spec = fmt::format("'{}{}[{}]", repeats ? "*" : "", flag.name, zsh_text(flag.help));
  if (flag.value.kind != WordKind::none) spec += fmt::format(":value:{}", zsh_action(flag.value));
  return spec + "'";
}

std::string zsh_function_name(const CommandWords& command) {
  std::string name = "_shoal_command";
  if (!command.path.empty()) name += "_" + command.path;
  for (char& c : name) {
    if (c == ' ') c = '_';
  }
  return name;
}

// A function for each command: its options and arguments, or the commands below it.
void add_zsh_function(const CommandWords& command, std::string& out) {
  for (const CommandWords& below : command.commands) add_zsh_function(below, out);
  std::string specs;
  for (const FlagWords& flag : command.flags) specs += " \\\n    " + flag_spec(flag);
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    specs += fmt::format(" \\\n    '{}:argument:{}'", i + 1, zsh_action(command.positionals[i]));
  }
  if (command.starts_program) specs += " \\\n    '*::program:_normal'";
  if (command.commands.empty()) {
    out += fmt::format("{}() {{\n  _arguments{}\n}}\n\n", zsh_function_name(command), specs);
    return;
  }
  std::string described, cases;
  for (const CommandWords& below : command.commands) {
    described += fmt::format("    '{}:{}'\n", below.name, zsh_text(below.help));
    cases += fmt::format("      {}) {} ;;\n", below.name, zsh_function_name(below));
  }
  out += fmt::format(
      "{}() {{\n  local curcontext=$curcontext state line commands\n  commands=(\n{}  )\n"
      "  _arguments -C{} \\\n    '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n    command) _describe command commands ;;\n"
      "    argument)\n      case $line[1] in\n{}      esac ;;\n  esac\n}}\n\n",
      zsh_function_name(command), described, specs, cases);
}

}  // namespace

std::string zsh_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings) {
  std::string keys, cases, functions;
  for (const SettingWords& setting : settings) {
    keys += (keys.empty() ? "" : " ") + setting.key;
    if (setting.value.kind == WordKind::one_of) {
      cases += fmt::format("    {}) compadd -- {} ;;\n", setting.key,
                           fmt::join(setting.value.names, " "));
    } else if (setting.value.kind == WordKind::file) {
      cases += fmt::format("    {}) _files ;;\n", setting.key);
    }
  }
  add_zsh_function(shoal, functions);
  return "#compdef shoal\n# Completion of shoal in zsh, made by `shoal completion zsh`.\n\n" +
         fmt::format(
             "_shoal_setting() {{\n  if ! compset -P '*='; then\n    compadd -S = -- {}\n"
             "    return\n  fi\n  case ${{${{IPREFIX%=}}##*=}} in\n{}  esac\n}}\n\n",
             keys, cases) +
         functions + "_shoal_command \"$@\"\n";
}

}  // namespace shoal
