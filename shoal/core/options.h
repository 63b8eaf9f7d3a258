// Option tables: one description per struct from which come the TOML reader, `--set`, `--help` and
// the reference page. An options struct is an aggregate with defaults in place and `problems()`;
// beside it stands one function that describes it:
//
//   OptionTable describe(PipelineOptions& o) {
//     return {"pipeline", "Cuts the chain into stages.", {
//       option("microbatches", o.micro_batches, "Micro-batches per batch. ..."),
//       choice("schedule", o.schedule,
//              {{"vanilla", Schedule::vanilla}, {"gpipe", Schedule::gpipe}},
//              "Order of forward and backward."),
//     }};
//   }
//
// A table borrows the struct; reading it writes the struct's fields. The defaults shown are the
// values at the time of describing, so describe a fresh struct for help and reference.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

// What becomes of a key when a run goes on from a checkpoint.
enum class OnResume : std::uint8_t {
  kept,        // another value would be another run: refused
  may_change,  // where, how fast and for how long
};

// When a key matters: where another one has a value for it.
struct OnlyWith {
  std::string key;                       // of the same table, or with its own: "model.loss"
  std::vector<std::string> values = {};  // any of these; none given: a number above 0
  std::vector<OnlyWith> or_with = {};    // or one of these holds
};

// One key of a table. Values cross as JSON, whatever file they came from.
struct Option {
  std::string name;
  std::string type;           // "integer", "number", "text", "one of "a", "b"", "list of text", ...
  std::string help;           // one or two sentences: meaning, unit, trade-off
  std::string shown_default;  // as it would stand in TOML
  // Sets the field; throws InvalidInput naming what was expected. Gets the present value.
  std::function<void(const nlohmann::json&)> set;
  std::function<nlohmann::json()> get;
  // A table reaches set() as a list of [name, value] in file order: JSON objects have no order.
  bool keeps_order = false;
  // What it may be, as in TOML without quotes, where that is a list: what a shell offers.
  std::vector<std::string> values = {};
  OnResume on_resume = OnResume::kept;
  std::vector<OnlyWith> only_with = {};  // all of these; the help need not say so
};

struct OptionTable {
  std::string name;  // TOML table; "" for the top level
  std::string help;
  std::vector<Option> options;
};

// An integer stands for a number too; an integer that the field cannot hold is a fault. Infinity is
// `inf` in TOML and the text "inf" in JSON; NaN is refused.
Option option(std::string name, std::int64_t& field, std::string help);
Option option(std::string name, int& field, std::string help);
Option option(std::string name, double& field, std::string help);
Option option(std::string name, bool& field, std::string help);
Option option(std::string name, std::string& field, std::string help);
// Absent is the text "none", or null in JSON.
Option option(std::string name, std::optional<std::int64_t>& field, std::string help);
Option option(std::string name, std::optional<double>& field, std::string help);
Option option(std::string name, std::vector<std::string>& field, std::string help);
Option option(std::string name, std::vector<double>& field, std::string help);
Option option(std::string name, std::vector<std::int64_t>& field, std::string help);
// A table of name = integer in file order, for example mesh = { data = 2 }.
Option option(std::string name, std::vector<std::pair<std::string, std::int64_t>>& field,
              std::string help);
// name = "text" or name = ["a", "b"], for example layout = { batch = "data" }.
Option option(std::string name, std::map<std::string, std::vector<std::string>>& field,
              std::string help);
// Any JSON value: the owner checks it, for example a list of layers. Dates become text.
Option option(std::string name, nlohmann::json& field, std::string help);

template <typename Enum>
Option choice(std::string name, Enum& field, const std::vector<std::pair<std::string, Enum>>& names,
              std::string help);

// A text option whose owner checks it against these values.
Option with_values(Option option, std::vector<std::string> values);

// The same option, which matters only with `other`.
Option only_with(const OnlyWith& other, Option option);

// The same table where these keys may change on resume; each has to be one of its own (checked).
OptionTable may_change(OptionTable table, const std::vector<std::string>& keys);
OptionTable may_change(OptionTable table);  // all of them

// Reads a TOML text into the tables. Every fault at once as InvalidInput: an unknown table or key
// (with the nearest known one), a wrong type, each with its line; bytes that are not UTF-8 (with
// their offset) and the first fault of syntax (with its line) come alone. `source` names the file
// in messages. Tables and keys absent from the text keep their values; after a fault, the good keys
// are set. Table names may have dots: "train.early_stop" is [train.early_stop].
void read_toml(std::string_view text, std::string_view source, std::vector<OptionTable> tables);

// `table.key=value` as given to --set; the value is TOML, or else taken as text (a shell takes
// quotes away). Throws InvalidInput: "--set train.lrr=1: unknown key 'lrr' in [train]: did you mean
// 'lr'?"
void apply_setting(std::string_view setting, std::vector<OptionTable>& tables);

// "Decay of the mean of gradients. Only with optimizer adam, adamw or lamb."
std::string whole_help(const Option& option);

// The key whose value leaves `option`, of the table `table`, without effect, with that value in
// TOML; nothing where it matters. What is conditional has to be in `tables` (checked).
struct Idle {
  OnlyWith because;
  std::string found;  // "optimizer = \"sgd\"", "[model] loss = \"auto\""
};
std::optional<Idle> why_idle(const Option& option, const std::string& table,
                             std::vector<OptionTable>& tables);

// "[train] beta1 has no effect with optimizer = "sgd"": all keys that have another value than in
// `standard`, which are the same tables of fresh structs, and do not matter.
std::vector<std::string> without_effect(std::vector<OptionTable>& tables,
                                        const std::vector<OptionTable>& standard);

// Present values as JSON, {table: {key: value}}, for resolved plans and checkpoints; and back, with
// every fault at once. Dotted tables stay one name, "" is the top level.
nlohmann::json to_json(const std::vector<OptionTable>& tables);
void from_json(const nlohmann::json& values, std::string_view source,
               std::vector<OptionTable> tables);

// Present values as a TOML text that read_toml takes back.
std::string to_toml(const std::vector<OptionTable>& tables);

std::string help_text(const std::vector<OptionTable>& tables);       // for --help
std::string reference_page(const std::vector<OptionTable>& tables);  // Markdown, docs/jobs.md

// The known name closest to `name` by edit distance (case and - or _ aside), when close enough to
// be meant; or one that begins with `name`, or that `name` begins with.
std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace shoal

#include "shoal/core/options_choice.h"
