// Programs as a file (`--save-programs`, `--programs`): an object an operation, a text a value.
//   {"op": "forward", "block": 1, "micro_batch": 0, "mode": "train",
//    "reads": ["activation b0 m0 v1", "parameter b1 i0 v0"], "writes": ["activation b1 m0 v0"],
//    "frees": ["activation b0 m0"]}
// b, m, i and v are block, micro-batch, index and version; what does not apply is left out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/program/json_fields.h"
#include "shoal/program/program.h"

namespace shoal {
namespace {

using Ordered = nlohmann::ordered_json;
using nlohmann::json;

constexpr std::string_view kFormat = "shoal programs 1";
constexpr std::array kOpKinds{OpKind::load,       OpKind::forward, OpKind::loss,
                              OpKind::backward,   OpKind::send,    OpKind::receive,
                              OpKind::all_reduce, OpKind::agree,   OpKind::update};
constexpr std::array kValueKinds{
    ValueKind::batch,  ValueKind::activation,      ValueKind::activation_gradient,
    ValueKind::saved,  ValueKind::parameter,       ValueKind::gradient,
    ValueKind::buffer, ValueKind::optimizer_state, ValueKind::loss,
    ValueKind::agreed};
constexpr std::array kModes{ForwardMode::train, ForwardMode::no_save, ForwardMode::recompute,
                            ForwardMode::evaluate};

template <typename Enum, std::size_t n>
std::optional<Enum> named(const std::array<Enum, n>& all, std::string_view name) {
  for (const Enum value : all) {
    if (name_of(value) == name) return value;
  }
  return std::nullopt;
}

// Fields that an operation cannot be without; the others stand in the file where they are set.
bool needs(OpKind kind, std::string_view field) {
  const auto one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), field) != names.end();
  };
  switch (kind) {
    case OpKind::forward:
      return one_of({"block", "micro_batch", "mode"});
    case OpKind::backward:
      return one_of({"block", "micro_batch"});
    case OpKind::send:
    case OpKind::receive:
      return one_of({"peer", "bytes", "type"});
    case OpKind::all_reduce:
      return one_of({"group", "bytes", "type"});
    case OpKind::load:
    case OpKind::loss:
    case OpKind::agree:
    case OpKind::update:
      return false;
  }
  return false;
}

// --- writing

std::string written(const Value& value) {
  std::string text{name_of(value.kind)};
  if (value.block != -1) text += fmt::format(" b{}", value.block);
  if (value.micro_batch != -1) text += fmt::format(" m{}", value.micro_batch);
  if (value.index != -1) text += fmt::format(" i{}", value.index);
  return text;
}

std::string written(const Use& use) {
  return fmt::format("{} v{}", written(use.value), use.version);
}

template <typename Named>
void write_list(Ordered& object, const char* name, const std::vector<Named>& items) {
  if (items.empty()) return;
  auto& list = object[name] = Ordered::array();
  for (const Named& item : items) list.push_back(written(item));
}

Ordered written(const Op& op, const std::vector<GroupFacts>& groups) {
  static const Op unset;
  Ordered object{{"op", name_of(op.kind)}};
  const auto put = [&](const char* name, bool is_set, const auto& value) {
    if (is_set || needs(op.kind, name)) object[name] = value;
  };
  put("block", op.block != unset.block, op.block);
  put("micro_batch", op.micro_batch != unset.micro_batch, op.micro_batch);
  put("mode", op.mode != unset.mode, name_of(op.mode));
  put("peer", op.peer != unset.peer, op.peer);
  if (op.group != -1) {
    check(op.group >= 0 && op.group < std::ssize(groups), "an operation's group is in its program");
    object["group"] = groups[op.group].name;
  }
  put("bytes", op.bytes != unset.bytes, op.bytes);
  put("type", op.type != unset.type, name_of(op.type));
  write_list(object, "reads", op.reads);
  write_list(object, "writes", op.writes);
  write_list(object, "accumulates", op.accumulates);
  write_list(object, "frees", op.frees);
  return object;
}

Ordered written(const Program& program) {
  Ordered object{{"rank", program.rank},
                 {"stage", program.stage},
                 {"micro_batches", program.micro_batches},
                 {"micro_batch_samples", program.micro_batch_samples},
                 {"trains", program.trains},
                 {"groups", Ordered::array()},
                 {"ops", Ordered::array()}};
  for (const GroupFacts& group : program.groups) {
    object["groups"].push_back(Ordered{{"name", group.name}, {"ranks", group.ranks}});
  }
  for (const Op& op : program.ops) object["ops"].push_back(written(op, program.groups));
  return object;
}

Ordered all_of(const std::map<std::string, RankPrograms>& named) {
  Ordered programs = Ordered::object();
  for (const auto& [name, ranks] : named) {
    auto& list = programs[name] = Ordered::array();
    for (const Program& program : ranks) list.push_back(written(program));
  }
  return {{"format", kFormat}, {"programs", programs}};
}

// --- reading

// "activation b0 m1 v2"; nothing when it is not of this form. Without `version` there must be no v,
// with it there must be one.
std::optional<Value> parse_value(std::string_view text, int* version) {
  if (text.ends_with(' ')) return std::nullopt;
  const auto take_word = [&text] {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
  };
  const auto kind = named(kValueKinds, take_word());
  if (!kind) return std::nullopt;
  Value value{.kind = *kind};
  bool has_version = false;
  while (!text.empty()) {
    const auto word = take_word();
    int number = -1;
    const char* end = word.data() + word.size();
    if (word.size() < 2 || std::from_chars(word.data() + 1, end, number).ptr != end || number < 0) {
      return std::nullopt;
    }
    const auto set = [number](int& field) { return std::exchange(field, number) == -1; };
    bool fits = false;
    if (word[0] == 'b') fits = set(value.block);
    if (word[0] == 'm') fits = set(value.micro_batch);
    if (word[0] == 'i') fits = set(value.index);
    if (word[0] == 'v' && version != nullptr) {
      *version = number;
      fits = !std::exchange(has_version, true);
    }
    if (!fits) return std::nullopt;
  }
  if ((version != nullptr) != has_version) return std::nullopt;
  return value;
}

std::vector<Use> read_uses(JsonFields& fields, const std::string& name) {
  std::vector<Use> uses;
  if (!fields.has(name)) return uses;
  for (const std::string& text : fields.texts(name)) {
    Use use;
    const auto value = parse_value(text, &use.version);
    if (!value) {
      throw InvalidInput(fmt::format(
          "{}: '{}' names \"{}\": give a kind of value with block, micro-batch, index and version, "
          "such as \"activation b0 m0 v1\" or \"parameter b2 i0 v0\"",
          fields.where(), name, text));
    }
    use.value = *value;
    uses.push_back(use);
  }
  return uses;
}

std::vector<Value> read_values(JsonFields& fields, const std::string& name) {
  std::vector<Value> values;
  if (!fields.has(name)) return values;
  for (const std::string& text : fields.texts(name)) {
    const auto value = parse_value(text, nullptr);
    if (!value) {
      throw InvalidInput(fmt::format(
          "{}: '{}' names \"{}\": give a kind of value with block, micro-batch and index, without "
          "a version, such as \"activation b0 m0\"",
          fields.where(), name, text));
    }
    values.push_back(*value);
  }
  return values;
}

int read_group(JsonFields& fields, const std::vector<GroupFacts>& groups) {
  const auto name = fields.text("group");
  const auto found = std::find_if(groups.begin(), groups.end(),
                                  [&](const GroupFacts& group) { return group.name == name; });
  if (found == groups.end()) fields.refuse("group", "the program's 'groups' have no such name");
  return static_cast<int>(found - groups.begin());
}

// The kind comes first: it makes the later messages say which operation they mean.
OpKind read_kind(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  const auto kind = named(kOpKinds, fields.text("op"));
  if (!kind)
    fields.refuse("op",
                  "give load, forward, loss, backward, send, receive, all_reduce, "
                  "agree or update");
  return *kind;
}

Op read_op(const json& value, const std::string& numbered, const std::vector<GroupFacts>& groups) {
  Op op{.kind = read_kind(value, numbered)};
  JsonFields fields(value, fmt::format("{} ({})", numbered, name_of(op.kind)));
  fields.text("op");
  const auto stands = [&](const char* name) { return fields.has(name) || needs(op.kind, name); };
  if (stands("block")) op.block = fields.small_integer("block");
  if (stands("micro_batch")) op.micro_batch = fields.small_integer("micro_batch");
  if (stands("mode")) {
    const auto mode = named(kModes, fields.text("mode"));
    if (!mode) fields.refuse("mode", "give train, no_save, recompute or evaluate");
    op.mode = *mode;
  }
  if (stands("peer")) op.peer = fields.small_integer("peer");
  if (stands("group")) op.group = read_group(fields, groups);
  if (stands("bytes")) op.bytes = fields.integer("bytes");
  if (stands("type")) op.type = fields.element_type("type");
  op.reads = read_uses(fields, "reads");
  op.writes = read_uses(fields, "writes");
  op.accumulates = read_uses(fields, "accumulates");
  op.frees = read_values(fields, "frees");
  fields.finish();
  return op;
}

GroupFacts read_group_facts(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  GroupFacts group{.name = fields.text("name"), .ranks = {}};
  for (const std::int64_t rank : fields.integers("ranks")) {
    if (!group.ranks.empty() && rank <= group.ranks.back()) {
      fields.refuse("ranks", "give every rank once, ascending");
    }
    if (rank > std::numeric_limits<int>::max()) fields.refuse("ranks", "a rank is too large");
    group.ranks.push_back(static_cast<int>(rank));
  }
  fields.finish();
  return group;
}

Program read_program(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  Program program;
  program.rank = fields.small_integer("rank");
  program.stage = fields.small_integer("stage");
  program.micro_batches = fields.small_integer("micro_batches", 1);
  program.micro_batch_samples = fields.integer("micro_batch_samples");
  program.trains = fields.boolean("trains");
  for (const json& item : fields.list("groups")) {
    auto group = read_group_facts(item, fmt::format("{}, group {}", where, program.groups.size()));
    for (const GroupFacts& other : program.groups) {
      if (other.name == group.name) {
        throw InvalidInput(
            fmt::format("{}: two groups are named '{}': rename one of them", where, group.name));
      }
    }
    program.groups.push_back(std::move(group));
  }
  for (const json& op : fields.list("ops")) {
    const auto numbered = fmt::format("{}, operation {}", where, program.ops.size());
    program.ops.push_back(read_op(op, numbered, program.groups));
  }
  fields.finish();
  return program;
}

RankPrograms read_ranks(const json& list, const std::string& where) {
  if (!list.is_array()) {
    throw InvalidInput(where + ": give a list with the program of each rank");
  }
  RankPrograms ranks;
  for (const json& item : list) {
    const auto rank = std::ssize(ranks);
    ranks.push_back(read_program(item, fmt::format("{}, rank {}", where, rank)));
    if (ranks.back().rank != rank) {
      throw InvalidInput(
          fmt::format("{}: entry {} of the list is the program of rank {}: list the programs by "
                      "rank, from 0 on",
                      where, rank, ranks.back().rank));
    }
  }
  return ranks;
}

}  // namespace

nlohmann::json programs_to_json(const std::map<std::string, RankPrograms>& named) {
  return all_of(named);
}

std::string programs_text(const std::map<std::string, RankPrograms>& named) {
  return readable(all_of(named));
}

std::map<std::string, RankPrograms> programs_from_json(const nlohmann::json& json,
                                                       const std::string& source) {
  JsonFields fields(json, source);
  fields.expect_text("format", kFormat);
  std::map<std::string, RankPrograms> named;
  for (const auto& [name, ranks] : fields.object("programs").items()) {
    named[name] = read_ranks(ranks, fmt::format("{}, program {}", source, name));
  }
  fields.finish();
  return named;
}

}  // namespace shoal
