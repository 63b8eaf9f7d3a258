#include "shoal/tensor/c10d_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using TorchOp = c10d::ReduceOp;
using std::chrono::milliseconds;
using testing::HasSubstr;
using Tensors = C10dBackend::Tensors;
using Lists = C10dBackend::Lists;

// Runs `body` on every rank in a thread of its own.
void with_backends(int size, const std::function<void(C10dBackend&)>& body,
                   milliseconds timeout = std::chrono::seconds(60)) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      C10dBackend backend(store, rank, size,
                          {.group = "all", .global_ranks = {}, .timeout = timeout, .comm = {}});
      body(backend);
      // Nobody leaves while others still work.
      store->add("done", 1);
      while (store->add("done", 0) < size) std::this_thread::sleep_for(milliseconds(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// The two ways in which an operation may be asked for.
template <typename Options>
std::vector<Options> both_ways() {
  Options now;
  now.asyncOp = false;
  return {now, Options()};
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(C10dBackendTest, SumsOnEveryRank) {
  with_backends(3, [](C10dBackend& backend) {
    for (const auto& options : both_ways<c10d::AllreduceOptions>()) {
      Tensors data{torch::full({7}, backend.getRank() + 1.0)};
      const auto work = backend.allreduce(data, options);
      EXPECT_TRUE(work->wait());
      EXPECT_TRUE(work->isCompleted());
      EXPECT_TRUE(work->isSuccess());
      EXPECT_TRUE(torch::equal(data[0], torch::full({7}, 6.0)));
      EXPECT_TRUE(torch::equal(work->result().at(0), data[0]));
    }
    EXPECT_EQ(backend.getSequenceNumberForGroup(), 2U);
    EXPECT_EQ(backend.getError(), c10d::ErrorType::SUCCESS);
  });
}

TEST(C10dBackendTest, ReducesEveryWay) {
  with_backends(2, [](C10dBackend& backend) {
    const auto reduce = [&](const TorchOp& op, const at::Tensor& tensor) {
      c10d::AllreduceOptions options;
      options.reduceOp = op;
      Tensors data{tensor};
      backend.allreduce(data, options)->wait();
      return data[0];
    };
    const double own = backend.getRank() + 2;  // 2 and 3
    const auto of = [&](c10::ScalarType type) { return torch::full({3}, own, type); };
    EXPECT_EQ(reduce(TorchOp::AVG, of(torch::kFloat))[0].item<float>(), 2.5F);
    EXPECT_EQ(reduce(TorchOp::PRODUCT, of(torch::kInt))[1].item<int>(), 6);
    EXPECT_EQ(reduce(TorchOp::MIN, of(torch::kBFloat16))[2].item<float>(), 2.0F);
    EXPECT_EQ(reduce(TorchOp::MAX, of(torch::kHalf))[2].item<float>(), 3.0F);
    EXPECT_EQ(reduce(TorchOp::BXOR, of(torch::kByte))[2].item<int>(), 1);
    TorchOp halved;  // what makes one is called differently in LibTorch 2.10
    halved.op_ = TorchOp::PREMUL_SUM;
    halved.supplement_ = c10::make_intrusive<c10d::NCCLPreMulSumSupplement>(0.5);
    EXPECT_EQ(reduce(halved, of(torch::kDouble))[0].item<double>(), 2.5);
    const auto complex = torch::full({2}, c10::complex<float>(1, 2), torch::kComplexFloat);
    const c10::complex<float> sum = reduce(TorchOp::SUM, complex)[0].item<c10::complex<float>>();
    EXPECT_EQ(sum, c10::complex<float>(2, 4));
    EXPECT_THAT(error_of([&] { reduce(TorchOp::MAX, complex.clone()); }),
                HasSubstr("complex tensors can only be summed"));
  });
}

TEST(C10dBackendTest, AnyLayoutAndGradients) {
  with_backends(2, [](C10dBackend& backend) {
    const auto whole = torch::full({4, 6}, backend.getRank() + 1.0);
    Tensors column{whole.select(1, 2)};
    backend.allreduce(column, {})->wait();
    EXPECT_TRUE(torch::equal(whole.select(1, 2), torch::full({4}, 3.0)));
    EXPECT_EQ(whole[0][1].item<double>(), backend.getRank() + 1.0);
    Tensors leaf{torch::ones({3}, torch::requires_grad())};
    c10d::BroadcastOptions options;
    options.rootRank = 1;
    backend.broadcast(leaf, options)->wait();
    EXPECT_TRUE(leaf[0].is_leaf());
  });
}

TEST(C10dBackendTest, SparseTensorsAreAdded) {
  with_backends(3, [](C10dBackend& backend) {
    const auto index = torch::tensor({{static_cast<int64_t>(backend.getRank()), int64_t{3}}});
    const auto values = torch::tensor({1.0F, 2.0F});
    Tensors data{torch::sparse_coo_tensor(index, values, {5})};
    backend.allreduce(data, {})->wait();
    EXPECT_TRUE(torch::equal(data[0].to_dense(), torch::tensor({1.0F, 1.0F, 1.0F, 6.0F, 0.0F})));
  });
}

TEST(C10dBackendTest, GathersListsOfUnequalSizes) {
  with_backends(3, [](C10dBackend& backend) {
    const int rank = backend.getRank();
    Tensors in{torch::full({rank + 1}, rank, torch::kLong)};
    Tensors list;
    for (int from = 0; from < 3; ++from) list.push_back(torch::full({from + 1}, -1, torch::kLong));
    Lists out{list};
    backend.allgather(out, in, {})->wait();
    for (int from = 0; from < 3; ++from) EXPECT_TRUE((out[0][from] == from).all().item<bool>());

    auto all = torch::empty({6}, torch::kLong);
    auto mine = torch::full({2}, rank, torch::kLong);
    backend._allgather_base(all, mine, {})->wait();
    EXPECT_TRUE(torch::equal(all, torch::tensor({0L, 0L, 1L, 1L, 2L, 2L})));
  });
}

TEST(C10dBackendTest, ScattersGathersAndReducesAtARoot) {
  with_backends(2, [](C10dBackend& backend) {
    const int rank = backend.getRank();
    c10d::ScatterOptions scatter;
    scatter.rootRank = 1;
    Lists pieces;
    Tensors piece{torch::zeros({2}, torch::kFloat)};
    if (rank == 1) pieces = {{torch::full({2}, 5.0F), torch::full({2}, 6.0F)}};
    backend.scatter(piece, pieces, scatter)->wait();
    EXPECT_EQ(piece[0][1].item<float>(), 5.0F + rank);

    c10d::GatherOptions gather;
    Lists gathered;
    if (rank == 0) gathered = {{torch::zeros({2}), torch::zeros({2})}};
    backend.gather(gathered, piece, gather)->wait();
    if (rank == 0) {
      EXPECT_EQ(gathered[0][1][0].item<float>(), 6.0F);
    }

    c10d::ReduceOptions reduce;
    reduce.rootRank = 1;
    backend.reduce(piece, reduce)->wait();
    EXPECT_EQ(piece[0][0].item<float>(), rank == 1 ? 11.0F : 5.0F);
  });
}

TEST(C10dBackendTest, ReduceScattersInEveryForm) {
  with_backends(2, [](C10dBackend& backend) {
    const int rank = backend.getRank();
    auto whole = torch::arange(6, torch::kFloat);
    auto part = torch::empty({3});
    backend._reduce_scatter_base(part, whole, {})->wait();
    EXPECT_TRUE(torch::equal(part, 2 * whole.narrow(0, std::int64_t{3} * rank, 3)));

    // Pieces may differ in size.
    Tensors out{torch::empty({rank == 0 ? 1 : 4})};
    Lists in{{torch::ones({1}), torch::full({4}, 2.0F)}};
    backend.reduce_scatter(out, in, {})->wait();
    EXPECT_TRUE(torch::equal(out[0], rank == 0 ? torch::full({1}, 2.0F) : torch::full({4}, 4.0F)));
    EXPECT_EQ(in[0][1][0].item<float>(), 2.0F);
  });
}

TEST(C10dBackendTest, AllToAllWithSplits) {
  with_backends(2, [](C10dBackend& backend) {
    const int rank = backend.getRank();
    auto in = torch::arange(4, torch::kFloat).add(10 * rank).reshape({4, 1});
    auto out = torch::empty({rank == 0 ? 2 : 6, 1});
    std::vector<int64_t> in_rows{1, 3};
    std::vector<int64_t> out_rows =
        rank == 0 ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{3, 3};
    backend.alltoall_base(out, in, out_rows, in_rows, {})->wait();
    EXPECT_EQ(out[0].item<float>(), rank == 0 ? 0.0F : 1.0F);
    EXPECT_EQ(out[-1].item<float>(), rank == 0 ? 10.0F : 13.0F);
    std::vector<int64_t> too_many{1, 4};
    EXPECT_THAT(error_of([&] { backend.alltoall_base(out, in, out_rows, too_many, {}); }),
                HasSubstr("split sizes of the input go beyond its 4 rows"));
  });
}

TEST(C10dBackendTest, MessagesWithTagsAndFromAnybody) {
  with_backends(3, [](C10dBackend& backend) {
    if (backend.getRank() != 0) {
      for (const int tag : {1, 2}) {
        Tensors data{torch::full({2}, 10.0F * backend.getRank() + tag)};
        backend.send(data, 0, tag)->wait();
      }
      return;
    }
    for (const int tag : {2, 1}) {
      Tensors data{torch::empty({2})};
      backend.recv(data, 1, tag)->wait();
      EXPECT_EQ(data[0][1].item<float>(), 10.0F + tag);
      const auto any = backend.recvAnysource(data, tag);
      any->wait();
      EXPECT_EQ(any->sourceRank(), 2);
      EXPECT_EQ(data[0][1].item<float>(), 20.0F + tag);
    }
  });
}

TEST(C10dBackendTest, CoalescedWorkEndsWithTheLast) {
  with_backends(2, [](C10dBackend& backend) {
    const int peer = 1 - backend.getRank();
    Tensors out{torch::full({5}, float(backend.getRank()))};
    Tensors in{torch::full({5}, -1.0F)};
    backend.startCoalescing();
    backend.recv(in, peer, 0);
    backend.send(out, peer, 0);
    backend.endCoalescing()->wait();
    EXPECT_EQ(in[0][4].item<float>(), float(peer));
    Tensors list{torch::ones({2}), torch::ones({3}, torch::kInt), torch::ones({1}, torch::kInt)};
    backend.allreduce_coalesced(list, {})->wait();
    EXPECT_EQ(list[2].item<int>(), 2);
  });
}

TEST(C10dBackendTest, FuturesHoldTheOutputs) {
  with_backends(2, [](C10dBackend& backend) {
    Tensors data{torch::ones({3})};
    const auto work = backend.allreduce(data, {});
    const auto future = work->getFuture();
    future->wait();
    EXPECT_EQ(future->value().toTensorVector().at(0)[0].item<float>(), 2.0F);
    work->wait();
    const auto result = work->getFutureResult();
    result->wait();
    EXPECT_EQ(result->value().toInt(), static_cast<int64_t>(c10d::WorkResult::SUCCESS));
    EXPECT_GT(work->getDuration(), 0.0F);
  });
}

TEST(C10dBackendTest, CallsThatDifferAreNamedToAll) {
  with_backends(2, [](C10dBackend& backend) {
    Tensors data{torch::ones({backend.getRank() + 1})};
    const auto work = backend.allreduce(data, {});
    const std::string error = error_of([&] { work->wait(); });
    EXPECT_THAT(error, HasSubstr("1 x float32"));
    EXPECT_THAT(error, HasSubstr("2 x float32"));
    EXPECT_THROW(work->wait(), c10::DistBackendError);
    EXPECT_FALSE(work->isSuccess());
    EXPECT_EQ(backend.getError(), c10d::ErrorType::COMM_ERROR);
  });
}

TEST(C10dBackendTest, WhoIsMissingIsNamed) {
  with_backends(2, [](C10dBackend& backend) {
    if (backend.getRank() == 1) {
      std::this_thread::sleep_for(milliseconds(150));
      return;
    }
    c10d::BarrierOptions barrier;
    barrier.timeout = milliseconds(20);
    EXPECT_THAT(error_of([&] { backend.monitoredBarrier(barrier, false); }),
                HasSubstr("Rank 1 failed to pass monitoredBarrier in 20 ms"));
    EXPECT_THAT(error_of([&] { backend.barrier(barrier)->wait(); }),
                HasSubstr("rank 1 has not joined barrier #1 of group all"));
  });
}

TEST(C10dBackendTest, MonitoredBarrierPasses) {
  with_backends(3, [](C10dBackend& backend) {
    for (int round = 0; round < 5; ++round) backend.monitoredBarrier({}, round % 2 == 0);
  });
}

// As new_subgroups_by_enumeration does.
TEST(C10dBackendTest, GroupsOfOtherRanksMayShareNameAndStore) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  const auto group_of = [&](std::int64_t rank) {
    return std::make_unique<C10dBackend>(
        store, 0, 1,
        C10dBackend::Settings{
            .group = "2", .global_ranks = {rank}, .timeout = milliseconds(5000), .comm = {}});
  };
  const auto first = group_of(0);
  const auto second = group_of(3);
  EXPECT_NO_THROW(first->barrier({})->wait());
  EXPECT_NO_THROW(second->barrier({})->wait());
}

TEST(C10dBackendTest, WrongArgumentsAreNamed) {
  with_backends(1, [](C10dBackend& backend) {
    Tensors none;
    EXPECT_THAT(error_of([&] { backend.allreduce(none, {}); }), HasSubstr("one tensor is needed"));
    Tensors in{torch::ones({2})};
    Lists wrong{{torch::ones({2}), torch::ones({2})}};
    EXPECT_THAT(error_of([&] { backend.allgather(wrong, in, {}); }),
                HasSubstr("2 tensors were given for 1 ranks"));
    Lists other_type{{torch::ones({2}, torch::kInt)}};
    EXPECT_THAT(error_of([&] { backend.allgather(other_type, in, {}); }),
                HasSubstr("tensors of one type are needed"));
    EXPECT_THAT(error_of([&] { backend.send(in, 4, 0); }), HasSubstr("send to rank 4"));
    backend.shutdown();
    EXPECT_THAT(error_of([&] { backend.allreduce(in, {}); }), HasSubstr("was shut down"));
  });
}

}  // namespace
}  // namespace shoal
