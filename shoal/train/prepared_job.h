// What a job becomes before it runs: data, chain, facts, programs. The same on every rank.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shoal/data/open_data.h"
#include "shoal/model/chain.h"
#include "shoal/program/program.h"
#include "shoal/train/job.h"

namespace shoal {

struct PrepareOptions {
  bool measure_costs = false;  // time the blocks (for plans and balanced stages)
  std::string facts_file;      // read facts instead of recording them
  std::string programs_file;   // run these programs, edited by hand, instead of the plan's
};

struct PreparedJob {
  Job job;
  DataSplits data;
  Chain chain;
  Programs programs;                 // with the facts of the blocks and the plan
  std::vector<DataSpan> data_spans;  // what opening the data took
};

// Throws InvalidInput with every fault of job, data, model and plan; Corrupt for damaged data.
// Starts no worker and no communication.
PreparedJob prepare(const Job& job, int workers, const PrepareOptions& options = {});

// The same for a model and data of one's own; the job's [model] and [data] name them only.
PreparedJob prepare(const Job& job, DataSplits data, Chain chain, int workers,
                    const PrepareOptions& options = {});

at::ScalarType parameter_type(Precision precision);
std::string model_title(const ModelOptions& model);  // "mynet", "a chain of 6 blocks"
std::int64_t parameter_count(const std::vector<BlockFacts>& blocks);

}  // namespace shoal
