#include "shoal/core/plugin_library.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

extern "C" {
extern const shoal::PluginStamp kShoalProgramStamp;
}
constinit const shoal::PluginStamp kShoalProgramStamp = shoal::plugin_stamp("");

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::filesystem::path kPlugins = SHOAL_TEST_PLUGINS;

template <typename Refused = InvalidInput>
std::string refusal(const std::filesystem::path& file) {
  try {
    load_plugin(file);
  } catch (const Refused& error) {
    return error.what();
  }
  return "nothing was refused";
}

// The good plugin with another stamp.
TempFile with_stamp(const std::string& name, const std::function<void(PluginStamp&)>& alter) {
  std::string bytes = read_file(kPlugins / "good.so");
  PluginStamp stamp = read_plugin_stamp(kPlugins / "good.so");
  const std::size_t at = bytes.find(kPluginMagic);
  EXPECT_NE(at, std::string::npos);
  alter(stamp);
  std::memcpy(bytes.data() + at, &stamp, sizeof stamp);
  return TempFile(name, bytes);
}

TEST(PluginLibrary, GivesWhatThePluginRegisters) {
  const PluginRegistry& registry = load_plugin(kPlugins / "good.so");
  EXPECT_THAT(registry.names(PluginPart::data), ElementsAre("a", "b", "count"));
  EXPECT_THAT(registry.names(PluginPart::model), ElementsAre("a"));
  EXPECT_THAT(registry.names(PluginPart::layer), ElementsAre());
  EXPECT_EQ(*registry.find<std::string>(PluginPart::model, "a"), "a model");
  EXPECT_EQ(*registry.find<std::string>(PluginPart::data, "a"), "first");
  EXPECT_EQ(registry.find<std::string>(PluginPart::data, "c"), nullptr);
  EXPECT_THROW(registry.find<double>(PluginPart::data, "a"), BrokenInvariant);
}

TEST(PluginLibrary, RegistersOnceInAProcessWhateverThePathAndTheThread) {
  const auto file = kPlugins / "good.so";
  const auto other = kPlugins / ".." / kPlugins.filename() / "good.so";
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] { load_plugin(i % 2 == 0 ? file : other); });
    }
  }
  EXPECT_EQ(&load_plugin(file), &load_plugin(other));
  EXPECT_EQ(*load_plugin(file).find<int>(PluginPart::data, "count"), 1);
}

TEST(PluginLibrary, IsFoundBelowTheWorkingFolderToo) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(kPlugins);
  EXPECT_EQ(&load_plugin("good.so"), &load_plugin(kPlugins / "good.so"));
  std::filesystem::current_path(before);
}

TEST(PluginLibrary, RefusesWhatIsNoPlugin) {
  EXPECT_THAT(refusal(kPlugins / "none.so"),
              AllOf(HasSubstr("none.so"), HasSubstr("there is no such file")));
  EXPECT_THAT(refusal(kPlugins), HasSubstr("it is a folder"));
  const TempFile text("text.so", "[model]\nname = \"mlp\"\n");
  EXPECT_THAT(refusal(text.path()), HasSubstr("text.so is no shared library: it is no ELF file"));
  const TempFile empty("empty.so", "");
  EXPECT_THAT(refusal(empty.path()), HasSubstr("it is no ELF file"));
  EXPECT_THAT(refusal(kPlugins / "no_plugin.so"),
              AllOf(HasSubstr("no_plugin.so is no plugin of shoal"), HasSubstr("SHOAL_PLUGIN")));
  EXPECT_THAT(refusal(kPlugins / "stamp_only.so"),
              HasSubstr("stamp_only.so does not export shoal_register_plugin"));
}

TEST(PluginLibrary, RefusesAFileForAnotherProcessorAndAProgram) {
  const std::string good = read_file(kPlugins / "good.so");
  std::string bytes = good;
  bytes[offsetof(Elf64_Ehdr, e_machine)] = '\x08';  // MIPS
  EXPECT_THAT(refusal(TempFile("mips.so", bytes).path()), HasSubstr("another kind of processor"));
  bytes = good;
  bytes[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(refusal(TempFile("short.so", bytes).path()), HasSubstr("another kind of processor"));
  bytes = good;
  bytes[offsetof(Elf64_Ehdr, e_type)] = ET_REL;
  EXPECT_THAT(refusal(TempFile("object.so", bytes).path()),
              HasSubstr("an ELF file of another kind"));
}

TEST(PluginLibrary, RefusesADamagedFileWherePartsOfItAreMissing) {
  const std::string good = read_file(kPlugins / "good.so");
  for (const std::size_t kept : {good.size() - 1, good.size() / 2, std::size_t{100}}) {
    const TempFile torn("torn.so", good.substr(0, kept));
    EXPECT_THAT(refusal<Corrupt>(torn.path()), AllOf(HasSubstr("torn.so is damaged"))) << kept;
  }
  // A table of sections that begins near the largest offset that there is.
  std::string bytes = good;
  const std::uint64_t far = ~std::uint64_t{63};
  std::memcpy(bytes.data() + offsetof(Elf64_Ehdr, e_shoff), &far, sizeof far);
  EXPECT_THAT(refusal<Corrupt>(TempFile("far.so", bytes).path()), HasSubstr("is damaged"));
}

TEST(PluginLibrary, SaysWhichOfTheTwoHasWhatWhereTheyDoNotFit) {
  const struct {
    std::function<void(PluginStamp&)> alter;
    std::string said;
  } cases[] = {
      {[](PluginStamp& s) { s.interface_version = 77; },
       "it was built against version 77 of the interface to plugins, and this shoal has version 1"},
      {[](PluginStamp& s) { s.bytes = 12; }, "a stamp of 12 bytes"},
      {[](PluginStamp& s) { std::strcpy(s.shoal, "9.8.7"); },
       "it was built against shoal 9.8.7, and this shoal has shoal " SHOAL_VERSION},
      {[](PluginStamp& s) { std::strcpy(s.libtorch, "1.2.3"); },
       "it was built against LibTorch 1.2.3, and this shoal has LibTorch of no version"},
      {[](PluginStamp& s) { std::strcpy(s.json, "2.0.0"); }, "nlohmann/json 2.0.0"},
      {[](PluginStamp& s) { s.compiler_abi = 1002; }, "the ABI 1002 of "},
      {[](PluginStamp& s) { s.new_strings ^= 1U; }, "_GLIBCXX_USE_CXX11_ABI=0"},
      {[](PluginStamp& s) { s.debug_library ^= 1U; }, "_GLIBCXX_DEBUG"},
      {[](PluginStamp& s) { std::memset(s.shoal, '\xff', sizeof s.shoal); },
       "shoal ????????????????????????????"},
  };
  for (const auto& [alter, said] : cases) {
    const TempFile file = with_stamp("altered.so", alter);
    EXPECT_THAT(refusal(file.path()), AllOf(HasSubstr("altered.so does not fit: "), HasSubstr(said),
                                            HasSubstr("build it again"), Not(HasSubstr("\n"))));
  }
}

TEST(PluginLibrary, ReadsTheStampBeforeAnyCodeOfThePluginRuns) {
  // The constructor of this library would end the process.
  EXPECT_THAT(refusal(kPlugins / "ends_the_process.so"), HasSubstr("version 4000000000 of the"));
}

TEST(PluginLibrary, SaysWhatIsMissingInTheWordsOfTheSource) {
  EXPECT_THAT(refusal(kPlugins / "unresolved.so"),
              AllOf(HasSubstr("unresolved.so cannot be loaded: it uses shoal::of_a_newer_shoal("),
                    HasSubstr("which neither this shoal nor"), Not(HasSubstr("_ZN"))));
}

TEST(PluginLibrary, HandsOnWhatARegistrationThrows) {
  for (int i = 0; i < 2; ++i) {  // it stays so
    const std::string said = refusal(kPlugins / "throws.so");
    EXPECT_THAT(said,
                AllOf(HasSubstr("throws.so: its registration failed: the licence has run out"),
                      Not(HasSubstr("midnight"))));
  }
  EXPECT_THAT(refusal(kPlugins / "throws_a_number.so"), HasSubstr("no std::exception"));
  EXPECT_THAT(refusal(kPlugins / "twice.so"),
              HasSubstr("twice.so: it registers the layer 'gate' twice"));
  EXPECT_THAT(refusal(kPlugins / "registers_nothing.so"), HasSubstr("registers nothing"));
}

TEST(PluginRegistry, TakesEachNameOnceInAKind) {
  PluginRegistry registry;
  registry.add(PluginPart::model, "a", 1);
  registry.add(PluginPart::data, "a", 2);
  EXPECT_THROW(registry.add(PluginPart::data, "a", 3), InvalidInput);
  EXPECT_THROW(registry.add(PluginPart::data, "", 3), InvalidInput);
  EXPECT_EQ(*registry.find<int>(PluginPart::data, "a"), 2);
}

}  // namespace
}  // namespace shoal
