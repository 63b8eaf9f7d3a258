#include "shoal/comm/world.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "shoal/comm/forming.h"
#include "shoal/comm/store_world.h"
#include "shoal/core/error.h"

namespace shoal {

namespace {

std::optional<Topology> topology_for(const CommOptions& options, int size) {
  if (options.topology.empty()) return std::nullopt;
  Topology topology = read_topology(options.topology);
  if (topology.size() == size) return topology;
  throw InvalidInput(
      fmt::format("{} has the links of {} ranks, but the world has {}; write a file for "
                  "as many",
                  options.topology, topology.size(), size));
}

// An algorithm that was asked for by name needs no table; but a file that is named has to be good.
ChoiceTable choices_for(const CommOptions& options) {
  if (!options.choices.empty()) return read_choices(options.choices);
  return options.algorithm == Algorithm::automatic ? ChoiceTable::shipped() : ChoiceTable{};
}

std::unique_ptr<FormsGroup> forms_group(const Forming& forming, bool two_networks) {
  if (forming.engine == Engine::memory || forming.engine == Engine::shm) {
    return forms_shared_group(forming);
  }
  if (forming.engine == Engine::mpi) return forms_mpi_group(forming);
  return two_networks ? forms_hybrid_group(forming) : forms_tcp_group(forming);
}

// Terms: the list of ranks, a line; engine, algorithms and hosts, a line; what else options say.
void check_agreement(int rank, const std::string& group, const std::string& terms,
                     const std::string& agreed) {
  const std::string list = terms.substr(0, terms.find('\n'));
  const std::string their_list = agreed.substr(0, agreed.find('\n'));
  if (their_list != list) {
    throw InvalidInput(fmt::format("rank {} forms group {} of ranks {}, another one of ranks {}",
                                   rank, group, list, their_list));
  }
  const auto after_list = [&](const std::string& all) { return all.substr(list.size() + 1); };
  const auto way = [&](const std::string& all) {
    return after_list(all).substr(0, after_list(all).find('\n'));
  };
  const auto rest = [&](const std::string& all) { return after_list(all).substr(way(all).size()); };
  // A second network also decides about algorithms: the cause first.
  if (rest(agreed) != rest(terms)) {
    throw InvalidInput(fmt::format(
        "rank {} has another comm.topology than another rank of group {}, or only one of them a "
        "comm.second_interface_address; start all workers with the same options",
        rank, group));
  }
  if (way(agreed) != way(terms)) {
    throw InvalidInput(fmt::format(
        "rank {} forms group {} {}, another rank {}; start all workers with the same comm.engine, "
        "comm.algorithm, comm.choices and comm.ranks_per_host",
        rank, group, way(terms), way(agreed)));
  }
}

}  // namespace

StoreWorld::StoreWorld(std::shared_ptr<Store> store, Membership me, const CommOptions& options,
                       Deadline deadline)
    : store_(std::move(store)),
      me_(me),
      options_(options),
      topology_(topology_for(options, me.size)),
      choices_(choices_for(options)),
      members_(std::make_shared<Members>(store_, me, options, deadline)),
      registry_(std::make_shared<GroupRegistry>()) {}

StoreWorld::~StoreWorld() { registry_->abort_all(); }

int StoreWorld::local_rank() const {
  const std::vector<int> ranks = members_->ranks_of_host(members_->of(me_.rank).host);
  return static_cast<int>(std::find(ranks.begin(), ranks.end(), me_.rank) - ranks.begin());
}

int StoreWorld::local_size() const {
  return static_cast<int>(members_->ranks_of_host(members_->of(me_.rank).host).size());
}

void StoreWorld::claim_name(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!names_.insert(name).second) {
    throw InvalidInput(
        fmt::format("a group named \"{}\" was formed before in this world; give "
                    "every group a name of its own",
                    name));
  }
}

std::vector<int> StoreWorld::hosts() const {
  std::vector<int> hosts;
  for (int rank = 0; rank < me_.size; ++rank) hosts.push_back(members_->of(rank).host);
  return hosts;
}

Engine StoreWorld::engine_for(const std::vector<int>& ranks) const {
  const auto refuse = [&](std::string_view engine, std::string_view why) {
    throw InvalidInput(
        fmt::format("comm.engine {} cannot serve ranks {}: they {}; choose automatic", engine,
                    fmt::join(ranks, ", "), why));
  };
  if (options_.engine == Engine::memory && !members_->in_one_process()) {
    refuse("memory", "are not threads of one process");
  }
  if (options_.engine == Engine::shm && !members_->on_one_machine(ranks)) {
    refuse("shm", "are not all on one host");
  }
  if (options_.engine != Engine::automatic) return options_.engine;
  if (members_->on_one_host(ranks)) {
    return members_->in_one_process() ? Engine::memory : Engine::shm;
  }
  return some_share_a_host(ranks) ? Engine::hierarchical : Engine::tcp;
}

bool StoreWorld::some_share_a_host(const std::vector<int>& ranks) const {
  std::set<int> hosts;
  for (const int rank : ranks) hosts.insert(members_->of(rank).host);
  return hosts.size() < ranks.size();
}

AlgorithmPolicy StoreWorld::algorithms_for(const std::vector<int>& ranks, Engine engine) const {
  if (options_.algorithm != Algorithm::automatic) return options_.algorithm;
  const bool hierarchical = !members_->on_one_host(ranks) && some_share_a_host(ranks);
  const Algorithm usual = hierarchical ? Algorithm::hierarchical : Algorithm::two_shot;
  // Two networks share a vector by what each takes for a size: one algorithm for all sizes.
  if (!options_.second_interface_address.empty()) return usual;
  return {choices_, engine, static_cast<int>(ranks.size()), usual};
}

NetworkLayout StoreWorld::layout_of(const std::vector<int>& ranks) const {
  NetworkLayout layout;
  if (options_.algorithm == Algorithm::tree && topology_) {
    layout.links = std::make_shared<Topology>(topology_->among(ranks));
  }
  for (const int rank : ranks) layout.hosts.push_back(members_->of(rank).host);
  return layout;
}

bool StoreWorld::has_two_networks(Engine engine) const {
  return !options_.second_interface_address.empty() &&
         (engine == Engine::tcp || engine == Engine::hierarchical);
}

std::string StoreWorld::order_of_sums(const std::vector<int>& ranks) const {
  const Engine engine = engine_for(ranks);
  const NetworkLayout layout = layout_of(ranks);
  const AlgorithmPolicy algorithms = algorithms_for(ranks, engine);
  std::string words = algorithms.text();
  if (algorithms.uses(Algorithm::hierarchical)) {
    words += fmt::format(" on the hosts of ranks {}", fmt::join(layout.hosts, ", "));
  }
  if (layout.links) words += " over\n" + layout.links->text();
  if (has_two_networks(engine)) words += " over two networks, by their rates";
  return words;
}

std::unique_ptr<Group> StoreWorld::form_group(const std::string& name,
                                              const std::vector<int>& ranks, Deadline deadline) {
  const std::string list = fmt::format("{}", fmt::join(ranks, ", "));
  const auto own = std::find(ranks.begin(), ranks.end(), me_.rank);
  if (own == ranks.end() || !std::is_sorted(ranks.begin(), ranks.end()) ||
      std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end() || ranks.front() < 0 ||
      ranks.back() >= me_.size) {
    throw InvalidInput(
        fmt::format("rank {} cannot form group {} of ranks {}: give different ranks "
                    "from 0 to {} in ascending order, its own among them",
                    me_.rank, name, list, me_.size - 1));
  }
  claim_name(name);
  const Engine engine = engine_for(ranks);
  const std::shared_ptr<Store> store = with_prefix(store_, "group/" + name + "/");
  const int rank = static_cast<int>(own - ranks.begin());
  const Forming forming{.name = name,
                        .ranks = ranks,
                        .rank = rank,
                        .store = store,
                        .engine = engine,
                        .members = members_,
                        .registry = registry_,
                        .options = options_,
                        .algorithms = algorithms_for(ranks, engine),
                        .layout = layout_of(ranks)};
  const bool two_networks = has_two_networks(engine);
  // What all have to agree on: the list, and what follows from options.
  std::string terms = list + "\n" +
                      fmt::format("over {} by {} on the hosts of ranks {}\n", name_of(engine),
                                  forming.algorithms.text(), fmt::join(forming.layout.hosts, ", "));
  if (forming.layout.links) terms += forming.layout.links->text();
  if (two_networks) terms += "and a second network\n";
  const auto forms = forms_group(forming, two_networks);
  store->set(fmt::format("offer/{}", rank), forms->offer(deadline), deadline);
  // The last to come opens the way for all.
  if (store->add("arrived", 1, deadline) == static_cast<std::int64_t>(ranks.size())) {
    store->set("ranks", terms, deadline);
  }
  const std::string agreed = members_->await(
      {"group/" + name + "/ranks", "group/" + name + "/offer/", "forming group " + name}, ranks,
      deadline);
  check_agreement(me_.rank, name, terms, agreed);
  return forms->finish(deadline);
}

std::vector<int> all_ranks(int size) {
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

std::unique_ptr<World> join_world(std::shared_ptr<Store> store, Membership me,
                                  const CommOptions& options, Deadline deadline) {
  require_none(options.problems());
  // The packed form of a call has twelve bits for a rank.
  if (me.size < 1 || me.size > 4096 || me.rank < 0 || me.rank >= me.size) {
    throw InvalidInput(
        fmt::format("rank {} of a world of {} is not possible; ranks go from 0 to "
                    "size - 1, and a world has at most 4096",
                    me.rank, me.size));
  }
  return std::make_unique<StoreWorld>(std::move(store), me, options, deadline);
}

}  // namespace shoal
