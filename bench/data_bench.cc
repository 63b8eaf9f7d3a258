// How fast pictures and tables come from their files; bench/data.py sets PyTorch and Arrow beside.
//
//   data_bench                          loop and loader in turn, over 400 pictures that it makes
//   data_bench write FOLDER COUNT SIDE  makes COUNT smooth JPEG pictures in 4 classes
//   data_bench loop FOLDER THREADS      reads and decodes each picture, and does no more with it
//   data_bench floor FOLDER THREADS     and then fills as much memory as its floats take in a batch
//   data_bench loader FOLDER THREADS    shoal: the same pictures as normalised float32, in batches
//   data_bench table SMALL FILE         shoal: a table, from opening it to the last of its batches;
//                                       SMALL is one to load Arrow with
//   data_bench rows ROWS COLUMNS        no file: doubles of columns to float32 of rows, those to
//                                       batches, which is what shoal does after Arrow has read
//
// `loop`, `floor` and `loader` go over the files once, then again for a second or more. All print
// JSON: samples a second on the clock, and a second of a core. FOLDER holds a folder for each
// class.
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
// After stdio.h, which it needs but does not include.
#include <jpeglib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "shoal/data/image_folder.h"
#include "shoal/data/loader.h"
#include "shoal/data/open_data.h"
#include "shoal/data/sampler.h"

namespace {

constexpr std::int64_t kBatch = 64;
constexpr int kQuality = 90;

struct Rate {
  double per_second = 0;
  double per_core_second = 0;  // of all threads: on a busy machine, what it would be on a quiet one
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// `work` returns how many samples it took.
Rate measured(const std::function<std::int64_t()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = cpu_seconds();
  const auto count = static_cast<double>(work());
  const double cpu = cpu_seconds() - cpu_start;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {.per_second = count / seconds, .per_core_second = count / cpu};
}

// Once to warm up, then for a second or more.
Rate rate_of(std::int64_t samples, const std::function<void()>& work) {
  work();
  return measured([&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    std::int64_t count = 0;
    while (std::chrono::steady_clock::now() < end) {
      work();
      count += samples;
    }
    return count;
  });
}

void print(const Rate& rate) {
  fmt::print("{{\"samples_per_second\": {:.1f}, \"per_core_second\": {:.1f}}}\n", rate.per_second,
             rate.per_core_second);
}

// --- pictures ------------------------------------------------------------------------------------

// A few waves in each colour and a little noise: as compressible as a photograph.
std::vector<std::uint8_t> smooth_picture(int side, std::uint64_t seed) {
  constexpr int kWaves = 6;
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> waves(static_cast<std::size_t>(3 * kWaves * 4));
  for (double& value : waves) value = uniform(random);
  std::vector<std::uint8_t> bytes;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      for (int c = 0; c < 3; ++c) {
        double value = 128 + 16 * (uniform(random) - 0.5);
        for (int w = 0; w < kWaves; ++w) {
          const double* const wave = waves.data() + static_cast<std::ptrdiff_t>(c * kWaves + w) * 4;
          const double place = (wave[0] * 20 * x + wave[1] * 20 * y) / side;
          value += 40 * wave[2] * std::sin(place + 6 * wave[3]);
        }
        bytes.push_back(static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0)));
      }
    }
  }
  return bytes;
}

std::string jpeg_of(const std::vector<std::uint8_t>& rgb, int side) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = jpeg.image_height = static_cast<JDIMENSION>(side);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, kQuality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(rgb.data()) +
                static_cast<std::size_t>(jpeg.next_scanline) * static_cast<std::size_t>(side) * 3;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(memory), size);
  free(memory);
  return file;
}

void write_pictures(const std::filesystem::path& folder, int count, int side) {
  constexpr int kClasses = 4;
  for (int i = 0; i < count; ++i) {
    const auto of_class = folder / fmt::format("class{}", i % kClasses);
    std::filesystem::create_directories(of_class);
    const auto picture = smooth_picture(side, static_cast<std::uint64_t>(i));
    const std::string content = jpeg_of(picture, side);
    const auto path = of_class / fmt::format("{:06}.jpg", i);
    std::ofstream file(path, std::ios::binary);
    file << content;
    if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  }
}

// As the simplest program would do it, but for memory that is used again: libjpeg's example.
class PlainDecoder {
 public:
  PlainDecoder() {
    jpeg_.err = jpeg_std_error(&errors_);  // ends the program at a damaged file
    jpeg_create_decompress(&jpeg_);
  }
  ~PlainDecoder() { jpeg_destroy_decompress(&jpeg_); }
  PlainDecoder(const PlainDecoder&) = delete;
  PlainDecoder& operator=(const PlainDecoder&) = delete;

  // The pixels.
  std::size_t decode(const std::string& path) {
    read(path);
    jpeg_mem_src(&jpeg_, file_.data(), static_cast<unsigned long>(file_.size()));
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    const std::size_t stride = std::size_t{jpeg_.output_width} * 3;
    rgb_.resize(stride * jpeg_.output_height);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = rgb_.data() + jpeg_.output_scanline * stride;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return rgb_.size() / 3;
  }

 private:
  void read(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat facts {};
    if (fd < 0 || ::fstat(fd, &facts) != 0) throw std::runtime_error("cannot read " + path);
    file_.resize(static_cast<std::size_t>(facts.st_size));
    const ssize_t got = ::read(fd, file_.data(), file_.size());
    ::close(fd);
    if (got != facts.st_size) throw std::runtime_error("cannot read " + path);
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  std::vector<std::uint8_t> file_;
  std::vector<std::uint8_t> rgb_;
};

// Memory of batches, filled sample by sample and then again from the start.
class BatchMemory {
 public:
  void fill(std::size_t bytes) {
    constexpr std::size_t kBatches = 4;
    if (memory_.empty()) memory_.resize(kBatches * kBatch * bytes);
    if (at_ + bytes > memory_.size()) at_ = 0;
    std::memset(memory_.data() + at_, 1, bytes);
    at_ += bytes;
  }

 private:
  std::vector<std::byte> memory_;
  std::size_t at_ = 0;
};

// `fills`: whether memory is filled, too.
Rate rate_of_loop(const std::string& folder, int threads, bool fills) {
  const shoal::PictureFiles files(folder);
  std::vector<std::string> paths;
  for (std::int64_t row = 0; row < files.size(); ++row) paths.push_back(files.path(row));
  std::vector<BatchMemory> batches(static_cast<std::size_t>(threads));
  return rate_of(files.size(), [&] {
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        PlainDecoder decoder;
        for (std::size_t i = next++; i < paths.size(); i = next++) {
          const std::size_t pixels = decoder.decode(paths[i]);
          if (fills) batches[static_cast<std::size_t>(t)].fill(pixels * 3 * sizeof(float));
        }
      });
    }
  });
}

void read_batches(shoal::Loader& loader, std::int64_t count) {
  const auto deadline = shoal::Deadline::after(std::chrono::minutes(30));
  for (std::int64_t i = 0; i < count; ++i) (void)loader.next(deadline);
}

Rate rate_of_loader(const std::string& folder, int threads) {
  shoal::DataOptions options;
  options.name = shoal::DataName::image_folder;
  options.path = folder;
  options.test = 0;
  options.mean = {0.485, 0.456, 0.406};
  options.deviation = {0.229, 0.224, 0.225};
  const shoal::DataSplits splits = shoal::open_data(options, 1);
  const shoal::Sampler sampler(splits.train->size(), {.batch = kBatch, .shuffle = false});
  // One loader for all epochs, as in training: as much is read ahead at the end as at the start.
  constexpr std::int64_t kMostEpochs = 1'000'000;
  shoal::Loader loader(*splits.train, shoal::training_plan(sampler, 1, 0),
                       {0, kMostEpochs * sampler.batches_per_epoch()},
                       {.threads = threads, .low_priority = false});
  return rate_of(splits.train->size(), [&] { read_batches(loader, sampler.batches_per_epoch()); });
}

// --- tables --------------------------------------------------------------------------------------

constexpr std::int64_t kTableBatch = 1024;

std::int64_t read_table(const std::string& file) {
  shoal::DataOptions options;
  options.name = file.ends_with(".parquet") ? shoal::DataName::parquet : shoal::DataName::typed_csv;
  options.path = file;
  options.csv.task = shoal::LearningTask::regression;
  options.normalize = shoal::Normalize::none;
  options.test = 0;
  const shoal::DataSplits splits = shoal::open_data(options, 1);
  const shoal::Sampler sampler(splits.train->size(), {.batch = kTableBatch, .shuffle = false});
  shoal::Loader loader(*splits.train, shoal::training_plan(sampler, 1, 0),
                       {0, sampler.batches_per_epoch()}, {.threads = 0});
  read_batches(loader, sampler.batches_per_epoch());
  return splits.train->size();
}

// Once, as a job reads it: what is allocated again would come from memory that is there already.
Rate rate_of_table(const std::string& small, const std::string& file) {
  read_table(small);  // loads Arrow
  std::ifstream content(file, std::ios::binary);
  (void)content.ignore(std::numeric_limits<std::streamsize>::max());
  return measured([&] { return read_table(file); });
}

// The least that makes batches of columns: blocks that lie in the cache, as Arrow gives them, are
// written into a table of rows, a few rows at a time, once into memory that is new; and copied from
// there.
Rate rate_of_rows(std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kRowsAtOnce = 64;
  const std::vector<double> block(static_cast<std::size_t>(kRowsAtOnce * columns), 1.5);
  std::vector<float> batch(static_cast<std::size_t>(kTableBatch * columns));
  volatile float seen = 0;
  return measured([&] {
    shoal::AlignedBytes memory(static_cast<std::size_t>(rows * columns) * sizeof(float));
    float* const table = memory.as<float>().data();
    for (std::int64_t first = 0; first < rows; first += kRowsAtOnce) {
      const std::int64_t count = std::min(kRowsAtOnce, rows - first);
      for (std::int64_t c = 0; c < columns; ++c) {
        const double* const from = block.data() + c * kRowsAtOnce;
        float* const to = table + first * columns + c;
        for (std::int64_t i = 0; i < count; ++i) to[i * columns] = static_cast<float>(from[i]);
      }
    }
    for (std::int64_t first = 0; first < rows; first += kTableBatch) {
      const std::int64_t count = std::min(kTableBatch, rows - first);
      std::memcpy(batch.data(), table + first * columns,
                  static_cast<std::size_t>(count * columns) * sizeof(float));
      seen = batch.front();
    }
    return rows;
  });
}

void in_turn() {
  std::string folder =
      (std::filesystem::temp_directory_path() / "shoal_data_bench.XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  constexpr int kCount = 400;
  constexpr int kSide = 256;
  write_pictures(folder, kCount, kSide);
  for (const int threads : {1, 2}) {
    std::vector<double> ratios;
    for (int i = 0; i < 5; ++i) {
      const double loop = rate_of_loop(folder, threads, /*fills=*/false).per_core_second;
      ratios.push_back(rate_of_loader(folder, threads).per_core_second / loop);
    }
    std::sort(ratios.begin(), ratios.end());
    fmt::print("loader / loop, {}x{} JPEG, {} threads: {:.3f} ({:.3f} to {:.3f})\n", kSide, kSide,
               threads, ratios[2], ratios.front(), ratios.back());
  }
  std::filesystem::remove_all(folder);
}

void run(const std::vector<std::string>& words) {
  const std::string kind = words.empty() ? "" : words[0];
  if (words.empty()) return in_turn();
  if (kind == "write" && words.size() == 4) {
    return write_pictures(words[1], std::stoi(words[2]), std::stoi(words[3]));
  }
  if ((kind == "loop" || kind == "floor") && words.size() == 3) {
    return print(rate_of_loop(words[1], std::stoi(words[2]), kind == "floor"));
  }
  if (kind == "loader" && words.size() == 3) {
    return print(rate_of_loader(words[1], std::stoi(words[2])));
  }
  if (kind == "table" && words.size() == 3) return print(rate_of_table(words[1], words[2]));
  if (kind == "rows" && words.size() == 3) {
    return print(rate_of_rows(std::stoll(words[1]), std::stoll(words[2])));
  }
  throw std::invalid_argument("usage: as the first lines of bench/data_bench.cc say");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run({arguments + 1, arguments + count});
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
