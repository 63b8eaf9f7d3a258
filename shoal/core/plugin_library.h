// Loads plugins: libraries of models, layers and data sets that are not shoal's own.
//
// A plugin calls the functions of the program that loads it, so that there is one copy of shoal's
// types and of their tables. The program shows them (shoal_takes_plugins in
// cmake/ShoalProduct.cmake) and has a stamp, kShoalProgramStamp, with which the plugin's has to
// agree.
#pragma once

#include <exception>
#include <filesystem>
#include <new>

#include "shoal/core/error.h"
#include "shoal/core/first_line.h"
#include "shoal/core/plugin_registry.h"
#include "shoal/core/plugin_stamp.h"

namespace shoal {

// What a plugin exports beside its stamp: fills the registry. What it throws refuses the plugin.
using RegisterPlugin = void (*)(PluginRegistry& registry);
inline constexpr const char* kRegisterPlugin = "shoal_register_plugin";

// Read from the file. Throws as elf_section() does, and InvalidInput when it is no plugin of shoal.
PluginStamp read_plugin_stamp(const std::filesystem::path& file);

// Loads the library and lets it register what it gives; both once in a process, whatever the number
// of calls. It is never unloaded: objects of its types may live as long as the process. Any thread.
// Throws InvalidInput, with the file and a remedy, for what is missing, no library, no plugin,
// built against another shoal, LibTorch or compiler (before any of its code runs), needs what
// nobody has, or does not register; Corrupt for a damaged file.
const PluginRegistry& load_plugin(const std::filesystem::path& file);

// Calls what a plugin has registered. What it throws is refused in its own words: InvalidInput,
// where it is no Error of shoal's and no want of memory.
template <typename Call>
auto in_plugin(const Call& call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw InvalidInput(first_line(error.what()));
  }
}

}  // namespace shoal
