#include "shoal/core/module_file.h"

#include <gtest/gtest.h>

#include <fstream>

namespace shoal {
namespace {

TEST(ModuleFile, IsLookedForBesideTheProgram) {
  EXPECT_EQ(find_module_file("shoal_of_no_such_name.so"), std::nullopt);
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const auto folder = program.parent_path().parent_path() / SHOAL_MODULES;
  std::filesystem::create_directories(folder);
  const auto file = folder / "shoal_of_this_test.so";
  std::ofstream(file) << "a module";
  EXPECT_EQ(find_module_file("shoal_of_this_test.so"), file);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace shoal
