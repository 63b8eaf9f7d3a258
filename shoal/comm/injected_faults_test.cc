// Groups under injected faults: every scenario ends in the right result or the right error, in
// time.
//
// SHOAL_FAULT_SCENARIOS=1000 tries that many, SHOAL_FAULT_SEED is the first of their seeds, and
// SHOAL_FAULT_LIMIT_MS the deadline of those that cannot end well.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/faulty_network.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

namespace {

using std::chrono::milliseconds;

// Enough for the calls before the fault on a machine that others load.
#ifdef __SANITIZE_THREAD__
constexpr std::uint64_t kLimitMs = 15000;
#else
constexpr std::uint64_t kLimitMs = 5000;
#endif

// What a rank itself does wrong, where there is no network to do it.
enum class Misdeed : std::uint8_t { none, sleeps, aborts, leaves };
constexpr std::string_view kMisdeeds[] = {"none", "sleeps", "aborts", "leaves"};

struct Scenario {
  std::uint64_t seed = 0;
  Engine engine = Engine::tcp;
  Algorithm algorithm = Algorithm::two_shot;
  int size = 2;
  int calls = 10;
  Fault fault;  // over tcp
  Misdeed misdeed = Misdeed::none;
  int culprit = 0;
  int at_call = 0;

  bool has_network() const { return engine == Engine::tcp || engine == Engine::hierarchical; }
  bool is_harmless() const {
    return has_network() ? fault.kind == FaultKind::none || fault.kind == FaultKind::delay ||
                               fault.kind == FaultKind::crumbs
                         : misdeed == Misdeed::none || misdeed == Misdeed::sleeps;
  }
  // Nothing that harms is noticed later than this; what harms nobody may take its time.
  milliseconds limit() const {
    return is_harmless() ? milliseconds(60000)
                         : milliseconds(number_from("SHOAL_FAULT_LIMIT_MS", kLimitMs));
  }
  std::string text() const {
    const std::string what =
        has_network() ? fmt::format("{} of {} bytes at byte {} from rank {} to {} (channel {})",
                                    name_of(fault.kind), fault.bytes, fault.at, fault.from,
                                    fault.to, fault.channel)
                      : fmt::format("rank {} {} at call {}", culprit,
                                    kMisdeeds[static_cast<std::size_t>(misdeed)], at_call);
    return fmt::format("seed {}: {} ranks, {}, {}, {}", seed, size, name_of(engine),
                       name_of(algorithm), what);
  }
};

Scenario scenario_of(std::uint64_t seed) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) { return mixed(seed, ++drawn) % below; };
  Scenario one;
  one.seed = seed;
  const std::uint64_t engine = draw(10);
  one.engine = engine == 0   ? Engine::memory
               : engine == 1 ? Engine::shm
               : engine < 6  ? Engine::tcp
                             : Engine::hierarchical;
  one.algorithm = kAlgorithms[draw(std::size(kAlgorithms))];
  one.size = 2 + static_cast<int>(draw(3));
  one.misdeed = static_cast<Misdeed>(draw(4));
  one.culprit = static_cast<int>(draw(one.size));
  one.at_call = static_cast<int>(draw(one.calls));
  Fault& fault = one.fault;
  fault.kind = kFaultKinds[draw(std::size(kFaultKinds))];
  fault.from = one.culprit;
  fault.to = (one.culprit + 1 + static_cast<int>(draw(one.size - 1))) % one.size;
  // Between ranks of one host hardly anything goes over the network.
  while (one.engine == Engine::hierarchical &&
         !on_two_hosts(one.size).leaves_host(fault.from, fault.to)) {
    fault.to = (fault.to + 1) % one.size;
  }
  fault.channel = draw(4) == 0 ? 1 : 0;
  constexpr std::size_t kWithin[] = {120, 2000, 100000};
  fault.at = draw(kWithin[draw(3)]);
  fault.bytes = 1 + draw(draw(2) == 0 ? 8 : 5000);
  fault.pause = milliseconds(1 + draw(150));
  return one;
}

struct Ending {
  bool right = true;      // every result that came
  bool finished = false;  // all of them came
  std::exception_ptr error;
  std::string text;
  milliseconds took{0};
};

// One rank of a scenario. Whole numbers, so that every algorithm has the same right result.
class Part {
 public:
  Part(const Scenario& scenario, int rank, std::shared_ptr<Store> store)
      : scenario_(scenario), rank_(rank), store_(std::move(store)) {}

  Ending run() {
    const Deadline deadline = Deadline::after(scenario_.limit());
    try {
      work(deadline);
      ending_.finished = true;
    } catch (const Error& error) {
      ending_.error = std::current_exception();
      ending_.text = error.what();
    }
    ending_.took = deadline.waited();
    return ending_;
  }

 private:
  using Values = std::vector<std::int32_t>;

  void work(Deadline deadline) {
    const CommOptions options = options_of(scenario_.engine, scenario_.algorithm, scenario_.size);
    const auto world =
        join_world(store_, {.rank = rank_, .size = scenario_.size}, options, deadline);
    auto group = world->form_group("all", all_ranks(scenario_.size), deadline);
    for (int call = 0; call < scenario_.calls; ++call) {
      if (!misbehave(call, *group)) return;
      make_call(call, *group, deadline);
    }
    // What a rank still needs must not be torn down by one that is through.
    group->barrier(deadline);
  }

  // False: it goes.
  bool misbehave(int call, Group& group) const {
    if (scenario_.has_network() || rank_ != scenario_.culprit || call != scenario_.at_call)
      return true;
    if (scenario_.misdeed == Misdeed::sleeps) std::this_thread::sleep_for(scenario_.fault.pause);
    if (scenario_.misdeed == Misdeed::aborts) group.abort();
    return scenario_.misdeed != Misdeed::leaves;
  }

  std::int32_t value(int call, int rank, std::size_t i) const {
    return static_cast<std::int32_t>(mixed(i * 4 + static_cast<std::size_t>(rank), call) % 1000);
  }
  Values values(int call, int rank, std::size_t count) const {
    Values all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = value(call, rank, i);
    return all;
  }
  Values sum(int call, std::size_t count) const {
    Values all(count, 0);
    for (int rank = 0; rank < scenario_.size; ++rank) {
      for (std::size_t i = 0; i < count; ++i) all[i] += value(call, rank, i);
    }
    return all;
  }

  void make_call(int call, Group& group, Deadline deadline) {
    const auto drawn = [&](std::uint64_t what) { return mixed(scenario_.seed + what, call); };
    const int size = scenario_.size;
    const std::size_t count =
        drawn(1) % (drawn(2) % 2 == 0 ? 40 : 20000) * static_cast<std::size_t>(size);
    Values mine = values(call, rank_, count);
    const Buffer all = buffer(std::span(mine));
    switch (drawn(3) % 5) {
      case 0:
        group.all_reduce({&all, 1}, ReduceOp::sum, deadline);
        return expect(mine == sum(call, count));
      case 1: {
        const int root = static_cast<int>(drawn(4) % size);
        group.broadcast(all, root, deadline);
        return expect(mine == values(call, root, count));
      }
      case 2: {
        Values out(count * size);
        group.all_gather(all, buffer(std::span(out)), deadline);
        Values right;
        for (int rank = 0; rank < size; ++rank) {
          const Values theirs = values(call, rank, count);
          right.insert(right.end(), theirs.begin(), theirs.end());
        }
        return expect(out == right);
      }
      case 3: {
        Values out(count / size);
        group.reduce_scatter(all, buffer(std::span(out)), ReduceOp::sum, deadline);
        const Values whole = sum(call, count);
        const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(out.size()) * rank_;
        return expect(std::equal(out.begin(), out.end(), begin));
      }
      default: {
        const int before = (rank_ + size - 1) % size;
        Values out(count);
        group.send(all, (rank_ + 1) % size, deadline);
        group.receive(buffer(std::span(out)), before, deadline);
        return expect(out == values(call, before, count));
      }
    }
  }
  void expect(bool right) { ending_.right = ending_.right && right; }

  const Scenario& scenario_;
  const int rank_;
  const std::shared_ptr<Store> store_;
  Ending ending_;
};

struct Verdict {
  std::vector<std::string> problems;
  bool struck = false;
  bool erred = false;
  milliseconds longest{0};
};

bool is_right_error(const Scenario& scenario, int rank, const Ending& ending) {
  try {
    std::rethrow_exception(ending.error);
  } catch (const PeerLost& lost) {
    return !lost.lost.empty() && lost.lost.front() != rank;
  } catch (const TimedOut& late) {
    return !late.missing.empty() && late.missing.front() != rank;
  } catch (const Cancelled&) {
    return scenario.misdeed == Misdeed::aborts && rank == scenario.culprit;
  } catch (...) {
    return false;
  }
}

Verdict judge(const Scenario& scenario, const std::vector<Ending>& endings, bool struck) {
  // Threads of a machine that is loaded, or watched by a sanitizer, come late themselves.
  constexpr milliseconds kMostLate{5000};
  Verdict verdict;
  verdict.struck = struck;
  for (int rank = 0; rank < scenario.size; ++rank) {
    const Ending& ending = endings[rank];
    const auto complain = [&](std::string_view what) {
      verdict.problems.push_back(
          fmt::format("{}: rank {}: {} {}", scenario.text(), rank, what, ending.text));
    };
    if (!ending.right) complain("a wrong result");
    if (ending.took > scenario.limit() + kMostLate) complain("ended late");
    if (ending.error) {
      verdict.erred = true;
      verdict.longest = std::max(verdict.longest, ending.took);
      if (scenario.is_harmless() || !struck) {
        complain("an error without a reason:");
      } else if (!is_right_error(scenario, rank, ending)) {
        complain("not the right error:");
      }
    }
  }
  return verdict;
}

Verdict play(const Scenario& scenario) {
  FaultyNetwork network(scenario.fault);
  const auto store = scenario.has_network() ? store_through(network) : make_memory_store();
  std::vector<Ending> endings(static_cast<std::size_t>(scenario.size));
  {
    std::vector<std::jthread> ranks;
    for (int rank = 0; rank < scenario.size; ++rank) {
      ranks.emplace_back([&, rank] { endings[rank] = Part(scenario, rank, store).run(); });
    }
  }
  return judge(scenario, endings, scenario.has_network() ? network.has_struck() : true);
}

TEST(InjectedFaults, EndInTheRightResultOrTheRightErrorInTime) {
  const std::uint64_t scenarios = number_from("SHOAL_FAULT_SCENARIOS", 60);
  const std::uint64_t first = number_from("SHOAL_FAULT_SEED", 1);
  const Watchdog watchdog("injected faults", std::chrono::seconds(110 + scenarios));
  std::vector<Verdict> verdicts(scenarios);
  {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::jthread> players;
    for (int i = 0; i < 4; ++i) {
      players.emplace_back([&] {
        for (std::uint64_t at = next++; at < scenarios; at = next++) {
          verdicts[at] = play(scenario_of(first + at));
        }
      });
    }
  }
  struct Tally {
    int played = 0;
    int struck = 0;
    int erred = 0;
    milliseconds longest{0};
  };
  std::map<std::string, Tally> tallies;
  for (std::uint64_t at = 0; at < scenarios; ++at) {
    const Scenario scenario = scenario_of(first + at);
    const Verdict& verdict = verdicts[at];
    for (const std::string& problem : verdict.problems) ADD_FAILURE() << problem;
    Tally& tally =
        tallies[scenario.has_network()
                    ? fmt::format("{}, {}", name_of(scenario.engine), name_of(scenario.fault.kind))
                    : fmt::format("{}, a rank {}", name_of(scenario.engine),
                                  kMisdeeds[static_cast<std::size_t>(scenario.misdeed)])];
    ++tally.played;
    tally.struck += verdict.struck ? 1 : 0;
    tally.erred += verdict.erred ? 1 : 0;
    tally.longest = std::max(tally.longest, verdict.longest);
  }
  for (const auto& [name, tally] : tallies) {
    fmt::print("{:<24} {:>4} scenarios, {:>4} struck, {:>4} ended in an error", name, tally.played,
               tally.struck, tally.erred);
    fmt::print("{}\n", tally.erred == 0
                           ? std::string()
                           : fmt::format(", at most {} ms after the start", tally.longest.count()));
  }
}

}  // namespace
}  // namespace shoal::test
