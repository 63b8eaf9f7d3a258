#include "shoal/launch/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"
#include "shoal/launch/rendezvous_file.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {
namespace {

using testing::HasSubstr;

// A private folder as XDG_RUNTIME_DIR, gone after the test.
class RendezvousTest : public testing::Test {
 protected:
  WorkerPlace place(int rank, int size) const {
    return {.rank = rank,
            .size = size,
            .local_rank = rank,
            .local_size = size,
            .master_address = "127.0.0.1",
            .master_port = 0,
            .secret = "",
            .source = "mpirun",
            .store_is_torch = false,
            .rendezvous_file = folder_ / "job.meet"};
  }

  TempFolder folder_;
};

Deadline watchdog() { return Deadline::after(kWatchdog); }

TEST_F(RendezvousTest, WorkersOfOneHostMeetThroughAFileThatIsGoneAfterwards) {
  constexpr int kSize = 4;
  // What a killed job of the same name has left: nobody listens there.
  write_rendezvous(folder_ / "job.meet", {.port = 1, .secret = "0123456789abcdef"});
  std::vector<std::thread> workers;
  std::atomic<int> met{0};
  for (int rank = kSize - 1; rank >= 0; --rank) {
    workers.emplace_back([&, rank] {
      std::unique_ptr<StoreServer> server;
      const auto store = meet(place(rank, kSize), server, watchdog());
      EXPECT_EQ(server != nullptr, rank == 0);
      store->add("arrived", 1, watchdog());
      if (rank == 0) store->set("word", "hello", watchdog());
      if (store->get("word", watchdog()) == "hello") met.fetch_add(1);
      // Rank 0's server has to outlive the others' calls.
      store->add("left", 1, watchdog());
      while (rank == 0 && store->add("left", 0, watchdog()) < kSize) std::this_thread::yield();
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(met, kSize);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(RendezvousTest, ARankZeroThatNeverCameIsNamed) {
  std::unique_ptr<StoreServer> server;
  try {
    meet(place(1, 2), server, Deadline::after(std::chrono::milliseconds(50)));
    FAIL() << "met nobody";
  } catch (const TimedOut& error) {
    EXPECT_EQ(error.missing, std::vector<int>{0});
    EXPECT_THAT(error.what(), HasSubstr("rank 0 of mpirun"));
  }
}

TEST_F(RendezvousTest, TheFileGoesWithAServerThatNobodyCameTo) {
  std::unique_ptr<StoreServer> server;
  {
    const auto store = meet(place(0, 2), server, watchdog());
    EXPECT_TRUE(std::filesystem::exists(folder_ / "job.meet"));
  }
  server.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(RendezvousTest, AcrossHostsRankZeroServesAtTheMastersPort) {
  std::unique_ptr<StoreServer> probe = serve_store("127.0.0.1", 0, "0123456789abcdef");
  WorkerPlace first = place(0, 2);
  first.rendezvous_file.clear();
  first.secret = "0123456789abcdef";
  first.master_port = probe->port();
  std::unique_ptr<StoreServer> server;
  EXPECT_THROW(meet(first, server, watchdog()), InvalidInput);  // the port is in use
  probe.reset();
  const auto store = meet(first, server, watchdog());
  ASSERT_NE(server, nullptr);
  WorkerPlace second = first;
  second.rank = 1;
  std::unique_ptr<StoreServer> none;
  const auto other = meet(second, none, watchdog());
  EXPECT_EQ(none, nullptr);
  store->set("key", "value", watchdog());
  EXPECT_EQ(other->get("key", watchdog()), "value");
}

TEST_F(RendezvousTest, TorchrunsStoreNeedsSomebodyWhoSpeaksItsLanguage) {
  WorkerPlace place = this->place(0, 2);
  place.store_is_torch = true;
  place.master_address = "node-a";
  place.master_port = 29500;
  std::unique_ptr<StoreServer> server;
  EXPECT_THROW(meet(place, server, watchdog()), InvalidInput);
  std::string asked;
  const auto store =
      meet(place, server, watchdog(), [&](const std::string& host, int port, Deadline) {
        asked = host + ":" + std::to_string(port);
        return make_memory_store();
      });
  EXPECT_EQ(asked, "node-a:29500");
  EXPECT_NE(store, nullptr);
  EXPECT_EQ(server, nullptr);
}

}  // namespace
}  // namespace shoal
