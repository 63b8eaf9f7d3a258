#include "shoal/core/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

enum class Color { red, green, blue };

struct Fields {
  std::int64_t wide = 7;
  int narrow = -3;
  double real = 0.5;
  bool flag = false;
  std::string word = "w";
  std::optional<std::int64_t> maybe_wide;
  std::optional<double> maybe_real = 2.0;
  std::vector<std::string> words = {"a"};
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
  std::vector<std::pair<std::string, std::int64_t>> axes;
  std::map<std::string, std::vector<std::string>> layout = {{"batch", {"data"}}};
  json anything;
  Color color = Color::green;
};

OptionTable describe(Fields& f) {
  return {
      "fields",
      "One of each.",
      {
          option("wide", f.wide, "A wide integer."),
          option("narrow", f.narrow, "A narrow integer."),
          option("real", f.real, "A number."),
          option("flag", f.flag, "A flag."),
          option("word", f.word, "A text."),
          option("maybe_wide", f.maybe_wide, "Perhaps an integer."),
          option("maybe_real", f.maybe_real, "Perhaps a number."),
          option("words", f.words, "Some texts."),
          option("reals", f.reals, "Some numbers."),
          option("integers", f.integers, "Some integers."),
          option("axes", f.axes, "Named sizes."),
          option("layout", f.layout, "Names to names."),
          option("anything", f.anything, "Whatever."),
          choice("color", f.color,
                 {{"red", Color::red}, {"green", Color::green}, {"blue", Color::blue}}, "A color."),
      }};
}

// What setting `key` to `value` is refused with; "" when it is taken.
std::string refusal(std::string_view key, const json& value) {
  Fields fields;
  OptionTable table = describe(fields);
  for (Option& option : table.options) {
    if (option.name != key) continue;
    try {
      option.set(value);
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "";
  }
  return "no such option";
}

struct Painted {
  Color color = Color::red;
  std::int64_t layers = 0;
  double gloss = 0.5;
  double thickness = 1;
  bool dries = false;
};

std::vector<OptionTable> tables_of(Painted& p, Fields& f) {
  return {describe(f),
          {"painted",
           "",
           {choice("color", p.color,
                   {{"red", Color::red}, {"green", Color::green}, {"blue", Color::blue}}, "Which."),
            option("layers", p.layers, "How many."),
            only_with({"color", {"green", "blue"}}, option("gloss", p.gloss, "How glossy.")),
            only_with({"fields.color", {"red"}},
                      only_with({"layers"}, option("thickness", p.thickness, "Of a layer."))),
            only_with({"layers", {}, {{"color", {"blue"}}}},
                      option("dries", p.dries, "Whether it dries."))}}};
}

TEST(OnlyWith, NamesWhatIsSetAndDoesNotMatter) {
  Painted standard, painted;
  Fields fields, same;
  const auto idle = [&] {
    std::vector<OptionTable> tables = tables_of(painted, fields);
    return without_effect(tables, tables_of(standard, same));
  };
  EXPECT_THAT(idle(), ElementsAre());
  painted = {.gloss = 1, .thickness = 2, .dries = true};
  EXPECT_THAT(idle(), ElementsAre("[painted] gloss has no effect with color = \"red\"",
                                  "[painted] thickness has no effect with layers = 0",
                                  "[painted] dries has no effect with layers = 0"));
  painted.layers = 1;
  EXPECT_THAT(idle(),
              ElementsAre("[painted] gloss has no effect with color = \"red\"",
                          "[painted] thickness has no effect with [fields] color = \"green\""));
  painted.layers = 0;
  painted.color = Color::blue;
  fields.color = Color::red;
  EXPECT_THAT(idle(), ElementsAre("[painted] thickness has no effect with layers = 0"));
}

TEST(OnlyWith, IsPartOfTheHelp) {
  Painted painted;
  Fields fields;
  const std::vector<OptionTable> tables = tables_of(painted, fields);
  const std::vector<Option>& options = tables[1].options;
  EXPECT_EQ(whole_help(options[1]), "How many.");
  EXPECT_EQ(whole_help(options[2]), "How glossy. Only with color green or blue.");
  EXPECT_EQ(whole_help(options[3]), "Of a layer. Only with layers above 0 and fields.color red.");
  EXPECT_EQ(whole_help(options[4]), "Whether it dries. Only with layers above 0 or color blue.");
  EXPECT_THAT(reference_page(tables), HasSubstr("How glossy. Only with color green or blue. |"));
  EXPECT_THAT(help_text(tables), HasSubstr("How glossy. Only with color green or blue. (number)"));
}

TEST(OnlyWith, DependsOnAKeyThatIsThere) {
  Painted painted;
  std::vector<OptionTable> tables{
      {"painted", "", {only_with({"colour", {"red"}}, option("gloss", painted.gloss, "."))}}};
  EXPECT_THROW((void)why_idle(tables[0].options[0], "painted", tables), BrokenInvariant);
}

TEST(Options, EveryTypeShowsItsDefaultAsToml) {
  Fields fields;
  std::map<std::string, std::string> shown;
  for (const Option& option : describe(fields).options) shown[option.name] = option.shown_default;
  EXPECT_EQ(shown.at("wide"), "7");
  EXPECT_EQ(shown.at("narrow"), "-3");
  EXPECT_EQ(shown.at("real"), "0.5");
  EXPECT_EQ(shown.at("flag"), "false");
  EXPECT_EQ(shown.at("word"), "\"w\"");
  EXPECT_EQ(shown.at("maybe_wide"), "\"none\"");
  EXPECT_EQ(shown.at("maybe_real"), "2.0");
  EXPECT_EQ(shown.at("words"), "[\"a\"]");
  EXPECT_EQ(shown.at("reals"), "[]");
  EXPECT_EQ(shown.at("integers"), "[]");
  EXPECT_EQ(shown.at("axes"), "{}");
  EXPECT_EQ(shown.at("layout"), "{ batch = \"data\" }");
  EXPECT_EQ(shown.at("color"), "\"green\"");
}

TEST(Options, EveryTypeRefusesWhatItCannotHoldAndSaysWhatItExpects) {
  EXPECT_EQ(refusal("wide", 2.0), "expected an integer, got 2.0");
  EXPECT_EQ(refusal("wide", "3"), "expected an integer, got \"3\"");
  EXPECT_EQ(refusal("wide", true), "expected an integer, got true");
  EXPECT_THAT(refusal("wide", std::numeric_limits<std::uint64_t>::max()),
              HasSubstr("got 18446744073709551615"));
  EXPECT_EQ(refusal("narrow", 2147483648),
            "expected an integer from -2147483648 to 2147483647, got 2147483648");
  EXPECT_THAT(refusal("narrow", -2147483649), HasSubstr("got -2147483649"));
  EXPECT_EQ(refusal("real", "fast"), "expected a number, got \"fast\"");
  EXPECT_EQ(refusal("real", std::numeric_limits<double>::quiet_NaN()),
            "expected a number, got nan");
  EXPECT_EQ(refusal("flag", 1), "expected true or false, got 1");
  EXPECT_EQ(refusal("word", 1), "expected text in quotes, got 1");
  EXPECT_EQ(refusal("maybe_wide", "some"), "expected an integer, got \"some\"");
  EXPECT_EQ(refusal("words", "a"), "expected a list of text, got \"a\"");
  EXPECT_EQ(refusal("words", {"a", 1}), "expected a list of text, got [\"a\", 1]");
  EXPECT_EQ(refusal("reals", {1, "x"}), "expected a number, got \"x\"");
  EXPECT_EQ(refusal("integers", {1, 2.5}), "expected an integer, got 2.5");
  EXPECT_EQ(refusal("integers", 1), "expected a list of integers, got 1");
  EXPECT_THAT(refusal("axes", {{"data", "two"}}), HasSubstr("table of integers"));
  EXPECT_THAT(refusal("axes", 2), HasSubstr("table of integers"));
  EXPECT_EQ(refusal("axes", json::parse(R"([["data", 2], ["data", 3]])")), "'data' stands twice");
  EXPECT_THAT(refusal("layout", {{"batch", 1}}), HasSubstr("{ batch = \"data\" }"));
  EXPECT_THAT(refusal("layout", {{"batch", {"a", 1}}}), HasSubstr("{ batch = \"data\" }"));
  EXPECT_EQ(refusal("color", "yellow"),
            "expected one of \"red\", \"green\", \"blue\", got \"yellow\"");
  EXPECT_THAT(refusal("color", "gren"), HasSubstr("did you mean \"green\"?"));
  EXPECT_THAT(refusal("color", 2), HasSubstr("got 2"));
}

TEST(Options, AFaultShortensALongValueBetweenCharacters) {
  std::string long_text = "x";
  for (int i = 0; i < 100; ++i) long_text += "\xC3\xA9";
  const std::string fault = refusal("real", long_text);
  EXPECT_LT(fault.size(), 100u);
  EXPECT_THAT(fault, testing::EndsWith("\xC3\xA9..."));
}

TEST(Options, EveryTypeTakesItsExtremes) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, json>>{{"wide", std::numeric_limits<std::int64_t>::min()},
                                                 {"wide", std::numeric_limits<std::int64_t>::max()},
                                                 {"narrow", std::numeric_limits<int>::min()},
                                                 {"narrow", std::numeric_limits<int>::max()},
                                                 {"real", 3},
                                                 {"real", "inf"},
                                                 {"maybe_wide", nullptr},
                                                 {"maybe_wide", "none"},
                                                 {"maybe_real", 1},
                                                 {"reals", json::array()},
                                                 {"anything", nullptr}}) {
    EXPECT_EQ(refusal(key, value), "") << key << " = " << value;
  }
}

void change_everything(Fields& f) {
  f.wide = std::numeric_limits<std::int64_t>::min();
  f.narrow = std::numeric_limits<int>::max();
  f.real = std::numeric_limits<double>::infinity();
  f.flag = true;
  f.word = "tab\t quote\" backslash\\ del\x7F \xC3\xA9";
  f.maybe_wide = 5;
  f.maybe_real = std::nullopt;
  f.words = {"", "b c"};
  f.reals = {0.1, 1e300, -5e-324, 3.0};
  f.integers = {-1, 0, std::numeric_limits<std::int64_t>::max()};
  f.axes = {{"pipe", 2}, {"data", 3}, {"a b", 1}};
  f.layout = {{"batch", {"data"}}, {"ffn", {"tensor", "pipe"}}, {"none", {}}};
  f.anything = json::parse(R"([{"linear": 128}, "relu", {"dropout": 0.25, "on": true}])");
  f.color = Color::blue;
}

void expect_changed(const Fields& got) {
  Fields want;
  change_everything(want);
  EXPECT_EQ(got.wide, want.wide);
  EXPECT_EQ(got.narrow, want.narrow);
  EXPECT_EQ(got.real, want.real);
  EXPECT_EQ(got.flag, want.flag);
  EXPECT_EQ(got.word, want.word);
  EXPECT_EQ(got.maybe_wide, want.maybe_wide);
  EXPECT_EQ(got.maybe_real, want.maybe_real);
  EXPECT_EQ(got.words, want.words);
  EXPECT_EQ(got.reals, want.reals);
  EXPECT_EQ(got.integers, want.integers);
  EXPECT_EQ(got.axes, want.axes);
  EXPECT_EQ(got.layout, want.layout);
  EXPECT_EQ(got.anything, want.anything);
  EXPECT_EQ(got.color, want.color);
}

TEST(Options, ValuesSurviveJsonWrittenAsText) {
  Fields fields;
  change_everything(fields);
  const std::string text = to_json({describe(fields)}).dump();
  Fields read;
  from_json(json::parse(text), "plan.json", {describe(read)});
  expect_changed(read);
}

TEST(Options, ValuesSurviveToml) {
  Fields fields;
  change_everything(fields);
  const std::string text = to_toml({describe(fields)});
  Fields read;
  read_toml(text, "plan.toml", {describe(read)});
  expect_changed(read);
}

TEST(Options, JsonNamesEveryFaultAtOnce) {
  Fields fields;
  const json values = {{"fields", {{"wide", "x"}, {"wordd", "y"}, {"real", 4}}},
                       {"feilds", json::object()}};
  try {
    from_json(values, "plan.json", {describe(fields)});
    FAIL() << "accepted";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.faults,
                ElementsAre("plan.json: unknown table [feilds]: did you mean [fields]?",
                            "plan.json: wide in [fields]: expected an integer, got \"x\"",
                            "plan.json: unknown key 'wordd' in [fields]: did you mean "
                            "'word'?"));
  }
  EXPECT_EQ(fields.real, 4.0);
  EXPECT_THROW(from_json(json::array(), "plan.json", {describe(fields)}), InvalidInput);
  EXPECT_THROW(from_json({{"fields", 1}}, "plan.json", {describe(fields)}), InvalidInput);
}

TEST(Options, HelpAndReferenceNameEveryKeyWithTypeAndDefault) {
  Fields fields;
  bool top = true;
  const std::vector<OptionTable> tables = {may_change({"", "", {option("top", top, "On | off.")}}),
                                           describe(fields)};
  const std::string help = help_text(tables);
  const std::string page = reference_page(tables);
  EXPECT_THAT(help, HasSubstr("Top level\n  top = true\n      On | off. (true or false)\n"));
  EXPECT_THAT(help, HasSubstr("[fields] One of each.\n"));
  EXPECT_THAT(page, HasSubstr("## Top level\n"));
  EXPECT_THAT(page, HasSubstr("| `top` | true or false | `true` | may change | On \\| off. |\n"));
  EXPECT_THAT(page, HasSubstr("## `[fields]`\n\nOne of each.\n\n| key | type | "
                              "default | on resume | meaning |"));
  for (const Option& option : tables[1].options) {
    EXPECT_THAT(help, HasSubstr("  " + option.name + " = " + option.shown_default + "\n"));
    EXPECT_THAT(page, HasSubstr("| `" + option.name + "` | " + option.type + " | `" +
                                option.shown_default + "` | kept | " + option.help + " |"));
  }
}

TEST(Options, WhatIsNotNamedStaysOnResume) {
  Fields fields;
  const OptionTable table = may_change(describe(fields), {"real", "word"});
  for (const Option& option : table.options) {
    const bool named = option.name == "real" || option.name == "word";
    EXPECT_EQ(option.on_resume, named ? OnResume::may_change : OnResume::kept) << option.name;
  }
  EXPECT_THROW(may_change(describe(fields), {"rael"}), BrokenInvariant);
}

TEST(Options, AChoiceListsItsValues) {
  bool on = true;
  std::string word;
  EXPECT_THAT(option("on", on, "").values, ElementsAre("true", "false"));
  EXPECT_THAT(option("word", word, "").values, ElementsAre());
  EXPECT_THAT(with_values(option("word", word, ""), {"a", "b"}).values, ElementsAre("a", "b"));
  enum class Way { there, back } way = Way::back;
  EXPECT_THAT(choice("way", way, {{"there", Way::there}, {"back", Way::back}}, "").values,
              ElementsAre("there", "back"));
}

TEST(Options, HelpWrapsLongSentences) {
  int field = 1;
  std::string sentence;
  for (int i = 0; i < 60; ++i) sentence += "words ";
  const std::string help = help_text({{"t", sentence, {option("k", field, sentence)}}});
  std::size_t longest = 0;
  std::size_t begin = 0;
  while (begin < help.size()) {
    const std::size_t end = help.find('\n', begin);
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  EXPECT_LE(longest, 98u);
  EXPECT_GT(longest, 80u);
}

TEST(Nearest, FindsSlipsOfThePenAndNothingElse) {
  const std::vector<std::string> known = {"optimizer", "lr", "batch", "epochs", "micro_batches"};
  EXPECT_EQ(nearest("optimiser", known), "optimizer");
  EXPECT_EQ(nearest("lrr", known), "lr");
  EXPECT_EQ(nearest("Epoch", known), "epochs");
  EXPECT_EQ(nearest("bacth", known), "batch");
  EXPECT_EQ(nearest("microbatches", known), "micro_batches");
  EXPECT_EQ(nearest("micro-batches", known), "micro_batches");
  EXPECT_EQ(nearest("batch_size", known), "batch");
  EXPECT_EQ(nearest("zebra", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
  EXPECT_EQ(nearest(std::string(100000, 'x'), known), std::nullopt);
  EXPECT_EQ(nearest("x", {"y"}), std::nullopt);
}

}  // namespace
}  // namespace shoal
