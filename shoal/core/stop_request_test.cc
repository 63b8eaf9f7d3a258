#include "shoal/core/stop_request.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "shoal/core/check.h"

namespace shoal {
namespace {

class StopRequestDeathTest : public testing::Test {
 protected:
  StopRequestDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST(StopRequest, NobodyAskedAtFirst) {
  StopRequest request;
  EXPECT_EQ(request.signal(), 0);
  request.ask(SIGTERM);
  EXPECT_EQ(request.signal(), SIGTERM);
}

TEST(StopRequest, TheFirstSignalAsks) {
  for (const int number : {SIGINT, SIGTERM}) {
    StopRequest request;
    SignalsAskToStop signals(request);
    ASSERT_EQ(::raise(number), 0);  // returns after the handler
    EXPECT_EQ(request.signal(), number);
  }
}

TEST(StopRequest, ASignalMayComeToAnyThread) {
  StopRequest request;
  SignalsAskToStop signals(request);
  std::jthread([] { ::raise(SIGINT); }).join();
  EXPECT_EQ(request.signal(), SIGINT);
}

TEST(StopRequest, TheHandlerKeepsErrno) {
  StopRequest request;
  SignalsAskToStop signals(request);
  errno = 77;
  ::raise(SIGINT);
  EXPECT_EQ(errno, 77);
}

TEST(StopRequest, OnlyOneMayLiveInAProcess) {
  StopRequest request;
  SignalsAskToStop signals(request);
  StopRequest other;
  EXPECT_THROW(SignalsAskToStop second(other), BrokenInvariant);
  ::raise(SIGTERM);  // the first still holds
  EXPECT_EQ(request.signal(), SIGTERM);
  EXPECT_EQ(other.signal(), 0);
}

TEST(StopRequest, TheEarlierHandlersComeBack) {
  struct sigaction before {};
  struct sigaction after {};
  ASSERT_EQ(::sigaction(SIGINT, nullptr, &before), 0);
  {
    StopRequest request;
    SignalsAskToStop signals(request);
  }
  ASSERT_EQ(::sigaction(SIGINT, nullptr, &after), 0);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST_F(StopRequestDeathTest, TheSecondSignalEndsTheProcess) {
  for (const int second : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          StopRequest request;
          SignalsAskToStop signals(request);
          ::raise(SIGINT);
          ::raise(second);
        },
        testing::KilledBySignal(second), "");
  }
}

TEST_F(StopRequestDeathTest, ASignalAfterARequestFromElsewhereIsStillTheFirst) {
  EXPECT_EXIT(
      {
        StopRequest request;
        SignalsAskToStop signals(request);
        request.ask(SIGTERM);  // agreed with the other workers
        ::raise(SIGINT);
        std::exit(request.signal() == SIGINT ? 7 : 8);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace shoal
