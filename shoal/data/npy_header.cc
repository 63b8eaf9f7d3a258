#include "shoal/data/npy_header.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
// numpy itself reads no longer ones unless told to; a list of a million sizes is no shape.
constexpr std::uint32_t kLongestNpyHeader = 64 << 10;
constexpr std::size_t kMostSizes = 64;  // numpy's own limit

// What stands in a message for text of a file.
std::string excerpt(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 24)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown.empty() ? "nothing" : "'" + shown + "'";
}

// A Python dict with the keys descr, fortran_order and shape, and nothing else.
class NpyHeaderText {
 public:
  // `text` begins at byte `start` of `path`.
  NpyHeaderText(std::string_view text, std::uint64_t start, const std::string& path,
                NpyShapes shapes)
      : text_(text), start_(start), path_(path), of_samples_(shapes == NpyShapes::samples) {}

  NpyHeader parse() {
    take('{');
    while (!accept('}')) {
      const std::size_t at = at_;
      const std::string key = take_string("a key");
      take(':');
      take_value(key, at);
      if (!accept(',')) {
        take('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size()) refuse("blanks after the dict", excerpt(text_.substr(at_)));
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      if (!seen_[i]) refuse(fmt::format("the key '{}'", kKeys[i]), "a header without it");
    }
    return header_;
  }

 private:
  static constexpr std::array<std::string_view, 3> kKeys = {"descr", "fortran_order", "shape"};

  [[noreturn]] void refuse(std::string_view expected, std::string_view found) const {
    throw Corrupt(fmt::format("{}: byte {}: expected {} in the NPY header, found {}", path_,
                              start_ + at_, expected, found),
                  path_);
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void take(char c) {
    if (!accept(c)) refuse(fmt::format("'{}'", c), excerpt(text_.substr(at_)));
  }

  std::string take_string(std::string_view what) {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : text_.npos;
    if (end == text_.npos) refuse(fmt::format("{} in quotes", what), excerpt(text_.substr(at_)));
    const std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  void take_value(const std::string& key, std::size_t at) {
    const auto known = std::find(kKeys.begin(), kKeys.end(), key);
    const auto index = static_cast<std::size_t>(known - kKeys.begin());
    if (known == kKeys.end() || seen_[index]) {
      at_ = at;
      refuse("the keys descr, fortran_order and shape, once each", excerpt(key));
    }
    seen_[index] = true;
    if (index == 0) return take_type();
    if (index == 1) return take_order();
    take_shape();
  }

  void take_type() {
    skip_blanks();
    const std::size_t at = at_;
    if (at_ < text_.size() && text_[at_] == '[') refuse("one type for all values", "records");
    const std::string type = take_string("a type");
    // '|' and '=' say that the order of bytes does not matter or is the writer's, as of any machine
    // that still runs.
    const bool has_order =
        !type.empty() && std::string_view("<>|=").find(type[0]) != std::string_view::npos;
    const std::string_view rest = std::string_view(type).substr(has_order ? 1 : 0);
    header_.big_endian = has_order && type[0] == '>';
    const auto known = type_of(rest);
    if (!known) {
      at_ = at;
      refuse("bool, int8 to int64, uint8 to uint64, float16, float32 or float64",
             excerpt(type) + reason_of(rest));
    }
    header_.type = *known;
  }

  static std::optional<NpyType> type_of(std::string_view code) {
    for (const std::string_view known :
         {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}) {
      if (code == known) return NpyType{.kind = known[0], .bytes = known[1] - '0'};
    }
    return std::nullopt;
  }

  static std::string reason_of(std::string_view code) {
    switch (code.empty() ? '?' : code[0]) {
      case 'O':
        return ": Python objects are pickles, which are not read; save an array of numbers";
      case 'U':
      case 'S':
        return ": it is text; save numbers";
      case 'c':
        return ": complex numbers; save real and imaginary part as two columns";
      case 'M':
      case 'm':
        return ": dates; save them as numbers";
      default:
        return "";
    }
  }

  void take_order() {
    skip_blanks();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      header_.fortran_order = value;
      return;
    }
    refuse("True or False", excerpt(text_.substr(at_)));
  }

  void take_shape() {
    take('(');
    while (!accept(')')) {
      skip_blanks();
      std::int64_t size = 0;
      const char* const begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) {
        refuse("a size of 63 bits", excerpt(text_.substr(at_)));
      }
      if (size == 0 && of_samples_) refuse("a size of 1 or more", "0");
      if (header_.shape.size() == kMostSizes) refuse(fmt::format("{} sizes", kMostSizes), "more");
      at_ += static_cast<std::size_t>(end - begin);
      (void)accept('L');  // Python 2
      header_.shape.push_back(size);
      if (!accept(',')) {
        take(')');
        break;
      }
    }
    if (header_.shape.empty() && of_samples_) {
      refuse("one size or more", "the shape () of a single value");
    }
  }

  std::string_view text_;
  std::uint64_t start_;
  const std::string& path_;
  bool of_samples_;
  std::size_t at_ = 0;
  std::array<bool, 3> seen_{};
  NpyHeader header_;
};

}  // namespace

NpyHeader read_npy_header(ByteSource& source, NpyShapes shapes) {
  std::array<char, 8> preamble{};
  source.read_exactly(std::as_writable_bytes(std::span(preamble)), "NPY magic and version");
  const std::string_view magic(preamble.data(), kNpyMagic.size());
  if (magic != kNpyMagic) {
    throw Corrupt(
        fmt::format(
            "{}: byte 0: expected the NPY magic 93 4e 55 4d 50 59, found {:02x}{}", source.path(),
            fmt::join(
                std::span(reinterpret_cast<const std::uint8_t*>(preamble.data()), kNpyMagic.size()),
                " "),
            magic.starts_with("PK") ? ": it is an .npz, unpack the arrays in it" : ""),
        source.path());
  }
  const int major = static_cast<unsigned char>(preamble[6]);
  const int minor = static_cast<unsigned char>(preamble[7]);
  if (major < 1 || major > 3 || minor != 0) {
    throw Corrupt(fmt::format("{}: byte 6: expected the version 1.0, 2.0 or 3.0, found {}.{}",
                              source.path(), major, minor),
                  source.path());
  }
  std::array<std::uint8_t, 4> length_bytes{};
  const std::size_t width = major == 1 ? 2 : 4;
  source.read_exactly(std::as_writable_bytes(std::span(length_bytes).first(width)),
                      "the length of the NPY header");
  const std::uint32_t length =
      std::uint32_t{length_bytes[0]} | std::uint32_t{length_bytes[1]} << 8 |
      std::uint32_t{length_bytes[2]} << 16 | std::uint32_t{length_bytes[3]} << 24;
  if (length > kLongestNpyHeader) {
    throw Corrupt(fmt::format("{}: byte 8: expected a header of at most {} bytes, found {}",
                              source.path(), kLongestNpyHeader, length),
                  source.path());
  }
  const std::uint64_t start = source.position();
  std::string text(length, '\0');
  source.read_exactly(std::as_writable_bytes(std::span(text)), "the NPY header");
  return NpyHeaderText(text, start, source.path(), shapes).parse();
}

}  // namespace shoal
