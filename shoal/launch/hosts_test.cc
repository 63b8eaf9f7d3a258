#include "shoal/launch/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/core/error.h"
#include "shoal/launch/host_launchers.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Hosts, AreReadWithSlotsAndComments) {
  const auto hosts = parse_hosts("# two\nme@a.example slots=2\n\n  b # spare\n", "h", 4);
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0].name, "me@a.example");
  EXPECT_EQ(address_of(hosts[0]), "a.example");
  EXPECT_EQ(hosts[0].slots, 2);
  EXPECT_EQ(hosts[1].name, "b");
  EXPECT_EQ(hosts[1].slots, 4);
}

TEST(Hosts, FaultyLinesAreAllNamed) {
  try {
    parse_hosts("good\n-oProxyCommand=x\nb slots=0\nc slots=2 d\ne;f\n", "list", 1);
    FAIL() << "was taken";
  } catch (const InvalidInput& error) {
    ASSERT_EQ(error.faults.size(), 4U);
    EXPECT_THAT(error.faults[0], HasSubstr("list line 2"));
    EXPECT_THAT(error.faults[3], HasSubstr("list line 5"));
  }
  EXPECT_THROW(parse_hosts("# nobody\n", "list", 1), InvalidInput);
}

TEST(ShellQuoted, SurvivesAnything) {
  EXPECT_EQ(shell_quoted("it's $HOME `x` \"y\""), "'it'\\''s $HOME `x` \"y\"'");
  EXPECT_EQ(shell_quoted(std::vector<std::string>{"a", ""}), "'a' ''");
}

TEST(SplitWords, AtWhiteSpace) {
  EXPECT_THAT(split_words("  ssh -p\t22 "), ElementsAre("ssh", "-p", "22"));
  EXPECT_TRUE(split_words(" ").empty());
}

TEST(HostCommand, GivesEachHostItsRanks) {
  LaunchOptions options;
  options.command = {"prog", "an arg"};
  const std::vector<Host> hosts = {{.name = "me@a", .slots = 3}, {.name = "b", .slots = 2}};
  const auto line = host_command(options, hosts, 1, "/my dir", "/opt/shoal");
  EXPECT_THAT(line, HasSubstr("cd '/my dir' && 'exec' 'env' '/opt/shoal' 'run' '-n' '2'"));
  EXPECT_THAT(line, HasSubstr("'--first-rank' '3' '--world-size' '5' '--master' 'a:29431'"));
  EXPECT_THAT(line, HasSubstr("'--' 'prog' 'an arg'"));
}

}  // namespace
}  // namespace shoal
