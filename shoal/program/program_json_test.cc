#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/program/program.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using nlohmann::json;
using namespace testing_programs;
using Named = std::map<std::string, RankPrograms>;

// An operation of every kind and a value of every kind, with fields set where no compiler would.
Named rich_programs() {
  Op load{.kind = OpKind::load};
  load.writes = {{{.kind = ValueKind::batch, .micro_batch = 1}}};
  Op again{.kind = OpKind::forward, .block = 3, .micro_batch = 1, .mode = ForwardMode::recompute};
  again.reads = {{activation(2, 1), 1}, {{.kind = ValueKind::parameter, .block = 3, .index = 0}}};
  again.writes = {{{.kind = ValueKind::saved, .block = 3, .micro_batch = 1}, 2}};
  again.frees = {activation(2, 1), {.kind = ValueKind::activation_gradient, .block = 0}};
  Op loss{.kind = OpKind::loss, .micro_batch = 0};
  loss.accumulates = {{{.kind = ValueKind::loss}}};
  Op backward{.kind = OpKind::backward, .block = 0, .micro_batch = 0};
  backward.accumulates = {{gradient(0, 1), 4}};
  Op reduce = all_reduce(gradient(0, 1), 1, 1 << 20);
  reduce.type = ElementType::float64;
  Op agree{.kind = OpKind::agree, .group = 0, .bytes = 64, .type = ElementType::float64};
  agree.writes = {{{.kind = ValueKind::agreed}}};
  Op update{.kind = OpKind::update};
  update.accumulates = {{{.kind = ValueKind::optimizer_state, .block = 0, .index = 1}}};
  update.reads = {{{.kind = ValueKind::buffer, .block = 0, .index = 0}}};
  Program program =
      program_of(0,
                 {load, again, loss, backward, send(activation(3), 1, 12),
                  receive(activation(2, 1), 1, 12), reduce, agree, update},
                 {{.name = "world", .ranks = {0, 1}}, {.name = "data", .ranks = {0}}});
  program.stage = 2;
  program.micro_batches = 2;
  Program second = program_of(1, {});
  second.trains = false;
  return {{"train", {program, second}}, {"predict", {}}};
}

TEST(ProgramsJson, ComeBackAsTheyWere) {
  const auto named = rich_programs();
  EXPECT_EQ(programs_from_json(programs_to_json(named), "p.json"), named);
  EXPECT_EQ(programs_from_json(json::parse(programs_text(named)), "p.json"), named);
}

TEST(ProgramsJson, CompiledProgramsComeBackAsTheyWere) {
  Plan plan = plan_over({{"pipe", 3}, {"data", 2}}, 24, 3);
  plan.recompute.mode = RecomputeMode::sqrt;
  const auto compiled = compile(chain_facts(6), plan);
  EXPECT_EQ(programs_from_json(json::parse(programs_text(compiled.named)), "p.json"),
            compiled.named);
}

TEST(ProgramsJson, TextPutsAnOperationOnALine) {
  EXPECT_EQ(programs_text({{"train", {program_of(0, {forward(0), forward(1)})}}}),
            R"({"format": "shoal programs 1",
 "programs": {"train": [
   {"rank": 0, "stage": 0, "micro_batches": 1, "micro_batch_samples": 1, "trains": true, )"
            R"("groups": [],
    "ops": [
     {"op": "forward", "block": 0, "micro_batch": 0, "mode": "train", )"
            R"("writes": ["activation b0 m0 v0"]},
     {"op": "forward", "block": 1, "micro_batch": 0, "mode": "train", )"
            R"("reads": ["activation b0 m0 v1"],
      "writes": ["activation b1 m0 v0"]}]}]}}
)");
}

std::string refusal(const json& file) {
  try {
    programs_from_json(file, "p.json");
  } catch (const InvalidInput& error) {
    EXPECT_EQ(error.faults.size(), 1U);
    return error.what();
  }
  return "accepted";
}

// The good file with one place changed.
std::string refused(const char* pointer, const json& value) {
  json bad = programs_to_json(rich_programs());
  bad[json::json_pointer(pointer)] = value;
  return refusal(bad);
}

std::string refused_without(int op, const char* field) {
  json bad = programs_to_json(rich_programs());
  EXPECT_EQ(bad["programs"]["train"][0]["ops"][op].erase(field), 1U) << field;
  return refusal(bad);
}

TEST(ProgramsJson, MissingFieldsAreNamedWithProgramRankAndOperation) {
  EXPECT_EQ(refused_without(1, "mode"),
            "p.json, program train, rank 0, operation 1 (forward): the field 'mode' is missing: "
            "add it");
  EXPECT_THAT(refused_without(1, "block"), testing::HasSubstr("'block' is missing"));
  EXPECT_THAT(refused_without(3, "micro_batch"), testing::HasSubstr("operation 3 (backward)"));
  EXPECT_THAT(refused_without(4, "peer"), testing::HasSubstr("operation 4 (send)"));
  EXPECT_THAT(refused_without(5, "bytes"), testing::HasSubstr("operation 5 (receive)"));
  EXPECT_THAT(refused_without(6, "group"), testing::HasSubstr("operation 6 (all_reduce)"));
  EXPECT_EQ(refused_without(7, "op"),
            "p.json, program train, rank 0, operation 7: the field 'op' is missing: add it");
}

TEST(ProgramsJson, MissingFieldsOfAProgramAreNamed) {
  for (const char* field :
       {"rank", "stage", "micro_batches", "micro_batch_samples", "trains", "groups", "ops"}) {
    json bad = programs_to_json(rich_programs());
    bad["programs"]["train"][1].erase(field);
    EXPECT_EQ(refusal(bad), std::string("p.json, program train, rank 1: the field '") + field +
                                "' is missing: add it");
  }
}

TEST(ProgramsJson, WrongKindsAndNamesAreRefusedWithARemedy) {
  const auto op = [](const char* rest) { return std::string("/programs/train/0/ops/") + rest; };
  EXPECT_EQ(refused(op("1/blok").c_str(), 3),
            "p.json, program train, rank 0, operation 1 (forward): unknown field 'blok': did you "
            "mean 'block'?");
  EXPECT_EQ(refused(op("1/block").c_str(), "three"),
            "p.json, program train, rank 0, operation 1 (forward): 'block' is \"three\": give a "
            "whole number of at least 0");
  EXPECT_THAT(refused(op("1/block").c_str(), -2), testing::HasSubstr("'block' is -2"));
  EXPECT_THAT(refused(op("1/block").c_str(), 1.5), testing::HasSubstr("'block' is 1.5"));
  EXPECT_THAT(refused(op("4/peer").c_str(), std::int64_t{1} << 40),
              testing::HasSubstr("the number is too large"));
  EXPECT_THAT(refused(op("4/bytes").c_str(), 0xffffffffffffffffULL),
              testing::HasSubstr("'bytes' is 18446744073709551615: give a whole number"));
  EXPECT_THAT(refused(op("1/op").c_str(), "foward"),
              testing::HasSubstr("'op' is \"foward\": give"));
  EXPECT_THAT(refused(op("1/mode").c_str(), "fast"), testing::HasSubstr("give train, no_save"));
  EXPECT_THAT(refused(op("6/type").c_str(), "float"), testing::HasSubstr("'type' is \"float\""));
  EXPECT_EQ(refused(op("6/group").c_str(), "date"),
            "p.json, program train, rank 0, operation 6 (all_reduce): 'group' is \"date\": the "
            "program's 'groups' have no such name");
  EXPECT_THAT(refused(op("2").c_str(), nullptr),
              testing::HasSubstr("operation 2: found null where an object"));
}

TEST(ProgramsJson, ValuesAreReadStrictly) {
  for (const char* bad : {"", "activation", "activation b0", "activtion b0 v1", "activation b0 v1 ",
                          "activation b0  v1", "activation b0 b1 v1", "activation b-1 v1",
                          "activation bx v1", "activation b0 v1 v1", "activation b0 v",
                          "activation b0 x1 v1", "activation b99999999999 v1", "b0 v1"}) {
    const auto text = refused("/programs/train/0/ops/1/reads/0", bad);
    EXPECT_THAT(text, testing::HasSubstr("operation 1 (forward): 'reads' names \"")) << bad;
  }
  EXPECT_THAT(refused("/programs/train/0/ops/1/frees/0", "activation b0 v1"),
              testing::HasSubstr("without a version"));
  EXPECT_THAT(refused("/programs/train/0/ops/1/reads/0", 7),
              testing::HasSubstr("give a list of texts"));
}

TEST(ProgramsJson, GroupsAndRanksMustMakeSense) {
  EXPECT_THAT(refused("/programs/train/0/groups/1/name", "world"),
              testing::HasSubstr("two groups are named 'world'"));
  EXPECT_THAT(refused("/programs/train/0/groups/0/ranks", json::array({1, 0})),
              testing::HasSubstr("rank 0, group 0: 'ranks' is [1,0]: give every rank once"));
  EXPECT_EQ(refused("/programs/train/1/rank", 0),
            "p.json, program train: entry 1 of the list is the program of rank 0: list the "
            "programs by rank, from 0 on");
  EXPECT_THAT(refused("/programs/train/0/micro_batches", 0), testing::HasSubstr("at least 1"));
  EXPECT_THAT(refused("/programs/train", 1), testing::HasSubstr("program train: give a list"));
  EXPECT_THAT(refused("/format", 1), testing::HasSubstr("'format' is 1"));
  EXPECT_THAT(refused("/program", 1), testing::HasSubstr("did you mean 'programs'?"));
}

}  // namespace
}  // namespace shoal
