#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "shoal/cli/console_observer.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/test_command_line.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

#if defined(__SANITIZE_ADDRESS__)
// As without the sanitizer, an allocation that is too large fails; it does not end the program.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
#endif

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// --- the command line ---------------------------------------------------------------------------

// One line that begins with "error: ", says `what`, and nothing beside it.
void expect_refused(const std::vector<std::string>& words, const std::string& what) {
  SCOPED_TRACE(testing::PrintToString(words));
  const Ran ran = run_shoal(words);
  EXPECT_EQ(ran.code, kRefused);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, AllOf(StartsWith("error: "), HasSubstr(what)));
  EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << ran.err;
}

TEST(CommandLine, WhatCannotBeReadIsRefusedInOneSentence) {
  expect_refused({"trian", "job.toml"}, "there is no command 'trian': see shoal --help");
  expect_refused({"--loud"}, "see shoal --help");
  expect_refused({}, "subcommand is required: see shoal --help");
  expect_refused({"train"}, "JOB is required: see shoal train --help");
  expect_refused({"train", "job.toml", "--qiet"}, "--qiet: see shoal train --help");
  expect_refused({"train", "job.toml", "--mode", "fibres"}, "fibres");
  expect_refused({"train", "job.toml", "-n", "none"}, "none");
  expect_refused({"train", "job.toml", "--set"}, "--set");
  expect_refused({"plan", "job.toml", "-n", "0"}, "give 1 or more workers, not 0");
  expect_refused({"plan", "job.toml", "-n", "-2"}, "give 1 or more workers, not -2");
  expect_refused({"checkpoint", "diff", "a"}, "B is required");
}

TEST(CommandLine, PlansOfAllReducesArePrinted) {
  const Ran ran =
      run_shoal({"comm", "plan", "--algorithm", "ring", "-n", "3", "--elements", "300"});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_THAT(ran.out, StartsWith("ring of 3 ranks, 300 x float32 (1.17 KiB) on each, 3 chunks\n"
                                  "step 0: 0>1 +[2], 1>2 +[0], 2>0 +[1]\n"));
  EXPECT_THAT(ran.out, HasSubstr("4 steps, 4.69 KiB in all, 1.56 KiB at most from one rank\n"
                                 "rank 0 sends 1.56 KiB  to 1: 1.56 KiB\n"));
  const TempFolder folder;
  const auto file = folder / "plan.json";
  run_shoal(
      {"comm", "plan", "--algorithm", "ring", "-n", "3", "--elements", "300", "--json", file});
  const auto json = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(json["bytes"], 4800);
  EXPECT_EQ(json["bytes_from_rank"], (std::vector<int>{1600, 1600, 1600}));
  EXPECT_EQ(json["transfers"].size(), 12U);
  EXPECT_EQ(json["transfers"][0]["bytes"], 400);
  expect_refused({"comm", "plan", "--json", "/nowhere/at/all/plan.json"}, "/nowhere/at/all");
  expect_refused({"comm", "plan", "--algorithm", "rign"}, "choose one of two_shot, ring");
  expect_refused({"comm", "plan", "-n", "0"}, "give 1 to 128 ranks");
  expect_refused({"comm", "plan", "--elements", "-1"}, "give 0 or more");
  expect_refused({"comm"}, "subcommand is required");
}

TEST(CommandLine, PlansOverATopologyAreForetold) {
  const TempFolder folder;
  const auto file = folder / "links.toml";
  const auto json_file = folder / "links.json";
  replace_file(file,
               "ranks = 3\nlinks = [{ between = [0, 1], GB_per_s = 0.001 }, "
               "{ between = [1, 2], GB_per_s = 0.002 }]\n");
  const Ran ran = run_shoal({"comm", "plan", "--algorithm", "tree", "--topology", file,
                             "--elements", "250000", "--json", json_file});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_THAT(ran.out, StartsWith("tree of 3 ranks, 250000 x float32 (977 KiB) on each, 1 chunk\n"
                                  "step 0: 0>1 +[0], 2>1 +[0]\nstep 1: 1>0 =[0], 1>2 =[0]\n"));
  EXPECT_THAT(ran.out,
              HasSubstr("1 tree carries 1.00 MB/s; no packing carries more than 1.00 MB/s\n"
                        "over " +
                        file.string() + ": 1.12 s expected\n"));
  EXPECT_THAT(ran.out, HasSubstr("link 1 to 2: 2.00 MB/s, busy 44 % of the time\n"));
  const auto json = nlohmann::json::parse(read_file(json_file));
  EXPECT_NEAR(json["expected_seconds"].get<double>(), 1.125, 1e-9);
  EXPECT_NEAR(json["busy_seconds"][0][1].get<double>(), 1, 1e-9);
  EXPECT_EQ(json["trees"][0]["parent"], (std::vector<int>{1, -1, 1}));
  expect_refused({"comm", "plan", "--topology", file}, "two_shot sends from rank 0 to rank 2");
  expect_refused({"comm", "plan", "--topology", file, "-n", "2"}, "has 3 ranks; leave -n out");
  expect_refused({"comm", "plan", "--topology", "/nowhere/links.toml"}, "/nowhere/links.toml");
}

TEST(CommandLine, EnginesAreTriedOnThisMachine) {
  const TempFolder folder;
  const auto file = folder / "engines.json";
  const Ran ran = run_shoal({"comm", "engines", "--json", file});
  EXPECT_EQ(ran.code, kOk) << ran.out;
  EXPECT_THAT(
      ran.out,
      StartsWith("memory of a CPU memory  shm     tcp     hierarchical  hybrid  openmpi  mpich\n"
                 "all_reduce      yes     yes     yes     yes           yes     "));
  const auto json = nlohmann::json::parse(read_file(file));
  for (const char* engine : {"memory", "shm", "tcp", "hybrid"}) {
    EXPECT_EQ(json[engine]["cpu"].size(), 10U) << engine;
    EXPECT_EQ(json[engine]["cpu"]["send, receive"], "yes") << engine;
  }
  // What is not installed has a reason.
  for (const char* mpi : {"openmpi", "mpich"}) EXPECT_EQ(json[mpi]["cpu"].size(), 10U) << mpi;
  expect_refused({"comm", "engines", "--json", "/nowhere/at/all.json"}, "/nowhere/at");
}

TEST(CommandLine, CollectivesAreTriedOnThisMachine) {
  const Ran ran = run_shoal({"comm", "test", "-n", "3", "--engine", "shm", "--algorithm", "ring"});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_THAT(ran.out, testing::MatchesRegex("shm          ring                3 ranks   +[0-9]+ "
                                             "results  all right\n"));
  expect_refused({"comm", "test", "--engine", "pigeon"}, "choose one of memory, shm, tcp");
  expect_refused({"comm", "test", "-n", "1000"}, "give 1 to 128 ranks");
}

TEST(CommandLine, CollectivesAreMeasuredOnThisMachine) {
  // One host, unless something else is asked for: what is chosen by itself depends on it.
  EXPECT_THAT(
      run_shoal({"comm", "bench", "-n", "4", "--to", "4", "--repetitions", "1"}).out,
      AllOf(HasSubstr("all_reduce (automatic), 4 processes over shm: "), Not(HasSubstr("a host"))));
  EXPECT_THAT(run_shoal({"comm", "bench", "-n", "4", "--to", "4", "--repetitions", "1",
                         "--ranks-per-host", "2"})
                  .out,
              HasSubstr("4 processes over shm, 2 a host: "));
  const TempFolder folder;
  const std::string json = folder / "figures.json";
  const std::string svg = folder / "chart.svg";
  const Ran ran = run_shoal({"comm", "bench", "--engine", "memory", "--from", "1024", "--to",
                             "20000", "--repetitions", "2", "--json", json, "--svg", svg});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(StartsWith("machine: "), HasSubstr("all_reduce (automatic), 2 threads"),
                    HasSubstr("  1 KiB     800  "), HasSubstr(" 16 KiB     800  ")));
  const auto figures = nlohmann::json::parse(read_file(json));
  EXPECT_EQ(figures["sizes"].size(), 3U);
  EXPECT_EQ(figures["sizes"][2]["bytes"], 16384);
  EXPECT_GT(figures["machine_after"]["copied_bytes_per_second"], 0);
  EXPECT_THAT(read_file(svg), AllOf(StartsWith("<svg "), HasSubstr(">4 KiB</text>")));
}

TEST(CommandLine, AlgorithmsAreTunedOnThisMachine) {
  const TempFolder folder;
  const std::string file = folder / "tuned.toml";
  const auto tune = [&](const std::string& ranks) {
    return run_shoal({"comm", "tune", "--engine", "memory", "--operation", "reduce_scatter", "-n",
                      ranks, "--from", "4096", "--to", "16384", "--rounds", "1", "--output", file});
  };
  const Ran ran = tune("2,3");
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(StartsWith("machine: "), HasSubstr("reduce_scatter of 3 ranks over memory"),
                    HasSubstr(file + ": set comm.choices to it")));
  EXPECT_EQ(tune("4").code, kOk);
  for (const int ranks : {2, 3, 4}) {
    EXPECT_THAT(read_file(file), HasSubstr("operation = \"reduce_scatter\", ranks = " +
                                           std::to_string(ranks) + ", from_bytes = 0,"));
  }
  const Ran bench = run_shoal({"comm", "bench", "--engine", "memory", "--choices", file, "--from",
                               "4096", "--to", "4096", "--repetitions", "1"});
  EXPECT_EQ(bench.code, kOk) << bench.err;
  expect_refused({"comm", "tune", "--engine", "memory", "--operation", "broadcast"},
                 "there is nothing to tune");
  expect_refused({"comm", "tune", "-n", "1"}, "give 2 to 128");
  expect_refused({"comm", "tune", "--output", "/nowhere/a.toml"}, "/nowhere/a.toml");
  std::ofstream(file) << "choices = 3\n";
  expect_refused({"comm", "tune", "--output", file}, "choices is no list");
}

TEST(CommandLine, WhatCannotBeMeasuredIsRefused) {
  expect_refused({"comm", "bench", "--engine", "pigeon"}, "choose one of memory, shm, tcp");
  expect_refused({"comm", "bench", "--operation", "gather"}, "choose one of all_reduce, all_");
  expect_refused({"comm", "bench", "--algorithm", "rign"}, "choose one of two_shot, ring");
  expect_refused({"comm", "bench", "--operation", "broadcast", "--algorithm", "ring"},
                 "broadcast does not run ring");
  expect_refused({"comm", "bench", "--buffers", "large"}, "name ordinary or shared");
  expect_refused({"comm", "bench", "--engine", "tcp", "--buffers", "shared"},
                 "no buffer is shared over tcp");
  expect_refused({"comm", "bench", "-n", "1"}, "give 2 to 128");
  expect_refused({"comm", "bench", "--from", "0"}, "give 1 to");
  expect_refused({"comm", "bench", "--from", "64", "--to", "4"}, "from 64 to 4 bytes");
  expect_refused({"comm", "bench", "--from", "4KiB"}, "4KiB");
  expect_refused({"comm", "bench", "--repetitions", "0"}, "give 1 to 1000");
  expect_refused({"comm", "bench", "--operation", "barrier", "--to", "4"}, "has no size");
  expect_refused({"comm", "bench", "--operation", "barrier", "--svg", "a.svg"}, "has no size");
  expect_refused({"comm", "bench", "--json", "/nowhere/a.json"}, "/nowhere/a.json");
}

TEST(CommandLine, AFileThatIsMissingIsNamed) {
  expect_refused({"train", "/nowhere/job.toml"}, "/nowhere/job.toml");
  expect_refused({"plan", "/nowhere/job.toml"}, "/nowhere/job.toml");
  expect_refused({"evaluate", "/nowhere/step-1", "/nowhere/job.toml"}, "/nowhere/");
  expect_refused({"predict", "/nowhere/step-1", "/nowhere/job.toml"}, "/nowhere/");
  expect_refused({"checkpoint", "export", "/nowhere/a", "-o", "b"}, "/nowhere/a");
  expect_refused({"checkpoint", "diff", "/nowhere/a", "/nowhere/b"}, "/nowhere/a");
}

TEST(CommandLine, EveryCommandHasHelp) {
  for (const char* command : {"init", "train", "plan", "evaluate", "predict", "checkpoint", "comm",
                              "doctor", "options", "completion"}) {
    const Ran ran = run_shoal({command, "--help"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_THAT(ran.out, HasSubstr("Usage: shoal " + std::string(command)));
    EXPECT_EQ(ran.err, "");
  }
  EXPECT_THAT(run_shoal({"run", "--help"}).out, HasSubstr("shoal run"));
}

TEST(CommandLine, TheVersionSaysWhatItIsMadeOf) {
  const Ran ran = run_shoal({"--version"});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_THAT(ran.out, testing::MatchesRegex("shoal [0-9.]+\n"
                                             "commit        [0-9a-f]+ of [0-9-]+.*\n"
                                             "LibTorch      2\\..*, kernels for .*\n"
                                             "compiler      GCC .*\n"
                                             "processor     .*\n"
                                             "engines       memory, shm, tcp, hierarchical.*\n"));
}

TEST(CommandLine, ShellsGetAScriptEach) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ran ran = run_shoal({"completion", shell});
    EXPECT_EQ(ran.code, kOk);
    for (const char* word : {"checkpoint", "export", "node-rank", "train.optimizer", "adamw"}) {
      EXPECT_THAT(ran.out, HasSubstr(word)) << shell;
    }
  }
  expect_refused({"completion", "tcsh"}, "tcsh");
}

TEST(CommandLine, TheLaunchersOptionsStandInTrainsHelp) {
  const std::string help = run_shoal({"train", "--help"}).out;
  for (const char* option : {"-n", "--nodes", "--node-rank", "--master", "--hosts"}) {
    EXPECT_THAT(help, HasSubstr(option));
  }
}

// --- exit codes ---------------------------------------------------------------------------------

struct Reported {
  int code;
  std::string text;
};

template <typename Exception>
Reported report(const Exception& failure, bool training = false) {
  std::ostringstream err;
  const int code = report_failure(std::make_exception_ptr(failure), training, err);
  return {code, err.str()};
}

TEST(ExitCodes, BadInputIsARefusalBeforeTheFirstStepOnly) {
  EXPECT_EQ(report(InvalidInput("a bad file")).code, kRefused);
  EXPECT_EQ(report(InvalidInput("a bad file"), /*training=*/true).code, kOther);
  EXPECT_EQ(report(InvalidInput("a bad file")).text, "error: a bad file\n");
}

TEST(ExitCodes, MemoryThatIsNotThere) {
  for (const bool training : {false, true}) {
    const Reported from_system = report(std::bad_alloc(), training);
    EXPECT_EQ(from_system.code, kMemory);
    EXPECT_THAT(from_system.text, AllOf(HasSubstr("no memory"), HasSubstr("batch")));
  }
}

TEST(ExitCodes, MemoryThatLibTorchDoesNotGet) {
  std::ostringstream err;
  int code = kOk;
  try {
    at::empty({std::int64_t{1} << 58}, at::kByte);
  } catch (...) {
    code = report_failure(std::current_exception(), /*training=*/true, err);
  }
  EXPECT_EQ(code, kMemory);
  EXPECT_THAT(err.str(), AllOf(StartsWith("error: tensors: there is no memory for another "
                                          "288230376151711744 bytes: "),
                               HasSubstr("batch")));
}

TEST(ExitCodes, AnErrorOfLibTorchIsOneLine) {
  std::ostringstream err;
  int code = kOk;
  try {
    at::ones({2, 3}).matmul(at::ones({2, 3}));
  } catch (...) {
    code = report_failure(std::current_exception(), /*training=*/true, err);
  }
  EXPECT_EQ(code, kOther);
  EXPECT_THAT(err.str(), StartsWith("error: LibTorch: "));
  EXPECT_EQ(err.str().find('\n'), err.str().size() - 1);
}

TEST(ExitCodes, ValuesThatAreNotFinite) {
  EXPECT_EQ(report(NotFinite("step 3: block 2", 2, "2"), true).code, kNotFinite);
}

// --- what is printed ----------------------------------------------------------------------------

std::string printed(const RunReport& report) {
  std::ostringstream out, err;
  ConsoleObserver(out, err, Progress::lines).finished(report);
  EXPECT_EQ(err.str(), "");
  return out.str();
}

TEST(Console, TheEndOfARunSaysHowFastItWas) {
  RunReport report;
  report.steps = 3;
  report.weights_sha256 = "abc";
  report.samples_per_second = 1234;
  report.step_p50 = 0.05;
  report.step_seconds = {0.05, 0.05};
  report.start_seconds = 0.5;
  report.share_compute = 0.75;
  EXPECT_EQ(printed(report),
            "1234 samples/s, step 50.00 ms (median), first step done after 0.50 s\n"
            "a step's time: compute 75.0 %, communication 0.0 %, data 0.0 %, other 0.0 %\n"
            "weights sha256 abc\n");
}

TEST(Console, ARunThatEndsAtItsFirstStepHasNoFigures) {
  RunReport report;
  report.steps = 1;
  report.weights_sha256 = "abc";
  report.stopped_by = "SIGINT";
  EXPECT_THAT(printed(report),
              AllOf(StartsWith("stopped by SIGINT after step 1\n"),
                    HasSubstr("no figures of speed"), Not(HasSubstr("samples/s"))));
}

}  // namespace
}  // namespace shoal
