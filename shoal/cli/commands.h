// The subcommands. Each returns the exit code and prints errors, one sentence each, on stderr.
#pragma once

#include <string>
#include <vector>

#include "shoal/cli/arguments.h"

namespace shoal {

// `command_line` is what workers are started with again: the program and its arguments without the
// launcher's options.
int train_command(const TrainArguments& arguments, const std::vector<std::string>& command_line);
int plan_command(const PlanArguments& arguments);
int evaluate_command(const EvaluateArguments& arguments);
int predict_command(const PredictArguments& arguments);
int doctor_command(const DoctorArguments& arguments);
int init_command(const InitArguments& arguments);
int checkpoint_diff_command(const std::string& a, const std::string& b);
int checkpoint_export_command(const ExportArguments& arguments);
int comm_plan_command(const CommPlanArguments& arguments);
int comm_test_command(const CommTestArguments& arguments);
int comm_engines_command(const CommEnginesArguments& arguments);
int comm_tune_command(const CommTuneArguments& arguments);
int comm_bench_command(const CommBenchArguments& arguments);
int options_command(bool markdown);                // every key of a job file
int completion_command(const std::string& shell);  // bash, zsh, fish

}  // namespace shoal
