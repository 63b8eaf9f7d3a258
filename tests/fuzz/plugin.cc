#include <elf.h>

#include <cstring>

#include "shoal/core/plugin_library.h"
#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

namespace {

template <typename Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// The smallest library with a stamp: a header, the stamp, the names of sections, their table.
std::string library() {
  const shoal::PluginStamp stamp = shoal::plugin_stamp("2.0.0");
  std::string names(1, '\0');
  names.append(shoal::kPluginSection).append(1, '\0').append(".shstrtab").append(1, '\0');
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
#if defined(__aarch64__)
  header.e_machine = EM_AARCH64;
#else
  header.e_machine = EM_X86_64;
#endif
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  header.e_shoff = sizeof header + sizeof stamp + names.size();
  Elf64_Shdr none{}, of_stamp{}, of_names{};
  of_stamp.sh_name = 1;
  of_stamp.sh_type = SHT_PROGBITS;
  of_stamp.sh_offset = sizeof header;
  of_stamp.sh_size = sizeof stamp;
  of_names.sh_name = static_cast<Elf64_Word>(2 + std::strlen(shoal::kPluginSection));
  of_names.sh_type = SHT_STRTAB;
  of_names.sh_offset = sizeof header + sizeof stamp;
  of_names.sh_size = names.size();
  return bytes_of(header) + bytes_of(stamp) + names + bytes_of(none) + bytes_of(of_stamp) +
         bytes_of(of_names);
}

}  // namespace

std::vector<std::string> fuzz_seeds() { return {library()}; }

// What stands in a stamp may be anything; comparing it and writing it out has to bear that.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shoal::TempFolder folder;
  const auto path = folder.write("input.so", shoal::text_of(data, size));
  return shoal::fuzz("input.so", [&] {
    const shoal::PluginStamp stamp = shoal::read_plugin_stamp(path);
    (void)shoal::text_of(stamp);
    (void)shoal::difference(stamp, shoal::plugin_stamp("2.0.0"));
  });
}
