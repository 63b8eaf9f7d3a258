#include "shoal/data/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/data/batch.h"

namespace shoal {
namespace {

constexpr std::size_t kChunkBytes = 256 << 10;

std::string reason(int error) { return std::generic_category().message(error); }

// Where the bytes come from, as they are stored.
class Input {
 public:
  Input(std::string path, std::stop_token stop) : path_(std::move(path)), stop_(std::move(stop)) {}
  virtual ~Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // 0 at the end.
  std::size_t read(std::span<std::byte> out) {
    if (stop_.stop_requested()) throw Cancelled(fmt::format("reading {} was stopped", path_));
    return read_stored(out.first(std::min(out.size(), kChunkBytes)));
  }
  virtual std::string first_two() const = 0;  // without moving on
  virtual std::uint64_t size() const = 0;
  const std::string& path() const { return path_; }

 private:
  virtual std::size_t read_stored(std::span<std::byte> out) = 0;
  std::string path_;
  std::stop_token stop_;
};

class FileInput : public Input {
 public:
  FileInput(const std::filesystem::path& path, std::stop_token stop)
      : Input(path.string(), std::move(stop)) {
    // Not blocking: opening a named pipe would wait for its writer.
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0) {
      throw InvalidInput(
          fmt::format("cannot read {}: {}: give a file that exists and that you "
                      "may read",
                      this->path(), reason(errno)));
    }
    struct stat facts {};
    if (::fstat(fd_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
      ::close(fd_);
      throw InvalidInput(fmt::format("cannot read {}: it is not a regular file", this->path()));
    }
    size_ = static_cast<std::uint64_t>(facts.st_size);
  }
  ~FileInput() override { ::close(fd_); }

  std::string first_two() const override {
    std::string bytes(2, '\0');
    const ssize_t got = ::pread(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  std::uint64_t size() const override { return size_; }

 private:
  std::size_t read_stored(std::span<std::byte> out) override {
    for (;;) {
      const ssize_t got = ::read(fd_, out.data(), out.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) {
        throw InvalidInput(fmt::format("cannot read {}: {}", path(), reason(errno)));
      }
    }
  }

  int fd_ = -1;
  std::uint64_t size_ = 0;
};

class MemoryInput : public Input {
 public:
  MemoryInput(std::string name, std::string content)
      : Input(std::move(name), {}), content_(std::move(content)) {}
  std::string first_two() const override { return content_.substr(0, 2); }
  std::uint64_t size() const override { return content_.size(); }

 private:
  std::size_t read_stored(std::span<std::byte> out) override {
    const std::size_t got = content_.copy(reinterpret_cast<char*>(out.data()), out.size(), at_);
    at_ += got;
    return got;
  }

  std::string content_;
  std::size_t at_ = 0;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<Input> file)
      : ByteSource(file->path()), file_(std::move(file)) {}
  std::uint64_t largest_size() const override { return file_->size(); }

 private:
  std::size_t read_some(std::span<std::byte> out) override { return file_->read(out); }
  std::unique_ptr<Input> file_;
};

// Source: RFC 1952. zlib checks CRC-32 and length of each member.
class GzipSource : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<Input> file)
      : ByteSource(file->path()), file_(std::move(file)), packed_(kChunkBytes) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { inflateEnd(&stream_); }

  std::uint64_t largest_size() const override {
    constexpr std::uint64_t kMostPerByte = 1032;  // deflate's largest ratio
    return file_->size() * kMostPerByte;
  }

 private:
  std::size_t read_some(std::span<std::byte> out) override {
    constexpr std::size_t kLargestCall = std::size_t{1} << 30;  // avail_out has 32 bits
    const auto room = static_cast<uInt>(std::min(out.size(), kLargestCall));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = room;
    while (stream_.avail_out == room && next_member()) step();
    return room - stream_.avail_out;
  }

  // False at the end of the last member.
  bool next_member() {
    if (!member_ended_) return true;
    if (!more_input()) return false;
    // The two bytes of the next member's magic may lie in two chunks: zlib puts them together.
    if (*stream_.next_in != kMagic[0]) {
      throw Corrupt(fmt::format("{}: byte {}: expected the end of the file after the last gzip "
                                "member, found more bytes: pack the file again",
                                path(), offset()),
                    path());
    }
    check(inflateReset(&stream_) == Z_OK, "a stream that has ended can be started again");
    member_ended_ = false;
    return true;
  }

  void step() {
    if (!more_input()) {
      throw Corrupt(fmt::format("{}: byte {}: expected more of the gzip stream, found the end of "
                                "the file: it is cut short, fetch it again",
                                path(), offset()),
                    path());
    }
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_STREAM_END) member_ended_ = true;
    if (result == Z_OK || result == Z_STREAM_END) return;
    throw Corrupt(fmt::format("{}: byte {}: the gzip stream is damaged: {}: fetch it again", path(),
                              offset(), stream_.msg ? stream_.msg : "no valid data"),
                  path());
  }

  bool more_input() {
    if (stream_.avail_in > 0) return true;
    const std::size_t got = file_->read(packed_.bytes());
    taken_ += got;
    stream_.next_in = packed_.as<Bytef>().data();
    stream_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  std::uint64_t offset() const { return taken_ - stream_.avail_in; }

  static constexpr Bytef kMagic[] = {0x1F, 0x8B};
  std::unique_ptr<Input> file_;
  AlignedBytes packed_;
  z_stream stream_{};
  std::uint64_t taken_ = 0;  // packed bytes taken from the file
  bool member_ended_ = false;
};

}  // namespace

std::size_t ByteSource::read(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t got = read_some(out.subspan(done));
    if (got == 0) break;
    done += got;
  }
  position_ += done;
  return done;
}

void ByteSource::read_exactly(std::span<std::byte> out, std::string_view what) {
  const std::uint64_t start = position_;
  const std::size_t got = read(out);
  if (got == out.size()) return;
  throw Corrupt(
      fmt::format("{}: byte {}: expected {} bytes of {}, found the end after {}: the file "
                  "is cut short, fetch it again",
                  path_, start, out.size(), what, got),
      path_);
}

void ByteSource::expect_end(std::string_view what) {
  std::byte more{};
  const std::uint64_t end = position_;
  if (read({&more, 1}) == 0) return;
  throw Corrupt(fmt::format("{}: byte {}: expected the end of the file after {}, found more bytes",
                            path_, end, what),
                path_);
}

std::string ByteSource::read_rest() {
  std::string text;
  for (;;) {
    const std::size_t start = text.size();
    text.resize(start + kChunkBytes);
    const std::size_t got =
        read(std::as_writable_bytes(std::span(text.data() + start, kChunkBytes)));
    if (got < kChunkBytes) {
      text.resize(start + got);
      return text;
    }
  }
}

namespace {

// By name, after a look at the content: gzip under another name, and the reverse, is a mistake.
std::unique_ptr<ByteSource> source_of(std::unique_ptr<Input> input) {
  const std::string& path = input->path();
  const std::string start = input->first_two();
  const bool is_gzip = start == "\x1F\x8B";
  const bool named_gzip = path.ends_with(".gz");
  if (named_gzip && !is_gzip) {
    const std::string found =
        start.size() == 2 ? fmt::format("{:02x} {:02x}", static_cast<unsigned char>(start[0]),
                                        static_cast<unsigned char>(start[1]))
                          : fmt::format("the end of the file after {}", start.size());
    throw Corrupt(fmt::format("{}: byte 0: expected gzip (1f 8b), found {}: give the file a name "
                              "without .gz if it is not packed",
                              path, found),
                  path);
  }
  if (!named_gzip && is_gzip) {
    throw Corrupt(fmt::format("{}: byte 0: expected plain data, found gzip (1f 8b): unpack the "
                              "file, or give it a name that ends in .gz",
                              path),
                  path);
  }
  if (named_gzip) return std::make_unique<GzipSource>(std::move(input));
  return std::make_unique<PlainSource>(std::move(input));
}

}  // namespace

std::unique_ptr<ByteSource> open_source(const std::filesystem::path& path, std::stop_token stop) {
  return source_of(std::make_unique<FileInput>(path, std::move(stop)));
}

std::unique_ptr<ByteSource> memory_source(std::string name, std::string content) {
  return source_of(std::make_unique<MemoryInput>(std::move(name), std::move(content)));
}

}  // namespace shoal
