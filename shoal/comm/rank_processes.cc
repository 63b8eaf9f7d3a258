#include "shoal/comm/rank_processes.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "shoal/comm/socket.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

static_assert(std::is_trivially_copyable_v<Measured>, "it goes through a pipe");

// The end of the pipe that rank 0 writes to closes when the last rank ends.
struct Pipe {
  Pipe() {
    if (pipe(ends) != 0) throw Error(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
  int ends[2] = {-1, -1};
};

// Those that still run are killed in the end.
class Processes {
 public:
  Processes() = default;
  ~Processes() {
    for (const pid_t process : running_) {
      if (process == 0) continue;
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void start(const std::function<void()>& body) {
    const pid_t parent = getpid();
    const pid_t process = fork();
    if (process < 0) throw Error(fmt::format("cannot fork: {}", std::strerror(errno)));
    if (process == 0) {
      // A rank does not outlive whoever measures; it may have gone before this line.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) body();
      // Not exit(): what the parent has buffered is the parent's to write.
      _exit(0);
    }
    running_.push_back(process);
  }

  // Looks once for ranks that were killed; true while some still run.
  bool look(MeasureBoard& board) {
    bool some = false;
    for (std::size_t rank = 0; rank < running_.size(); ++rank) {
      if (running_[rank] == 0) continue;
      int status = 0;
      if (waitpid(running_[rank], &status, WNOHANG) == 0) {
        some = true;
        continue;
      }
      running_[rank] = 0;
      if (!WIFSIGNALED(status)) continue;
      const Error killed(fmt::format("rank {} was ended by signal {} ({})", rank, WTERMSIG(status),
                                     strsignal(WTERMSIG(status))));
      board.fail(static_cast<int>(rank), std::make_exception_ptr(killed));
    }
    return some;
  }

 private:
  std::vector<pid_t> running_;  // by rank; 0: has ended
};

void be_rank(Membership me, const CommOptions& options, const std::string& secret,
             MeasureBoard& board, const std::function<void(World&, const Tell&)>& body,
             int results) {
  try {
    const Deadline join = Deadline::after_seconds(options.join_seconds);
    const auto store = connect_store("127.0.0.1", board.port(join), secret, join);
    const auto world = join_world(store, me, options, join);
    body(*world, [&](const Measured& measured) {
      if (write(results, &measured, sizeof measured) != sizeof measured) {
        throw Error("the command that measures is gone");
      }
    });
  } catch (...) {
    board.fail(me.rank, std::current_exception());
  }
}

// Hands on what rank 0 tells until all ranks have closed the pipe. Wakes up rarely: the ranks need
// the cores.
void hear(int results, Processes& processes, MeasureBoard& board, const Tell& on_size) {
  constexpr int kLookMilliseconds = 200;
  for (;;) {
    pollfd readable{results, POLLIN, 0};
    if (poll(&readable, 1, kLookMilliseconds) > 0) {
      Measured measured;
      const ssize_t got = read(results, &measured, sizeof measured);
      if (got == 0) return;
      if (got == sizeof measured) on_size(measured);
    }
    processes.look(board);
  }
}

}  // namespace

void run_rank_processes(int size, const CommOptions& options, MeasureBoard& board,
                        const std::function<void(World&, const Tell&)>& body, const Tell& on_size) {
  const std::string secret = random_name() + random_name();
  Pipe results;
  {
    Processes processes;
    for (int rank = 0; rank < size; ++rank) {
      processes.start([&] {
        results.close_end(0);
        be_rank({rank, size}, options, secret, board, body, results.ends[1]);
      });
    }
    results.close_end(1);
    // Only now: its threads would not survive a fork.
    const auto server = serve_store("127.0.0.1", 0, secret);
    board.tell_port(server->port());
    hear(results.ends[0], processes, board, on_size);
    while (processes.look(board)) usleep(1000);
  }
  board.rethrow_first();
}

}  // namespace shoal
