#include "shoal/checkpoint/safetensors.h"

#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  using shoal::ElementType;
  const std::vector<shoal::SafetensorsEntry> entries = {
      {.name = "a", .type = ElementType::float32, .shape = {2, 3}, .begin = 0, .end = 24},
      {.name = "b", .type = ElementType::int64, .shape = {}, .begin = 24, .end = 32}};
  return {shoal::safetensors_header(entries, {{"format", "pt"}}) + std::string(32, '\1'),
          shoal::safetensors_header({}, {})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shoal::TempFolder folder;
  const auto path = folder.write("input.safetensors", shoal::text_of(data, size));
  return shoal::fuzz("input.safetensors", [&] { shoal::read_safetensors_header(path); });
}
