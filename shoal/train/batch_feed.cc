#include "shoal/train/batch_feed.h"

#include "shoal/data/augmented_dataset.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

// What the data module's threads do, on a lane of its own.
DataSpanSink spans_into(std::shared_ptr<Trace> trace) {
  if (!trace) return {};
  return [trace = std::move(trace)](const DataSpan& span) { trace->add(trace_span(span)); };
}

std::vector<std::int64_t> with_samples(std::int64_t samples,
                                       const std::vector<std::int64_t>& sample_shape) {
  std::vector<std::int64_t> shape{samples};
  shape.insert(shape.end(), sample_shape.begin(), sample_shape.end());
  return shape;
}

std::unique_ptr<const Dataset> augmented(const PreparedJob& prepared) {
  if (!prepared.job.augment.any()) return nullptr;
  return std::make_unique<AugmentedDataset>(*prepared.data.train, prepared.job.augment,
                                            static_cast<std::uint64_t>(prepared.job.seed));
}

}  // namespace

TraceSpan trace_span(const DataSpan& span) {
  using std::chrono::nanoseconds;
  return {.name = std::string(span.name),
          .category = std::string(span.name),
          .lane = "data",
          .step = span.batch,
          .op = -1,
          .start_ns = nanoseconds(span.start.time_since_epoch()).count(),
          .end_ns = nanoseconds(span.end.time_since_epoch()).count()};
}

BatchPart batch_part(const Plan& plan, int rank) {
  BatchPart part;
  for (const auto& axis : plan.layout.axes_of("batch", plan.mesh)) {
    part.index = part.index * plan.mesh.axis_size(axis) + plan.mesh.coordinate(rank, axis);
    part.parts *= plan.mesh.axis_size(axis);
  }
  return part;
}

StepBatch as_tensors(std::shared_ptr<Batch> batch, at::ScalarType type) {
  StepBatch tensors;
  tensors.sample_ids = batch->sample_ids;
  const auto answers = with_samples(batch->samples, batch->answer_shape);
  if (!batch->labels.empty()) {
    tensors.targets = at::tensor(batch->labels, at::kLong).view(answers);
    if (!batch->shares.empty()) {
      tensors.mixed = {.classes = at::tensor(batch->other_labels, at::kLong),
                       .shares = at::tensor(batch->shares, at::kFloat)};
    }
  } else if (!batch->targets.empty()) {
    tensors.targets = at::tensor(batch->targets, at::kFloat).view(answers).to(type);
  } else {
    tensors.targets = at::empty(answers, at::kLong);
  }
  const auto shape = with_samples(batch->samples, batch->input_shape);
  const at::TensorOptions options = at::TensorOptions(scalar_type(batch->input_type));
  std::byte* const memory = batch->inputs.data();
  tensors.inputs = at::from_blob(
      memory, shape, [kept = std::move(batch)](void*) {}, options);
  if (tensors.inputs.is_floating_point()) tensors.inputs = tensors.inputs.to(type);
  return tensors;
}

class BatchFeed::Impl {
 public:
  Impl(const PreparedJob& prepared, BatchPart part, std::int64_t first_step,
       std::int64_t total_steps, std::shared_ptr<Trace> trace)
      : type_(parameter_type(prepared.job.train.precision)),
        sampler_(make_sampler(prepared)),
        augmented_(augmented(prepared)),
        loader_(augmented_ ? *augmented_ : *prepared.data.train,
                training_plan(sampler_, part.parts, part.index), {first_step, total_steps},
                {.threads = prepared.job.data.threads,
                 .prefetch = prepared.job.data.prefetch,
                 .sink = spans_into(std::move(trace))}) {}

  StepBatch next(Deadline deadline) {
    BatchPtr batch = loader_.next(deadline);
    return as_tensors(std::shared_ptr<Batch>(std::move(batch)), type_);
  }

 private:
  at::ScalarType type_;
  Sampler sampler_;
  std::unique_ptr<const Dataset> augmented_;  // null: samples are trained on as they are
  Loader loader_;
};

Sampler make_sampler(const PreparedJob& prepared) {
  return Sampler(prepared.data.train->size(),
                 {.batch = prepared.job.train.batch.value(),
                  .seed = static_cast<std::uint64_t>(prepared.job.seed),
                  .shuffle = prepared.job.data.shuffle,
                  .drop_last = prepared.job.data.drop_last});
}

BatchFeed::BatchFeed(const PreparedJob& prepared, BatchPart part, std::int64_t first_step,
                     std::int64_t total_steps, std::shared_ptr<Trace> trace)
    : impl_(std::make_unique<Impl>(prepared, part, first_step, total_steps, std::move(trace))) {}
BatchFeed::~BatchFeed() = default;

StepBatch BatchFeed::next(Deadline deadline) { return impl_->next(deadline); }

}  // namespace shoal
