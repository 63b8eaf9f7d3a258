#include "shoal/cli/comm_trials.h"

#include <atomic>
#include <cstdint>
#include <span>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using Numbers = std::vector<std::int32_t>;

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
         Numbers all(kTrialRanks);
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

}  // namespace

const std::vector<Trial>& trials() {
  static const std::vector<Trial> all = [] {
    std::vector<Trial> list = collectives_alike();
    for (Trial& trial : collectives_by_rank()) list.push_back(std::move(trial));
    return list;
  }();
  return all;
}

std::map<std::string, std::string> faults_of(const CommOptions& options, const RunsOnRanks& run) {
  const std::vector<Trial>& all = trials();
  std::map<std::string, std::string> faults;
  for (std::size_t next = 0; next < all.size(); ++next) {
    std::atomic<std::size_t> at = next;
    try {
      run(options, [&](World& world) {
        const Deadline deadline = Deadline::after_seconds(options.join_seconds);
        const auto group = world.form_group("engines", all_ranks(kTrialRanks), deadline);
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

}  // namespace shoal
