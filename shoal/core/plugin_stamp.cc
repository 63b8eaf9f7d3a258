#include "shoal/core/plugin_stamp.h"

#include <fmt/format.h>

#include <cstring>

namespace shoal {
namespace {

// Nobody has promised that a zero follows, or that the bytes are text.
template <std::size_t N>
std::string text_in(const char (&field)[N]) {
  std::string text(field, strnlen(field, N));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::string against(const std::string& plugin, const std::string& program) {
  return fmt::format("it was built against {}, and this shoal has {}", plugin, program);
}

template <std::size_t N>
std::optional<std::string> other(const char* what, const char (&plugin)[N],
                                 const char (&program)[N]) {
  const std::string its = text_in(plugin), own = text_in(program);
  if (its == own) return std::nullopt;
  return against(fmt::format("{} {}", what, its.empty() ? "of no version" : its),
                 fmt::format("{} {}", what, own.empty() ? "of no version" : own));
}

const char* strings_of(std::uint32_t is_new) {
  return is_new != 0 ? "the C++11 ABI (_GLIBCXX_USE_CXX11_ABI=1)"
                     : "the ABI before C++11 (_GLIBCXX_USE_CXX11_ABI=0)";
}

const char* library_of(std::uint32_t is_debug) {
  return is_debug != 0 ? "containers of the debug mode (_GLIBCXX_DEBUG)"
                       : "containers without the debug mode";
}

}  // namespace

std::optional<std::string> difference(const PluginStamp& plugin, const PluginStamp& program) {
  if (plugin.interface_version != program.interface_version) {
    return against(fmt::format("version {} of the interface to plugins", plugin.interface_version),
                   fmt::format("version {}", program.interface_version));
  }
  if (plugin.bytes != program.bytes) {
    return against(fmt::format("a stamp of {} bytes", plugin.bytes),
                   fmt::format("one of {}", program.bytes));
  }
  if (auto found = other("shoal", plugin.shoal, program.shoal)) return found;
  if (auto found = other("LibTorch", plugin.libtorch, program.libtorch)) return found;
  if (auto found = other("nlohmann/json", plugin.json, program.json)) return found;
  if (plugin.compiler_abi != program.compiler_abi) {
    return against(fmt::format("the ABI {} of {}", plugin.compiler_abi, text_in(plugin.compiler)),
                   fmt::format("{} of {}", program.compiler_abi, text_in(program.compiler)));
  }
  if (plugin.new_strings != program.new_strings) {
    return against(strings_of(plugin.new_strings), strings_of(program.new_strings));
  }
  if (plugin.debug_library != program.debug_library) {
    return against(library_of(plugin.debug_library), library_of(program.debug_library));
  }
  return std::nullopt;
}

std::string text_of(const PluginStamp& stamp) {
  return fmt::format("shoal {}, LibTorch {}, {}", text_in(stamp.shoal), text_in(stamp.libtorch),
                     text_in(stamp.compiler));
}

}  // namespace shoal
