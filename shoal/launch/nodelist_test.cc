#include "shoal/launch/nodelist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/core/error.h"

namespace shoal {
namespace {

TEST(FirstHost, OfGoodLists) {
  EXPECT_EQ(first_host("login1"), "login1");
  EXPECT_EQ(first_host("a,b,c"), "a");
  EXPECT_EQ(first_host("node[001-003,007],login2"), "node001");
  EXPECT_EQ(first_host("node[7,9]"), "node7");
  EXPECT_EQ(first_host("rack[1-2]n[3,5]"), "rack1n3");
  EXPECT_EQ(first_host("gpu[10-12]-ib0.cluster"), "gpu10-ib0.cluster");
}

TEST(FirstHost, RefusesMalformedNeighbours) {
  for (const char* text : {"", ",", ",a", "node[", "node[]", "node[1", "node1]", "node[1-]",
                           "node[-2]", "node[a]", "node[1,]", "node[1-b]", "a b"}) {
    EXPECT_THROW(first_host(text), InvalidInput) << text;
  }
}

TEST(TasksByNode, OfGoodLists) {
  using testing::ElementsAre;
  EXPECT_THAT(tasks_by_node("4"), ElementsAre(4));
  EXPECT_THAT(tasks_by_node("4(x2),3"), ElementsAre(4, 4, 3));
  EXPECT_THAT(tasks_by_node("1,2(x1)"), ElementsAre(1, 2));
}

TEST(TasksByNode, RefusesMalformedNeighbours) {
  for (const char* text : {"", "0", "-1", "4(", "4(x", "4(x2", "4(x)", "4(x0)", "4(2)", "4,", ",4",
                           "four", "4(x99999999)", "99999999999"}) {
    EXPECT_THROW(tasks_by_node(text), InvalidInput) << text;
  }
}

}  // namespace
}  // namespace shoal
