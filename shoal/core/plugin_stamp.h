// What a plugin was built against. It stands in the library's file, in a section of its own, and is
// read there before any of the library's code runs. Fixed sizes and no pointers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

// Counts up when what plugins call or implement changes: shoal/plugin.h and what it includes.
inline constexpr std::uint32_t kPluginInterface = 1;

inline constexpr std::string_view kPluginMagic = "shoalplg";
inline constexpr const char* kPluginSection = ".shoal_plugin";

struct PluginStamp {
  // These three stay where they are in every version.
  char magic[8];
  std::uint32_t interface_version;
  std::uint32_t bytes;  // of this struct

  std::uint32_t compiler_abi;   // how names and tables of virtual functions are made
  std::uint32_t new_strings;    // 1: std::string and std::list as of C++11
  std::uint32_t debug_library;  // 1: containers of _GLIBCXX_DEBUG, which are larger
  char shoal[28];
  char libtorch[32];  // empty in a build without it
  char json[16];      // nlohmann/json, in which settings are handed over
  char compiler[48];
};

namespace detail {
template <std::size_t N>
constexpr void write_text(char (&to)[N], std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), N - 1), to);
}
}  // namespace detail

#define SHOAL_TEXT_OF(value) #value
#define SHOAL_VERSION_TEXT(major, minor, patch) \
  SHOAL_TEXT_OF(major) "." SHOAL_TEXT_OF(minor) "." SHOAL_TEXT_OF(patch)

// Of whatever is compiled with this header; `libtorch`: TORCH_VERSION.
constexpr PluginStamp plugin_stamp(std::string_view libtorch) {
  PluginStamp stamp{};
  std::copy_n(kPluginMagic.begin(), sizeof stamp.magic, stamp.magic);
  stamp.interface_version = kPluginInterface;
  stamp.bytes = sizeof stamp;
  stamp.compiler_abi = __GXX_ABI_VERSION;
#if defined(_GLIBCXX_USE_CXX11_ABI)
  stamp.new_strings = _GLIBCXX_USE_CXX11_ABI;
#endif
#if defined(_GLIBCXX_DEBUG)
  stamp.debug_library = 1;
#endif
  detail::write_text(stamp.shoal, SHOAL_VERSION);
  detail::write_text(stamp.libtorch, libtorch);
  detail::write_text(stamp.json,
                     SHOAL_VERSION_TEXT(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                        NLOHMANN_JSON_VERSION_PATCH));
#if defined(__clang__)
  detail::write_text(stamp.compiler, __VERSION__);
#else
  detail::write_text(stamp.compiler, "GCC " __VERSION__);
#endif
  return stamp;
}

// Which of the two has what, where they do not fit together: "it was built against LibTorch 2.12.0,
// and this shoal has LibTorch 2.13.0"; the first difference. None: they fit. Any bytes may stand in
// `plugin`.
std::optional<std::string> difference(const PluginStamp& plugin, const PluginStamp& program);

// "shoal 0.1.0, LibTorch 2.13.0, GCC 12.2.0"
std::string text_of(const PluginStamp& stamp);

}  // namespace shoal
