#include "shoal/program/picture.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::HasSubstr;
using testing::Not;

const BlockSizes kSizes{.forward = {.core = {.fixed = 0.01}},
                        .backward = {.core = {.fixed = 0.02}}};

std::string svg_of(const Plan& plan, const std::string& title) {
  const auto chain = chain_facts(4, kSizes);
  const auto programs = train_programs(chain, plan);
  const Machine machine{.cores_per_host = 4, .workers_per_host = 4};
  return svg_picture(programs, chain, simulate(programs, chain, machine), title);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Every opened tag is closed, in order.
bool is_balanced(const std::string& xml) {
  std::vector<std::string> open;
  for (auto at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const auto end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const auto tag = xml.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    const auto name = tag.substr(tag[0] == '/', tag.find(' ') - (tag[0] == '/'));
    if (tag[0] != '/') {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(SvgPicture, HasABoxForEveryOperationWithItsNameAndTimes) {
  const auto svg = svg_of(plan_over({{"pipe", 2}, {"data", 2}}, 16, 2), "pipeline");
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_TRUE(is_balanced(svg)) << svg;
  for (const char* part : {"rank 0", "rank 3", "compute", "all-reduce", "time in ms",
                           "F0.1: ", "Send(A1.0&gt;2)", "Receive(G1.0&lt;2)", "Update: "}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
  EXPECT_EQ(count_of(svg, ">Update<") + count_of(svg, " Update: "), 4U);
}

TEST(SvgPicture, EscapesAndShortensTheTitle) {
  const auto svg = svg_of(plan_over({{"data", 2}}, 4), "a < b & \"c\"\n" + std::string(300, 'x'));
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; &quot;c&quot; xx"));
  EXPECT_TRUE(is_balanced(svg));
  EXPECT_THAT(svg, HasSubstr("xx..<"));
}

TEST(SvgPicture, AnEmptyProgramIsAPictureToo) {
  const RankPrograms programs{program_of(0, {})};
  const auto svg =
      svg_picture(programs, chain_facts(1), simulate(programs, chain_facts(1), {}), "");
  EXPECT_TRUE(is_balanced(svg));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(ProgramListing, NumbersOperationsWithLanesBytesAndValues) {
  Op first = forward(0);
  first.reads = {{{.kind = ValueKind::batch, .micro_batch = 0}},
                 {{.kind = ValueKind::parameter, .block = 0, .index = 0}}};
  Op second = forward(1);
  second.accumulates = {{gradient(1)}};
  second.frees = {activation(0)};
  const GroupFacts pair{.name = "data", .ranks = {0, 1}};
  Program program = program_of(
      0, {first, send(activation(0), 1, 2048), second, all_reduce(gradient(1), 0, 1 << 20)},
      {pair});
  EXPECT_EQ(program_listing(program, chain_facts(2)),
            "rank 0, stage 0: 4 operations, 1 micro-batch of 1 samples\n"
            "  #  operation     lane       bytes  reads -> writes; frees\n"
            "  0  F0            compute    1 KiB  batch parameter 0:0 -> A0\n"
            "  1  Send(A0>1)    to 1       2 KiB  A0\n"
            "  2  F1            compute  257 KiB  A0 -> A1 +gradient 1:0; frees A0\n"
            "  3  AllReduce(1)  data       1 MiB  -> +gradient 1:0\n");
}

TEST(ProgramListing, ShortensLongLists) {
  Op update{.kind = OpKind::update};
  update.reads.push_back({{.kind = ValueKind::agreed}});
  for (const int block : {4, 0, 1, 2}) {
    update.reads.push_back({gradient(block, 0)});
    update.reads.push_back({gradient(block, 1)});
  }
  Op load{.kind = OpKind::load};
  for (int m = 0; m < 9; ++m) {
    load.writes.push_back({{.kind = ValueKind::batch, .micro_batch = m}});
  }
  Program program = program_of(0, {load, update});
  program.micro_batches = 9;
  const auto text = program_listing(program, chain_facts(5));
  EXPECT_THAT(text, HasSubstr("  agreed gradient 0-2,4 (8)\n"));
  EXPECT_THAT(text, HasSubstr("  -> batch.0 batch.1 batch.2 ... (9)\n"));
}

}  // namespace
}  // namespace shoal
