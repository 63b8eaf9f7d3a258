// Files: read whole, replaced atomically. Blocking, without a deadline: a local disk answers.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// Throws InvalidInput naming the path and the system's reason (missing, a folder, no permission).
std::string read_file(const std::filesystem::path& path);

// Writes beside `path`, syncs, renames over it: a reader sees the old or the new content, never a
// part. Throws InvalidInput naming path and reason (full disk, no permission); the old file stays.
void replace_file(const std::filesystem::path& path, std::string_view content);

// So that names made or renamed in `folder` survive a power cut too. A file system that cannot sync
// folders, and a folder that cannot be read, are no error. Throws InvalidInput naming `path`, the
// file or folder that is written, when the disk fails.
void sync_folder(const std::filesystem::path& folder, const std::filesystem::path& path);

// What direct writes to any usual disk need; also the size of a page.
constexpr std::size_t kDirectAlignment = 4096;

// The same for content that comes in pieces. Without commit() the destructor removes the new file.
// The new file has the permissions of the one it replaces; a link stays, and what it points to is
// replaced. What is not a file, such as /dev/stdout, is written in place. Several writers of one
// path, also in other processes, do not disturb each other: the last to commit wins.
// A process that is killed leaves `.NAME.tmp.PID.n` behind in the folder. One thread at a time.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // All of the content in one call, sent to the disk from where it lies, not through the system's
  // cache, wherever the file system can do that: it costs next to no processor time. For what is
  // large and not read soon. `content` begins at a multiple of kDirectAlignment, and the memory
  // after it is readable up to the next one (both checked as far as possible).
  void write_direct(std::span<const std::byte> content);
  // Sync, rename, sync the folder. Then the file is complete also after a power cut. Nothing may be
  // written after it (checked).
  void commit();

 private:
  void open_beside();
  void close_and_remove() noexcept;

  std::filesystem::path path_;    // as given: for messages
  std::filesystem::path target_;  // what is replaced
  std::filesystem::path beside_;  // empty when written in place
  int fd_ = -1;
};

}  // namespace shoal
