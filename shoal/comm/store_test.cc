#include "shoal/comm/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "shoal/comm/handshake.h"
#include "shoal/comm/store_protocol.h"
#include "shoal/comm/tcp_socket.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr char kSecret[] = "a secret of this test";

// A store over TCP, or one in this process.
class AnyStore : public testing::TestWithParam<bool> {
 protected:
  AnyStore() {
    if (GetParam()) {
      server_ = serve_store("127.0.0.1", 0, kSecret);
      store_ = another();
    } else {
      store_ = make_memory_store();
    }
  }
  std::shared_ptr<Store> another() {
    if (!server_) return store_;
    return connect_store("127.0.0.1", server_->port(), kSecret, soon());
  }
  Watchdog watchdog_{"a test of a store"};
  std::unique_ptr<StoreServer> server_;
  std::shared_ptr<Store> store_;
};

TEST_P(AnyStore, KeepsWhatWasSet) {
  store_->set("a", "1", soon());
  store_->set("empty", "", soon());
  const std::string bytes("\0\xff\n", 3);
  store_->set("bytes", bytes, soon());
  EXPECT_EQ(another()->get("a", soon()), "1");
  EXPECT_EQ(another()->get("empty", soon()), "");
  EXPECT_EQ(another()->get("bytes", soon()), bytes);
  store_->set("a", "2", soon());
  EXPECT_EQ(another()->look("a", soon()), "2");
  EXPECT_EQ(store_->look("never", soon()), std::nullopt);
}

TEST_P(AnyStore, CountsAcrossClients) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([store = another()] {
      for (int k = 0; k < 50; ++k) store->add("n", 2, soon());
    });
  }
  threads.clear();
  EXPECT_EQ(store_->add("n", -1, soon()), 399);
  EXPECT_EQ(store_->get("n", soon()), "399");
}

TEST_P(AnyStore, AWaitingGetDelaysNobodyAndEndsWhenTheKeyComes) {
  std::string got;
  std::jthread waiter([&] { got = store_->get("later", soon()); });
  // The same client goes on working meanwhile.
  for (int i = 0; i < 20; ++i) store_->add("n", 1, soon());
  another()->set("later", "now", soon());
  waiter.join();
  EXPECT_EQ(got, "now");
}

TEST_P(AnyStore, AGetThatNobodyAnswersNamesTheKey) {
  try {
    store_->get("absent", Deadline::after(milliseconds(30)));
    FAIL();
  } catch (const TimedOut& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"absent\""));
  }
  // The abandoned request disturbs nobody later.
  store_->set("absent", "x", soon());
  EXPECT_EQ(store_->get("absent", soon()), "x");
}

TEST_P(AnyStore, RefusesKeysAndValuesBeyondTheLimits) {
  EXPECT_THROW(store_->set(std::string(1025, 'k'), "", soon()), InvalidInput);
  EXPECT_THROW(store_->set("k", std::string((16 << 20) + 1, 'v'), soon()), InvalidInput);
  const std::string largest(16 << 20, 'v');
  store_->set("k", largest, soon());
  EXPECT_TRUE(another()->get("k", soon()) == largest);
}

TEST_P(AnyStore, PrefixesKeepUsersApart) {
  const auto a = with_prefix(store_, "a/");
  const auto b = with_prefix(store_, "b/");
  a->set("x", "1", soon());
  b->set("x", "2", soon());
  EXPECT_EQ(a->get("x", soon()), "1");
  EXPECT_EQ(store_->get("b/x", soon()), "2");
}

INSTANTIATE_TEST_SUITE_P(Stores, AnyStore, testing::Bool(),
                         [](const auto& info) { return info.param ? "tcp" : "memory"; });

TEST(TcpStore, RefusesAWrongSecretAndSaysSo) {
  const Watchdog watchdog("wrong secret");
  const auto server = serve_store("127.0.0.1", 0, kSecret);
  EXPECT_THROW(connect_store("127.0.0.1", server->port(), "another", soon()), InvalidInput);
  // And a server that does not know the secret is found out by the client.
  const auto impostor = serve_store("127.0.0.1", 0, "guessed");
  EXPECT_THROW(connect_store("127.0.0.1", impostor->port(), kSecret, soon()), InvalidInput);
  const auto store = connect_store("127.0.0.1", server->port(), kSecret, soon());
  store->set("still", "works", soon());
}

TEST(TcpStore, StrangersAndGarbageDisturbNobody) {
  const Watchdog watchdog("strangers");
  const auto server = serve_store("127.0.0.1", 0, kSecret);
  const auto store = connect_store("127.0.0.1", server->port(), kSecret, soon());
  std::string why;
  std::vector<Socket> strangers;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    strangers.push_back(connect_tcp("127.0.0.1", server->port(), soon(), why));
    ASSERT_TRUE(strangers.back()) << why;
    std::string garbage(mixed(seed, 0) % 300, '\0');
    for (std::size_t i = 0; i < garbage.size(); ++i) garbage[i] = static_cast<char>(mixed(seed, i));
    // Every other one knows how to begin.
    if (seed % 2 == 0) garbage = std::string("SHOAL1\0\1", 8) + garbage;
    send(strangers.back().fd(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
  }
  for (int i = 0; i < 20; ++i) store->add("n", 1, soon());
  EXPECT_EQ(store->get("n", soon()), "20");
}

// Of a crowd that says nothing the first are dropped; workers come and go meanwhile.
TEST(TcpStore, ACrowdOfStrangersIsBounded) {
  const Watchdog watchdog("a crowd");
  const auto server = serve_store("127.0.0.1", 0, kSecret);
  std::string why;
  std::vector<Socket> strangers;
  for (int i = 0; i < 1100; ++i) {
    strangers.push_back(connect_tcp("127.0.0.1", server->port(), soon(), why));
    if (!strangers.back()) break;  // this process may open no more files
  }
  strangers.resize(strangers.size() - std::min<std::size_t>(strangers.size(), 20));
  const auto store = connect_store("127.0.0.1", server->port(), kSecret, soon());
  EXPECT_EQ(store->add("n", 1, soon()), 1);
  if (strangers.size() < 1050) GTEST_SKIP() << "the limit on open files is " << strangers.size();
  std::string greeting(1000, '\0');
  EXPECT_FALSE(read_all(strangers.front(), greeting.data(), greeting.size(),
                        Deadline::after(std::chrono::seconds(5))));
  char byte = 0;
  EXPECT_EQ(recv(strangers.front().fd(), &byte, 1, 0), 0) << "the first is still there";
}

// One that proved the secret may still be broken: its length field is not believed.
TEST(TcpStore, DropsAClientThatAnnouncesTooMuch) {
  const auto server = serve_store("127.0.0.1", 0, kSecret);
  std::string why;
  const Socket client = connect_tcp("127.0.0.1", server->port(), soon(), why);
  ASSERT_EQ(ask_admission(client, kSecret, 0, soon()), Admission::admitted);
  std::string head = encoded({.kind = StoreMessageKind::set, .key = "k"}).substr(0, 16);
  for (std::size_t i = 8; i < 12; ++i) head[i] = '\xff';
  ASSERT_TRUE(write_all(client, head.data(), head.size(), soon()));
  char byte = 0;
  EXPECT_FALSE(read_all(client, &byte, 1, soon()));
}

TEST(TcpStore, NamesAddressAndPortWhenNobodyServes) {
  int port = 0;
  {
    const Socket taken = listen_tcp("127.0.0.1", 0);
    port = port_of(taken);
    EXPECT_THROW(serve_store("127.0.0.1", port, kSecret), InvalidInput);
  }
  try {
    connect_store("127.0.0.1", port, kSecret, Deadline::after(milliseconds(50)));
    FAIL();
  } catch (const TimedOut& error) {
    EXPECT_THAT(error.what(), HasSubstr("127.0.0.1:" + std::to_string(port)));
  }
  EXPECT_THROW(serve_store("203.0.113.7", 0, kSecret), InvalidInput);
}

TEST(TcpStore, WaitsForAServerThatStartsLater) {
  const Watchdog watchdog("late server");
  int port = 0;
  {
    const Socket taken = listen_tcp("127.0.0.1", 0);
    port = port_of(taken);
  }
  std::shared_ptr<Store> store;
  std::jthread client([&] { store = connect_store("127.0.0.1", port, kSecret, soon()); });
  const auto server = serve_store("127.0.0.1", port, kSecret);
  client.join();
  store->set("a", "b", soon());
}

TEST(TcpStore, CallsFailWhenTheServerGoes) {
  const Watchdog watchdog("server goes");
  auto server = serve_store("127.0.0.1", 0, kSecret);
  const auto store = connect_store("127.0.0.1", server->port(), kSecret, soon());
  std::jthread waiter([&] { EXPECT_THROW(store->get("never", soon()), PeerLost); });
  store->set("a", "b", soon());
  server.reset();
  waiter.join();
  EXPECT_THROW(store->set("a", "b", soon()), PeerLost);
}

TEST(TcpStore, TellsOfAClientThatWentWithoutAWord) {
  const Watchdog watchdog("last words");
  const auto server = serve_store("127.0.0.1", 0, kSecret);
  const auto store = connect_store("127.0.0.1", server->port(), kSecret, soon());
  {
    const auto mortal = connect_store("127.0.0.1", server->port(), kSecret, soon());
    mortal->set_when_gone("gone/1", "died", soon());
    mortal->set_when_gone("gone/2", "died", soon());
    mortal->set_when_gone("gone/2", "", soon());
  }
  EXPECT_EQ(store->get("gone/1", soon()), "died");
  EXPECT_EQ(store->look("gone/2", soon()), std::nullopt);
}

}  // namespace
}  // namespace shoal::test
