#include "shoal/cli/command_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>

#include "shoal/cli/commands.h"
#include "shoal/launch/run_command.h"
#include "shoal/model/zoo.h"
#include "shoal/train/job.h"

namespace shoal {
namespace {

// Options that read the job file, common to several subcommands.
void add_job_options(CLI::App& app, std::string& job, std::vector<std::string>& settings) {
  app.add_option("JOB", job, "Job file (TOML); its keys: shoal options")
      ->required()
      ->type_name(kJob)
      ->option_text("REQUIRED");
  app.add_option("--set", settings, "Set a key of the job; may be repeated")
      ->type_name(kSetting)
      ->option_text("TABLE.KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
}

void add_folder(CLI::App& app, const std::string& name, std::string& folder,
                const std::string& what) {
  app.add_option(name, folder, what)->required()->type_name(kFolder)->option_text("REQUIRED");
}

void add_weights(CLI::App& app, std::string& path) {
  app.add_option("CHECKPOINT", path,
                 "A checkpoint's folder; or a .safetensors file, or a folder of .npy files")
      ->required()
      ->type_name(kFile)
      ->option_text("REQUIRED");
}

std::string fault_of_workers(const std::string& text) {
  const bool number = text.find_first_not_of("0123456789") == std::string::npos;
  const bool positive = number && text.find_first_not_of('0') != std::string::npos;
  return positive ? std::string() : "give 1 or more workers, not " + text;
}

void add_workers(CLI::App& app, int& workers) {
  app.add_option("-n", workers, "Workers, threads of this process; the result is the same")
      ->check(fault_of_workers)
      ->option_text("N (1)");
}

CLI::Option* add_set_option(CLI::App& app, std::string& set) {
  return app.add_option("--on", set, "Which samples of the job")
      ->type_name("test|validation|train")
      ->option_text("test|validation|train (test)");
}

void add_train(CommandSet& set, const std::shared_ptr<TrainArguments>& kept) {
  TrainArguments& arguments = *kept;
  CLI::App& train = *set.app().add_subcommand("train", "Train a model on one or several workers");
  add_job_options(train, arguments.job, arguments.settings);
  train
      .add_option_function<std::string>(
          "--mode",
          [&arguments](const std::string& mode) {
            arguments.mode = mode == "threads" ? WorkerMode::threads : WorkerMode::processes;
          },
          "Workers are processes (as a rule), or threads of one process")
      ->check(CLI::IsMember({"processes", "threads"}))
      ->type_name("processes|threads")
      ->option_text("processes|threads");
  train.add_flag("--resume", arguments.resume, "Go on from the newest complete checkpoint");
  add_file_option(train, "--report", arguments.report, "Write the run's figures as JSON");
  add_file_option(train, "--trace", arguments.trace, "Write what ran when, for Chrome or Perfetto");
  train
      .add_option("--metrics", arguments.metrics,
                  "Write figures of every step into files of this folder: [metrics] path")
      ->type_name(kFolder);
  train.add_option("--facts", arguments.facts, "Read facts about the blocks instead of measuring")
      ->type_name(kFile);
  train
      .add_option("--programs", arguments.programs, "Run these programs (see plan --save-programs)")
      ->type_name(kFile);
  train.add_flag("--quiet", arguments.quiet, "Print nothing but errors");
  train.footer("Starting workers:\n" + launch_options_help());
  set.add(train, [kept](const auto& command_line) { return train_command(*kept, command_line); });
}

// Names that a key of the job may have.
std::string values_of(const std::string& table, const std::string& key) {
  Job job;
  for (const OptionTable& one : job.tables()) {
    if (one.name != table) continue;
    for (const Option& option : one.options) {
      if (option.name == key) return fmt::format("{}", fmt::join(option.values, "|"));
    }
  }
  return "";
}

void add_init(CommandSet& set) {
  auto kept = std::make_shared<InitArguments>();
  InitArguments& arguments = *kept;
  CLI::App& init = *set.app().add_subcommand("init", "Write a job file to begin with");
  init.add_option("MODEL", arguments.model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->type_name(values_of("model", "name"))
      ->option_text("(convnet)");
  init.add_option("--data", arguments.data, "What to learn: a data set, or a format of files")
      ->type_name(values_of("data", "name"))
      ->option_text("NAME (fashion-mnist)");
  init.add_option("--path", arguments.path, "The files of the data: [data] path")->type_name(kFile);
  init.add_option("-o,--output", arguments.output, "Where to; - for standard output")
      ->type_name(kFile)
      ->option_text("FILE (job.toml)");
  init.add_flag("--force", arguments.force, "Replace the file when it is there");
  set.add(init, [kept](const auto&) { return init_command(*kept); });
}

void add_plan(CommandSet& set) {
  auto kept = std::make_shared<PlanArguments>();
  PlanArguments& arguments = *kept;
  CLI::App& plan =
      *set.app().add_subcommand("plan", "Print each rank's program and a picture; runs nothing");
  add_job_options(plan, arguments.job, arguments.settings);
  plan.add_option("-n", arguments.workers, "Workers (as many as the job's mesh has, else 1)")
      ->check(fault_of_workers)
      ->option_text("N");
  add_file_option(plan, "--svg", arguments.svg, "Draw the step, as simulated");
  plan.add_option("--facts", arguments.facts, "Read facts about the blocks instead of measuring")
      ->type_name(kFile);
  add_file_option(plan, "--save-facts", arguments.save_facts, "Write the facts as JSON");
  add_file_option(plan, "--save-programs", arguments.save_programs, "Write the programs as JSON");
  plan.add_flag("--no-costs", arguments.no_costs, "Do not time the blocks");
  set.add(plan, [kept](const auto&) { return plan_command(*kept); });
}

void add_evaluate(CommandSet& set) {
  auto kept = std::make_shared<EvaluateArguments>();
  EvaluateArguments& arguments = *kept;
  CLI::App& evaluate = *set.app().add_subcommand("evaluate", "Evaluate a checkpoint");
  add_weights(evaluate, arguments.checkpoint);
  add_job_options(evaluate, arguments.job, arguments.settings);
  add_workers(evaluate, arguments.workers);
  add_set_option(evaluate, arguments.set);
  set.add(evaluate, [kept](const auto&) { return evaluate_command(*kept); });
}

void add_predict(CommandSet& set) {
  auto kept = std::make_shared<PredictArguments>();
  PredictArguments& arguments = *kept;
  CLI::App& predict =
      *set.app().add_subcommand("predict", "Write what a checkpoint's model says of samples");
  add_weights(predict, arguments.of.checkpoint);
  add_job_options(predict, arguments.of.job, arguments.of.settings);
  add_workers(predict, arguments.of.workers);
  CLI::Option* const on = add_set_option(predict, arguments.of.set);
  predict
      .add_option("--input", arguments.inputs,
                  "Samples without labels, in place of the job's; may be repeated: a table, an "
                  "array, a file of idx or cifar, a picture or a folder of them")
      ->type_name(kFile)
      ->allow_extra_args(false)
      ->take_all()
      ->excludes(on)
      ->option_text("FILE");
  predict.add_option("-o,--output", arguments.output, "Replaced when it is complete")
      ->type_name(kFile)
      ->option_text("FILE (standard output)");
  predict
      .add_option_function<std::string>(
          "--format",
          [&arguments](const std::string& format) {
            arguments.format = format == "npy" ? PredictionFormat::npy : PredictionFormat::csv;
          },
          "csv: labels and probabilities; npy: the outputs as they are, for NumPy")
      ->check(CLI::IsMember({"csv", "npy"}))
      ->type_name("csv|npy")
      ->option_text("csv|npy (csv)");
  predict.add_option("--top", arguments.top, "csv: the K most probable classes of a sample")
      ->option_text("K (1)");
  set.add(predict, [kept](const auto&) { return predict_command(*kept); });
}

void add_checkpoint_export(CommandSet& set, CLI::App& checkpoint) {
  auto kept = std::make_shared<ExportArguments>();
  CLI::App& command =
      *checkpoint.add_subcommand("export", "Write the weights of a checkpoint for other programs");
  add_folder(command, "DIR", kept->checkpoint, "Folder of a checkpoint");
  command
      .add_option("--format", kept->format,
                  "safetensors: one file; npy: a folder with a file of NumPy for each tensor")
      ->check(CLI::IsMember({"safetensors", "npy"}))
      ->type_name("safetensors|npy")
      ->option_text("safetensors|npy (safetensors)");
  command
      .add_option("-o,--output", kept->output, "The file, or the folder, which must not be there")
      ->required()
      ->type_name(kFile)
      ->option_text("PATH REQUIRED");
  set.add(command, [kept](const auto&) { return checkpoint_export_command(*kept); });
}

void add_checkpoint_commands(CommandSet& set) {
  CLI::App& checkpoint = *set.app().add_subcommand(
      "checkpoint", "Compare checkpoints, and write their weights for others");
  checkpoint.require_subcommand(1);
  auto folders = std::make_shared<std::pair<std::string, std::string>>();
  CLI::App& diff = *checkpoint.add_subcommand("diff", "Largest difference of each tensor");
  add_folder(diff, "A", folders->first, "Folder of a checkpoint");
  add_folder(diff, "B", folders->second, "Folder of another");
  set.add(diff, [folders](const auto&) {
    return checkpoint_diff_command(folders->first, folders->second);
  });
  add_checkpoint_export(set, checkpoint);
}

void add_doctor(CommandSet& set) {
  auto kept = std::make_shared<DoctorArguments>();
  CLI::App& doctor = *set.app().add_subcommand(
      "doctor", "Say whether a job would run on this machine, and what would make it faster");
  add_file_option(doctor, "--json", kept->json, "Write the findings as JSON");
  doctor.add_option("--plugin", kept->plugin, "Say what this plugin gives, or why it does not fit")
      ->type_name(kFile);
  doctor.footer("Ends with 0 when a job would run, with 1 when something hinders it.");
  set.add(doctor, [kept](const auto&) { return doctor_command(*kept); });
}

void add_options(CommandSet& set) {
  auto markdown = std::make_shared<bool>(false);
  CLI::App& options = *set.app().add_subcommand("options", "Every key of a job file");
  options.add_flag("--markdown", *markdown, "As a page of the documentation");
  set.add(options, [markdown](const auto&) { return options_command(*markdown); });
}

void add_completion(CommandSet& set) {
  auto shell = std::make_shared<std::string>();
  CLI::App& completion = *set.app().add_subcommand(
      "completion", "Print what a shell needs to complete commands, options and keys of jobs");
  completion.add_option("SHELL", *shell, "Whose: bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("bash|zsh|fish")
      ->option_text("REQUIRED");
  completion.footer(
      "Now and in every new shell:\n"
      "  bash: echo 'source <(shoal completion bash)' >> ~/.bashrc\n"
      "  zsh:  shoal completion zsh > \"${fpath[1]}/_shoal\"\n"
      "  fish: shoal completion fish > ~/.config/fish/completions/shoal.fish");
  set.add(completion, [shell](const auto&) { return completion_command(*shell); });
}

}  // namespace

void add_file_option(CLI::App& app, const std::string& name, std::filesystem::path& file,
                     const std::string& what) {
  app.add_option(name, file, what)->type_name(kFile);
}

std::string one_of(const std::string& names) {
  std::string joined;
  for (const char c : names) {
    if (c != ' ') joined += c == ',' ? '|' : c;
  }
  return joined;
}

CommandSet::CommandSet()
    : app_("Trains models on as many workers as they really need", "shoal"),
      train_(std::make_shared<TrainArguments>()) {
  app_.require_subcommand(1);
  // Read before anything else; here for the help and for shells.
  app_.add_flag("--version", version_, "Print versions, commit, processor and engines, and exit");
  add_init(*this);
  add_train(*this, train_);
  add_plan(*this);
  add_evaluate(*this);
  add_predict(*this);
  app_.add_subcommand("run", "Start a program of your own on several workers: run -n N -- PROGRAM");
  add_checkpoint_commands(*this);
  add_comm_commands(*this);
  add_doctor(*this);
  add_options(*this);
  add_completion(*this);
}

int CommandSet::run(const std::vector<std::string>& command_line) const {
  for (const auto& [command, action] : actions_) {
    if (command->parsed()) return action(command_line);
  }
  return 0;  // unreachable: one is required
}

}  // namespace shoal
