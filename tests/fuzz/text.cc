#include "shoal/data/text_dataset.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  return {"To be, or not to be\n", "na\xC3\xAFve caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\r\n",
          "\xEF\xBB\xBFmarked", "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"};
}

// As the training text, and as a test text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes = shoal::text_of(data, size);
  shoal::fuzz("input", [&] {
    const shoal::Text text = shoal::parse_text(bytes, "input");
    const auto ids = shoal::ids_of(text, shoal::vocabulary_of(text));
    const shoal::WindowOptions windows{.context = 4, .stride = 3};
    shoal::text_parts("input", static_cast<std::int64_t>(ids.size()), 0.3, 1, windows);
  });
  return shoal::fuzz("input", [&] {
    const auto known = shoal::vocabulary_of(shoal::parse_text("To be\xC3\xA9", "known"));
    shoal::ids_of(shoal::parse_text(bytes, "input"), known);
  });
}
