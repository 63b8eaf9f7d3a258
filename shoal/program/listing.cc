#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "shoal/program/number_text.h"
#include "shoal/program/picture.h"

namespace shoal {
namespace {

constexpr std::size_t kMostNames = 4;  // of a list of values

// Parameters and what belongs to them come in long lists: all of a kind become one name with their
// blocks and their number, "gradient 0-2 (6)". Other values keep theirs.
std::vector<std::string> names_of(const std::vector<Value>& values, int micro_batches) {
  std::map<ValueKind, std::vector<Value>> of_blocks;
  for (const Value& value : values) {
    if (value.index >= 0) of_blocks[value.kind].push_back(value);
  }
  std::vector<std::string> names;
  for (const Value& value : values) {
    if (value.index < 0) {
      names.push_back(text_of(value, micro_batches));
      continue;
    }
    const auto alike = of_blocks.extract(value.kind);
    if (alike.empty()) continue;  // told with the first of its kind
    if (alike.mapped().size() == 1) {
      names.push_back(text_of(value, micro_batches));
      continue;
    }
    std::set<int> blocks;
    for (const Value& other : alike.mapped()) blocks.insert(other.block);
    names.push_back(fmt::format("{} {} ({})", name_of(value.kind),
                                ranges_text({blocks.begin(), blocks.end()}),
                                alike.mapped().size()));
  }
  return names;
}

// "A0 parameter 1 (2) ... (6)"
void append_names(std::string& text, const std::vector<Value>& values, int micro_batches,
                  std::string_view prefix = "") {
  std::vector<std::string> names = names_of(values, micro_batches);
  for (std::string& name : names) name.insert(0, prefix);
  const std::size_t all = names.size();
  if (all > kMostNames) {
    names.resize(kMostNames - 1);
    names.push_back(fmt::format("... ({})", all));
  }
  if (!text.empty() && !names.empty()) text += ' ';
  text += fmt::format("{}", fmt::join(names, " "));
}

std::vector<Value> values_of(const std::vector<Use>& uses) {
  std::vector<Value> values;
  for (const Use& use : uses) values.push_back(use.value);
  return values;
}

std::string values_text(const Op& op, int micro_batches) {
  std::string text;
  append_names(text, values_of(op.reads), micro_batches);
  std::string writes;
  append_names(writes, values_of(op.writes), micro_batches);
  append_names(writes, values_of(op.accumulates), micro_batches, "+");
  if (!writes.empty()) text += (text.empty() ? "-> " : " -> ") + writes;
  std::string frees;
  append_names(frees, op.frees, micro_batches);
  if (!frees.empty()) text += (text.empty() ? "frees " : "; frees ") + frees;
  return text;
}

// What is sent; else what is written.
std::int64_t bytes_of_op(const Op& op, const Program& program,
                         const std::vector<BlockFacts>& blocks) {
  if (lane_of(op).kind != Lane::Kind::compute) return op.bytes;
  std::int64_t bytes = 0;
  for (const auto* uses : {&op.writes, &op.accumulates}) {
    for (const Use& use : *uses) bytes += bytes_of(use.value, program, blocks);
  }
  return bytes;
}

// "compute", and the group in which the block of an operation sums.
std::string lane_text(const Op& op, const Program& program) {
  const Lane lane = lane_of(op);
  std::string text = lane_name(lane, program);
  const bool in_block =
      lane.kind == Lane::Kind::compute && meets_others(op) && op.group < std::ssize(program.groups);
  return in_block ? text + ", " + program.groups[op.group].name : text;
}

}  // namespace

std::string program_listing(const Program& program, const std::vector<BlockFacts>& blocks) {
  struct Row {
    std::string number, text, lane, bytes, values;
  };
  std::vector<Row> rows{{"#", "operation", "lane", "bytes", "reads -> writes; frees"}};
  for (const Op& op : program.ops) {
    rows.push_back({fmt::format("{}", rows.size() - 1), text_of(op, program.micro_batches),
                    lane_text(op, program), human_bytes(bytes_of_op(op, program, blocks)),
                    values_text(op, program.micro_batches)});
  }
  const auto widest = [&](std::string Row::*column) {
    std::size_t width = 0;
    for (const Row& row : rows) width = std::max(width, (row.*column).size());
    return width;
  };
  std::string text =
      fmt::format("rank {}, stage {}: {} operations, {} micro-batch{} of {} samples\n",
                  program.rank, program.stage, program.ops.size(), program.micro_batches,
                  program.micro_batches == 1 ? "" : "es", program.micro_batch_samples);
  for (const Row& row : rows) {
    text += fmt::format("  {:>{}}  {:<{}}  {:<{}}  {:>{}}  {}\n", row.number, widest(&Row::number),
                        row.text, widest(&Row::text), row.lane, widest(&Row::lane), row.bytes,
                        widest(&Row::bytes), row.values);
  }
  return text;
}

}  // namespace shoal
