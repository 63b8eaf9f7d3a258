#include <fmt/format.h>

#include <iostream>

#include "shoal/checkpoint/checkpoint.h"
#include "shoal/checkpoint/weights.h"
#include "shoal/cli/command_set.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/completion.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/train/job.h"

namespace shoal {

int checkpoint_diff_command(const std::string& a, const std::string& b) {
  try {
    const Checkpoint first(a);  // apart, so that the first of two bad ones is named
    const Checkpoint second(b);
    const auto differences = difference(first, second);
    double largest = 0;
    bool same_tensors = true;
    for (const TensorDifference& tensor : differences) {
      if (!tensor.note.empty()) {
        same_tensors = false;
        std::cout << fmt::format("{:<40} {}\n", tensor.name, tensor.note);
        continue;
      }
      largest = std::max(largest, tensor.largest);
      std::cout << fmt::format("{:<40} largest {:.3e}  relative {:.3e}\n", tensor.name,
                               tensor.largest, tensor.relative_norm);
    }
    std::cout << fmt::format("{} tensors, largest difference {:.3e}\n", differences.size(),
                             largest);
    return same_tensors && largest == 0 ? kOk : kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

int checkpoint_export_command(const ExportArguments& arguments) {
  try {
    const Checkpoint checkpoint(arguments.checkpoint);
    if (arguments.format == "npy") {
      export_npy(checkpoint, arguments.output);
    } else {
      export_safetensors(checkpoint, arguments.output);
    }
    std::cout << fmt::format("{}: {} parameters and {} buffers of step {}\n", arguments.output,
                             checkpoint.names("parameter").size(),
                             checkpoint.names("buffer").size(), checkpoint.step());
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

int options_command(bool markdown) {
  Job job;
  if (markdown) {
    std::cout
        << "# Keys of a job file\n\n"
           "Printed by `shoal options --markdown`. A key is set in the job file, under its table, "
           "or by\n`--set table.key=value`; unknown keys are refused.\n\n"
        << reference_page(job.tables());
  } else {
    std::cout << help_text(job.tables());
  }
  return kOk;
}

int completion_command(const std::string& shell) {
  CommandSet commands;
  const CommandWords words = command_words(commands.app());
  Job job;
  const std::vector<SettingWords> settings = setting_words(job.tables());
  std::cout << (shell == "bash"  ? bash_completion(words, settings)
                : shell == "zsh" ? zsh_completion(words, settings)
                                 : fish_completion(words, settings));
  return kOk;
}

}  // namespace shoal
