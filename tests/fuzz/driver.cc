// Runs a fuzz target without libFuzzer: mutates its seeds, the same way each time.
//
//   fuzz_X [--iterations N | --seconds S] [--seed K] [--first I]
//
// Input I of seed K is a function of the two: after a crash the driver says both, and
// `--seed K --first I --iterations 1` shows it again.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <random>
#include <string>

#include "tests/fuzz/target.h"

#if defined(__SANITIZE_ADDRESS__)
// A refusal that comes after gigabytes were taken is none.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1:max_allocation_size_mb=256:detect_leaks=1";
}
#endif

namespace {

using Random = std::mt19937_64;

struct Arguments {
  long iterations = 20'000;
  long seconds = 0;  // above 0: in place of iterations
  long seed = 1;
  long first = 0;
};

long current_seed = 0;
volatile long current_input = 0;

extern "C" void say_where(int signal_number) {
  std::array<char, 128> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "fuzz: show it again with --seed %ld --first %ld --iterations 1\n",
      current_seed, current_input);
  [[maybe_unused]] const auto written =
      write(STDERR_FILENO, text.data(), static_cast<std::size_t>(length));
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

std::size_t below(Random& random, std::size_t bound) { return bound == 0 ? 0 : random() % bound; }

// Numbers at which lengths and types go wrong, in either byte order and in text.
std::string interesting(Random& random) {
  constexpr std::array<std::uint64_t, 12> kNumbers = {
      0,      1,          0x7F,       0x80,        0xFF,       0x7FFF,
      0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x100000000, 1ULL << 62, ~0ULL};
  const std::uint64_t number = kNumbers[below(random, kNumbers.size())];
  if (random() % 4 == 0) return std::to_string(number);
  const std::size_t width = std::size_t{1} << below(random, 4);
  const bool big = random() % 2 == 0;
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) {
    bytes += static_cast<char>(number >> (8 * (big ? width - 1 - i : i)) & 0xFF);
  }
  return bytes;
}

void mutate(std::string& input, Random& random) {
  const std::size_t at = below(random, input.size() + 1);
  const std::size_t length = 1 + below(random, std::min<std::size_t>(64, input.size() + 1));
  switch (random() % 7) {
    case 0:
      if (!input.empty()) {
        char& byte = input[below(random, input.size())];
        byte = static_cast<char>(byte ^ 1 << random() % 8);
      }
      break;
    case 1:
      if (!input.empty()) input[below(random, input.size())] = static_cast<char>(random());
      break;
    case 2: {
      const std::string bytes = interesting(random);
      input.replace(std::min(at, input.size()), bytes.size(), bytes);
      break;
    }
    case 3:
      input.insert(at, interesting(random));
      break;
    case 4:
      input.erase(std::min(at, input.size()), length);
      break;
    case 5:
      input.insert(at, input.substr(below(random, input.size() + 1), length));
      break;
    default:
      if (random() % 4 == 0) input.resize(at);
      break;
  }
}

std::string input_of(const std::vector<std::string>& seeds, long seed, long number) {
  std::seed_seq mixed{seed, number & 0xFFFFFFFF, number >> 32};
  Random random(mixed);
  std::string input = seeds[below(random, seeds.size())];
  // Mostly one change: more of them seldom pass the first check.
  for (std::size_t changes = 1 + below(random, 1 + below(random, 8)); changes > 0; --changes) {
    mutate(input, random);
  }
  return input;
}

bool read_arguments(int count, char** words, Arguments& arguments) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view key = words[i];
    long* const field = key == "--iterations" ? &arguments.iterations
                        : key == "--seconds"  ? &arguments.seconds
                        : key == "--seed"     ? &arguments.seed
                        : key == "--first"    ? &arguments.first
                                              : nullptr;
    const char* const end = words[i + 1] + std::strlen(words[i + 1]);
    if (field == nullptr || std::from_chars(words[i + 1], end, *field).ptr != end) return false;
  }
  return count % 2 == 1;
}

void limit_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr rlim_t kMostBytes = rlim_t{2} << 30;
  const rlimit limit{kMostBytes, kMostBytes};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

void run(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const std::vector<std::string> seeds = fuzz_seeds();
  for (const std::string& seed : seeds) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
  }
  const auto end = Clock::now() + std::chrono::seconds(arguments.seconds);
  long done = 0;
  for (long i = arguments.first;; ++i, ++done) {
    if (arguments.seconds > 0 ? Clock::now() >= end : done == arguments.iterations) break;
    current_input = i;
    const std::string input = input_of(seeds, arguments.seed, i);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  }
  std::printf("fuzz: %ld inputs from %zu seeds\n", done, seeds.size());
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments;
  if (!read_arguments(count, words, arguments)) {
    std::fprintf(stderr, "usage: %s [--iterations N | --seconds S] [--seed K] [--first I]\n",
                 words[0]);
    return 2;
  }
  current_seed = arguments.seed;
  for (const int signal_number : {SIGABRT, SIGSEGV, SIGFPE}) signal(signal_number, say_where);
  limit_memory();
  run(arguments);  // what escapes ends in std::terminate, and so in say_where
  return 0;
}
