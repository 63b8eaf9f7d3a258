#include "shoal/data/text_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "shoal/data/open_data.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// One, two, three and four bytes a character.
constexpr const char* kMixed = "aé€\U0001F600a\n";

class TextTest : public testing::Test {
 protected:
  DataOptions options(std::string_view text, std::int64_t context) {
    DataOptions made;
    made.name = DataName::text;
    made.path = folder_.write("t.txt", text).string();
    made.context = context;
    made.test = 0;
    return made;
  }
  TempFolder folder_;
};

TEST_F(TextTest, CharactersAreCodePoints) {
  const Text text = parse_text(kMixed, "t.txt");
  EXPECT_THAT(text.characters, ElementsAre('a', 0xE9, 0x20AC, 0x1F600, 'a', '\n'));
  const Vocabulary vocabulary = vocabulary_of(text);
  EXPECT_THAT(vocabulary, ElementsAre('\n', 'a', 0xE9, 0x20AC, 0x1F600));
  EXPECT_THAT(ids_of(text, vocabulary), ElementsAre(1, 2, 3, 4, 1, 0));
  std::string again;
  for (const std::uint32_t character : text.characters) again += utf8_of(character);
  EXPECT_EQ(again, kMixed);
  const Text marked = parse_text(std::string("\xEF\xBB\xBF") + "\xEF\xBF\xBF", "t.txt");
  EXPECT_THAT(marked.characters, ElementsAre(0xFFFF));
}

TEST_F(TextTest, NamesTheByteOfWhatItCannotRead) {
  EXPECT_THAT(refusal([] { parse_text("a\xE9z", "t.txt"); }),
              HasSubstr("t.txt: byte 1: expected UTF-8 text, found the byte e9"));
  EXPECT_THAT(refusal([] { parse_text("aé\xE2\x82", "t.txt"); }), HasSubstr("t.txt: byte 3: "));
  EXPECT_THAT(refusal([] { parse_text("", "t.txt"); }), HasSubstr("byte 0: expected characters"));
  const Vocabulary known = vocabulary_of(parse_text(kMixed, "a.txt"));
  EXPECT_THAT(refusal([&] { ids_of(parse_text("\xEF\xBB\xBF€éx", "b.txt"), known); }),
              AllOf(StartsWith("Corrupt: "), HasSubstr("b.txt: byte 8: "),
                    HasSubstr("found 'x' (U+0078)")));
  EXPECT_THAT(refusal([&] { ids_of(parse_text("a\t", "b.txt"), known); }),
              HasSubstr("byte 1: expected a character that the training text has, found U+0009"));
}

TEST_F(TextTest, LabelsAreTheNextCharacters) {
  DataOptions made = options("abcdabcdab", 3);
  const DataSplits splits = open_data(made, 1);
  EXPECT_EQ(splits.train->size(), 3);  // the 10th character is the last label
  EXPECT_EQ(splits.train->input_type(), ElementType::int64);
  EXPECT_EQ(splits.train->facts().ids, 4);
  EXPECT_EQ(splits.train->answers(), (AnswerForm{.classes = 4, .shape = {3}}));
  EXPECT_THAT(splits.train->facts().answer_names, ElementsAre("a", "b", "c", "d"));
  const Batch all = read_all(*splits.train);
  EXPECT_THAT(all.inputs.as<std::int64_t>(), ElementsAre(0, 1, 2, 3, 0, 1, 2, 3, 0));
  EXPECT_THAT(all.labels, ElementsAre(1, 2, 3, 0, 1, 2, 3, 0, 1));
  EXPECT_THAT(all.answer_shape, ElementsAre(3));
  EXPECT_THAT(all.sample_ids, ElementsAre(0, 3, 6));
  made.stride = 1;
  const DataSplits dense = open_data(made, 1);
  EXPECT_EQ(dense.train->size(), 7);
  Batch last;
  dense.train->read(std::vector<std::int64_t>{6}, last);
  EXPECT_THAT(last.inputs.as<std::int64_t>(), ElementsAre(2, 3, 0));
  EXPECT_THAT(last.labels, ElementsAre(3, 0, 1));
  EXPECT_THAT(dense.summary(), HasSubstr("samples of 3, 4 classes at each of 3 positions"));
}

// Characters, inputs and labels, that a part's samples are made of.
std::set<std::int64_t> characters_of(const Dataset& part) {
  std::set<std::int64_t> all;
  for (const std::int64_t row : read_all(part).sample_ids) {
    for (std::int64_t i = 0; i <= part.sample_shape()[0]; ++i) all.insert(row + i);
  }
  return all;
}

TEST_F(TextTest, NoCharacterIsInTwoParts) {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += static_cast<char>('a' + i * i % 26);
  for (const std::int64_t stride : {1, 4, 7, 20}) {
    DataOptions made = options(text, 7);
    made.stride = stride;
    made.test = 0.1;
    made.validation = 0.15;
    const DataSplits splits = open_data(made, 1);
    const auto train = characters_of(*splits.train), validation = characters_of(*splits.validation),
               test = characters_of(*splits.test);
    EXPECT_EQ(*train.begin(), 0);
    EXPECT_LT(*train.rbegin(), 750);
    EXPECT_EQ(*validation.begin(), 750);
    EXPECT_LT(*validation.rbegin(), 900);
    EXPECT_EQ(*test.begin(), 900);
    EXPECT_LT(*test.rbegin(), 1'000);
    made.test = 5;
    made.validation = 3;
    const DataSplits counted = open_data(made, 1);
    EXPECT_EQ(counted.test->size(), 5) << stride;
    EXPECT_EQ(counted.validation->size(), 3) << stride;
    EXPECT_EQ(*characters_of(*counted.test).rbegin(), 999);
  }
}

TEST_F(TextTest, ATestTextHasTheVocabularyOfTheTraining) {
  DataOptions made = options("the quick brown fox jumps over the lazy dog", 4);
  made.test_path = folder_.write("u.txt", "fox and dog").string();
  const DataSplits splits = open_data(made, 1);
  EXPECT_EQ(splits.test->size(), 2);
  EXPECT_EQ(splits.test->classes(), splits.train->classes());
  EXPECT_EQ(read_all(*splits.test).labels.front(),
            static_cast<std::int64_t>(std::string(" abcdefghijklmnopqrstuvwxyz").find('o')));
  folder_.write("u.txt", "fox and Dog");
  EXPECT_THAT(refusal([&] { open_data(made, 1); }),
              AllOf(HasSubstr("u.txt: byte 8: "), HasSubstr("found 'D' (U+0044)")));
  folder_.write("u.txt", "fox");
  EXPECT_THAT(refusal([&] { open_data(made, 1); }),
              HasSubstr("u.txt has 3 characters, and a sample takes data.context + 1 = 5"));
}

TEST_F(TextTest, RefusesPartsWithoutASample) {
  EXPECT_THAT(refusal([&] { open_data(options("abcd", 4), 1); }),
              HasSubstr("leave 4 to train on, and a sample takes data.context + 1 = 5"));
  DataOptions made = options(std::string(100, 'a'), 10);
  made.test = 0.1;
  EXPECT_THAT(refusal([&] { open_data(made, 1); }),
              HasSubstr("data.test = 0.1 sets 10 aside, and a sample takes data.context + 1 = 11"));
  made.test = 0.5;
  made.validation = 0.45;
  EXPECT_THAT(refusal([&] { open_data(made, 1); }), HasSubstr("45 for validation leave 5"));
  made.validation = 1e9;
  EXPECT_THAT(refusal([&] { open_data(made, 1); }), HasSubstr("leave 0 to train on"));
}

}  // namespace
}  // namespace shoal
