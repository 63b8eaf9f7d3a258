#include "shoal/comm/mpi_process.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "shoal/core/error.h"
#include "shoal/core/module_file.h"

namespace shoal {
namespace {

using std::chrono::seconds;
constexpr seconds kLongestEnd{60};   // for the others to come to MPI_Finalize
constexpr seconds kLastMessages{2};  // for what others have sent to arrive

std::string_view full_name(Mpi which) { return which == Mpi::open_mpi ? "Open MPI" : "MPICH"; }

std::string_view header_package(Mpi which) {
  return which == Mpi::open_mpi ? "libopenmpi-dev" : "libmpich-dev";
}

// Makes the two calls that wait for others, in one thread, as MPI wants it: so whoever is waiting
// for them can give up.
class StartAndEnd {
 public:
  explicit StartAndEnd(std::shared_ptr<MpiCalls> calls) : calls_(std::move(calls)) {}

  // Why MPI cannot be used, empty when it can; nothing when it has not come back by then.
  static std::optional<std::string> start(const std::shared_ptr<StartAndEnd>& self,
                                          Deadline deadline) {
    std::thread([self] { self->run(); }).detach();
    if (!self->reaches(State::started, deadline)) return std::nullopt;
    return self->problem_;
  }
  bool end(Deadline deadline) {
    {
      const std::lock_guard lock(mutex_);
      end_is_wanted_ = true;
    }
    changed_.notify_all();
    return reaches(State::ended, deadline);
  }

 private:
  enum class State : std::uint8_t { starting, started, ended };
  void run() {
    const std::string problem = calls_->start();
    std::unique_lock lock(mutex_);
    problem_ = problem;
    state_ = State::started;
    changed_.notify_all();
    changed_.wait(lock, [&] { return end_is_wanted_; });
    lock.unlock();
    calls_->end();
    lock.lock();
    state_ = State::ended;
    changed_.notify_all();
  }
  bool reaches(State state, Deadline deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, deadline.left(), [&] { return state_ >= state; });
  }

  const std::shared_ptr<MpiCalls> calls_;  // shared with the process
  std::mutex mutex_;                       // guards everything below
  std::condition_variable changed_;
  State state_ = State::starting;
  bool end_is_wanted_ = false;
  std::string problem_;
};

std::shared_ptr<MpiProcess> started(Mpi which, Deadline deadline) {
  const std::shared_ptr<MpiCalls> calls = load_mpi(which);
  const auto way = std::make_shared<StartAndEnd>(calls);
  const std::optional<std::string> problem = StartAndEnd::start(way, deadline);
  if (!problem) {
    throw TimedOut(fmt::format("MPI_Init did not return within {} ms: not all processes that the "
                               "launcher of {} started have called it",
                               deadline.waited().count(), full_name(which)),
                   {});
  }
  if (!problem->empty()) {
    throw InvalidInput(fmt::format("{} cannot be used: {}", full_name(which), *problem));
  }
  return std::make_shared<MpiProcess>(calls, [way](Deadline until) { return way->end(until); });
}

struct OfThisProcess {
  std::mutex mutex;
  std::shared_ptr<MpiProcess> process;
  Mpi which = Mpi::automatic;
};

// Never destroyed: MPI ends it at exit.
OfThisProcess& of_this_process() {
  static auto* const one = new OfThisProcess;
  return *one;
}

}  // namespace

std::filesystem::path mpi_file(Mpi which, std::string_view kind) {
  const std::string name =
      fmt::format("shoal_mpi_{}_{}{}", kind, name_of(which), kind == "module" ? ".so" : "");
  if (const auto file = find_module_file(name)) return *file;
  throw InvalidInput(fmt::format(
      "{} cannot be used: {} is neither beside this program nor in {}; build shoal where the "
      "headers of {} are installed ({} on Debian)",
      full_name(which), name, installed_modules(), full_name(which), header_package(which)));
}

std::shared_ptr<MpiCalls> load_mpi(Mpi which) {
  if (which == Mpi::automatic) {
    throw InvalidInput(
        "comm.engine mpi needs workers that an MPI started: begin the command with mpirun -n 4, or "
        "say by comm.mpi whose launcher it was");
  }
  const std::filesystem::path file = mpi_file(which, "module");
  void* const module = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw InvalidInput(fmt::format("{} cannot be used: {}", full_name(which), dlerror()));
  }
  const auto entry = reinterpret_cast<MpiModuleEntry>(dlsym(module, kMpiModuleEntry));
  MpiCalls* const calls = entry == nullptr ? nullptr : entry(MpiCalls::kVersion);
  if (calls == nullptr) {
    throw InvalidInput(
        fmt::format("{} cannot be used: {} belongs to another version of shoal; "
                    "install them together",
                    full_name(which), file.string()));
  }
  return std::shared_ptr<MpiCalls>(calls);
}

std::shared_ptr<MpiProcess> MpiProcess::of_launcher(Mpi which, Deadline deadline) {
  OfThisProcess& own = of_this_process();
  const std::lock_guard lock(own.mutex);
  if (!own.process) {
    own.process = started(which, deadline);
    own.which = which;
    std::atexit([] { of_this_process().process->end(); });
  } else if (own.which != which) {
    throw InvalidInput(
        fmt::format("comm.mpi {}: this process uses {} already; a process can have "
                    "only one MPI",
                    name_of(which), name_of(own.which)));
  }
  return own.process;
}

int MpiProcess::new_tags(int count) {
  const int next = tags_.fetch_add(1);
  const std::int64_t first =
      (static_cast<std::int64_t>(next) * calls_->size() + calls_->rank()) * count;
  if (first + count - 1 > calls_->largest_tag()) {
    throw Error(fmt::format("rank {} of MPI has formed {} groups, and no tags are left for another",
                            calls_->rank(), next));
  }
  return static_cast<int>(first);
}

bool MpiProcess::all_free(bool is_last_time) {
  std::erase_if(kept_, [&](const IsFree& is_free) { return is_free(is_last_time); });
  return kept_.empty();
}

void MpiProcess::keep(IsFree is_free) {
  const std::lock_guard lock(mutex_);
  all_free(false);
  if (!is_free(false)) kept_.push_back(std::move(is_free));
}

void MpiProcess::end() {
  {
    const std::lock_guard lock(mutex_);
    const Deadline soon = Deadline::after(kLastMessages);
    while (may_end_ && !all_free(false) && !soon.passed()) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    if (!may_end_ || !all_free(true)) return;
  }
  const Deadline deadline = Deadline::after(kLongestEnd);
  if (end_(deadline)) return;
  std::cerr << fmt::format(
                   "error: rank {} of MPI has ended its part, but after {} s others have not; this "
                   "process ends without MPI_Finalize",
                   calls_->rank(), kLongestEnd.count())
            << std::endl;
  _exit(1);
}

}  // namespace shoal
