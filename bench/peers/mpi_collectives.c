/* Times collectives of an MPI as `shoal comm bench` times shoal's: every rank writes its buffer anew
 * before each call, all meet, and what counts is the slowest rank of each call.
 *
 * usage: mpirun -n N mpi_collectives OPERATION FROM TO    (bytes; each size four times the last)
 * Prints a line for each size: bytes, median seconds. Memory is touched before it is used. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CALLS 400

static int rank, ranks;
static float *in, *out;

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void call(const char *operation, long elements) {
  const int all = (int)elements, part = (int)(elements / ranks);
  if (strcmp(operation, "all_reduce") == 0) {
    MPI_Allreduce(MPI_IN_PLACE, in, all, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  } else if (strcmp(operation, "broadcast") == 0) {
    MPI_Bcast(in, all, MPI_FLOAT, 0, MPI_COMM_WORLD);
  } else if (strcmp(operation, "all_gather") == 0) {
    MPI_Allgather(in, part, MPI_FLOAT, out, part, MPI_FLOAT, MPI_COMM_WORLD);
  } else if (strcmp(operation, "reduce_scatter") == 0) {
    MPI_Reduce_scatter_block(in, out, part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  } else if (strcmp(operation, "all_to_all") == 0) {
    MPI_Alltoall(in, part, MPI_FLOAT, out, part, MPI_FLOAT, MPI_COMM_WORLD);
  } else {
    fprintf(stderr, "%s is not measured\n", operation);
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
}

static double one_call(const char *operation, long elements) {
  for (long i = 0; i < elements; ++i) in[i] = (float)(rank + 1 + (i & 7));
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  call(operation, elements);
  return MPI_Wtime() - start;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const long from = atol(argv[2]), to = atol(argv[3]), unit = 4L * ranks;
  in = aligned_alloc(4096, (size_t)(to + unit + 4095) / 4096 * 4096);
  out = aligned_alloc(4096, (size_t)(to + unit + 4095) / 4096 * 4096);
  memset(in, 0, to);
  memset(out, 0, to);
  static double own[MOST_CALLS], slowest[MOST_CALLS];
  for (long bytes = from; bytes <= to; bytes *= 4) {
    const long whole = (bytes + unit - 1) / unit * unit;
    long calls = (64L << 20) / whole;
    calls = calls < 5 ? 5 : calls > MOST_CALLS ? MOST_CALLS : calls;
    for (long i = 0; i < (calls / 4 < 2 ? 2 : calls / 4); ++i) one_call(argv[1], whole / 4);
    for (long i = 0; i < calls; ++i) own[i] = one_call(argv[1], whole / 4);
    MPI_Reduce(own, slowest, (int)calls, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0) {
      qsort(slowest, calls, sizeof slowest[0], compare);
      printf("%ld %.9f\n", bytes, slowest[calls / 2]);
      fflush(stdout);
    }
  }
  MPI_Finalize();
  return 0;
}
