#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "shoal/checkpoint/checkpoint.h"
#include "shoal/checkpoint/index.h"
#include "shoal/checkpoint/safetensors.h"
#include "shoal/core/check.h"
#include "shoal/core/cores.h"
#include "shoal/core/digest.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/file_image.h"
#include "shoal/core/version.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

constexpr int kNice = 10;  // training comes first where they share a core

void require_usable_folder(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) {
    throw InvalidInput(fmt::format("[checkpoint] path {} cannot be made: {}: choose another folder",
                                   path.string(), failure.message()));
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    throw InvalidInput(
        fmt::format("[checkpoint] path {} is not writable: {}: choose another folder",
                    path.string(), std::strerror(errno)));
  }
}

}  // namespace

class CheckpointWriter::Impl {
 public:
  Impl(CheckpointOptions options, int rank, int size)
      : options_(std::move(options)), rank_(rank), size_(size) {
    require_usable_folder(options_.path);
    thread_ = std::jthread([this](const std::stop_token& stop) { work_when_asked(stop); });
  }

  void begin(std::int64_t step, const std::vector<PersistentTensor>& tensors,
             nlohmann::json facts) {
    wait_while(State::writing);
    wait_while(State::committing);
    if (rank_ == 0 && !cleaned_) remove_leftovers(step);
    cleaned_ = true;
    folder_ = step_folder(options_.path, step);
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    if (failure) {
      throw InvalidInput(fmt::format("checkpoint folder {} cannot be made: {}", folder_.string(),
                                     failure.message()));
    }
    facts_ = std::move(facts);
    step_ = step;
    take_snapshot(tensors);
    go_to(State::writing);
  }

  std::int64_t written() const {
    const std::scoped_lock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    return state_ == State::written ? step_ : -1;
  }

  bool writing() const {
    const std::scoped_lock lock(mutex_);
    return state_ != State::idle;
  }

  std::int64_t committed() const {
    const std::scoped_lock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    return committed_;
  }

  void commit() {
    check_equal(written(), step_, "a checkpoint is committed when its slices are written");
    go_to(State::committing);
  }

  void spare(std::int64_t step) {
    const std::scoped_lock lock(mutex_);
    spared_ = step;
  }

  void finish(Group& world, Deadline deadline) {
    wait_while(State::writing);
    world.barrier(deadline);
    commit();
    wait_while(State::committing);
    world.barrier(deadline);  // nobody goes on before the index is there
  }

 private:
  // The writer's thread works in `writing` and `committing`, the trainer's in the others.
  enum class State { idle, writing, written, committing };

  void go_to(State state) {
    const std::scoped_lock lock(mutex_);
    state_ = state;
    changed_.notify_all();
  }

  // The file of this rank as it will be, and its slices' records with their places in that file.
  void take_snapshot(const std::vector<PersistentTensor>& tensors) {
    const std::vector<int> writers = writers_of(tensors);
    std::vector<SafetensorsEntry> entries;
    std::vector<const PersistentTensor*> own;
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (writers[i] != rank_) continue;
      const at::Tensor& tensor = tensors[i].tensor;
      entries.push_back({tensors[i].name, element_type(tensor.scalar_type()), tensor.sizes().vec(),
                         end, end + tensor.nbytes()});
      end = entries.back().end;
      own.push_back(&tensors[i]);
    }
    const std::string header = safetensors_header(entries, {{"format", "pt"}});
    image_.resize(header.size() + end);
    image_.put(0, std::as_bytes(std::span(header)));
    slices_.clear();
    for (std::size_t i = 0; i < own.size(); ++i) {
      const at::Tensor contiguous = own[i]->tensor.cpu().contiguous();
      const auto* data = static_cast<const std::byte*>(contiguous.const_data_ptr());
      const std::uint64_t begin = header.size() + entries[i].begin;
      SliceRecord slice{.name = entries[i].name,
                        .role = own[i]->role,
                        .type = entries[i].type,
                        .shape = entries[i].shape,
                        .box = {},
                        .file = slices_file(rank_),
                        .begin = begin,
                        .end = begin + contiguous.nbytes(),
                        .crc32c = image_.put(begin, {data, contiguous.nbytes()})};
      for (const std::int64_t extent : slice.shape) slice.box.emplace_back(0, extent);
      slices_.push_back(std::move(slice));
    }
  }

  void work_when_asked(const std::stop_token& stop) {
    name_this_thread("checkpoint");
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
    const auto has_work = [this] {
      return state_ == State::writing || state_ == State::committing;
    };
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, has_work)) {
      const bool is_writing = state_ == State::writing;
      lock.unlock();
      std::exception_ptr failure;
      try {
        is_writing ? write_slices() : write_index_and_tidy();
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      failure_ = failure;
      if (!is_writing && !failure) committed_ = step_;
      state_ = is_writing ? State::written : State::idle;
      changed_.notify_all();
    }
  }

  void write_slices() {
    AtomicFile file(folder_ / slices_file(rank_));
    file.write_direct(image_.bytes());
    file.commit();
    nlohmann::json records = nlohmann::json::array();
    for (const SliceRecord& slice : slices_) records.push_back(to_json(slice));
    replace_file(folder_ / records_file(rank_), records.dump());
  }

  // Also in the writer's thread: syncing, and removing large files, wait for the disk.
  void write_index_and_tidy() {
    if (rank_ != 0) return;
    write_index();
    remove_oldest();
  }

  void write_index() {
    nlohmann::json slices = nlohmann::json::array();
    for (int rank = 0; rank < size_; ++rank) {
      const std::filesystem::path file = folder_ / records_file(rank);
      for (auto& record : nlohmann::json::parse(read_file(file)))
        slices.push_back(std::move(record));
    }
    nlohmann::json index{{"format", "shoal checkpoint"},
                         {"version", kCheckpointVersion},
                         {"written_by", kVersion},
                         {"step", step_},
                         {"ranks", size_},
                         {"facts", facts_},
                         {"slices", std::move(slices)}};
    index["crc32c"] = index_checksum(index);
    replace_file(folder_ / "index.json", index.dump(1) + "\n");
    std::error_code ignored;
    for (int rank = 0; rank < size_; ++rank) {
      std::filesystem::remove(folder_ / records_file(rank), ignored);
    }
    sync_folder(options_.path, folder_);
  }

  // A later step's folder is from a run that was given up, for example because it is damaged: it
  // does not count, or the one just written would have to go.
  void remove_oldest() {
    std::int64_t complete = 0;
    const std::int64_t spared = [this] {
      const std::scoped_lock lock(mutex_);
      return spared_;
    }();
    for (const auto& folder : step_folders(options_.path)) {
      if (step_of_folder(folder) > step_ || step_of_folder(folder) == spared) continue;
      if (!std::filesystem::exists(folder / "index.json")) continue;
      if (++complete > options_.keep) remove_folder(folder);
    }
  }

  // Attempts that never got their index: a crash between two checkpoints.
  void remove_leftovers(std::int64_t step) {
    for (const auto& folder : step_folders(options_.path)) {
      if (step_of_folder(folder) == step || std::filesystem::exists(folder / "index.json"))
        continue;
      remove_folder(folder);
    }
  }

  // The index goes first: what is half removed is not taken for complete.
  static void remove_folder(const std::filesystem::path& folder) {
    std::error_code ignored;
    std::filesystem::remove(folder / "index.json", ignored);
    std::filesystem::remove_all(folder, ignored);
  }

  void wait_while(State state) {
    std::unique_lock lock(mutex_);
    // The writer's thread ends by itself: it waits for nothing but the disk.
    while (state_ == state) changed_.wait_for(lock, std::chrono::seconds(1));
    if (failure_) std::rethrow_exception(failure_);
  }

  CheckpointOptions options_;
  int rank_;
  int size_;
  bool cleaned_ = false;
  std::filesystem::path folder_;
  std::int64_t step_ = -1;
  nlohmann::json facts_;
  FileImage image_;
  std::vector<SliceRecord> slices_;
  mutable std::mutex mutex_;  // guards state_, committed_, spared_ and failure_, and by the
                              // state who may use the above
  std::condition_variable_any changed_;
  State state_ = State::idle;
  std::int64_t committed_ = -1;
  std::int64_t spared_ = -1;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses all of the above
};

CheckpointWriter::CheckpointWriter(CheckpointOptions options, int rank, int size)
    : impl_(std::make_unique<Impl>(std::move(options), rank, size)) {}
CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::begin(std::int64_t step, const std::vector<PersistentTensor>& tensors,
                             nlohmann::json facts) {
  impl_->begin(step, tensors, std::move(facts));
}
std::int64_t CheckpointWriter::written() const { return impl_->written(); }
bool CheckpointWriter::writing() const { return impl_->writing(); }
std::int64_t CheckpointWriter::committed() const { return impl_->committed(); }
void CheckpointWriter::spare(std::int64_t step) { impl_->spare(step); }
void CheckpointWriter::commit() { impl_->commit(); }
void CheckpointWriter::finish(Group& world, Deadline deadline) { impl_->finish(world, deadline); }

// Largest first, each to the holder that has the least so far: near the best split.
std::vector<int> writers_of(const std::vector<PersistentTensor>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tensors[a].tensor.nbytes() > tensors[b].tensor.nbytes();
  });
  std::map<int, std::size_t> bytes_of;
  std::vector<int> writers(tensors.size());
  for (const std::size_t i : order) {
    const auto& holders = tensors[i].holders;
    const int writer = *std::min_element(holders.begin(), holders.end(),
                                         [&](int a, int b) { return bytes_of[a] < bytes_of[b]; });
    bytes_of[writer] += tensors[i].tensor.nbytes();
    writers[i] = writer;
  }
  return writers;
}

}  // namespace shoal
