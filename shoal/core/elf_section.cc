#include "shoal/core/elf_section.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "shoal/core/error.h"

namespace shoal {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kOwnMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kOwnMachine = EM_AARCH64;
#else
#error "the number of this processor in ELF files is not known"
#endif

class ElfFile {
 public:
  explicit ElfFile(const std::filesystem::path& path) : path_(path.string()) {
    file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) {
      cannot_read(errno == ENOENT ? "there is no such file"
                                  : std::generic_category().message(errno));
    }
    struct stat status {};
    if (fstat(file_, &status) != 0) cannot_read(std::generic_category().message(errno));
    if (S_ISDIR(status.st_mode)) cannot_read("it is a folder, not a library");
    size_ = static_cast<std::uint64_t>(status.st_size);
    read_header();
  }
  ~ElfFile() { close_file(); }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  std::optional<std::vector<std::byte>> section(std::string_view name, std::size_t most) const {
    const Elf64_Shdr names = section_header(header_.e_shstrndx);
    for (Elf64_Half i = 0; i < header_.e_shnum; ++i) {
      const Elf64_Shdr section = section_header(i);
      if (!is_called(section, names, name)) continue;
      std::vector<std::byte> bytes(std::min<std::uint64_t>(most, section.sh_size));
      if (section.sh_type == SHT_NOBITS) bytes.clear();
      read(section.sh_offset, bytes.data(), bytes.size());
      return bytes;
    }
    return std::nullopt;
  }

 private:
  void close_file() const {
    if (file_ >= 0) close(file_);
  }

  // Within a constructor no destructor runs.
  [[noreturn]] void refuse(const std::string& fault) const {
    close_file();
    throw InvalidInput(fault);
  }
  [[noreturn]] void cannot_read(const std::string& reason) const {
    refuse(fmt::format("cannot read {}: {}", path_, reason));
  }

  void read_header() {
    if (size_ < sizeof header_) no_library("it is no ELF file");
    if (pread(file_, &header_, sizeof header_, 0) != sizeof header_)
      no_library("it cannot be read");
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) no_library("it is no ELF file");
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB ||
        header_.e_machine != kOwnMachine) {
      no_library("it is for another kind of processor");
    }
    if (header_.e_type != ET_DYN) no_library("it is an ELF file of another kind");
    if (header_.e_shentsize != sizeof(Elf64_Shdr) || header_.e_shstrndx >= header_.e_shnum) {
      no_library("it has no table of sections");
    }
  }
  [[noreturn]] void no_library(const char* why) const {
    refuse(fmt::format("{} is no shared library: {}", path_, why));
  }

  void read(std::uint64_t offset, void* to, std::size_t bytes) const {
    if (offset > size_ || bytes > size_ - offset ||
        pread(file_, to, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes)) {
      throw Corrupt(
          fmt::format("{} is damaged: it ends before its sections do: build or copy it again",
                      path_),
          path_);
    }
  }

  Elf64_Shdr section_header(Elf64_Half index) const {
    Elf64_Shdr header;
    const std::uint64_t place = header_.e_shoff + std::uint64_t{index} * sizeof header;
    // An offset near the largest number would come round to the beginning.
    read(place < header_.e_shoff ? header_.e_shoff : place, &header, sizeof header);
    return header;
  }

  // A name is found by its bytes and the zero after them.
  bool is_called(const Elf64_Shdr& section, const Elf64_Shdr& names, std::string_view name) const {
    if (section.sh_name >= names.sh_size || names.sh_size - section.sh_name <= name.size()) {
      return false;
    }
    std::string found(name.size() + 1, '?');
    if (names.sh_offset > size_) return false;
    read(names.sh_offset + section.sh_name, found.data(), found.size());
    return found.back() == '\0' && std::string_view(found).substr(0, name.size()) == name;
  }

  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  Elf64_Ehdr header_{};
};

}  // namespace

std::optional<std::vector<std::byte>> elf_section(const std::filesystem::path& library,
                                                  std::string_view name, std::size_t most) {
  return ElfFile(library).section(name, most);
}

}  // namespace shoal
