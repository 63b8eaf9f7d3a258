#include "shoal/data/picture_decoder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;
// Deflate unpacks at most 1,032 bytes from one, each of 8 pixels in black and white. JPEG needs a
// bit for 64 pixels, arithmetic coding a little less.
constexpr std::int64_t kMostPixelsPerByte = std::int64_t{8} * 1032;

constexpr std::array<std::uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
constexpr std::array<std::uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

bool starts_with(std::span<const std::uint8_t> file, std::span<const std::uint8_t> start) {
  return file.size() >= start.size() && std::equal(start.begin(), start.end(), file.begin());
}

[[noreturn]] void unreadable(const std::string& path, int error) {
  throw InvalidInput(
      fmt::format("cannot read {}: {}", path, std::generic_category().message(error)));
}

// A whole file into memory that is used again. Not through a ByteSource: pictures are small and
// many, so a call of the system more for each counts.
void read_whole(const std::string& path, AlignedBytes& content) {
  // Not blocking: opening a named pipe would wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) unreadable(path, errno);
  struct Closes {
    int fd;
    ~Closes() { ::close(fd); }
  } const closes{fd};
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) unreadable(path, errno);
  if (!S_ISREG(facts.st_mode)) {
    throw InvalidInput(fmt::format("cannot read {}: it is not a regular file", path));
  }
  constexpr std::int64_t kLargestFile = std::int64_t{1} << 30;
  if (facts.st_size > kLargestFile) {
    throw Corrupt(fmt::format("{}: expected a picture of at most {} bytes, found {}", path,
                              kLargestFile, std::int64_t{facts.st_size}),
                  path);
  }
  content.resize(static_cast<std::size_t>(facts.st_size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::read(fd, content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(path, errno);
    if (got == 0) break;  // it has become shorter: the decoder says so
    done += static_cast<std::size_t>(got);
  }
  content.resize(done);
}

}  // namespace

PictureDecoder::PictureDecoder() : jpeg_(jpeg_format()), png_(png_format()) {}
PictureDecoder::~PictureDecoder() = default;

PictureView PictureDecoder::decode(const std::string& path) {
  read_whole(path, file_);
  return decode(file_.as<std::uint8_t>(), path);
}

PictureView PictureDecoder::decode(std::span<const std::uint8_t> file, const std::string& path) {
  PictureFormat& format = format_of(file, path);
  const PictureSize size = checked_size(format, file, path);
  // libjpeg-turbo writes rows that begin at a multiple of 16 or 32 bytes past the caches, from
  // which they are read next: that took a quarter of the time of a small picture. None begins
  // there.
  constexpr std::size_t kAside = 8;
  constexpr std::size_t kStep = 32;
  const std::size_t stride = (3 * static_cast<std::size_t>(size.width) + kStep - 1) / kStep * kStep;
  rgb_.resize(kAside + stride * static_cast<std::size_t>(size.height));
  std::uint8_t* const first = rgb_.as<std::uint8_t>().data() + kAside;
  format.read_pixels(path, {.first = first, .stride = stride});
  PictureView view = PictureView::interleaved(first, 3, size.height, size.width);
  view.to_row = static_cast<std::ptrdiff_t>(stride);
  return view;
}

PictureSize PictureDecoder::size(const std::string& path) {
  read_whole(path, file_);
  const auto file = file_.as<std::uint8_t>();
  return checked_size(format_of(file, path), file, path);
}

PictureFormat& PictureDecoder::format_of(std::span<const std::uint8_t> file,
                                         const std::string& path) {
  if (starts_with(file, kJpegStart)) return *jpeg_;
  if (starts_with(file, kPngStart)) return *png_;
  const auto start = file.first(std::min<std::size_t>(file.size(), kPngStart.size()));
  throw Corrupt(
      fmt::format(
          "{}: byte 0: expected a JPEG (ff d8 ff) or a PNG (89 50 4e 47 0d 0a 1a 0a), found "
          "{}",
          path, start.empty() ? "an empty file" : fmt::format("{:02x}", fmt::join(start, " "))),
      path);
}

PictureSize PictureDecoder::checked_size(PictureFormat& format, std::span<const std::uint8_t> file,
                                         const std::string& path) {
  const PictureSize size = format.read_header(file, path);
  const std::int64_t pixels = std::int64_t{size.height} * size.width;
  const std::int64_t most =
      std::min(kMostPixels, static_cast<std::int64_t>(file.size()) * kMostPixelsPerByte);
  if (size.height > 0 && size.width > 0 && pixels <= most) return size;
  throw Corrupt(fmt::format("{}: expected a picture of 1 to {} pixels in a file of {} bytes, found "
                            "a header that says {} x {}",
                            path, most, file.size(), size.width, size.height),
                path);
}

}  // namespace shoal
