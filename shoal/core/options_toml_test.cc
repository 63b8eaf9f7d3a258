// Reading job files and --set: good texts, then every malformed neighbour.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

enum class Schedule { vanilla, gpipe };

// A small job: top-level keys, two tables, and one with a dot in its name.
struct Job {
  std::int64_t seed = 1;
  double lr = 0.001;
  std::int64_t epochs = 1;
  int batch = 128;
  std::string optimizer = "sgd";
  std::optional<std::int64_t> steps;
  json layers;
  std::vector<std::pair<std::string, std::int64_t>> mesh;
  Schedule schedule = Schedule::gpipe;
  int patience = 0;

  std::vector<OptionTable> tables() {
    return {
        {"", "Everything.", {option("seed", seed, "Of random numbers.")}},
        {"train",
         "How.",
         {option("lr", lr, "Rate."), option("epochs", epochs, "Passes."),
          option("batch", batch, "Samples."), option("optimizer", optimizer, "Rule."),
          option("steps", steps, "Instead of epochs."), option("layers", layers, "The chain.")}},
        {"train.early_stop", "When.", {option("patience", patience, "Evaluations.")}},
        {"parallel.plan",
         "Where.",
         {option("mesh", mesh, "Axes."),
          choice("schedule", schedule, {{"vanilla", Schedule::vanilla}, {"gpipe", Schedule::gpipe}},
                 "Order.")}}};
  }
};

std::vector<std::string> faults_of(std::string_view text) {
  Job job;
  try {
    read_toml(text, "job.toml", job.tables());
  } catch (const InvalidInput& error) {
    return error.faults;
  }
  return {};
}

TEST(ReadToml, SetsWhatIsThereAndKeepsTheRest) {
  Job job;
  read_toml(R"(seed = 9
[train]
lr = 1            # an integer where a number is expected
optimizer = "adamw"
steps = 200
layers = ["flatten", { linear = 128 }, { conv = 32, kernel = 3 }]
[train.early_stop]
patience = 3
[parallel.plan]
schedule = "vanilla"
)",
            "job.toml", job.tables());
  EXPECT_EQ(job.seed, 9);
  EXPECT_EQ(job.lr, 1.0);
  EXPECT_EQ(job.epochs, 1);
  EXPECT_EQ(job.batch, 128);
  EXPECT_EQ(job.optimizer, "adamw");
  EXPECT_EQ(job.steps, 200);
  EXPECT_EQ(job.layers, json::parse(R"(["flatten", {"linear": 128}, {"conv": 32, "kernel": 3}])"));
  EXPECT_EQ(job.patience, 3);
  EXPECT_EQ(job.schedule, Schedule::vanilla);
}

TEST(ReadToml, KeepsTheOrderOfATableOfAxes) {
  for (const char* text : {"[parallel.plan]\nmesh = { pipe = 2, data = 3, alpha = 1 }\n",
                           "[parallel.plan.mesh]\npipe = 2\ndata = 3\nalpha = 1\n",
                           "parallel.plan.mesh.pipe = 2\nparallel.plan.mesh.data = 3\n"
                           "parallel.plan.mesh.alpha = 1"}) {
    Job job;
    read_toml(text, "job.toml", job.tables());
    EXPECT_THAT(job.mesh, ElementsAre(Pair("pipe", 2), Pair("data", 3), Pair("alpha", 1))) << text;
  }
}

TEST(ReadToml, AnEmptyTextAndAByteOrderMarkAreFine) {
  EXPECT_THAT(faults_of(""), ElementsAre());
  EXPECT_THAT(faults_of("\n# only a comment"), ElementsAre());
  EXPECT_THAT(faults_of("\xEF\xBB\xBFseed = 2\r\n[train]\r\nlr = 0.5\r\n"), ElementsAre());
}

TEST(ReadToml, NamesTheNearestKeyAndTableWithTheirLines) {
  EXPECT_THAT(faults_of("[train]\nlr = 0.1\noptimiser = \"sgd\"\n"),
              ElementsAre("job.toml:3: unknown key 'optimiser' in [train]: did you mean "
                          "'optimizer'?"));
  EXPECT_THAT(faults_of("\n[trian]\nlr = 0.1\nanything = 1\n"),
              ElementsAre("job.toml:2: unknown table [trian]: did you mean [train]?"));
  EXPECT_THAT(faults_of("sed = 1"),
              ElementsAre("job.toml:1: unknown key 'sed' in the top level: did "
                          "you mean 'seed'?"));
  EXPECT_THAT(faults_of("[train]\nschedule = \"gpipe\""),
              ElementsAre("job.toml:2: unknown key 'schedule' in [train]: it belongs to "
                          "[parallel.plan]"));
  EXPECT_THAT(faults_of("[train]\nzebra = 1"),
              ElementsAre("job.toml:2: unknown key 'zebra' in [train]: known are lr, epochs, "
                          "batch, optimizer, steps, layers"));
  EXPECT_THAT(faults_of("[zebra]"),
              ElementsAre("job.toml:1: unknown table [zebra]: known are train, "
                          "train.early_stop, "
                          "parallel.plan"));
  EXPECT_THAT(faults_of("[train.erly_stop]\npatience = 1"),
              ElementsAre("job.toml:1: unknown table [train.erly_stop]: did you mean "
                          "[train.early_stop]?"));
  EXPECT_THAT(faults_of("[parallel]\nmesh = 1"),
              ElementsAre("job.toml:2: unknown key 'mesh' in [parallel]: it belongs to "
                          "[parallel.plan]"));
  EXPECT_THAT(faults_of("[[layer]]\nlinear = 1"), ElementsAre(HasSubstr("unknown table [layer]")));
}

TEST(ReadToml, ReportsAllFaultsInTheOrderOfTheText) {
  EXPECT_THAT(faults_of("[train]\nlr = \"fast\"\nbatch = 3_000_000_000\nepoch = 2\n[trian]\n"
                        "[parallel.plan]\nschedule = \"gpip\"\nmesh = { data = 1.5 }\n"),
              ElementsAre("job.toml:2: lr in [train]: expected a number, got \"fast\"",
                          "job.toml:3: batch in [train]: expected an integer from -2147483648 "
                          "to "
                          "2147483647, got 3000000000",
                          "job.toml:4: unknown key 'epoch' in [train]: did you mean 'epochs'?",
                          "job.toml:5: unknown table [trian]: did you mean [train]?",
                          "job.toml:7: schedule in [parallel.plan]: expected one of "
                          "\"vanilla\", \"gpipe\" "
                          "(did you mean \"gpipe\"?), got \"gpip\"",
                          HasSubstr("job.toml:8: mesh in [parallel.plan]: expected a table of "
                                    "integers")));
}

TEST(ReadToml, ATableWrittenAsAValueIsNamed) {
  EXPECT_THAT(faults_of("train = 3"),
              ElementsAre("job.toml:1: train is a table: write [train] and its keys below"));
  EXPECT_THAT(faults_of("[[train]]\nlr = 1"), ElementsAre(HasSubstr("train is a table")));
  EXPECT_THAT(faults_of("train = { lr = 0.5, lrr = 1 }"),
              ElementsAre("job.toml:1: unknown key 'lrr' in [train]: did you mean 'lr'?"));
}

TEST(ReadToml, SyntaxFaultsHaveTheirLine) {
  EXPECT_THAT(faults_of("[train]\nlr = \n"), ElementsAre(StartsWith("job.toml:2: ")));
  EXPECT_THAT(faults_of("[train\nlr = 1\n"), ElementsAre(StartsWith("job.toml:1: ")));
  EXPECT_THAT(faults_of("[train]\nlr = 1\nlr = 2\n"), ElementsAre(StartsWith("job.toml:3: ")));
  EXPECT_THAT(faults_of("[train]\nlr = 99999999999999999999\n"),
              ElementsAre(StartsWith("job.toml:2: ")));
  EXPECT_THAT(faults_of("[train]\noptimizer = \"never ends\nlr = 1\n"),
              ElementsAre(StartsWith("job.toml:2: ")));
  EXPECT_THAT(faults_of("a = " + std::string(100000, '[')), ElementsAre(StartsWith("job.toml:1:")));
}

TEST(ReadToml, BytesThatAreNotTextAreNamedByTheirOffset) {
  EXPECT_THAT(faults_of("[train]\noptimizer = \"\xE9\"\n"),
              ElementsAre("job.toml: not UTF-8 text: byte 0xe9 at offset 21: save the file as "
                          "UTF-8"));
  EXPECT_THAT(faults_of("\xFF\xFE[\0"), ElementsAre(HasSubstr("byte 0xff at offset 0")));
  EXPECT_THAT(faults_of(std::string_view("seed\0 = 1", 9)), ElementsAre(StartsWith("job.toml:1:")));
}

TEST(ReadToml, SpecialNumbers) {
  Job job;
  read_toml("train.lr = inf", "job.toml", job.tables());
  EXPECT_TRUE(std::isinf(job.lr));
  EXPECT_THAT(faults_of("train.lr = nan"),
              ElementsAre("job.toml:1: lr in [train]: expected a number, got nan"));
}

// ---- --set

Job with(const std::vector<std::string>& settings) {
  Job job;
  std::vector<OptionTable> tables = job.tables();
  for (const std::string& setting : settings) apply_setting(setting, tables);
  return job;
}

std::string refusal(const std::string& setting) {
  try {
    with({setting});
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "";
}

TEST(ApplySetting, TakesTomlValuesAndBareWords) {
  EXPECT_EQ(with({"train.lr=0.1"}).lr, 0.1);
  EXPECT_EQ(with({" train.lr = 1 "}).lr, 1.0);
  EXPECT_EQ(with({"seed=4"}).seed, 4);
  EXPECT_EQ(with({"train.optimizer=adamw"}).optimizer, "adamw");
  EXPECT_EQ(with({"train.optimizer=\"adamw\""}).optimizer, "adamw");
  EXPECT_EQ(with({"train.optimizer=runs/a b=c"}).optimizer, "runs/a b=c");
  EXPECT_EQ(with({"train.optimizer=12"}).optimizer, "12");
  EXPECT_EQ(with({"train.optimizer=true"}).optimizer, "true");
  EXPECT_EQ(with({"train.optimizer="}).optimizer, "");
  EXPECT_EQ(with({"train.optimizer=a\nb"}).optimizer, "a\nb");
  EXPECT_EQ(with({"train.steps=3", "train.steps=none"}).steps, std::nullopt);
  EXPECT_EQ(with({"train.early_stop.patience=2"}).patience, 2);
  EXPECT_EQ(with({"parallel.plan.schedule=vanilla"}).schedule, Schedule::vanilla);
  EXPECT_THAT(with({"parallel.plan.mesh={pipe=2,data=1}"}).mesh,
              ElementsAre(Pair("pipe", 2), Pair("data", 1)));
  EXPECT_EQ(with({"train.layers=[{linear=1}]"}).layers, json::parse(R"([{"linear": 1}])"));
}

TEST(ApplySetting, ALaterSettingWins) { EXPECT_EQ(with({"train.lr=0.1", "train.lr=0.2"}).lr, 0.2); }

TEST(ApplySetting, SaysWhatIsWrongWithTheWholeSetting) {
  EXPECT_EQ(refusal("train.lrr=1"),
            "--set train.lrr=1: unknown key 'lrr' in [train]: did you mean 'lr'?");
  EXPECT_EQ(refusal("trian.lr=1"),
            "--set trian.lr=1: unknown table [trian]: did you mean [train]?");
  EXPECT_EQ(refusal("sedd=1"),
            "--set sedd=1: unknown key 'sedd' in the top "
            "level: did you mean 'seed'?");
  EXPECT_EQ(refusal("lr=1"),
            "--set lr=1: unknown key 'lr' in the top level: it belongs to [train]");
  EXPECT_EQ(refusal("train.lr=fast"),
            "--set train.lr=fast: lr in [train]: expected a number, got \"fast\"");
  EXPECT_EQ(refusal("train.batch=1.5"),
            "--set train.batch=1.5: batch in [train]: expected an integer, got 1.5");
  EXPECT_EQ(refusal("parallel.plan.mesh.data=2"),
            "--set parallel.plan.mesh.data=2: parallel.plan.mesh is one value: "
            "give it whole");
  EXPECT_EQ(refusal("parallel.plan.mesh={data=2"),
            "--set parallel.plan.mesh={data=2: {data=2 is not a TOML value");
  for (const char* malformed : {"", "=", "=1", "train.lr", " = 3"}) {
    EXPECT_THAT(refusal(malformed), HasSubstr("write table.key=value")) << malformed;
  }
  EXPECT_THAT(refusal("train.=1"), HasSubstr("unknown key ''"));
  EXPECT_THAT(refusal(".lr=1"), HasSubstr("unknown key 'lr' in the top level"));
}

}  // namespace
}  // namespace shoal
