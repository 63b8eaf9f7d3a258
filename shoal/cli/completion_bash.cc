#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/cli/completion.h"

namespace shoal {
namespace {

// The words before the cursor are walked once: they say which command it is, how many arguments it
// has, and which option waits for its value. bash cuts words at '=' and ':' too; they are put
// together again, and what is offered begins where bash's own word begins.
constexpr const char* kBashWalk = R"bash(
_shoal_offer() {  # value of kind $1 (with the names $2) that begins with $3
  local cur=$3
  case $1 in
    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    folder) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    job) compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -X '!*.toml' -- "$cur"; compgen -d -- "$cur") ;;
    one_of) mapfile -t COMPREPLY < <(compgen -W "$2" -- "$cur") ;;
    setting)
      if [[ $cur == *=* ]]; then
        local found=$(_shoal_setting "${cur%%=*}")
        _shoal_offer "${found%% *}" "${found#* }" "${cur#*=}"
        _shoal_cut=1
      else
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -S = -W "$_shoal_keys" -- "$cur")
      fi ;;
  esac
}

_shoal() {
  local words=() i word _shoal_cut=
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    # At the cursor after a blank bash begins a new word.
    if ((i == COMP_CWORD && i > 0)) && [[ -z $word && ${COMP_LINE:COMP_POINT-1:1} == ' ' ]]; then
      words+=("")
    elif ((i > 1)) && [[ $word == [=:] || ${COMP_WORDS[i-1]} == [=:] ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  local cur=${words[-1]} path= waiting= count=0 found
  COMPREPLY=()
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    word=${words[i]}
    if [[ -n $waiting ]]; then
      waiting=
    elif [[ $word == -- && $path == run ]]; then
      COMP_WORDS=("${words[@]:i+1}")
      if ((${#words[@]} == i + 2)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur"; compgen -f -- "$cur")
      else
        compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      fi
      return
    elif [[ $word == -* ]]; then
      [[ $word != *=* && -n $(_shoal_value "$path" "$word") ]] && waiting=$word
    elif [[ " $(_shoal_commands "$path") " == *" $word "* ]]; then
      path=${path:+$path }$word
    else
      ((count++))
    fi
  done
  if [[ -n $waiting ]]; then
    found=$(_shoal_value "$path" "$waiting")
    _shoal_offer "${found%% *}" "${found#* }" "$cur"
  elif [[ $cur == --*=* ]]; then
    found=$(_shoal_value "$path" "${cur%%=*}")
    [[ -n $found ]] && _shoal_offer "${found%% *}" "${found#* }" "${cur#*=}"
    _shoal_cut=1
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_shoal_flags "$path")" -- "$cur")
  elif [[ -n $(_shoal_commands "$path") ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_shoal_commands "$path")" -- "$cur")
  else
    found=$(_shoal_argument "$path" "$count")
    [[ -n $found ]] && _shoal_offer "${found%% *}" "${found#* }" "$cur"
  fi
  # Where bash does not cut at '=', the whole word is replaced.
  if [[ -n $_shoal_cut && $COMP_WORDBREAKS != *=* ]]; then
    COMPREPLY=("${COMPREPLY[@]/#/${cur%"${cur##*=}"}}")
  fi
}

complete -F _shoal shoal
)bash";

std::string bash_kind(WordKind kind) {
  switch (kind) {
    case WordKind::none:
      return "";
    case WordKind::free:
      return "free";
    case WordKind::file:
      return "file";
    case WordKind::folder:
      return "folder";
    case WordKind::job:
      return "job";
    case WordKind::setting:
      return "setting";
    case WordKind::one_of:
      return "one_of";
  }
  return "";
}

std::string bash_value(const ValueWords& value) {
  return fmt::format("{} {}", bash_kind(value.kind), fmt::join(value.names, " "));
}

struct BashTables {
  std::string commands, flags, values, arguments;
};

void describe_in_bash(const CommandWords& command, BashTables& tables) {
  std::vector<std::string> names, flags;
  for (const CommandWords& below : command.commands) names.push_back(below.name);
  if (!names.empty()) {
    tables.commands += fmt::format("    '{}') echo '{}' ;;\n", command.path, fmt::join(names, " "));
  }
  for (const FlagWords& flag : command.flags) {
    flags.push_back(flag.name);
    if (flag.value.kind == WordKind::none) continue;
    tables.values +=
        fmt::format("    '{} {}') echo '{}' ;;\n", command.path, flag.name, bash_value(flag.value));
  }
  tables.flags += fmt::format("    '{}') echo '{}' ;;\n", command.path, fmt::join(flags, " "));
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    tables.arguments += fmt::format("    '{} {}') echo '{}' ;;\n", command.path, i,
                                    bash_value(command.positionals[i]));
  }
  for (const CommandWords& below : command.commands) describe_in_bash(below, tables);
}

std::string bash_function(const std::string& name, const std::string& subject,
                          const std::string& cases) {
  return fmt::format("{}() {{\n  case \"{}\" in\n{}  esac\n}}\n", name, subject, cases);
}

}  // namespace

std::string bash_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings) {
  BashTables tables;
  describe_in_bash(shoal, tables);
  std::string keys, setting_cases;
  for (const SettingWords& setting : settings) {
    keys += (keys.empty() ? "" : " ") + setting.key;
    setting_cases += fmt::format("    {}) echo '{}' ;;\n", setting.key, bash_value(setting.value));
  }
  return "# Completion of shoal in bash, made by `shoal completion bash`.\n\n" +
         bash_function("_shoal_commands", "$1", tables.commands) +
         bash_function("_shoal_flags", "$1", tables.flags) +
         bash_function("_shoal_value", "$1 $2", tables.values) +
         bash_function("_shoal_argument", "$1 $2", tables.arguments) +
         bash_function("_shoal_setting", "$1", setting_cases) +
         fmt::format("_shoal_keys='{}'\n", keys) + kBashWalk;
}

}  // namespace shoal
