// The verifier against programs that somebody has spoilt: every change that changes what the
// programs mean has to be refused. What they mean is found by running them (test_meaning.h).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <map>

#include "shoal/program/compile.h"
#include "shoal/program/test_meaning.h"
#include "shoal/program/test_random_plans.h"
#include "shoal/program/verify.h"

namespace shoal {
namespace {

using testing_meaning::Meaning;
using testing_meaning::meaning_of;
using testing_random::Dice;
using testing_random::Job;
using testing_random::random_job;

constexpr int kJobs = 125;
constexpr int kMutationsPerJob = 8;  // of each kind: 1,000 in all

enum class Mutation { swapped, dropped, duplicated, resized, redirected };
constexpr std::array kMutations = {Mutation::swapped, Mutation::dropped, Mutation::duplicated,
                                   Mutation::resized, Mutation::redirected};

std::string_view name_of(Mutation mutation) {
  switch (mutation) {
    case Mutation::swapped:
      return "swapped";
    case Mutation::dropped:
      return "dropped";
    case Mutation::duplicated:
      return "duplicated";
    case Mutation::resized:
      return "resized";
    case Mutation::redirected:
      return "redirected";
  }
  return "?";
}

bool sends(const Op& op) {
  return op.kind == OpKind::send || op.kind == OpKind::receive || op.kind == OpKind::all_reduce ||
         op.kind == OpKind::agree || op.group >= 0;
}

// Another number near by, now and then out of range.
void redirect(int& number, Dice& dice) {
  const int before = number;
  while (number == before) number = before + dice.between(-2, 2) + (dice.one_in(10) ? 1000 : 0);
}

void redirect(Value& value, Dice& dice) {
  std::vector<int*> fields;
  if (value.block >= 0) fields.push_back(&value.block);
  if (value.micro_batch >= 0) fields.push_back(&value.micro_batch);
  if (value.index >= 0) fields.push_back(&value.index);
  if (fields.empty() || dice.one_in(5)) {
    value.kind = value.kind == ValueKind::loss ? ValueKind::agreed : ValueKind::loss;
    return;
  }
  redirect(*dice.of(fields), dice);
}

void redirect(Op& op, Dice& dice) {
  std::vector<int*> fields;
  for (int* field : {&op.block, &op.micro_batch, &op.peer, &op.group}) {
    if (*field >= 0) fields.push_back(field);
  }
  std::vector<Value*> values;
  for (auto* uses : {&op.reads, &op.writes, &op.accumulates}) {
    for (Use& use : *uses) values.push_back(&use.value);
  }
  for (Value& value : op.frees) values.push_back(&value);
  if (op.kind == OpKind::forward && dice.one_in(4)) {
    op.mode = dice.of<ForwardMode>(
        {ForwardMode::train, ForwardMode::no_save, ForwardMode::recompute, ForwardMode::evaluate});
  } else if (values.empty() || (!fields.empty() && dice.one_in(2))) {
    redirect(*dice.of(fields), dice);
  } else {
    redirect(*dice.of(values), dice);
  }
}

void resize(Op& op, Dice& dice) {
  if (dice.one_in(4)) {
    op.type = op.type == ElementType::float32 ? ElementType::bfloat16 : ElementType::float32;
  } else {
    op.bytes = dice.of<std::int64_t>({op.bytes * 2 + 4, op.bytes + 4, op.bytes - 4, -op.bytes - 1});
  }
}

// Changes one list; returns the kind of the operation it changed.
OpKind mutate(RankPrograms& programs, Mutation mutation, Dice& dice) {
  Program& program = programs[dice.below(static_cast<int>(programs.size()))];
  std::vector<Op>& ops = program.ops;
  const int count = static_cast<int>(ops.size());
  int at = dice.below(count);
  if (mutation == Mutation::resized) {
    std::vector<int> candidates;
    for (int i = 0; i < count; ++i) {
      if (sends(ops[i])) candidates.push_back(i);
    }
    if (candidates.empty()) mutation = Mutation::redirected;  // an evaluation on one stage
    if (!candidates.empty()) at = dice.of(candidates);
  }
  const OpKind kind = ops[at].kind;
  switch (mutation) {
    case Mutation::swapped: {
      const bool neighbours = dice.one_in(2);
      int other = neighbours ? (at + 1) % count : dice.below(count);
      if (other == at) other = (at + 1) % count;
      std::swap(ops[at], ops[other]);
      break;
    }
    case Mutation::dropped:
      ops.erase(ops.begin() + at);
      break;
    case Mutation::duplicated: {
      const Op copy = ops[at];
      const int to = dice.one_in(2) ? at + 1 : dice.below(count + 1);
      ops.insert(ops.begin() + to, copy);
      break;
    }
    case Mutation::resized:
      resize(ops[at], dice);
      break;
    case Mutation::redirected:
      redirect(ops[at], dice);
      break;
  }
  // Somebody who edits a list may well number it again; then versions give nothing away.
  if (dice.one_in(2)) number_versions(program);
  return kind;
}

std::string all_of(const RankPrograms& programs) {
  std::string text;
  for (const Program& p : programs) text += fmt::format("\n  rank {}: {}", p.rank, text_of(p));
  return text;
}

class VerifierOnMutations : public testing::TestWithParam<Mutation> {};

TEST_P(VerifierOnMutations, RefusesWhatChangesTheMeaningAndNamesTheMismatch) {
  const Mutation mutation = GetParam();
  int changed = 0, refused = 0, total = 0;
  std::map<OpKind, int> by_kind;
  for (int seed = 0; seed < kJobs; ++seed) {
    const Job job = random_job(seed);
    const Programs programs = compile(job.blocks, job.plan);
    const RankPrograms& good = programs.named.at(std::string(shoal::name_of(job.kind)));
    const Meaning before = meaning_of(good, programs.blocks, programs.plan);
    ASSERT_EQ(before.error, "") << "seed " << seed << all_of(good);
    Dice dice(1000 * seed + static_cast<int>(mutation));
    for (int i = 0; i < kMutationsPerJob; ++i) {
      RankPrograms bad = good;
      ++by_kind[mutate(bad, mutation, dice)];
      ++total;
      const Meaning after = meaning_of(bad, programs.blocks, programs.plan);
      const auto faults = verify(bad, programs.blocks, programs.plan, job.kind);
      refused += !faults.empty();
      if (after == before) continue;
      ++changed;
      ASSERT_FALSE(faults.empty()) << name_of(mutation) << ", seed " << seed << ", number " << i
                                   << "\nmeaning: " << after.error << "\nbefore:" << all_of(good)
                                   << "\nafter:" << all_of(bad);
      for (const std::string& fault : faults) {
        EXPECT_THAT(fault, testing::ContainsRegex("rank [0-9]|^and [0-9]+ more mismatches"));
      }
    }
  }
  fmt::print("{}: {} mutations, {} changed the meaning, {} refused\n", name_of(mutation), total,
             changed, refused);
  EXPECT_EQ(total, 1000);
  EXPECT_GT(changed, total / 2);
  for (const OpKind kind :
       {OpKind::load, OpKind::forward, OpKind::loss, OpKind::backward, OpKind::send,
        OpKind::receive, OpKind::all_reduce, OpKind::agree, OpKind::update}) {
    const bool has_size = sends(Op{.kind = kind});
    if (mutation == Mutation::resized && !has_size) continue;
    EXPECT_GT(by_kind[kind], 0) << shoal::name_of(kind);
  }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, VerifierOnMutations, testing::ValuesIn(kMutations),
                         [](const auto& parameter) {
                           return std::string(name_of(parameter.param));
                         });

TEST(VerifierOnRandomPrograms, AcceptsWhatThePassesMakeAndItRuns) {
  for (int seed = 0; seed < 500; ++seed) {
    const Job job = random_job(10'000 + seed);
    const Programs programs = compile(job.blocks, job.plan);  // verifies
    for (const auto& [name, ranks] : programs.named) {
      ASSERT_EQ(meaning_of(ranks, programs.blocks, programs.plan).error, "") << seed << name;
    }
  }
}

}  // namespace
}  // namespace shoal
