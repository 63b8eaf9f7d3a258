#include "shoal/program/op.h"

#include <fmt/format.h>

#include <algorithm>

namespace shoal {
namespace {

std::string with_micro_batch(std::string text, int micro_batch, int micro_batches) {
  if (micro_batches > 1 && micro_batch >= 0) text += fmt::format(".{}", micro_batch);
  return text;
}

// "2,1": the blocks of the values in their order, each once; buffers are marked.
std::string blocks_of(const std::vector<Use>& uses) {
  std::vector<int> seen;
  std::string text;
  for (const Use& use : uses) {
    if (std::find(seen.begin(), seen.end(), use.value.block) != seen.end()) continue;
    seen.push_back(use.value.block);
    text += fmt::format("{}{}", text.empty() ? "" : ",", use.value.block);
  }
  const bool buffers = !uses.empty() && uses.front().value.kind == ValueKind::buffer;
  return (buffers ? "buffers " : "") + text;
}

std::string first_text(const std::vector<Use>& uses, int micro_batches) {
  return uses.empty() ? "?" : text_of(uses.front().value, micro_batches);
}

}  // namespace

std::size_t ValueHash::operator()(const Value& value) const noexcept {
  const auto word = [](int high, int low) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32 |
           static_cast<std::uint32_t>(low);
  };
  // Multiplication by odd constants with large bits; the shift brings the high half down.
  std::uint64_t hash = word(value.block, value.micro_batch) * 0x9e3779b97f4a7c15ULL;
  hash ^= hash >> 32;
  hash += word(static_cast<int>(value.kind), value.index);
  hash *= 0xd6e8feb86659fd93ULL;
  return static_cast<std::size_t>(hash ^ (hash >> 32));
}

bool meets_others(const Op& op) {
  switch (op.kind) {
    case OpKind::all_reduce:
    case OpKind::agree:
      return true;
    case OpKind::forward:
    case OpKind::backward:
      return op.group >= 0;
    case OpKind::load:
    case OpKind::loss:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::update:
      return false;
  }
  return false;
}

Lane lane_of(const Op& op) {
  switch (op.kind) {
    case OpKind::load:
    case OpKind::forward:
    case OpKind::loss:
    case OpKind::backward:
    case OpKind::update:
      return {Lane::Kind::compute, -1};
    case OpKind::send:
      return {Lane::Kind::send, op.peer};
    case OpKind::receive:
      return {Lane::Kind::receive, op.peer};
    case OpKind::all_reduce:
    case OpKind::agree:
      return {Lane::Kind::group, op.group};
  }
  return {};
}

std::string text_of(const Op& op, int micro_batches) {
  switch (op.kind) {
    case OpKind::load:
      return "Load";
    case OpKind::forward: {
      const char letter = op.mode == ForwardMode::recompute ? 'R' : 'F';
      return with_micro_batch(fmt::format("{}{}", letter, op.block), op.micro_batch, micro_batches);
    }
    case OpKind::loss:
      return with_micro_batch("Loss", op.micro_batch, micro_batches);
    case OpKind::backward:
      return with_micro_batch(fmt::format("B{}", op.block), op.micro_batch, micro_batches);
    case OpKind::send:
      return fmt::format("Send({}>{})", first_text(op.reads, micro_batches), op.peer);
    case OpKind::receive:
      return fmt::format("Receive({}<{})", first_text(op.writes, micro_batches), op.peer);
    case OpKind::all_reduce:
      return fmt::format("AllReduce({})", blocks_of(op.accumulates));
    case OpKind::agree:
      return "Agree";
    case OpKind::update:
      return "Update";
  }
  return "?";
}

std::string text_of(const Value& value, int micro_batches) {
  const auto of_micro_batch = [&](std::string text) {
    return with_micro_batch(std::move(text), value.micro_batch, micro_batches);
  };
  const auto of_block = [&](std::string_view name) {
    return fmt::format("{} {}:{}", name, value.block, value.index);
  };
  switch (value.kind) {
    case ValueKind::batch:
      return of_micro_batch("batch");
    case ValueKind::activation:
      return of_micro_batch(fmt::format("A{}", value.block));
    case ValueKind::activation_gradient:
      return of_micro_batch(fmt::format("G{}", value.block));
    case ValueKind::saved:
      return of_micro_batch(fmt::format("saved {}", value.block));
    case ValueKind::parameter:
    case ValueKind::gradient:
    case ValueKind::buffer:
    case ValueKind::optimizer_state:
      return of_block(name_of(value.kind));
    case ValueKind::loss:
      return "loss";
    case ValueKind::agreed:
      return "agreed";
  }
  return "?";
}

std::string_view name_of(OpKind kind) {
  switch (kind) {
    case OpKind::load:
      return "load";
    case OpKind::forward:
      return "forward";
    case OpKind::loss:
      return "loss";
    case OpKind::backward:
      return "backward";
    case OpKind::send:
      return "send";
    case OpKind::receive:
      return "receive";
    case OpKind::all_reduce:
      return "all_reduce";
    case OpKind::agree:
      return "agree";
    case OpKind::update:
      return "update";
  }
  return "?";
}

std::string_view name_of(ValueKind kind) {
  switch (kind) {
    case ValueKind::batch:
      return "batch";
    case ValueKind::activation:
      return "activation";
    case ValueKind::activation_gradient:
      return "activation_gradient";
    case ValueKind::saved:
      return "saved";
    case ValueKind::parameter:
      return "parameter";
    case ValueKind::gradient:
      return "gradient";
    case ValueKind::buffer:
      return "buffer";
    case ValueKind::optimizer_state:
      return "optimizer_state";
    case ValueKind::loss:
      return "loss";
    case ValueKind::agreed:
      return "agreed";
  }
  return "?";
}

bool is_carried(ValueKind kind) {
  switch (kind) {
    case ValueKind::parameter:
    case ValueKind::buffer:
    case ValueKind::optimizer_state:
      return true;
    case ValueKind::batch:
    case ValueKind::activation:
    case ValueKind::activation_gradient:
    case ValueKind::saved:
    case ValueKind::gradient:
    case ValueKind::loss:
    case ValueKind::agreed:
      return false;
  }
  return false;
}

bool outlives_run(ValueKind kind) {
  return is_carried(kind) || kind == ValueKind::loss || kind == ValueKind::agreed;
}

std::string_view name_of(ForwardMode mode) {
  switch (mode) {
    case ForwardMode::train:
      return "train";
    case ForwardMode::no_save:
      return "no_save";
    case ForwardMode::recompute:
      return "recompute";
    case ForwardMode::evaluate:
      return "evaluate";
  }
  return "?";
}

}  // namespace shoal
