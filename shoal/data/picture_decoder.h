// JPEG and PNG files to RGB bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "shoal/data/batch.h"
#include "shoal/data/picture.h"

namespace shoal {

// Where a picture's rows of interleaved RGB go.
struct RgbRows {
  std::uint8_t* first = nullptr;
  std::size_t stride = 0;  // bytes from row to row
  std::uint8_t* row(std::size_t y) const { return first + y * stride; }
};

// A decoder of one format. One thread at a time; its memory is used again for the next picture.
class PictureFormat {
 public:
  virtual ~PictureFormat() = default;
  // Begins with `file`, which is borrowed until the next call; the size as its header says it.
  // Both throw Corrupt naming `path`.
  virtual PictureSize read_header(std::span<const std::uint8_t> file, const std::string& path) = 0;
  // Goes on with all pixels.
  virtual void read_pixels(const std::string& path, RgbRows rows) = 0;
};
std::unique_ptr<PictureFormat> jpeg_format();
std::unique_ptr<PictureFormat> png_format();

// Reads and decodes picture files, JPEG or PNG by their first bytes. Grey becomes three equal
// channels, palettes their colours, 16 bits 8; alpha is dropped, embedded profiles and gamma are
// ignored. One thread at a time; memory is kept for the next picture.
// Throws InvalidInput when a file cannot be read; Corrupt, naming the file, when it is of another
// format, damaged, cut short, CMYK, or of a size that is 0 or absurd: more than 2^27 pixels, or
// more than a file of its length can hold, which is looked at before memory is taken.
class PictureDecoder {
 public:
  PictureDecoder();
  ~PictureDecoder();

  // The view is good until the next call.
  PictureView decode(const std::string& path);
  PictureView decode(std::span<const std::uint8_t> file, const std::string& path);
  PictureSize size(const std::string& path);

 private:
  PictureFormat& format_of(std::span<const std::uint8_t> file, const std::string& path);
  PictureSize checked_size(PictureFormat& format, std::span<const std::uint8_t> file,
                           const std::string& path);

  std::unique_ptr<PictureFormat> jpeg_;
  std::unique_ptr<PictureFormat> png_;
  AlignedBytes file_;
  AlignedBytes rgb_;
};

}  // namespace shoal
