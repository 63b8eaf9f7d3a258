#include <fmt/format.h>
#include <png.h>
#include <setjmp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "shoal/core/error.h"
#include "shoal/data/picture_decoder.h"

namespace shoal {
namespace {

// What libpng calls back with: the rest of the file, and why it gave up.
struct PngInput {
  const std::uint8_t* next = nullptr;
  std::size_t left = 0;
  std::size_t taken = 0;
  std::array<char, 128> message{};
};

[[noreturn]] void png_gives_up(png_structp png, png_const_charp message) {
  auto* const input = static_cast<PngInput*>(png_get_error_ptr(png));
  std::strncpy(input->message.data(), message, input->message.size() - 1);
  png_longjmp(png, 1);
}

void png_says_nothing(png_structp, png_const_charp) {}

void png_takes(png_structp png, png_bytep out, std::size_t bytes) {
  auto* const input = static_cast<PngInput*>(png_get_io_ptr(png));
  if (bytes > input->left) png_error(png, "it is cut short");
  std::memcpy(out, input->next, bytes);
  input->next += bytes;
  input->left -= bytes;
  input->taken += bytes;
}

// The two functions that libpng jumps out of hold nothing that has a destructor.
bool read_png_header(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  return true;
}

bool read_png_rows(png_structp png, png_infop info, RgbRows rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_expand(png);    // palettes and 1, 2 or 4 bits
  png_set_scale_16(png);  // 16 bits, rounded
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const png_uint_32 height = png_get_image_height(png, info);
  for (int pass = 0; pass < passes; ++pass) {
    for (png_uint_32 y = 0; y < height; ++y) png_read_row(png, rows.row(y), nullptr);
  }
  png_read_end(png, nullptr);
  return true;
}

// libpng's state for one file: it cannot be used again.
class PngReading {
 public:
  explicit PngReading(std::span<const std::uint8_t> file)
      : input_{.next = file.data(), .left = file.size()} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input_, png_gives_up, png_says_nothing);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, &input_, png_takes);
    // Text and profiles that unpack to gigabytes are not pictures; nobody looks at them.
    constexpr png_alloc_size_t kLargestChunk = 1 << 23;
    png_set_chunk_malloc_max(png_, kLargestChunk);
    // Sizes are checked by the caller, who says more.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  }
  ~PngReading() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReading(const PngReading&) = delete;
  PngReading& operator=(const PngReading&) = delete;

  void read_header(const std::string& path) {
    if (!read_png_header(png_, info_)) refuse(path);
  }
  PictureSize size() const {
    return {.height = static_cast<int>(png_get_image_height(png_, info_)),
            .width = static_cast<int>(png_get_image_width(png_, info_))};
  }
  void read_rows(const std::string& path, RgbRows rows) {
    if (!read_png_rows(png_, info_, rows)) refuse(path);
  }

 private:
  [[noreturn]] void refuse(const std::string& path) const {
    throw Corrupt(fmt::format("{}: byte {}: the PNG does not decode: {}: fetch it again, or remove "
                              "it",
                              path, input_.taken, input_.message.data()),
                  path);
  }

  PngInput input_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

class PngFormat : public PictureFormat {
 public:
  PictureSize read_header(std::span<const std::uint8_t> file, const std::string& path) override {
    reading_ = std::make_unique<PngReading>(file);
    reading_->read_header(path);
    return reading_->size();
  }
  void read_pixels(const std::string& path, RgbRows rows) override {
    reading_->read_rows(path, rows);
    reading_.reset();
  }

 private:
  std::unique_ptr<PngReading> reading_;
};

}  // namespace

std::unique_ptr<PictureFormat> png_format() { return std::make_unique<PngFormat>(); }

}  // namespace shoal
