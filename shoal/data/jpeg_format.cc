#include <fmt/format.h>
#include <setjmp.h>
#include <stdio.h>
// After stdio.h, which it needs but does not include.
#include <jpeglib.h>
// After jpeglib.h, whose version numbers its messages.
#include <jerror.h>

#include <array>

#include "shoal/core/error.h"
#include "shoal/data/picture_decoder.h"

namespace shoal {
namespace {

// libjpeg ends what it cannot go on with by a call that must not return.
struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg hands out a pointer to it
  jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void jpeg_gives_up(j_common_ptr common) {
  auto* const errors = reinterpret_cast<JpegErrors*>(common->err);
  common->err->format_message(common, errors->message.data());
  longjmp(errors->jump, 1);
}

// libjpeg fills in grey where a stream is damaged, and only warns. A picture that is half grey is
// no picture; extra bytes and odd markers that some cameras write do no harm.
bool loses_pixels(int message) {
  switch (message) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
      return true;
    default:
      return false;
  }
}

void jpeg_warns(j_common_ptr common, int level) {
  if (level < 0 && loses_pixels(common->err->msg_code)) jpeg_gives_up(common);
}

void jpeg_says_nothing(j_common_ptr) {}

// Each scan of a progressive picture goes over all of it: a small file with thousands of them would
// take hours. Encoders write about ten.
void jpeg_limits_scans(j_common_ptr common) {
  constexpr int kMostScans = 500;
  const auto* const jpeg = reinterpret_cast<const jpeg_decompress_struct*>(common);
  if (!common->is_decompressor || jpeg->input_scan_number <= kMostScans) return;
  common->err->msg_code = JERR_BAD_PROGRESSION;
  jpeg_gives_up(common);
}

// The two functions that libjpeg jumps out of hold nothing that has a destructor.
bool read_jpeg_header(jpeg_decompress_struct& jpeg, JpegErrors& errors, const std::uint8_t* file,
                      std::size_t bytes) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg_mem_src(&jpeg, file, static_cast<unsigned long>(bytes));
  jpeg_read_header(&jpeg, TRUE);
  return true;
}

bool read_jpeg_rows(jpeg_decompress_struct& jpeg, JpegErrors& errors, RgbRows rows) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = rows.row(jpeg.output_scanline);
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

class JpegFormat : public PictureFormat {
 public:
  JpegFormat() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = jpeg_gives_up;
    errors_.base.emit_message = jpeg_warns;
    errors_.base.output_message = jpeg_says_nothing;
    if (setjmp(errors_.jump) != 0) throw std::bad_alloc();  // nothing else fails here
    jpeg_create_decompress(&jpeg_);
    progress_.progress_monitor = jpeg_limits_scans;
    jpeg_.progress = &progress_;
  }
  ~JpegFormat() override { jpeg_destroy_decompress(&jpeg_); }
  JpegFormat(const JpegFormat&) = delete;
  JpegFormat& operator=(const JpegFormat&) = delete;

  PictureSize read_header(std::span<const std::uint8_t> file, const std::string& path) override {
    jpeg_abort_decompress(&jpeg_);  // what an earlier picture left, if anything
    if (!read_jpeg_header(jpeg_, errors_, file.data(), file.size())) refuse(path);
    if (jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK) {
      throw Corrupt(fmt::format("{}: expected a JPEG in grey or RGB, found CMYK: convert it", path),
                    path);
    }
    return {.height = static_cast<int>(jpeg_.image_height),
            .width = static_cast<int>(jpeg_.image_width)};
  }

  void read_pixels(const std::string& path, RgbRows rows) override {
    if (!read_jpeg_rows(jpeg_, errors_, rows)) refuse(path);
  }

 private:
  [[noreturn]] void refuse(const std::string& path) {
    jpeg_abort_decompress(&jpeg_);
    throw Corrupt(fmt::format("{}: the JPEG does not decode: {}: fetch it again, or remove it",
                              path, errors_.message.data()),
                  path);
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_progress_mgr progress_{};
  JpegErrors errors_{};
};

}  // namespace

std::unique_ptr<PictureFormat> jpeg_format() { return std::make_unique<JpegFormat>(); }

}  // namespace shoal
