#include <fmt/format.h>

#include <iostream>

#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/core/file.h"
#include "shoal/program/memory_bound.h"
#include "shoal/program/picture.h"
#include "shoal/program/simulate.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/prepared_job.h"

namespace shoal {
namespace {

int workers_of(const PlanArguments& arguments, const Job& job) {
  if (arguments.workers > 0) return arguments.workers;
  return job.parallel.mesh.empty() ? 1 : Mesh(job.parallel.mesh).size();
}

void print_rank(const Program& program, const PreparedJob& prepared, double states) {
  const MemoryBound bound = memory_bound(program, prepared.programs.blocks, states);
  std::cout << "\n"
            << program_listing(program, prepared.programs.blocks) << "tensors: at most "
            << text_of(bound, program) << "\n";
}

void print_plan(const PreparedJob& prepared, const Timeline& timeline) {
  const Programs& programs = prepared.programs;
  const RankPrograms& train = programs.named.at("train");
  std::cout << fmt::format("{}: {} blocks, {} parameters; {}; batch {}\n",
                           model_title(prepared.job.model), programs.blocks.size(),
                           parameter_count(programs.blocks), programs.plan.mesh.text(),
                           programs.plan.batch);
  const double states = static_cast<double>(states_per_parameter(prepared.job.train));
  for (const Program& program : train) print_rank(program, prepared, states);
  std::cout << "\nmicro-batches in slots, F forward and B backward through a rank's blocks:\n"
            << slot_picture(train, programs.blocks);
  if (timeline.makespan > 0) {
    std::cout << fmt::format("\na step is expected to take {:.2f} ms\n", 1e3 * timeline.makespan);
  }
}

}  // namespace

int plan_command(const PlanArguments& arguments) {
  try {
    const Job job = read_job(arguments.job, arguments.settings);
    configure_torch(job.execute.threads);
    const int workers = workers_of(arguments, job);
    const PreparedJob prepared = prepare(
        job, workers,
        {.measure_costs = !arguments.no_costs, .facts_file = arguments.facts, .programs_file = {}});
    const RankPrograms& train = prepared.programs.named.at("train");
    Machine machine;
    machine.cores_per_host = machine.workers_per_host = workers;
    machine.communication_thread = job.execute.lanes == LanePolicy::threads;
    const Timeline timeline = simulate(train, prepared.programs.blocks, machine);
    print_plan(prepared, timeline);
    if (!arguments.svg.empty()) {
      replace_file(arguments.svg, svg_picture(train, prepared.programs.blocks, timeline,
                                              fmt::format("{}, {}", model_title(job.model),
                                                          prepared.programs.plan.mesh.text())));
    }
    if (!arguments.save_facts.empty()) {
      replace_file(arguments.save_facts, facts_text(prepared.programs.blocks));
    }
    if (!arguments.save_programs.empty()) {
      replace_file(arguments.save_programs, programs_text(prepared.programs.named));
    }
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal
