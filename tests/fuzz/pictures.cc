#include "shoal/data/picture_decoder.h"
#include "shoal/data/test_pictures.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  using shoal::gradient;
  using shoal::jpeg_file;
  using shoal::png_file;
  return {jpeg_file(gradient(3, 16, 24)),
          jpeg_file(gradient(3, 16, 24), /*progressive=*/true),
          jpeg_file(gradient(1, 9, 7)),
          png_file(gradient(3, 16, 24)),
          png_file(gradient(3, 5, 6), {.bits = 16}),
          png_file(gradient(4, 9, 9), {.type = PNG_COLOR_TYPE_RGB_ALPHA, .interlaced = true}),
          png_file(gradient(1, 8, 8), {.type = PNG_COLOR_TYPE_PALETTE})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static shoal::PictureDecoder decoder;  // used again, as a worker does, also after faults
  return shoal::fuzz("input", [&] { decoder.decode({data, size}, "input"); });
}
