#include "shoal/comm/members.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "shoal/comm/failure.h"
#include "shoal/comm/in_process.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

std::string member_key(int rank) { return fmt::format("member/{}", rank); }
std::string machine_key(int rank) { return fmt::format("machine/{}", rank); }
std::string gone_key(int rank) { return fmt::format("gone/{}", rank); }

std::string space_of_process_ids() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  struct stat status {};
  stat("/proc/self/ns/pid", &status);
  return fmt::format("{}:{}", boot, status.st_ino);
}

// Words and numbers between spaces; the cores come last.
std::string written(const Member& member) {
  return fmt::format("{} {} {} {}", member.process, member.process_space, member.door,
                     fmt::join(member.cores, " "));
}

Member read_member(const std::string& text, int rank) {
  std::istringstream in(text);
  Member member;
  in >> member.process >> member.process_space >> member.door;
  if (!in) {
    throw InvalidInput(
        fmt::format("rank {} describes itself in the store as \"{}\", which this "
                    "build does not understand; run one build everywhere",
                    rank, text));
  }
  for (int core = 0; in >> core;) member.cores.push_back(core);
  return member;
}

}  // namespace

Members::Members(std::shared_ptr<Store> store, Membership me, const CommOptions& options,
                 Deadline deadline)
    : store_(std::move(store)),
      me_(me),
      death_seconds_(options.death_seconds),
      members_(static_cast<std::size_t>(me.size)),
      life_(static_cast<std::size_t>(me.size)),
      in_one_process_(dynamic_cast<InProcess*>(store_.get()) != nullptr) {
  announce(deadline);
  meet(deadline);
  tell_hosts(options.ranks_per_host);
}

Members::~Members() {
  // So that nobody waits for us in vain. The store may be gone already: then nobody asks it either.
  try {
    const Deadline soon = Deadline::after(std::chrono::seconds(1));
    store_->set(gone_key(me_.rank), "left", soon);
    store_->set_when_gone(gone_key(me_.rank), "", soon);
  } catch (const Error&) {
  }
}

void Members::announce(Deadline deadline) {
  if (store_->add(fmt::format("claim/{}", me_.rank), 1, deadline) != 1) {
    throw InvalidInput(
        fmt::format("two workers say that they are rank {} of {}; start each with a "
                    "rank of its own",
                    me_.rank, me_.size));
  }
  store_->set_when_gone(gone_key(me_.rank), "died", deadline);
  Member& own = members_[me_.rank];
  own.process = getpid();
  own.process_space = space_of_process_ids();
  own.cores = allowed_cores();
  own.door = "-";
  if (!in_one_process_) {
    own.door = "shoal-" + random_name();
    door_ = listen_local(own.door);
  }
  store_->set(member_key(me_.rank), written(own), deadline);
}

void Members::meet(Deadline deadline) {
  const std::vector<int> ranks = all_ranks(me_.size);
  for (int rank = 0; rank < me_.size; ++rank) {
    if (rank == me_.rank) continue;
    members_[rank] =
        read_member(await({member_key(rank), "member/", "the world"}, ranks, deadline), rank);
    if (!in_one_process_ && members_[rank].process_space == members_[me_.rank].process_space &&
        members_[rank].process != members_[me_.rank].process) {
      life_[rank] = open_process(members_[rank].process);
    }
  }
  if (!in_one_process_) find_machines(deadline);
}

// A machine is named after its lowest rank. Each worker looks for the first such rank below its own
// whose door it can open; a name of 128 random bits that answers cannot be on another machine.
void Members::find_machines(Deadline deadline) {
  const std::vector<int> ranks = all_ranks(me_.size);
  const auto machine_of = [&](int rank) {
    return std::stoi(await({machine_key(rank), "machine/", "the world"}, ranks, deadline));
  };
  Member& own = members_[me_.rank];
  own.machine = me_.rank;
  for (int rank = 0; rank < me_.rank && own.machine == me_.rank; ++rank) {
    if (members_[rank].process_space != own.process_space || machine_of(rank) != rank) continue;
    const Socket door = connect_local(members_[rank].door);
    if (door && local_peer(door).user == static_cast<std::int64_t>(getuid())) own.machine = rank;
  }
  store_->set(machine_key(me_.rank), std::to_string(own.machine), deadline);
  for (int rank = 0; rank < me_.size; ++rank) {
    if (rank != me_.rank) members_[rank].machine = machine_of(rank);
  }
}

void Members::tell_hosts(int ranks_per_host) {
  std::map<std::pair<int, int>, int> first;  // by machine and part
  for (int rank = 0; rank < me_.size; ++rank) {
    const int part = ranks_per_host == 0 ? 0 : rank / ranks_per_host;
    members_[rank].host = first.try_emplace({members_[rank].machine, part}, rank).first->second;
  }
}

bool Members::alike(const std::vector<int>& ranks, int Member::*what) const {
  return std::all_of(ranks.begin(), ranks.end(),
                     [&](int rank) { return members_[rank].*what == members_[ranks[0]].*what; });
}

std::vector<int> Members::ranks_of_host(int host) const {
  std::vector<int> ranks = all_ranks(me_.size);
  std::erase_if(ranks, [&](int rank) { return members_[rank].host != host; });
  return ranks;
}

Patience Members::patience() const {
  std::set<int> cores;
  int workers = 0;
  for (const Member& member : members_) {
    if (member.machine != members_[me_.rank].machine) continue;
    cores.insert(member.cores.begin(), member.cores.end());
    ++workers;
  }
  return Patience::of(workers, static_cast<int>(cores.size()));
}

std::vector<int> Members::dead(const std::vector<int>& ranks) const {
  std::vector<int> places;
  for (std::size_t place = 0; place < ranks.size(); ++place) {
    if (has_ended(life_[ranks[place]])) places.push_back(static_cast<int>(place));
  }
  return places;
}

void Members::check_alive(const std::vector<int>& ranks, const std::string& what) const {
  Gone gone = gone_of(ranks);
  if (gone.died.empty() && !gone.left.empty()) {
    // One that found out about a death has left at once: the death may be just coming to us.
    std::this_thread::sleep_for(slice() / 2);
    gone = gone_of(ranks);
  }
  const std::vector<int>& lost = gone.died.empty() ? gone.left : gone.died;
  if (lost.empty()) return;
  throw PeerLost(
      fmt::format("{} {} {} while the others wait for {}", rank_list(lost),
                  lost.size() == 1 ? "has" : "have", gone.died.empty() ? "left" : "died", what),
      lost);
}

Members::Gone Members::gone_of(const std::vector<int>& ranks) const {
  const std::vector<int> ended = dead(ranks);
  Gone gone;
  for (int place = 0; place < static_cast<int>(ranks.size()); ++place) {
    if (ranks[place] == me_.rank) continue;
    const auto word = store_->look(gone_key(ranks[place]), Deadline::after(slice() * 4));
    if (word == "left") {
      gone.left.push_back(place);
    } else if ((word && !word->empty()) ||
               std::find(ended.begin(), ended.end(), place) != ended.end()) {
      gone.died.push_back(place);
    }
  }
  return gone;
}

// A quarter of the time within which a death has to be noticed.
std::chrono::milliseconds Members::slice() const {
  const auto quarter = static_cast<std::int64_t>(death_seconds_ * 250);
  return std::chrono::milliseconds(std::clamp<std::int64_t>(quarter, 10, 1000));
}

std::string Members::await(const Awaited& awaited, const std::vector<int>& ranks,
                           Deadline deadline) const {
  for (;;) {
    try {
      return store_->get(awaited.key, Deadline::after(std::min(slice(), deadline.left())));
    } catch (const TimedOut&) {
      // Nothing yet: look around.
    }
    if (deadline.passed()) break;
    check_alive(ranks, awaited.what);
  }
  std::vector<int> absent;
  std::vector<int> present;
  for (int place = 0; place < static_cast<int>(ranks.size()); ++place) {
    const bool there =
        ranks[place] == me_.rank ||
        store_->look(awaited.key_of_rank + std::to_string(place), Deadline::after(slice() * 4));
    (there ? present : absent).push_back(place);
  }
  // The last came just as time was up.
  if (absent.empty()) return store_->get(awaited.key, Deadline::after(slice() * 4));
  throw TimedOut(fmt::format("{} {} not joined {}; {} {} waited {:.3g} s", rank_list(absent),
                             absent.size() == 1 ? "has" : "have", awaited.what, rank_list(present),
                             present.size() == 1 ? "has" : "have",
                             static_cast<double>(deadline.waited().count()) / 1000),
                 absent);
}

}  // namespace shoal
