// What only the tcp engine can meet: bytes that come torn and late, strangers, damaged frames,
// addresses that lead nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>

#include "shoal/comm/frame_group.h"
#include "shoal/comm/interfaces.h"
#include "shoal/comm/tcp_socket.h"
#include "shoal/comm/tcp_stream.h"
#include "shoal/comm/test_frames.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

using testing::HasSubstr;

// Two ends of a connection in this process.
struct Pair {
  Pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    a = Socket(fds[0]);
    b = Socket(fds[1]);
  }
  Socket a;
  Socket b;
};

TEST(TcpStream, FramesArriveWholeHoweverTheyAreTorn) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Pair pair;
    const TearBytes tear{.seed = seed};
    SocketSender sender(pair.a.fd(), tear);
    SocketReceiver receiver(pair.b.fd(), tear);
    ASSERT_NO_FATAL_FAILURE(
        expect_frames_arrive(sender, receiver, {0, 1, 40, 4095, 4096, 4097, 200000}, seed));
  }
}

// Sends one frame of 100 bytes, with one byte of the stream changed.
FrameReceiver::Event event_with_damaged_byte(std::size_t position) {
  Pair pair;
  Pair wire;
  SocketSender sender(pair.a.fd(), {});
  std::vector<char> payload(100, 'x');
  FrameHeader header;
  header.bytes = 100;
  sender.queue(header, {{payload.data(), payload.size()}});
  sender.flush();
  std::vector<char> bytes(sizeof header + 100);
  EXPECT_TRUE(read_all(pair.b, bytes.data(), bytes.size(), soon()));
  bytes[position] = static_cast<char>(bytes[position] ^ 4);
  EXPECT_TRUE(write_all(wire.a, bytes.data(), bytes.size(), soon()));
  SocketReceiver receiver(wire.b.fd(), {});
  auto event = receiver.read();
  if (event == FrameReceiver::Event::header) {
    std::vector<char> memory(receiver.header().bytes);
    receiver.place({{memory.data(), memory.size()}});
    event = receiver.read();
  }
  return event;
}

TEST(TcpStream, EveryDamagedByteIsSeen) {
  for (std::size_t position = 0; position < sizeof(FrameHeader) + 100; ++position) {
    EXPECT_EQ(event_with_damaged_byte(position), FrameReceiver::Event::damaged) << position;
  }
}

TEST(TcpStream, AnEndInTheMiddleOfAFrameIsAnEnd) {
  Pair pair;
  FrameHeader header;
  ASSERT_TRUE(write_all(pair.a, &header, 20, soon()));
  pair.a.reset();
  SocketReceiver receiver(pair.b.fd(), {});
  EXPECT_EQ(receiver.read(), FrameReceiver::Event::gone);
}

std::vector<float> summed(int size, Algorithm algorithm, TearBytes tear) {
  CommOptions options;
  options.engine = Engine::tcp;
  options.algorithm = algorithm;
  options.tear_bytes = tear;
  std::vector<float> result;
  with_group(size, options, [&](Group& group) {
    std::vector<float> values(50001);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(mixed(i, static_cast<std::uint64_t>(group.rank())) % 1000) / 7;
    }
    const Buffer all = buffer(std::span(values));
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    float one = 1;
    const Buffer small = buffer(std::span(&one, 1));
    group.all_reduce({&small, 1}, ReduceOp::sum, soon());
    ASSERT_EQ(one, static_cast<float>(group.size()));
    const int next = (group.rank() + 1) % group.size();
    const int before = (group.rank() + group.size() - 1) % group.size();
    std::vector<float> received(values.size());
    group.send(buffer(std::span<const float>(values)), next, soon());
    group.receive(buffer(std::span(received)), before, soon());
    ASSERT_TRUE(received == values);
    group.broadcast(buffer(std::span(received)), 0, soon());
    if (group.rank() == 0) result = values;
  });
  return result;
}

TEST(FrameGroup, TornAndDelayedBytesGiveTheSameBits) {
  for (const Algorithm algorithm : {Algorithm::two_shot, Algorithm::ring, Algorithm::double_tree,
                                    Algorithm::recursive_doubling}) {
    const std::vector<float> expected = summed(3, algorithm, {});
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      EXPECT_TRUE(summed(3, algorithm, {.seed = seed, .socket_buffer_bytes = 32768}) == expected)
          << "seed " << seed;
    }
  }
}

// More strangers than are kept knock before the member does; most of them say nothing.
TEST(FrameGroup, FormsAmongACrowdOfStrangers) {
  const Watchdog watchdog("a crowd of strangers");
  const auto store = make_memory_store();
  std::vector<Socket> strangers;
  const auto crowd = [&](int port) {
    std::string why;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      strangers.push_back(connect_tcp("127.0.0.1", port, soon(), why));
      ASSERT_TRUE(strangers.back()) << why;
      if (seed % 4 != 0) continue;
      std::string garbage = std::string("SHOAL1\0\1", 8) + std::string(mixed(seed, 0) % 300, 'x');
      send(strangers.back().fd(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
    }
  };
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      CommOptions options;
      options.engine = Engine::tcp;
      const auto world = join_world(store, {.rank = rank, .size = 2}, options, soon());
      if (rank == 1) {
        // "secret port addresses"
        const std::string offer = store->get("group/all/offer/0", soon());
        crowd(std::stoi(offer.substr(offer.find(' '))));
      }
      const auto group = world->form_group("all", {0, 1}, soon());
      std::int32_t value = rank + 1;
      const Buffer one = buffer(std::span(&value, 1));
      group->all_reduce({&one, 1}, ReduceOp::sum, soon());
      EXPECT_EQ(value, 3);
    });
  }
}

TEST(Interfaces, KnowsLoopbackAndPutsOurNetworksFirst) {
  EXPECT_TRUE(is_loopback("127.0.0.1"));
  EXPECT_TRUE(is_loopback("127.1.2.3"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_loopback("10.127.0.1"));
  for (const std::string& own : own_addresses()) {
    EXPECT_FALSE(is_loopback(own));
    EXPECT_EQ(nearest_first({"203.0.113.9", own}).front(), own);
  }
}

TEST(TcpSocket, AnswersComeByTheDeadline) {
  std::string why;
  const Socket listener = listen_tcp("127.0.0.1", 0);
  const Socket client = connect_tcp("127.0.0.1", port_of(listener), soon(), why);
  ASSERT_TRUE(client) << why;
  char byte = 0;
  EXPECT_FALSE(read_all(client, &byte, 1, Deadline::after(std::chrono::milliseconds(20))));
  EXPECT_EQ(address_of(client), "127.0.0.1");
}

}  // namespace
}  // namespace shoal::test
