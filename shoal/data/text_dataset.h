// Plain text, learned a character at a time: which character comes next, at every position.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/partition.h"
#include "shoal/data/dataset.h"

namespace shoal {

// A character is a Unicode code point. Line ends are characters as they stand.
struct Text {
  std::string path;
  std::vector<std::uint32_t> characters;
  std::size_t skipped_bytes = 0;  // of a byte-order mark, which is none of the characters
};

// `path` is unpacked when it ends in .gz. Throws Corrupt naming file and byte for what is not UTF-8
// or is cut in the middle of a character, and for a file without characters; InvalidInput when
// there is no such file, and for 2^32 characters and more.
Text read_text(const std::filesystem::path& path, std::stop_token stop = {});
Text parse_text(std::string_view bytes, std::string path);

// A character in UTF-8.
std::string utf8_of(std::uint32_t character);

// The characters that a text has, ascending: the id of each is its place here.
using Vocabulary = std::vector<std::uint32_t>;
Vocabulary vocabulary_of(const Text& text);

// Ids of all characters. Throws Corrupt for a character that is not of the vocabulary, naming it
// and its first byte in the file.
std::vector<std::uint32_t> ids_of(const Text& text, const Vocabulary& vocabulary);

struct WindowOptions {
  std::int64_t context = 64;  // characters of a sample
  std::int64_t stride = 64;   // from one sample's first character to the next one's
  // Of so many characters: one more than a sample has, because its last one has a successor, too.
  std::int64_t windows_in(std::int64_t characters) const {
    return characters <= context ? 0 : (characters - context - 1) / stride + 1;
  }
  // The least characters that hold so many.
  std::int64_t characters_of(std::int64_t windows) const {
    return windows == 0 ? 0 : (windows - 1) * stride + context + 1;
  }
};

// Where each part of a text of n characters lies, one after the other: a window of one part has no
// character of another. `test` and `validation` are fractions of the characters, or from 1 on
// numbers of samples. Throws InvalidInput for a part that is asked for and holds no sample, and
// when none is left to train on.
struct TextParts {
  Range train, validation, test;
};
TextParts text_parts(const std::string& path, std::int64_t n, double test, double validation,
                     const WindowOptions& windows);

// Samples are windows of ids, int64 [context]; labels are the ids that follow each position. Rows
// are where windows begin in the file, in characters. Shares the ids with other parts.
class TextDataset : public Dataset {
 public:
  TextDataset(std::string name, std::shared_ptr<const std::vector<std::uint32_t>> ids, Range part,
              const WindowOptions& windows, const Vocabulary& vocabulary);
  void read(std::span<const std::int64_t> ids, Batch& out) const override;

 private:
  std::shared_ptr<const std::vector<std::uint32_t>> ids_;
  Range part_;
  WindowOptions windows_;
};

}  // namespace shoal
