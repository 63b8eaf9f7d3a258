// Ranks as processes, one of which is killed or stopped at a random moment: the others name it in
// time, nothing stays behind, and the next job works.
//
// SHOAL_KILLS=200 tries that many, SHOAL_KILL_SEED is the first of their seeds, and
// SHOAL_KILL_LIMIT_MS how long after the kill a survivor may take to report it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <new>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/test_processes.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kMostRanks = 4;
constexpr milliseconds kSilence{1000};  // the deadline of those who wait for a rank that is stopped

std::int64_t now_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Blow {
  std::uint64_t seed = 0;
  Engine engine = Engine::shm;
  Algorithm algorithm = Algorithm::two_shot;
  int size = 2;
  int victim = 0;
  bool stops = false;    // the victim is silent instead of dead
  bool forming = false;  // while the group is formed
  std::chrono::microseconds moment{0};
  std::size_t elements = 1;

  std::string_view kind() const {
    return stops ? "stopped" : forming ? "killed while forming" : "killed";
  }
  std::string text() const {
    return fmt::format("seed {}: {} ranks, {}, {}, {} x float32, rank {} {} {} us after {}", seed,
                       size, name_of(engine), name_of(algorithm), elements, victim,
                       stops ? "stopped" : "killed", moment.count(),
                       forming ? "all joined" : "the group was formed");
  }
};

Blow blow_of(std::uint64_t seed) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) { return mixed(seed, ++drawn) % below; };
  Blow one;
  one.seed = seed;
  constexpr Engine kTried[] = {Engine::shm, Engine::tcp, Engine::hierarchical};
  one.engine = kTried[seed % std::size(kTried)];
  one.algorithm = kAlgorithms[draw(std::size(kAlgorithms))];
  one.size = 2 + static_cast<int>(draw(kMostRanks - 1));
  one.victim = static_cast<int>(draw(one.size));
  one.stops = draw(8) == 0;
  one.forming = !one.stops && draw(4) == 0;
  one.moment = std::chrono::microseconds(draw(one.forming ? 3000 : 60000));
  constexpr std::size_t kElements[] = {1, 500, 20000, 600000};
  one.elements = kElements[draw(std::size(kElements))];
  return one;
}

// What the processes of one round tell each other.
struct Board {
  std::atomic<int> joined{0};
  std::atomic<int> formed{0};
  std::atomic<std::int64_t> heard_ms[kMostRanks] = {};
  char said[kMostRanks][300] = {};
};

class SharedBoard {
 public:
  SharedBoard()
      : memory_(mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0)),
        board_(new (memory_) Board) {}
  ~SharedBoard() { munmap(memory_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* operator->() const { return board_; }
  Board* get() const { return board_; }

 private:
  void* memory_;
  Board* board_;
};

// The calls of one rank until one fails. Throws Error when a result is wrong.
void work_for_ever(const Blow& blow, Group& group) {
  const auto deadline = [&] { return blow.stops ? Deadline::after(kSilence) : soon(); };
  const int next = (blow.size + group.rank() + 1) % blow.size;
  const int before = (blow.size + group.rank() - 1) % blow.size;
  const auto right = [](bool is) {
    if (!is) throw Error("a wrong result");
  };
  for (std::uint64_t call = 0;; ++call) {
    std::vector<float> values(blow.elements, static_cast<float>(group.rank()));
    const Buffer all = buffer(std::span(values));
    const auto all_are = [&](int value) {
      return std::all_of(values.begin(), values.end(),
                         [&](float one) { return one == static_cast<float>(value); });
    };
    switch (mixed(blow.seed, call) % 5) {
      case 0:
      case 1:
        group.all_reduce({&all, 1}, ReduceOp::sum, deadline());
        right(all_are(blow.size * (blow.size - 1) / 2));
        break;
      case 2:
        group.broadcast(all, static_cast<int>(call % blow.size), deadline());
        right(all_are(static_cast<int>(call % blow.size)));
        break;
      case 3: {
        std::vector<float> gathered(blow.elements * static_cast<std::size_t>(blow.size));
        group.all_gather(all, buffer(std::span(gathered)), deadline());
        for (std::size_t i = 0; i < gathered.size(); ++i) {
          const std::size_t rank = i / blow.elements;
          right(gathered[i] == static_cast<float>(rank));
        }
        break;
      }
      default:
        group.send(all, next, deadline());
        group.receive(all, before, deadline());
        right(all_are(before));
    }
  }
}

enum Code : int { named_rightly = 42, named_wrongly = 43, other = 44 };

int judged(const Blow& blow, const std::vector<int>& named) {
  return named == std::vector<int>{blow.victim} ? named_rightly : named_wrongly;
}

int be_rank(const Blow& blow, int rank, const StoreProcess& served, Board& board) {
  const Watchdog watchdog(fmt::format("rank {} of {}", rank, blow.text()));
  const CommOptions options = options_of(blow.engine, blow.algorithm, blow.size);
  int code = other;
  std::string said;
  try {
    const auto store = with_prefix(served.connect(), fmt::format("{}/", blow.seed));
    const auto world = join_world(store, {.rank = rank, .size = blow.size}, options, soon());
    ++board.joined;
    const auto group = world->form_group("all", all_ranks(blow.size), soon());
    ++board.formed;
    work_for_ever(blow, *group);
  } catch (const PeerLost& error) {
    board.heard_ms[rank] = now_ms();
    code = judged(blow, error.lost);
    said = error.what();
  } catch (const TimedOut& error) {
    board.heard_ms[rank] = now_ms();
    code = blow.stops ? judged(blow, error.missing) : other;
    said = error.what();
  } catch (const std::exception& error) {
    said = error.what();
  }
  said.copy(board.said[rank], sizeof board.said[rank] - 1);
  return code;
}

std::vector<std::string> doors_of_ours() {
  std::vector<std::string> doors;
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (line.find("@shoal-") != std::string::npos) doors.push_back(line);
  }
  return doors;
}

class KilledRanks : public testing::Test {
 protected:
  // How long the survivors took, in milliseconds.
  std::vector<std::int64_t> strike(const Blow& blow) {
    const SharedBoard board;
    std::vector<pid_t> ranks;
    for (int rank = 0; rank < blow.size; ++rank) {
      ranks.push_back(
          processes_.start([&, rank] { return be_rank(blow, rank, store_, *board.get()); }));
    }
    const Deadline start = soon();
    const auto& awaited = blow.forming ? board->joined : board->formed;
    while (awaited.load() < blow.size && !start.passed()) usleep(200);
    usleep(static_cast<useconds_t>(blow.moment.count()));
    const std::int64_t struck = now_ms();
    kill(ranks[blow.victim], blow.stops ? SIGSTOP : SIGKILL);
    std::vector<std::int64_t> took;
    for (int rank = 0; rank < blow.size; ++rank) {
      if (rank == blow.victim) continue;
      EXPECT_EQ(processes_.end_of(ranks[rank]), named_rightly)
          << blow.text() << ": rank " << rank << " says: " << board->said[rank];
      took.push_back(board->heard_ms[rank] - struck);
    }
    if (blow.stops) kill(ranks[blow.victim], SIGKILL);
    EXPECT_EQ(processes_.end_of(ranks[blow.victim]), -SIGKILL) << blow.text();
    return took;
  }

  Processes processes_;
  const StoreProcess store_{processes_};
};

TEST_F(KilledRanks, AreNamedInTimeAndLeaveNothingBehind) {
  const std::uint64_t blows = number_from("SHOAL_KILLS", 12);
  const std::uint64_t first = number_from("SHOAL_KILL_SEED", 1);
  const auto limit = static_cast<std::int64_t>(number_from("SHOAL_KILL_LIMIT_MS", 10000));
  const std::vector<std::string> before = files_in("/dev/shm");
  const std::size_t open = files_in("/proc/self/fd").size();
  struct Tally {
    int jobs = 0;
    std::vector<std::int64_t> times;
  };
  std::map<std::string, Tally> tallies;
  for (std::uint64_t seed = first; seed < first + blows; ++seed) {
    const Blow blow = blow_of(seed);
    Tally& tally = tallies[fmt::format("{}, {}", name_of(blow.engine), blow.kind())];
    ++tally.jobs;
    const std::int64_t most = limit + (blow.stops ? kSilence.count() : 0);
    for (const std::int64_t took : strike(blow)) {
      EXPECT_LE(took, most) << blow.text();
      tally.times.push_back(took);
    }
    EXPECT_EQ(files_in("/dev/shm"), before) << blow.text();
    EXPECT_EQ(files_in("/proc/self/fd").size(), open) << blow.text();
  }
  // Other tests may run beside this one: their doors are others each time.
  std::vector<std::string> doors = doors_of_ours();
  for (int look = 0; look < 50 && !doors.empty(); ++look) {
    usleep(100000);
    const std::vector<std::string> now = doors_of_ours();
    std::erase_if(doors, [&](const std::string& door) {
      return std::find(now.begin(), now.end(), door) == now.end();
    });
  }
  EXPECT_TRUE(doors.empty()) << doors.front();
  for (auto& [name, tally] : tallies) {
    std::vector<std::int64_t>& times = tally.times;
    std::sort(times.begin(), times.end());
    fmt::print(
        "{:<35} {:>3} jobs, {:>3} survivors, told after {} ms in the median, {} ms at most\n",
        name + ":", tally.jobs, times.size(), times[times.size() / 2], times.back());
  }
}

}  // namespace
}  // namespace shoal::test
