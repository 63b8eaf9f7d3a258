#include "shoal/data/text_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "shoal/core/error.h"
#include "shoal/core/utf8.h"
#include "shoal/data/byte_source.h"

namespace shoal {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Bytes that follow a lead byte of text that is UTF-8.
int following(std::uint8_t lead) {
  if (lead < 0x80) return 0;
  if (lead < 0xE0) return 1;
  return lead < 0xF0 ? 2 : 3;
}

// "'e' (U+0065)", "U+000A": control characters would break the message's line.
std::string shown(std::uint32_t character) {
  const std::string code = fmt::format("U+{:04X}", character);
  constexpr std::uint32_t kFirstPrinted = 0x20, kDelete = 0x7F, kLastControl = 0x9F;
  const bool control =
      character < kFirstPrinted || (character >= kDelete && character <= kLastControl);
  return control ? code : fmt::format("'{}' ({})", utf8_of(character), code);
}

std::size_t first_byte_of(const Text& text, std::size_t place) {
  std::size_t bytes = text.skipped_bytes;
  for (std::size_t i = 0; i < place; ++i) bytes += utf8_of(text.characters[i]).size();
  return bytes;
}

DatasetFacts facts_of(std::string name, Range part, const WindowOptions& windows,
                      const Vocabulary& vocabulary) {
  DatasetFacts facts{.name = std::move(name),
                     .size = windows.windows_in(part.size()),
                     .sample_shape = {windows.context},
                     .ids = static_cast<std::int64_t>(vocabulary.size()),
                     .answers = {.classes = static_cast<std::int64_t>(vocabulary.size()),
                                 .shape = {windows.context}}};
  for (const std::uint32_t character : vocabulary) {
    facts.answer_names.push_back(utf8_of(character));
  }
  return facts;
}

}  // namespace

std::string utf8_of(std::uint32_t character) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((character >> shift) & 0x3F));
  };
  if (character < 0x80) return {static_cast<char>(character)};
  if (character < 0x800) return {static_cast<char>(0xC0 | (character >> 6)), tail(0)};
  if (character < 0x10000) {
    return {static_cast<char>(0xE0 | (character >> 12)), tail(6), tail(0)};
  }
  return {static_cast<char>(0xF0 | (character >> 18)), tail(12), tail(6), tail(0)};
}

Text read_text(const std::filesystem::path& path, std::stop_token stop) {
  return parse_text(open_source(path, std::move(stop))->read_rest(), path.string());
}

Text parse_text(std::string_view bytes, std::string path) {
  if (const auto bad = first_invalid_utf8(bytes)) {
    throw Corrupt(fmt::format("{}: byte {}: expected UTF-8 text, found the byte {:02x}: convert "
                              "the file",
                              path, *bad, static_cast<unsigned char>(bytes[*bad])),
                  path);
  }
  Text text{.path = std::move(path), .characters = {}};
  std::size_t at = bytes.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  text.skipped_bytes = at;
  text.characters.reserve(bytes.size() - at);
  while (at < bytes.size()) {
    const auto lead = static_cast<std::uint8_t>(bytes[at]);
    const int more = following(lead);
    constexpr std::array<std::uint8_t, 4> kOwnBits{0x7F, 0x1F, 0x0F, 0x07};
    std::uint32_t character = lead & kOwnBits[static_cast<std::size_t>(more)];
    for (int k = 1; k <= more; ++k) {
      character = character << 6 |
                  (static_cast<std::uint8_t>(bytes[at + static_cast<std::size_t>(k)]) & 0x3F);
    }
    text.characters.push_back(character);
    at += static_cast<std::size_t>(more) + 1;
  }
  if (text.characters.empty()) {
    throw Corrupt(fmt::format("{}: byte {}: expected characters, found the end: the file is empty",
                              text.path, at),
                  text.path);
  }
  if (text.characters.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw InvalidInput(fmt::format("{}: expected less than 2^32 characters, found {}", text.path,
                                   text.characters.size()));
  }
  return text;
}

Vocabulary vocabulary_of(const Text& text) {
  constexpr std::size_t kCodePoints = 0x110000;
  std::vector<bool> seen(kCodePoints, false);
  for (const std::uint32_t character : text.characters) seen[character] = true;
  Vocabulary vocabulary;
  for (std::size_t i = 0; i < kCodePoints; ++i) {
    if (seen[i]) vocabulary.push_back(static_cast<std::uint32_t>(i));
  }
  return vocabulary;
}

std::vector<std::uint32_t> ids_of(const Text& text, const Vocabulary& vocabulary) {
  std::vector<std::uint32_t> ids;
  ids.reserve(text.characters.size());
  for (const std::uint32_t character : text.characters) {
    const auto found = std::lower_bound(vocabulary.begin(), vocabulary.end(), character);
    if (found == vocabulary.end() || *found != character) {
      throw Corrupt(fmt::format("{}: byte {}: expected a character that the training text has, "
                                "found {}",
                                text.path, first_byte_of(text, ids.size()), shown(character)),
                    text.path);
    }
    ids.push_back(static_cast<std::uint32_t>(found - vocabulary.begin()));
  }
  return ids;
}

TextParts text_parts(const std::string& path, std::int64_t n, double test, double validation,
                     const WindowOptions& windows) {
  const auto length = [&](double part) {
    return part < 1 ? std::llround(part * static_cast<double>(n))
                    : windows.characters_of(std::llround(std::min(part, static_cast<double>(n))));
  };
  const std::int64_t tests = length(test), validations = length(validation);
  const std::int64_t left = n - tests - validations;
  if (windows.windows_in(left) < 1) {
    throw InvalidInput(fmt::format(
        "{} has {} characters: {} for the test and {} for validation leave {} to train on, and a "
        "sample takes data.context + 1 = {}: lower data.context, data.test or data.validation",
        path, n, tests, validations, std::max<std::int64_t>(0, left), windows.context + 1));
  }
  for (const auto& [key, part, characters] :
       {std::tuple("test", test, tests), std::tuple("validation", validation, validations)}) {
    if (part == 0 || windows.windows_in(characters) > 0) continue;
    throw InvalidInput(fmt::format(
        "{} has {} characters: data.{} = {} sets {} aside, and a sample takes data.context + 1 = "
        "{}: raise data.{} or lower data.context",
        path, n, key, part, characters, windows.context + 1, key));
  }
  return {.train = {0, left}, .validation = {left, left + validations}, .test = {n - tests, n}};
}

TextDataset::TextDataset(std::string name, std::shared_ptr<const std::vector<std::uint32_t>> ids,
                         Range part, const WindowOptions& windows, const Vocabulary& vocabulary)
    : Dataset(facts_of(std::move(name), part, windows, vocabulary)),
      ids_(std::move(ids)),
      part_(part),
      windows_(windows) {}

void TextDataset::read(std::span<const std::int64_t> ids, Batch& out) const {
  prepare(ids, out);
  std::int64_t* input = out.inputs.as<std::int64_t>().data();
  std::int64_t* label = out.labels.data();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::int64_t row = part_.begin + ids[i] * windows_.stride;
    out.sample_ids[i] = row;
    const std::uint32_t* const from = ids_->data() + row;
    input = std::copy_n(from, windows_.context, input);
    label = std::copy_n(from + 1, windows_.context, label);
  }
}

}  // namespace shoal
