#include "shoal/core/plugin_library.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "shoal/core/elf_section.h"
#include "shoal/core/error.h"
#include "shoal/core/first_line.h"

namespace shoal {
namespace {

constexpr const char* kRebuild = "build it again with the shoal_add_plugin that belongs to it";

const PluginStamp& program_stamp() {
  const void* const stamp = dlsym(RTLD_DEFAULT, "kShoalProgramStamp");
  if (stamp == nullptr) {
    throw InvalidInput(
        "this program cannot load plugins, for it does not show them shoal's functions: take the "
        "command shoal, or link the program with all of shoal and -rdynamic");
  }
  return *static_cast<const PluginStamp*>(stamp);
}

// "shoal::Dataset::read(...)" for "_ZNK5shoal7Dataset4readE...".
std::string readable(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 && name ? name.get() : symbol;
}

// From what the dynamic loader says, which begins with the path of the library that it was about.
std::string why_not_loaded(const std::string& file, const std::string& said) {
  constexpr std::string_view kUndefined = "undefined symbol: ";
  if (const auto at = said.find(kUndefined); at != std::string::npos) {
    std::string symbol = said.substr(at + kUndefined.size());
    symbol = symbol.substr(0, symbol.find_first_of(" ,(\t\n"));
    return fmt::format(
        "{} cannot be loaded: it uses {}, which neither this shoal nor a library that it is linked "
        "with has: link it with what has it, or {}",
        file, readable(symbol), kRebuild);
  }
  return fmt::format("{} cannot be loaded: {}: install what is missing, or {}", file, said,
                     kRebuild);
}

PluginRegistry registered(const std::string& file, RegisterPlugin fill) {
  PluginRegistry registry;
  try {
    fill(registry);
  } catch (Error& error) {
    error.add_context(file);
    throw;
  } catch (const std::exception& error) {
    throw InvalidInput(fmt::format("{}: its registration failed: {}: mend what SHOAL_PLUGIN does",
                                   file, first_line(error.what())));
  } catch (...) {
    throw InvalidInput(fmt::format(
        "{}: its registration failed with what is no std::exception: mend what SHOAL_PLUGIN does",
        file));
  }
  if (registry.empty()) {
    throw InvalidInput(fmt::format(
        "{} registers nothing: call add_model, add_layer or add_data in SHOAL_PLUGIN", file));
  }
  return registry;
}

// A library is a thing of the process, and so is what it has registered.
struct Loaded {
  std::mutex mutex;  // guards what follows; held while a plugin registers
  std::map<const void*, std::unique_ptr<const PluginRegistry>> by_handle;
};

Loaded& all_loaded() {
  static Loaded* const all = new Loaded;  // never destroyed: threads may use it until the end
  return *all;
}

}  // namespace

PluginStamp read_plugin_stamp(const std::filesystem::path& file) {
  PluginStamp stamp{};
  const auto bytes = elf_section(file, kPluginSection, sizeof stamp);
  constexpr std::size_t kBeginning = offsetof(PluginStamp, compiler_abi);
  if (bytes && bytes->size() >= kBeginning) {
    std::memcpy(&stamp, bytes->data(), bytes->size());
    if (std::string_view(stamp.magic, sizeof stamp.magic) == kPluginMagic) return stamp;
  }
  throw InvalidInput(
      fmt::format("{} is no plugin of shoal: write SHOAL_PLUGIN(plugin) {{ ... }} in one of its "
                  "files, which includes <shoal/plugin.h>, and build it with shoal_add_plugin",
                  file.string()));
}

const PluginRegistry& load_plugin(const std::filesystem::path& file) {
  if (const auto fault = difference(read_plugin_stamp(file), program_stamp())) {
    throw InvalidInput(fmt::format("{} does not fit: {}: {}", file.string(), *fault, kRebuild));
  }
  Loaded& loaded = all_loaded();
  const std::lock_guard lock(loaded.mutex);
  // With a path that begins at the root the loader looks nowhere else.
  void* const handle = dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw InvalidInput(why_not_loaded(file.string(), dlerror()));
  auto& registry = loaded.by_handle[handle];
  if (!registry) {
    const auto fill = reinterpret_cast<RegisterPlugin>(dlsym(handle, kRegisterPlugin));
    if (fill == nullptr) {
      throw InvalidInput(
          fmt::format("{} does not export {}: {}", file.string(), kRegisterPlugin, kRebuild));
    }
    registry = std::make_unique<const PluginRegistry>(registered(file.string(), fill));
  }
  return *registry;
}

}  // namespace shoal
