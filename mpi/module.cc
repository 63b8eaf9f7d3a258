// Speaks to one MPI library for shoal/comm/mpi_calls.h. Built once for each library that is there,
// with its own header, as a module that is loaded at run time.
#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "shoal/comm/mpi_calls.h"

namespace shoal {
namespace {

static_assert(sizeof(MPI_Request) <= sizeof(MpiRequest::word));

MPI_Request request_in(const MpiRequest& request) {
  MPI_Request handle;
  std::memcpy(static_cast<void*>(&handle), &request.word, sizeof(MPI_Request));
  return handle;
}

void put(MpiRequest& request, MPI_Request handle) {
  request.word = 0;
  std::memcpy(&request.word, static_cast<const void*>(&handle), sizeof(MPI_Request));
}

std::string words_of(int error) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(error, text, &length);
  return {text, static_cast<std::size_t>(length)};
}

class Calls final : public MpiCalls {
 public:
  std::string name() override {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    std::string words(text, static_cast<std::size_t>(length));
    // "Open MPI v4.1.4, package: ...", "MPICH Version:\t4.0.2\nMPICH Release date:..."
    words.erase(std::min(words.find_first_of(",\n"), words.size()));
    constexpr std::string_view kBefore = "Version:\t";
    if (const auto at = words.find(kBefore); at != std::string::npos) {
      words.erase(at, kBefore.size());
    }
    return words;
  }

  std::string start() override {
    int started = 0;
    MPI_Initialized(&started);
    int level = MPI_THREAD_SINGLE;
    if (started != 0) {
      MPI_Query_thread(&level);
    } else {
      const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);
      if (error != MPI_SUCCESS) return "MPI_Init_thread: " + words_of(error);
      ours_ = true;
    }
    if (level < MPI_THREAD_SERIALIZED) {
      return "it does not let more than one thread make calls (MPI_THREAD_SERIALIZED)";
    }
    // Messages of the program itself, if it sends any, are none of ours.
    int error = MPI_Comm_dup(MPI_COMM_WORLD, &world_);
    if (error != MPI_SUCCESS) return "MPI_Comm_dup: " + words_of(error);
    MPI_Comm_set_errhandler(world_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world_, &rank_);
    MPI_Comm_size(world_, &size_);
    int* largest = nullptr;
    int known = 0;
    MPI_Comm_get_attr(world_, MPI_TAG_UB, static_cast<void*>(&largest), &known);
    if (known != 0) largest_tag_ = *largest;
    return "";
  }

  void end() override {
    int ended = 0;
    MPI_Finalized(&ended);
    if (ours_ && ended == 0) MPI_Finalize();
  }

  int rank() override { return rank_; }
  int size() override { return size_; }
  int largest_tag() override { return largest_tag_; }

  MpiRequest send(const std::byte* data, std::size_t bytes, int to, int tag) override {
    const std::lock_guard lock(mutex_);
    MPI_Request handle = MPI_REQUEST_NULL;
    const int error = MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, to, tag, world_, &handle);
    return started(handle, error);
  }

  MpiRequest receive(std::byte* memory, std::size_t bytes, int from, int tag) override {
    const std::lock_guard lock(mutex_);
    MPI_Request handle = MPI_REQUEST_NULL;
    const int error =
        MPI_Irecv(memory, static_cast<int>(bytes), MPI_BYTE, from, tag, world_, &handle);
    return started(handle, error);
  }

  State test(MpiRequest& request, std::size_t& bytes) override {
    if (request.failed) return State::failed;
    const std::lock_guard lock(mutex_);
    MPI_Request handle = request_in(request);
    MPI_Status status;
    int done = 0;
    const int error = MPI_Test(&handle, &done, &status);
    put(request, handle);
    if (error != MPI_SUCCESS) return State::failed;
    if (done == 0) return State::under_way;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    bytes = count == MPI_UNDEFINED ? 0 : static_cast<std::size_t>(count);
    return State::done;
  }

  void cancel(MpiRequest& request) override {
    if (request.failed) return;
    const std::lock_guard lock(mutex_);
    MPI_Request handle = request_in(request);
    if (handle != MPI_REQUEST_NULL) MPI_Cancel(&handle);
  }

 private:
  static MpiRequest started(MPI_Request handle, int error) {
    MpiRequest request;
    put(request, handle);
    request.failed = error != MPI_SUCCESS;
    return request;
  }

  std::mutex mutex_;  // MPI_THREAD_SERIALIZED: one call at a time
  MPI_Comm world_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int largest_tag_ = 32767;  // what the standard promises
  bool ours_ = false;        // to end: we have started it
};

}  // namespace
}  // namespace shoal

extern "C" __attribute__((visibility("default"))) shoal::MpiCalls* shoal_mpi_calls(int version) {
  return version == shoal::MpiCalls::kVersion ? new shoal::Calls : nullptr;
}
