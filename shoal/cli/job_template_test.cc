// Job files to begin with: read back they say what was asked for, and they train.
#include "shoal/cli/job_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "shoal/cli/doctor_checks.h"
#include "shoal/cli/test_command_line.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"
#include "shoal/model/zoo.h"
#include "shoal/train/job.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::filesystem::path file_named(const std::string& name) {
  static const TempFolder folder;
  return folder / name;
}

std::filesystem::path template_file() { return file_named("job.toml"); }

std::string text_file() {
  const auto file = file_named("text.txt");
  std::ofstream text(file);
  for (int i = 0; i < 200; ++i) text << "line " << i * i << "\n";
  return file;
}

Job read_back(const std::string& text) {
  std::ofstream(template_file()) << text;
  return read_job(template_file(), {});
}

const std::vector<std::string> kSettings = {"model.name=mlp",
                                            "model.hidden=[3, 4]",
                                            "train.optimizer=adamw",
                                            "train.steps=7",
                                            "parallel.mesh={pipe=2, data=3}",
                                            "seed=4"};

nlohmann::json asked_for() {
  Job job;
  std::vector<OptionTable> tables = job.tables();
  for (const std::string& setting : kSettings) apply_setting(setting, tables);
  return to_json(tables);
}

TEST(JobTemplate, SaysWhatTheSettingsSay) {
  Job read = read_back(job_template(kSettings, "A title"));
  EXPECT_EQ(to_json(read.tables()), asked_for());
}

TEST(JobTemplate, EveryKeyThatHasAnEffectIsThereWithItsDefault) {
  const std::string text = job_template(kSettings, "A title");
  EXPECT_THAT(text, AllOf(HasSubstr("# A title\n"), HasSubstr("\n[model]\n"),
                          HasSubstr("\nname = \"mlp\""), HasSubstr("\n# batch = 128\n"),
                          HasSubstr("\n# beta1 = 0.9"), HasSubstr("\n# weight_decay = 0.0"),
                          HasSubstr("\n# collective_seconds = 300.0")));
  // Of other data, and other optimizers.
  EXPECT_THAT(text, AllOf(Not(HasSubstr("separator")), Not(HasSubstr("nesterov")),
                          Not(HasSubstr("lr_rise")), Not(HasSubstr("huber_delta")),
                          Not(HasSubstr("non_finite_limit")), Not(HasSubstr("\n# classes"))));
  // What waits for a number above 0 is there, and no line says what is chosen already.
  EXPECT_THAT(text, AllOf(HasSubstr("\n# warmup_from = \"zero\""),
                          HasSubstr("\n# beta1 = 0.9                 # Decay of the mean of")));
  EXPECT_THAT(text, HasSubstr("# How gradients change the weights (sgd, adam, adamw, "));
  // What says itself what its values do, and what has a colon for other reasons.
  EXPECT_THAT(text, AllOf(HasSubstr("\n# crop = \"none\""), HasSubstr("\n# non_finite = \"stop\""),
                          HasSubstr("\n# ema_decay = \"none\"")));
  std::string uncommented;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 160U) << line;
    const std::size_t blank = line.find(' ', 2);  // behind the first word
    const bool is_key = line.starts_with("# ") && blank != line.npos && line.find(" = ") == blank &&
                        !line.starts_with("# every = ");  // said at all, it turns recompute on
    uncommented += (is_key ? line.substr(2) : line) + "\n";
  }
  Job read = read_back(uncommented);
  EXPECT_EQ(to_json(read.tables()), asked_for());
}

TEST(Init, TheFileOfEveryModelTrains) {
  for (const std::string& model : model_names()) {
    SCOPED_TRACE(model);
    const std::string file = template_file();
    std::vector<std::string> words{"init", model, "-o", file, "--force"};
    if (model == "bigram" || model == "tcn") {
      words.insert(words.end(), {"--data", "text", "--path", text_file()});
    }
    const Ran init = run_shoal(words);
    ASSERT_EQ(init.code, 0) << init.err;
    EXPECT_EQ(read_job(file, {}).model.name, model);
    const Ran trained = run_shoal({"train", file, "--set", "train.steps=1", "--set",
                                   "train.evaluate=false", "--set", "train.batch=4"});
    EXPECT_EQ(trained.code, 0) << trained.err;
    EXPECT_THAT(trained.out, HasSubstr("weights sha256"));
    EXPECT_EQ(trained.err, "");
  }
}

TEST(Init, RefusesToOverwriteAndWhatWouldNotRun) {
  const std::string file = template_file();
  std::ofstream(file) << "mine";
  const Ran there = run_shoal({"init", "mlp", "-o", file});
  EXPECT_EQ(there.code, 2);
  EXPECT_THAT(there.err, HasSubstr("is there already: give --force"));
  EXPECT_EQ(read_file(file), "mine");
  EXPECT_THAT(run_shoal({"init", "mpl", "-o", file, "--force"}).err,
              HasSubstr("did you mean 'mlp'?"));
  EXPECT_THAT(run_shoal({"init", "mlp", "--data", "fashion", "-o", file, "--force"}).err,
              HasSubstr("fashion-mnist"));
  EXPECT_THAT(run_shoal({"init", "mlp", "--data", "csv", "-o", file, "--force"}).err,
              HasSubstr("path"));
  EXPECT_EQ(read_file(file), "mine");
}

TEST(Train, SaysWhereTheProcessorDoesNotComputeBfloat16) {
  const std::string file = template_file();
  ASSERT_EQ(run_shoal({"init", "mlp", "-o", file, "--force"}).code, 0);
  std::vector<std::string> words{"train", file,
                                 "--set", "train.steps=1",
                                 "--set", "train.evaluate=false",
                                 "--set", "train.batch=4",
                                 "--set", "train.precision=bf16"};
  const Ran told = run_shoal(words);
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(told.err.starts_with("note: bfloat16: not computed by this processor"),
            check_bf16({}).standing != Standing::good)
      << told.err;
  words.emplace_back("--quiet");
  EXPECT_EQ(run_shoal(words).err, "");
}

TEST(Init, TakesATableOfOnesOwn) {
  const auto table = file_named("table.csv");
  {
    std::ofstream csv(table);
    for (int i = 0; i < 40; ++i) csv << i % 7 << "," << i << "," << i % 2 << "\n";
  }
  const Ran init = run_shoal({"init", "mlp", "--data", "csv", "--path", table, "-o", "-"});
  EXPECT_EQ(init.code, 0) << init.err;
  const Job job = read_back(init.out);
  EXPECT_EQ(job.data.path, table.string());
  EXPECT_THAT(init.out, HasSubstr("separator"));
  const Ran picture = run_shoal({"init", "convnet", "--data", "csv", "--path", table});
  EXPECT_EQ(picture.code, 2);
  EXPECT_THAT(picture.err, HasSubstr("conv"));
}

}  // namespace
}  // namespace shoal
