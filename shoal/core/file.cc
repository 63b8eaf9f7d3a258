#include "shoal/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDirectPiece = 16 << 20;  // the larger, the less work for the system

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

std::string reason_text(int error) { return std::generic_category().message(error); }

[[noreturn]] void cannot_read(const fs::path& path, int error) {
  const std::string what = fmt::format("cannot read {}: ", path.string());
  if (error == ENOENT || error == ENOTDIR) throw InvalidInput(what + "there is no such file");
  if (error == EISDIR) throw InvalidInput(what + "it is a folder, not a file");
  if (error == EACCES || error == EPERM) {
    throw InvalidInput(what + "no permission: change its owner or mode");
  }
  throw InvalidInput(what + reason_text(error));
}

[[noreturn]] void cannot_write(const fs::path& path, int error) {
  const std::string what = fmt::format("cannot write {}: ", path.string());
  const std::string folder = folder_of(path).string();
  switch (error) {
    case ENOENT:
      throw InvalidInput(what + fmt::format("the folder {} does not exist: create it", folder));
    case ENOTDIR:
      throw InvalidInput(what + fmt::format("{} is not a folder", folder));
    case EISDIR:
      throw InvalidInput(what + "it is a folder: give the name of a file");
    case EACCES:
    case EPERM:
      throw InvalidInput(
          what + fmt::format("no permission in the folder {}: choose another, or change its mode",
                             folder));
    case EROFS:
      throw InvalidInput(what +
                         fmt::format("{} is on a read-only disk: choose another folder", folder));
    case ENOSPC:
    case EDQUOT:
      throw InvalidInput(what + "the disk is full: free some space, or choose another folder");
    default:
      throw InvalidInput(what + reason_text(error));
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string read_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) cannot_read(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) cannot_read(path, errno);

  // A file may grow while it is read, and a pipe has no size: the end is where read says so. One
  // byte more than the size, so that the usual case needs no second buffer.
  constexpr std::size_t kSmallest = 4096;
  const auto expected = static_cast<std::size_t>(status.st_size);
  std::string content(S_ISREG(status.st_mode) ? expected + 1 : kSmallest, '\0');
  std::size_t length = 0;
  for (;;) {
    if (length == content.size()) content.resize(std::max(kSmallest, 2 * content.size()));
    const ssize_t got = ::read(file.get(), content.data() + length, content.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path, errno);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  content.resize(length);
  return content;
}

// Some file systems cannot sync a folder: EINVAL.
void sync_folder(const fs::path& folder, const fs::path& path) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) return;
  if (::fsync(opened.get()) != 0 && errno != EINVAL && errno != EROFS) cannot_write(path, errno);
}

void replace_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), target_(path_) {
  if (!path_.has_filename()) cannot_write(path_, EISDIR);
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::is_directory(status)) cannot_write(path_, EISDIR);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) cannot_write(path_, errno);
    return;
  }
  if (fs::is_symlink(fs::symlink_status(path_, error))) {
    target_ = fs::weakly_canonical(path_, error);
    if (error) cannot_write(path_, error.value());
  }
  open_beside();
  struct stat old {};
  if (::stat(target_.c_str(), &old) == 0 && ::fchmod(fd_, old.st_mode & 07777) != 0) {
    const int reason = errno;
    close_and_remove();
    cannot_write(path_, reason);
  }
}

void AtomicFile::open_beside() {
  // The name has to stay below the 255 bytes that a file system allows.
  constexpr std::size_t kKept = 200;
  constexpr int kAttempts = 10000;
  const std::string name = target_.filename().string().substr(0, kKept);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    beside_ = folder_of(target_) / fmt::format(".{}.tmp.{}.{}", name, ::getpid(), attempt);
    fd_ = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ >= 0) return;
    if (errno != EEXIST) cannot_write(path_, errno);
  }
  cannot_write(path_, EEXIST);
}

AtomicFile::~AtomicFile() { close_and_remove(); }

void AtomicFile::close_and_remove() noexcept {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  check(fd_ >= 0, "nothing is written after commit");
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cannot_write(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::write_direct(std::span<const std::byte> content) {
  check(fd_ >= 0, "nothing is written after commit");
  check(reinterpret_cast<std::uintptr_t>(content.data()) % kDirectAlignment == 0,
        "content for the disk begins at a page");
  const int flags = ::fcntl(fd_, F_GETFL);
  const bool is_direct = !beside_.empty() && ::fcntl(fd_, F_SETFL, flags | O_DIRECT) == 0;
  const std::size_t padded =
      (content.size() + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  std::size_t at = 0;
  while (is_direct && at < padded) {
    const ssize_t written = ::write(fd_, content.data() + at, std::min(kDirectPiece, padded - at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno != EINVAL) cannot_write(path_, errno);
    if (written < 0) break;  // it was promised and is not possible: the cache takes the rest
    at += static_cast<std::size_t>(written);
    if (at % kDirectAlignment != 0) break;
  }
  if (is_direct) ::fcntl(fd_, F_SETFL, flags);
  if (at < content.size()) return write(content.subspan(at));
  if (at > content.size() && ::ftruncate(fd_, static_cast<off_t>(content.size())) != 0) {
    cannot_write(path_, errno);
  }
}

void AtomicFile::commit() {
  check(fd_ >= 0, "a file is committed once");
  if (beside_.empty()) {  // written in place: a terminal or pipe has nothing to sync
    close_and_remove();
    return;
  }
  if (::fsync(fd_) != 0) cannot_write(path_, errno);
  if (::rename(beside_.c_str(), target_.c_str()) != 0) cannot_write(path_, errno);
  beside_.clear();  // from here on it is the file itself: not to be removed
  close_and_remove();
  sync_folder(folder_of(target_), path_);
}

}  // namespace shoal
