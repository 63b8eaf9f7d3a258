#include "shoal/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <fstream>
#include <random>

#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) const {
    return folder_.write("x.safetensors", bytes);
  }

  // "" when the bytes are taken.
  std::string refusal(const std::string& bytes) const {
    try {
      (void)read_safetensors_header(write(bytes));
    } catch (const Corrupt& error) {
      EXPECT_EQ(error.path, (folder_ / "x.safetensors").string());
      return error.what();
    }
    return "";
  }

  TempFolder folder_;
};

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + rest;
}

std::string file_of(const std::string& header, std::size_t data) {
  return with_length(header.size(), header + std::string(data, '\0'));
}

// {"a": {...}} with these fields.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST_F(Safetensors, ReadsBackWhatItWrites) {
  const std::vector<SafetensorsEntry> entries{
      {"w", ElementType::float32, {2, 3}, 0, 24},     {"count", ElementType::int64, {}, 24, 32},
      {"none", ElementType::float64, {0, 5}, 32, 32}, {"half", ElementType::bfloat16, {4}, 32, 40},
      {"on", ElementType::boolean, {3}, 40, 43},
  };
  const std::string header = safetensors_header(entries, {{"format", "pt"}});
  EXPECT_EQ(header.size() % 64, 0u);
  const auto found = read_safetensors_header(write(header + std::string(43, 'x')));
  EXPECT_EQ(found.data_start, header.size());
  EXPECT_EQ(found.metadata.at("format"), "pt");
  ASSERT_EQ(found.entries.size(), entries.size());
  for (const SafetensorsEntry& written : entries) {
    const auto same = std::find_if(found.entries.begin(), found.entries.end(),
                                   [&](const auto& read) { return read.name == written.name; });
    ASSERT_NE(same, found.entries.end()) << written.name;
    EXPECT_EQ(same->type, written.type);
    EXPECT_EQ(same->shape, written.shape);
    EXPECT_EQ(same->begin, written.begin);
    EXPECT_EQ(same->end, written.end);
  }
}

TEST_F(Safetensors, ReadsFilesWithoutPaddingAndWithoutTensors) {
  EXPECT_EQ(refusal(file_of("{}", 0)), "");
  EXPECT_EQ(refusal(file_of(entry("F32", "[2]", "[0,8]"), 8)), "");
  EXPECT_EQ(refusal(file_of(entry("U8", "[]", "[0,1]"), 1)), "");
}

struct Malformed {
  const char* name;
  std::string bytes;
  const char* says;
};

std::vector<Malformed> malformed() {
  const std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const std::string huge = "[9223372036854775808]";
  return {
      {"empty file", "", "shorter than the 8 bytes"},
      {"seven bytes", std::string(7, '\0'), "shorter than the 8 bytes"},
      {"length past the end", with_length(100, "{}"), "100 bytes"},
      {"enormous length", with_length(~0ull, "{}"), "18446744073709551615 bytes"},
      {"no header", with_length(0, ""), "does not begin with '{'"},
      {"not JSON", file_of("{\"a\":", 0), "not JSON"},
      {"rubbish after the JSON", file_of("{} x", 0), "not JSON"},
      {"a list", file_of("[1,2]", 0), "does not begin with '{'"},
      {"spaces before", file_of("  {}", 0), "does not begin with '{'"},
      {"deep nesting is no tensor",
       file_of("{\"a\":" + std::string(9, '[') + std::string(9, ']') + "}", 0), "'a'"},
      {"not UTF-8", file_of("{\"\xff\":1}", 0), "not JSON"},
      {"name twice", file_of("{" + a + "," + a + "}", 4), "'a' twice"},
      {"field twice",
       file_of(R"({"a":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}})", 4),
       "'dtype' twice"},
      {"unknown type", file_of(entry("F4", "[4]", "[0,2]"), 2), "the type \"F4\""},
      {"no type", file_of(R"({"a":{"shape":[4],"data_offsets":[0,4]}})", 4), "'a'"},
      {"no shape", file_of(R"({"a":{"dtype":"U8","data_offsets":[0,4]}})", 4), "'a'"},
      {"no offsets", file_of(R"({"a":{"dtype":"U8","shape":[4]}})", 4), "'a'"},
      {"shape is a number", file_of(entry("U8", "4", "[0,4]"), 4), "'a' a bad shape"},
      {"a name for a tensor", file_of(R"({"a":"b"})", 0), "'a'"},
      {"negative extent", file_of(entry("U8", "[-4]", "[0,4]"), 4), "bad shape"},
      {"broken extent", file_of(entry("U8", "[4.5]", "[0,4]"), 4), "bad shape"},
      {"extent beyond int64", file_of(entry("U8", huge, "[0,4]"), 4), "'a'"},
      {"extents that wrap round", file_of(entry("F64", "[4294967296,4294967296]", "[0,0]"), 0),
       "beyond all memory"},
      {"nothing, but of enormous extents",
       file_of(entry("U8", "[0,9223372036854775807,9223372036854775807]", "[0,0]"), 0),
       "beyond all memory"},
      {"shape and bytes differ", file_of(entry("F32", "[4]", "[0,4]"), 4), "takes 16 bytes"},
      {"end before begin", file_of(entry("U8", "[4]", "[4,0]"), 4), "takes 4 bytes"},
      {"three offsets", file_of(entry("U8", "[4]", "[0,4,8]"), 4), "bad offsets"},
      {"negative offset", file_of(entry("U8", "[4]", "[-4,0]"), 4), "bad offsets"},
      {"hole at the start", file_of(entry("U8", "[4]", "[2,6]"), 6), "hole before 'a'"},
      {"hole between",
       file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}})", 8),
       "hole before 'b'"},
      {"overlap", file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
       "overlap before 'b'"},
      {"past the end", file_of(entry("U8", "[4]", "[0,4]"), 3), "should hold 4 bytes"},
      {"bytes left over", file_of(entry("U8", "[4]", "[0,4]"), 5), "should hold 4 bytes"},
      {"metadata that is no text", file_of(R"({"__metadata__":{"n":1}})", 0), "'__metadata__'"},
  };
}

TEST_F(Safetensors, RefusesMalformedFilesByNameAndReason) {
  for (const Malformed& file : malformed()) {
    const std::string reason = refusal(file.bytes);
    EXPECT_THAT(reason, HasSubstr("x.safetensors")) << file.name;
    EXPECT_THAT(reason, HasSubstr(file.says)) << file.name;
  }
}

TEST_F(Safetensors, AMissingFileIsNamed) {
  try {
    (void)read_safetensors_header(folder_ / "missing.safetensors");
    FAIL() << "a missing file was read";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing.safetensors"));
  }
}

// Damaged files are refused or read, without a crash and without another kind of exception.
TEST_F(Safetensors, SurvivesDamage) {
  const std::string good = safetensors_header({{"a", ElementType::float32, {2, 3}, 0, 24},
                                               {"b", ElementType::int64, {2}, 24, 40}},
                                              {{"format", "pt"}}) +
                           std::string(40, '\7');
  ASSERT_EQ(refusal(good), "");
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(refusal(good.substr(0, length)), "") << length;
  }
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = good;
    for (int changes = 0; changes <= i % 3; ++changes) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    EXPECT_NO_THROW((void)refusal(damaged));
  }
}

}  // namespace
}  // namespace shoal
