// Times collectives of an MPI as `shoal comm bench` times shoal's: every rank writes its buffer
// anew before each call, all meet before and after it, and what counts is the slowest rank of each
// call.
//
// usage: mpirun -n N shoal_mpi_peer_... OPERATION BYTES...
// For each size, in multiples of 4 N bytes, a line: bytes, median of the calls in seconds.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr long kMostCalls = 400;

struct Buffers {
  explicit Buffers(long bytes) : in(memory(bytes)), out(memory(bytes)) {}
  // Touched: its pages are there.
  static float* memory(long bytes) {
    const auto whole = static_cast<std::size_t>((bytes + 4096) / 4096 * 4096);
    void* const all = std::aligned_alloc(4096, whole);
    std::memset(all, 0, whole);
    return static_cast<float*>(all);
  }
  float* in;
  float* out;
};

bool call(const std::string& operation, const Buffers& buffers, int all, int part) {
  float* const in = buffers.in;
  float* const out = buffers.out;
  if (operation == "all_reduce") {
    MPI_Allreduce(MPI_IN_PLACE, in, all, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  } else if (operation == "broadcast") {
    MPI_Bcast(in, all, MPI_FLOAT, 0, MPI_COMM_WORLD);
  } else if (operation == "all_gather") {
    MPI_Allgather(in, part, MPI_FLOAT, out, part, MPI_FLOAT, MPI_COMM_WORLD);
  } else if (operation == "reduce_scatter") {
    MPI_Reduce_scatter_block(in, out, part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  } else if (operation == "all_to_all") {
    MPI_Alltoall(in, part, MPI_FLOAT, out, part, MPI_FLOAT, MPI_COMM_WORLD);
  } else if (operation == "barrier") {
    MPI_Barrier(MPI_COMM_WORLD);
  } else {
    return false;
  }
  return true;
}

double one_call(const std::string& operation, const Buffers& buffers, long elements) {
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  for (long i = 0; i < elements; ++i) buffers.in[i] = static_cast<float>(rank + 1 + (i & 7));
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  if (!call(operation, buffers, static_cast<int>(elements), static_cast<int>(elements / ranks))) {
    std::fprintf(stderr, "%s is not measured\n", operation.c_str());
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  const double seconds = MPI_Wtime() - start;
  // Where ranks share cores, who is through must not write while the others' clocks run.
  MPI_Barrier(MPI_COMM_WORLD);
  return seconds;
}

void measure(const std::string& operation, const Buffers& buffers, long bytes) {
  const long elements = bytes / 4;
  const long calls = std::clamp((64L << 20) / std::max(bytes, 4L), 5L, kMostCalls);
  for (long i = 0; i < std::max(2L, calls / 4); ++i) one_call(operation, buffers, elements);
  std::vector<double> own;
  for (long i = 0; i < calls; ++i) own.push_back(one_call(operation, buffers, elements));
  std::vector<double> slowest(own.size());
  MPI_Reduce(own.data(), slowest.data(), static_cast<int>(calls), MPI_DOUBLE, MPI_MAX, 0,
             MPI_COMM_WORLD);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank != 0) return;
  std::sort(slowest.begin(), slowest.end());
  std::printf("%ld %.9f\n", bytes, slowest[slowest.size() / 2]);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  if (argc < 3) {
    std::fprintf(stderr, "usage: mpirun -n N %s OPERATION BYTES...\n", argv[0]);
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  long most = 0;
  for (int i = 2; i < argc; ++i) most = std::max(most, std::atol(argv[i]));
  const Buffers buffers(most);
  for (int i = 2; i < argc; ++i) measure(argv[1], buffers, std::atol(argv[i]));
  MPI_Finalize();
  return 0;
}
