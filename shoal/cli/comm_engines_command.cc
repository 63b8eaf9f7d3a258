// What each engine can do on this machine, found out by doing it.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

constexpr int kRanks = 2;
using Numbers = std::vector<std::int32_t>;

// Makes one operation among two ranks; whether the result is right.
struct Trial {
  std::string operation;
  std::function<bool(Group&, Deadline)> is_right;
};

ConstBuffer given(const Numbers& numbers) { return buffer(std::span(numbers)); }
Buffer taken(Numbers& numbers) { return buffer(std::span(numbers)); }

std::vector<Trial> collectives_alike() {
  return {
      {"all_reduce",
       [](Group& group, Deadline deadline) {
         Numbers numbers{group.rank() + 1, 7};
         const Buffer all = taken(numbers);
         group.all_reduce({&all, 1}, ReduceOp::sum, deadline);
         return numbers == Numbers{3, 14};
       }},
      {"reduce",
       [](Group& group, Deadline deadline) {
         const Numbers numbers{group.rank() + 1};
         Numbers sum(1);
         group.reduce(given(numbers), taken(sum), 1, ReduceOp::sum, deadline);
         return group.rank() != 1 || sum[0] == 3;
       }},
      {"reduce_scatter",
       [](Group& group, Deadline deadline) {
         const Numbers numbers{1, 2};
         Numbers sum(1);
         group.reduce_scatter(given(numbers), taken(sum), ReduceOp::sum, deadline);
         return sum[0] == 2 * (group.rank() + 1);
       }},
      {"broadcast",
       [](Group& group, Deadline deadline) {
         Numbers numbers{group.rank() == 1 ? 9 : 0};
         group.broadcast(taken(numbers), 1, deadline);
         return numbers[0] == 9;
       }},
      {"all_gather",
       [](Group& group, Deadline deadline) {
         const Numbers own{group.rank() + 4};
         Numbers all(kRanks);
         group.all_gather(given(own), taken(all), deadline);
         return all == Numbers{4, 5};
       }},
  };
}

// Some give, some take.
std::vector<Trial> collectives_by_rank() {
  return {
      {"gather",
       [](Group& group, Deadline deadline) {
         const Numbers own{group.rank() + 4};
         Numbers first(1);
         Numbers second(1);
         const Buffer places[] = {taken(first), taken(second)};
         group.gather(given(own), places, 0, deadline);
         return group.rank() != 0 || (first[0] == 4 && second[0] == 5);
       }},
      {"scatter",
       [](Group& group, Deadline deadline) {
         const Numbers first{4};
         const Numbers second{5};
         Numbers own(1);
         const ConstBuffer pieces[] = {given(first), given(second)};
         group.scatter(pieces, taken(own), 1, deadline);
         return own[0] == group.rank() + 4;
       }},
      {"all_to_all",
       [](Group& group, Deadline deadline) {
         const Numbers own{group.rank()};
         Numbers first(1);
         Numbers second(1);
         const ConstBuffer in[] = {given(own), given(own)};
         const Buffer out[] = {taken(first), taken(second)};
         group.all_to_all(in, out, deadline);
         return first[0] == 0 && second[0] == 1;
       }},
      {"send, receive",
       [](Group& group, Deadline deadline) {
         Numbers numbers{group.rank() == 0 ? 6 : 0};
         if (group.rank() == 0) {
           group.send(given(numbers), 1, deadline);
         } else {
           group.receive(taken(numbers), 0, deadline);
         }
         return numbers[0] == 6;
       }},
      {"barrier",
       [](Group& group, Deadline deadline) {
         group.barrier(deadline);
         return true;
       }},
  };
}

std::vector<Trial> trials() {
  std::vector<Trial> all = collectives_alike();
  for (Trial& trial : collectives_by_rank()) all.push_back(std::move(trial));
  return all;
}

struct Way {
  std::string name;
  CommOptions options;
  std::string column(const std::string& text) const {
    return fmt::format("{:<{}}", text, std::max<std::size_t>(8, name.size() + 2));
  }
};

std::vector<Way> ways() {
  std::vector<Way> all;
  for (const Engine engine : kEngines) {
    if (engine == Engine::automatic) continue;
    Way way{std::string(name_of(engine)), {}};
    way.options.engine = engine;
    all.push_back(way);
  }
  // Two addresses of the loopback stand for two networks.
  Way hybrid{"hybrid", {}};
  hybrid.options.engine = Engine::tcp;
  hybrid.options.interface_address = "127.0.0.1";
  hybrid.options.second_interface_address = "127.0.0.2";
  all.push_back(hybrid);
  return all;
}

// Empty when every operation is right; else by operation why it is not. A group serves until an
// operation fails.
std::map<std::string, std::string> faults_of(const Way& way, const std::vector<Trial>& all) {
  std::map<std::string, std::string> faults;
  for (std::size_t next = 0; next < all.size(); ++next) {
    std::atomic<std::size_t> at = next;
    try {
      run_ranks(kRanks, way.options, [&](World& world) {
        const Deadline deadline = Deadline::after_seconds(way.options.join_seconds);
        const auto group = world.form_group("engines", {0, 1}, deadline);
        for (std::size_t trial = next; trial < all.size(); ++trial) {
          at = trial;
          if (!all[trial].is_right(*group, deadline)) throw Error("the result is wrong");
          group->barrier(deadline);
        }
      });
      break;
    } catch (const Error& error) {
      faults[all[at].operation] = error.what();
      next = at;
    }
  }
  return faults;
}

void end_line(std::string& row) {
  row.erase(row.find_last_not_of(' ') + 1);
  row += "\n";
}

}  // namespace

int comm_engines_command(const CommEnginesArguments& arguments) {
  try {
    const std::vector<Way> all = ways();
    const std::vector<Trial> operations = trials();
    std::map<std::string, std::map<std::string, std::string>> faults;
    std::string table = fmt::format("{:<16}", "memory of a CPU");
    for (const Way& way : all) {
      faults[way.name] = faults_of(way, operations);
      table += way.column(way.name);
    }
    end_line(table);
    nlohmann::json json;
    std::string reasons;
    for (const Trial& trial : operations) {
      std::string row = fmt::format("{:<16}", trial.operation);
      for (const Way& way : all) {
        const auto fault = faults[way.name].find(trial.operation);
        const bool works = fault == faults[way.name].end();
        row += way.column(works ? "yes" : "no");
        json[way.name]["cpu"][trial.operation] = works ? "yes" : fault->second;
        if (!works)
          reasons += fmt::format("{} over {}: {}\n", trial.operation, way.name, fault->second);
      }
      end_line(row);
      table += row;
    }
    if (!arguments.json.empty()) replace_file(arguments.json, json.dump(2) + "\n");
    std::cout << table << reasons << "memory of a GPU: no engine takes it; copy to the CPU first\n";
    return reasons.empty() ? kOk : kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal
