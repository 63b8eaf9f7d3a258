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
  bool measure_costs = false;      // time the blocks (for plans and balanced stages)
  std::string facts_file = {};     // read facts instead of recording them
  std::string programs_file = {};  // run these programs, edited by hand, instead of the plan's
};

struct PreparedJob {
  Job job;  // [train] batch is a number
  DataSplits data;
  Chain chain;
  LossForm loss;                     // of training
  Programs programs;                 // with the facts of the blocks and the plan
  std::vector<DataSpan> data_spans;  // what opening the data took
};

// Reads the data on a thread of its own while everything else of a start goes on: forming the
// model's programs, and whatever while_reading() is given. A fault of the data is thrown before any
// other, as if it had been read first. Used by one thread; no thread outlives it.
class JobPreparation {
 public:
  // Throws InvalidInput when the job cannot be planned for `workers`, then begins to read. The
  // thread that reads may use the cores that the calling one may use now.
  JobPreparation(const Job& job, int workers, const PrepareOptions& options = {});

  // Chain, facts and programs. Needs the data only where their form is not known ahead.
  // Throws as prepare() does.
  void compile_programs();

  // What `work` returns. When it throws, a fault of the data goes first: with a peer's departure it
  // is most likely what that peer has found too.
  template <typename Work>
  auto while_reading(Work work) {
    try {
      return work();
    } catch (...) {
      wait_for_data();
      throw;
    }
  }

  // The rest, with the data; once. Blocks until the files are read. Throws as prepare() does.
  PreparedJob finish();

 private:
  void wait_for_data();

  Job job_;
  int workers_;
  PrepareOptions options_;
  std::vector<DataSpan> spans_;  // filled by the thread that reads, until its data is taken
  std::optional<SampleForm> form_;
  std::optional<DataSplits> data_;
  std::optional<Chain> chain_;
  std::optional<Programs> programs_;
  DataOpening opening_;  // last: its thread uses spans_
};

// Throws InvalidInput with every fault of job, data, model and plan; Corrupt for damaged data.
// Starts no worker and no communication.
PreparedJob prepare(const Job& job, int workers, const PrepareOptions& options = {});

// The same for a model and data of one's own; the job's [model] and [data] name them only.
PreparedJob prepare(const Job& job, DataSplits data, Chain chain, int workers,
                    const PrepareOptions& options = {});

SampleForm form_of(const Dataset& set);
// The same to the model.
DataShape data_shape(const SampleForm& form);

at::ScalarType parameter_type(Precision precision);
// What blocks compute in where they gain from it; none: the parameters' type.
std::optional<at::ScalarType> autocast_type(Precision precision);
std::string model_title(const ModelOptions& model);  // "mynet", "a chain of 6 blocks"
std::int64_t parameter_count(const std::vector<BlockFacts>& blocks);

}  // namespace shoal
