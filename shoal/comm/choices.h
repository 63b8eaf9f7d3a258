// Which algorithm serves which calls best: a table of measurements. `shoal comm tune` writes one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/world.h"

namespace shoal {

// From so many bytes on, as `shoal comm bench` counts them: what one rank holds of all that is
// reduced, handed out or, of all_gather, gathered.
struct Choice {
  Engine engine = Engine::tcp;
  Operation operation = Operation::all_reduce;
  int ranks = 2;
  std::int64_t from_bytes = 0;
  Algorithm algorithm = Algorithm::two_shot;
  friend bool operator==(const Choice&, const Choice&) = default;
};

// Operations of which engines can do more than one algorithm, and whether one is among those.
inline constexpr Operation kChosenOperations[] = {Operation::all_reduce, Operation::reduce_scatter,
                                                  Operation::all_gather, Operation::broadcast};
bool has_algorithm(Operation operation, Algorithm algorithm);

class ChoiceTable {
 public:
  ChoiceTable() = default;
  // In any order. Throws InvalidInput when a list does not begin at 0 bytes or says something
  // twice.
  explicit ChoiceTable(std::vector<Choice> choices);

  const std::vector<Choice>& choices() const { return choices_; }  // by list, ascending
  // The list for the most ranks that are not above `ranks`, or for the fewest; empty when none is
  // for this engine and operation.
  std::vector<Choice> list(Engine engine, Operation operation, int ranks) const;
  // `lists` take the place of those for the same engines, operations and ranks.
  ChoiceTable with(const ChoiceTable& lists) const;
  std::string text() const;  // as a file

  // What comes with shoal.
  static const ChoiceTable& shipped();

 private:
  std::vector<Choice> choices_;
};

//   choices = [
//     { engine = "tcp", operation = "all_reduce", ranks = 4, from_bytes = 0, algorithm = "ring" },
//     ...
//   ]
// Throws InvalidInput that names the file and all its faults.
ChoiceTable read_choices(const std::filesystem::path& path);
ChoiceTable choices_from(std::string_view text, std::string_view source);

// The algorithms of one group. Cheap to ask.
class AlgorithmPolicy {
 public:
  // One for everything.
  AlgorithmPolicy(Algorithm forced = Algorithm::two_shot) : otherwise_(forced) {}  // NOLINT
  // `otherwise`: where the table has nothing.
  AlgorithmPolicy(const ChoiceTable& table, Engine engine, int ranks, Algorithm otherwise);

  Algorithm of(Operation operation, std::size_t bytes) const {
    const std::vector<Step>& steps = steps_[static_cast<std::size_t>(operation)];
    Algorithm chosen = otherwise_;
    for (const Step& step : steps) {
      if (step.from_bytes > bytes) break;
      chosen = step.algorithm;
    }
    return chosen;
  }
  Algorithm otherwise() const { return otherwise_; }
  // Whether it is the choice for anything.
  bool uses(Algorithm algorithm) const;
  // Equal exactly when policies are.
  std::string text() const;

 private:
  struct Step {
    std::size_t from_bytes;
    Algorithm algorithm;
  };
  Algorithm otherwise_;
  std::array<std::vector<Step>, 16> steps_;  // by operation
};

}  // namespace shoal
