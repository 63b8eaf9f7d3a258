// One operation of a worker's program, and the values it works on.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

enum class ValueKind : std::uint8_t {
  batch,                // inputs, targets and sample ids of a micro-batch
  activation,           // output of `block` for a micro-batch
  activation_gradient,  // gradient of the loss by that output
  saved,                // what autograd keeps of `block` for its backward
  parameter,            // `index` within its block; carried from run to run
  gradient,             // of that parameter, summed over samples
  buffer,               // running statistics and the like; carried
  optimizer_state,      // of that parameter; carried
  loss,                 // sums of loss, weight and correct answers over the worker's samples
  agreed,               // what all workers agreed on in this step
};

// A named value. Fields that do not apply to its kind are -1.
struct Value {
  ValueKind kind{};
  int block = -1;
  int micro_batch = -1;
  int index = -1;
  friend auto operator<=>(const Value&, const Value&) = default;
};
struct ValueHash {
  std::size_t operator()(const Value& value) const noexcept;
};

// A value as an operation uses it. `version` counts the writes to the value that precede the use in
// this run of the program (carried values begin at 0): an operation that finds another version is
// not the operation that was compiled.
struct Use {
  Value value;
  int version = 0;
  friend bool operator==(const Use&, const Use&) = default;
};

enum class OpKind : std::uint8_t {
  load,        // the worker's part of the batch, cut into micro-batches
  forward,     // a block on a micro-batch
  loss,        // sum and weight of the loss; in training also its gradient
  backward,    // a block on a micro-batch: gradients of input and parameters
  send,        // a value to `peer`
  receive,     // a value from `peer`
  all_reduce,  // sum of values over `group`
  agree,       // the step's one small all-reduce
  update,      // the optimizer on all trainable parameters of the worker
};

// What a block's forward is for.
enum class ForwardMode : std::uint8_t {
  train,      // keeps `saved`
  no_save,    // as train, the same random numbers and statistics, but nothing kept for a backward
  recompute,  // as train, without updating running statistics a second time
  evaluate,   // dropout off, running statistics used
};

struct Op {
  OpKind kind{};
  int block = -1;
  int micro_batch = -1;
  ForwardMode mode = ForwardMode::train;
  int peer = -1;  // world rank, of send and receive
  // Index into the program's groups: of all_reduce and agree, and of a forward or backward whose
  // block sums over the batch while it runs.
  int group = -1;
  std::int64_t bytes = 0;  // upper bound of what is sent: of a transfer, or of all ops with a group
  ElementType type = ElementType::float32;  // of what is sent

  std::vector<Use> reads = {};
  std::vector<Use> writes = {};       // version found before; the write makes it version + 1
  std::vector<Use> accumulates = {};  // reads and writes: adds to what is there (gradients, losses)
  std::vector<Value> frees = {};      // dead after this operation

  friend bool operator==(const Op&, const Op&) = default;
};

// Whether all members of the operation's group have to come to it: it is a collective, or has some.
bool meets_others(const Op& op);

// Where an operation runs. Each lane keeps program order; different lanes overlap.
struct Lane {
  enum class Kind : std::uint8_t { compute, group, send, receive } kind = Kind::compute;
  int index = -1;  // group index, or the peer's rank
  friend auto operator<=>(const Lane&, const Lane&) = default;
};
// Receives wait on the compute lane's behalf, so they have a lane per ordered pair as sends have.
Lane lane_of(const Op& op);

// "F0", "F0.2" with micro-batches, "R1.0" a recomputed forward, "B0", "AllReduce(2,1)" by block,
// "Send(A0.1>2)", "Receive(A0.1<0)", "G" for gradients of activations.
// `micro_batches` > 1 shows the micro-batch's number.
std::string text_of(const Op& op, int micro_batches);
std::string text_of(const Value& value, int micro_batches);

std::string_view name_of(OpKind kind);
std::string_view name_of(ValueKind kind);

bool is_carried(ValueKind kind);    // lives from one run to the next
bool outlives_run(ValueKind kind);  // carried, or a result of the run that its caller reads
std::string_view name_of(ForwardMode mode);

}  // namespace shoal
