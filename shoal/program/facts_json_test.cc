#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/program/facts.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using nlohmann::json;
using namespace testing_programs;

std::vector<BlockFacts> rich_facts() {
  auto blocks = chain_facts(2, {.features = 7,
                                .forward = {.core = {.fixed = 1e-7, .per_sample = 0.1},
                                            .wait = {.fixed = -3, .per_sample = 1.0 / 3}},
                                .backward = {.core = {.per_sample = 12345.678}},
                                .saved = {.fixed = 17, .per_sample = 5},
                                .workspace = {.per_sample = 2}});
  blocks[1].parameters[0].trainable = false;
  blocks[1].parameters[1].type = ElementType::bfloat16;
  blocks[1].buffers = {
      {.name = "1.\"count\"", .shape = {}, .dims = {}, .type = ElementType::int64}};
  blocks[1].outputs.push_back({.name = "mask",
                               .sample_shape = {3, 0},
                               .type = ElementType::boolean,
                               .differentiable = false});
  blocks[1].draws_random_numbers = true;
  blocks[1].forward_sums = {{.elements = 9}, {.elements = 1, .type = ElementType::float32}};
  blocks[1].backward_sums = {{.elements = 8}};
  return blocks;
}

TEST(FactsJson, ComeBackAsTheyWere) {
  for (const auto& blocks : {rich_facts(), std::vector<BlockFacts>{}}) {
    EXPECT_EQ(facts_from_json(facts_to_json(blocks), "facts.json"), blocks);
    EXPECT_EQ(facts_from_json(json::parse(facts_text(blocks)), "facts.json"), blocks);
  }
}

TEST(FactsJson, TextPutsATensorOnALine) {
  EXPECT_THAT(facts_text(rich_facts()),
              testing::HasSubstr("\n    {\"name\": \"0.linear.weight\", \"shape\": [7, 7], "
                                 "\"dims\": [\"out\", \"in\"], \"type\": \"float32\", "
                                 "\"trainable\": true},"));
}

std::string refusal(const json& file) {
  try {
    facts_from_json(file, "facts.json");
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "accepted";
}

TEST(FactsJson, EveryMissingFieldIsNamed) {
  const json good = facts_to_json(rich_facts());
  for (const auto& [name, value] : good["blocks"][1].items()) {
    json bad = good;
    bad["blocks"][1].erase(name);
    EXPECT_EQ(refusal(bad), "facts.json, block 1: the field '" + name + "' is missing: add it");
  }
}

TEST(FactsJson, EveryWrongKindIsNamed) {
  const json good = facts_to_json(rich_facts());
  for (const auto& [name, value] : good["blocks"][0].items()) {
    json bad = good;
    bad["blocks"][0][name] = nullptr;
    EXPECT_THAT(refusal(bad),
                testing::StartsWith("facts.json, block 0: '" + name + "' is null: give "));
  }
}

TEST(FactsJson, FaultsAreNamedWithTheirPlaceAndRemedy) {
  const json good = facts_to_json(rich_facts());
  const auto refused = [&](const char* pointer, const json& value) {
    json bad = good;
    bad[json::json_pointer(pointer)] = value;
    return refusal(bad);
  };
  EXPECT_EQ(refusal(json::array()), "facts.json: found [] where an object {...} belongs");
  EXPECT_EQ(refused("/format", "shoal facts 9"),
            "facts.json: 'format' is \"shoal facts 9\": this version of shoal reads \"shoal facts "
            "2\"");
  EXPECT_EQ(refused("/blocks/0/wrkspace", 1),
            "facts.json, block 0: unknown field 'wrkspace': known here are name, kind, parameters, "
            "buffers, inputs, outputs, saved_bytes, workspace_bytes, gradient_order, forward, "
            "backward, forward_sums, backward_sums, draws_random_numbers");
  EXPECT_EQ(refused("/blocks/0/parameters/1/shpe", 1),
            "facts.json, block 0, parameters[1]: unknown field 'shpe': did you mean 'shape'?");
  EXPECT_EQ(refused("/blocks/0/parameters/0/shape/0", -1),
            "facts.json, block 0, parameters[0]: 'shape' is [-1,7]: give a list of whole numbers "
            "of at least 0");
  EXPECT_EQ(refused("/blocks/0/parameters/0/dims", json::array({"out"})),
            "facts.json, block 0, parameters[0]: 'dims' is [\"out\"]: give 2 names, one a "
            "dimension of 'shape' (\"\" for none)");
  EXPECT_THAT(refused("/blocks/0/parameters/0/type", "float33"),
              testing::HasSubstr("parameters[0]: 'type' is \"float33\": give an element type"));
  EXPECT_THAT(refused("/blocks/0/gradient_order", json::array({0, 2})),
              testing::HasSubstr("'gradient_order' is [0,2]: the block has 2 parameters"));
  EXPECT_THAT(refused("/blocks/1/forward/core/fixed", "fast"),
              testing::HasSubstr("block 1, forward, core: 'fixed' is \"fast\": give a number"));
  EXPECT_THAT(refused("/blocks/0", 3), testing::HasSubstr("block 0: found 3 where an object"));
}

TEST(FactsJson, SizesThatWouldOverflowAreRefused) {
  json bad = facts_to_json(rich_facts());
  bad["blocks"][0]["inputs"][0]["sample_shape"] = {std::int64_t{1} << 40, std::int64_t{1} << 40};
  EXPECT_THAT(refusal(bad), testing::HasSubstr("more than 2^53 elements"));
  bad["blocks"][0]["inputs"][0]["sample_shape"] = {0xffffffffffffffffULL};
  EXPECT_THAT(refusal(bad), testing::HasSubstr("'sample_shape' is [18446744073709551615]"));
}

}  // namespace
}  // namespace shoal
