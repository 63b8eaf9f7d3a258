#include "shoal/train/prediction.h"

#include <cstring>
#include <vector>

#include "shoal/core/check.h"
#include "shoal/tensor/element_types.h"
#include "shoal/train/batch_feed.h"
#include "shoal/train/run_figures.h"

namespace shoal {
namespace {

std::string content_of(const at::Tensor& tensor) {
  std::string bytes(static_cast<std::size_t>(tensor.nbytes()), '\0');
  std::memcpy(bytes.data(), tensor.const_data_ptr(), bytes.size());
  return bytes;
}

// The batch that the bytes begin with, and its outputs: their shape without the samples is that of
// the chain's output.
struct Outputs {
  std::int64_t batch = 0;
  std::string bytes;
};

std::string packed(std::int64_t batch, const at::Tensor& outputs) {
  std::string text(sizeof batch, '\0');
  std::memcpy(text.data(), &batch, sizeof batch);
  return text + content_of(outputs);
}

Outputs unpacked(const std::string& text) {
  Outputs outputs;
  std::memcpy(&outputs.batch, text.data(), sizeof outputs.batch);
  outputs.bytes = text.substr(sizeof outputs.batch);
  return outputs;
}

class Predictions {
 public:
  Predictions(Executor& executor, const PreparedJob& prepared, int rank, const Dataset& set)
      : executor_(executor),
        prepared_(prepared),
        set_(set),
        part_(batch_part(prepared.programs.plan, rank)),
        batches_(set.size(), prepared.job.train.evaluate_batch, part_.parts),
        type_(parameter_type(prepared.job.train.precision)) {}

  void run(const PredictionSink& sink) {
    for (std::int64_t round = 0; round < batches_.rounds(); ++round) {
      const auto texts =
          gather_texts(executor_.world_group(), own_outputs(round),
                       Deadline::after_seconds(prepared_.job.comm.collective_seconds));
      std::map<std::int64_t, std::string> by_batch;
      for (const std::string& text : texts) {
        if (text.empty()) continue;  // an earlier stage, or no batch in the last round
        Outputs outputs = unpacked(text);
        by_batch[outputs.batch] = std::move(outputs.bytes);
      }
      for (auto& [batch, bytes] : by_batch) sink(as_tensor(batch, bytes));
    }
  }

 private:
  std::string own_outputs(std::int64_t round) {
    const auto batch = batches_.batch_of(round, part_.index);
    if (!batch) return {};
    const RunInput input{
        .step = *batch,
        .rate = 0,
        .batches = [&](Deadline) { return read(batches_.ids(round, part_.index)); },
        .requests = {}};
    const at::Tensor outputs = executor_.predict(input);
    return outputs.defined() ? packed(*batch, outputs.to(type_).contiguous()) : std::string();
  }

  StepBatch read(const std::vector<std::int64_t>& ids) const {
    auto batch = std::make_shared<Batch>();
    set_.read(ids, *batch);
    return as_tensors(std::move(batch), type_);
  }

  at::Tensor as_tensor(std::int64_t batch, std::string& bytes) const {
    const Range samples = batches_.samples(batch);
    std::vector<std::int64_t> shape{samples.size()};
    for (const std::int64_t extent : prepared_.programs.blocks.back().outputs.at(0).sample_shape) {
      shape.push_back(extent);
    }
    const at::Tensor tensor = at::empty(shape, type_);
    check_equal(tensor.nbytes(), bytes.size(), "outputs have the shape of the chain's last block");
    std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    return tensor;
  }

  Executor& executor_;
  const PreparedJob& prepared_;
  const Dataset& set_;
  const BatchPart part_;
  const EvaluationBatches batches_;
  const at::ScalarType type_;
};

}  // namespace

void predict_set(Executor& executor, const PreparedJob& prepared, int rank, const Dataset& set,
                 const PredictionSink& sink) {
  Predictions(executor, prepared, rank, set).run(sink);
}

}  // namespace shoal
