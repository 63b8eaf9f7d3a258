// Option tables as text to read: --help and the reference page.
#include <fmt/format.h>

#include <algorithm>

#include "shoal/core/options.h"

namespace shoal {
namespace {

// Words of `text` in lines of at most `width`, each after the first indented.
std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (column > 0 && column + 1 + word.size() > width) {
      out += '\n';
      out.append(indent, ' ');
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

// A cell of a Markdown table: one line, without the bar that ends a cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string help_text(const std::vector<OptionTable>& tables) {
  constexpr std::size_t kWidth = 96;
  constexpr std::size_t kIndent = 6;
  std::string out;
  for (const OptionTable& table : tables) {
    if (!out.empty()) out += '\n';
    const std::string heading = table.name.empty() ? "Top level" : fmt::format("[{}]", table.name);
    out += wrapped(fmt::format("{}  {}", heading, table.help), kWidth, 2) + '\n';
    for (const Option& option : table.options) {
      out += fmt::format("  {} = {}\n", option.name, option.shown_default);
      const std::string text = fmt::format("{} ({})", whole_help(option), option.type);
      out += std::string(kIndent, ' ') + wrapped(text, kWidth - kIndent, kIndent) + '\n';
    }
  }
  return out;
}

std::string reference_page(const std::vector<OptionTable>& tables) {
  std::string out;
  for (const OptionTable& table : tables) {
    if (!out.empty()) out += '\n';
    out += table.name.empty() ? "## Top level\n" : fmt::format("## `[{}]`\n", table.name);
    if (!table.help.empty()) out += fmt::format("\n{}\n", table.help);
    if (table.options.empty()) continue;
    out += "\n| key | type | default | on resume | meaning |\n| --- | --- | --- | --- | --- |\n";
    for (const Option& option : table.options) {
      const bool is_kept = option.on_resume == OnResume::kept;
      out += fmt::format("| `{}` | {} | `{}` | {} | {} |\n", option.name, cell(option.type),
                         cell(option.shown_default), is_kept ? "kept" : "may change",
                         cell(whole_help(option)));
    }
  }
  return out;
}

}  // namespace shoal
