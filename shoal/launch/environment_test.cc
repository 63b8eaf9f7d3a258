#include "shoal/launch/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "shoal/comm/interfaces.h"
#include "shoal/core/error.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/worker_variables.h"

namespace shoal {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

using Environment = std::map<std::string, std::string>;

EnvironmentLookup lookup_in(const Environment& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

std::optional<WorkerPlace> place_in(const Environment& variables) {
  return place_from_environment(lookup_in(variables));
}

// The sentence with which the variables are refused; "" when they are taken.
std::string refusal(const Environment& variables) {
  try {
    place_in(variables);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "";
}

Environment without(Environment variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

Environment with(Environment variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

const Environment kShoal = {{"SHOAL_RANK", "3"},       {"SHOAL_SIZE", "4"},
                            {"SHOAL_LOCAL_RANK", "1"}, {"SHOAL_LOCAL_SIZE", "2"},
                            {"SHOAL_STORE", "h:123"},  {"SHOAL_SECRET", "0123456789abcdef"}};

const Environment kTorchrun = {{"RANK", "2"},
                               {"WORLD_SIZE", "4"},
                               {"LOCAL_RANK", "0"},
                               {"LOCAL_WORLD_SIZE", "2"},
                               {"MASTER_ADDR", "node-a"},
                               {"MASTER_PORT", "29500"},
                               {"TORCHELASTIC_RUN_ID", "none"},
                               {"TORCHELASTIC_USE_AGENT_STORE", "True"}};

const Environment kOpenMpi = {
    {"OMPI_COMM_WORLD_RANK", "1"},
    {"OMPI_COMM_WORLD_SIZE", "2"},
    {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
    {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
    {"PMIX_NAMESPACE", "2041249793"},
    {"OMPI_MCA_orte_hnp_uri", "2041249792.0;tcp://192.0.2.2,10.0.0.1:55689;tcp6://[fd00::2]:58615"},
    {"OMPI_MCA_orte_precondition_transports", "086c9e2086290806-21cbfdebb2a821c3"}};

const Environment kHydra = {
    {"PMI_RANK", "0"}, {"PMI_SIZE", "3"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "3"}};

const Environment kSrun = {{"SLURM_JOB_ID", "77"},
                           {"SLURM_STEP_ID", "0"},
                           {"SLURM_PROCID", "5"},
                           {"SLURM_NTASKS", "6"},
                           {"SLURM_LOCALID", "1"},
                           {"SLURM_NODEID", "1"},
                           {"SLURM_STEP_TASKS_PER_NODE", "4,2"},
                           {"SLURM_STEP_NODELIST", "node[07-08]"},
                           {"SHOAL_SECRET", "0123456789abcdef"}};

TEST(Environment, WithoutALauncherThereIsNoPlace) {
  EXPECT_FALSE(place_in({}).has_value());
  EXPECT_FALSE(place_in({{"RANK", "first"}, {"MASTER_ADDR", "a"}}).has_value());
}

TEST(Environment, OfShoalsOwnLauncher) {
  const auto place = place_in(kShoal);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->source, "shoal");
  EXPECT_EQ(place->rank, 3);
  EXPECT_EQ(place->size, 4);
  EXPECT_EQ(place->local_rank, 1);
  EXPECT_EQ(place->local_size, 2);
  EXPECT_EQ(place->master_address, "h");
  EXPECT_EQ(place->master_port, 123);
  EXPECT_EQ(place->secret, "0123456789abcdef");
  EXPECT_FALSE(place->store_is_torch);
}

TEST(Environment, WhatTheLauncherWritesIsReadBack) {
  const OwnedFd secret = secret_in_memory("the inherited secret");
  const WorkerPlace told{.rank = 2,
                         .size = 5,
                         .local_rank = 0,
                         .local_size = 3,
                         .master_address = "fd00::2",
                         .master_port = 99};
  Environment variables;
  for (const auto& variable : place_variables(told, secret.get())) {
    const auto equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  for (int reader = 0; reader < 2; ++reader) {
    const auto place = place_in(variables);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->rank, 2);
    EXPECT_EQ(place->size, 5);
    EXPECT_EQ(place->local_size, 3);
    EXPECT_EQ(place->master_address, "fd00::2");
    EXPECT_EQ(place->master_port, 99);
    EXPECT_EQ(place->secret, "the inherited secret");
  }
}

TEST(Environment, OwnVariablesWinOverThoseOfAnOuterLauncher) {
  Environment variables = kSrun;
  variables.insert(kShoal.begin(), kShoal.end());
  EXPECT_EQ(place_in(variables)->source, "shoal");
}

TEST(Environment, OfTorchrunWithItsStore) {
  const auto place = place_in(kTorchrun);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->source, "torchrun");
  EXPECT_EQ(place->rank, 2);
  EXPECT_EQ(place->size, 4);
  EXPECT_EQ(place->local_size, 2);
  EXPECT_TRUE(place->store_is_torch);
  EXPECT_EQ(place->master_address, "node-a");
  EXPECT_EQ(place->master_port, 29500);
}

TEST(Environment, OfTorchrunWithoutItsStoreNeedsASecretBetweenHosts) {
  const auto bare = with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "False");
  EXPECT_THAT(refusal(bare), HasSubstr("SHOAL_SECRET_FILE"));
  const auto place = place_in(with(bare, "SHOAL_SECRET", "0123456789abcdef"));
  ASSERT_TRUE(place.has_value());
  EXPECT_FALSE(place->store_is_torch);
  EXPECT_EQ(place->master_port, 29500);
  EXPECT_TRUE(place->rendezvous_file.empty());
}

TEST(Environment, OfOpenMpiOnOneHostMeetsThroughAFile) {
  const auto place = place_in(kOpenMpi);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->source, "mpirun");
  EXPECT_EQ(place->mpi, Mpi::open_mpi);
  EXPECT_EQ(place->rank, 1);
  EXPECT_EQ(place->size, 2);
  EXPECT_FALSE(place->rendezvous_file.empty());
  EXPECT_EQ(place->rendezvous_file,
            place_in(with(kOpenMpi, "OMPI_COMM_WORLD_RANK", "0"))->rendezvous_file);
  EXPECT_NE(place->rendezvous_file,
            place_in(with(kOpenMpi, "OMPI_MCA_orte_precondition_transports", "another"))
                ->rendezvous_file);
}

TEST(Environment, OfOpenMpiOnSeveralHostsUsesItsAddressAndKey) {
  auto variables = with(kOpenMpi, "OMPI_COMM_WORLD_SIZE", "4");
  const auto place = place_in(variables);
  ASSERT_TRUE(place.has_value());
  EXPECT_TRUE(place->rendezvous_file.empty());
  EXPECT_EQ(place->master_address, "192.0.2.2");
  EXPECT_EQ(place->secret, "086c9e2086290806-21cbfdebb2a821c3");
  EXPECT_GE(place->master_port, 10000);
  EXPECT_LT(place->master_port, 30000);
  EXPECT_THAT(refusal(without(variables, "OMPI_MCA_orte_hnp_uri")), HasSubstr("MASTER_ADDR"));
  variables = with(with(variables, "MASTER_ADDR", "there"), "MASTER_PORT", "4000");
  EXPECT_EQ(place_in(variables)->master_address, "there");
  EXPECT_EQ(place_in(variables)->master_port, 4000);
}

TEST(Environment, OfHydra) {
  const auto place = place_in(kHydra);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->source, "mpirun");
  EXPECT_EQ(place->mpi, Mpi::mpich);
  EXPECT_EQ(place->size, 3);
  EXPECT_FALSE(place->rendezvous_file.empty());
  EXPECT_THAT(refusal(without(kHydra, "MPI_LOCALNRANKS")), HasSubstr("MPI_LOCALNRANKS"));
}

TEST(Environment, OfSrun) {
  const auto place = place_in(kSrun);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->source, "srun");
  EXPECT_EQ(place->mpi, Mpi::automatic);
  EXPECT_EQ(place_in(with(kSrun, "PMIX_RANK", "5"))->mpi, Mpi::open_mpi);
  EXPECT_EQ(place_in(with(kSrun, "PMI_RANK", "5"))->mpi, Mpi::mpich);
  EXPECT_EQ(place->rank, 5);
  EXPECT_EQ(place->size, 6);
  EXPECT_EQ(place->local_rank, 1);
  EXPECT_EQ(place->local_size, 2);
  EXPECT_EQ(place->master_address, "node07");
  EXPECT_EQ(place->master_port, place_in(with(kSrun, "SLURM_PROCID", "4"))->master_port);
  EXPECT_NE(place->master_port, place_in(with(kSrun, "SLURM_STEP_ID", "1"))->master_port);
}

TEST(Environment, OfSrunOnOneNodeNeedsNoSecret) {
  auto variables = without(without(kSrun, "SHOAL_SECRET"), "SLURM_NODEID");
  variables = with(variables, "SLURM_STEP_TASKS_PER_NODE", "6");
  EXPECT_FALSE(place_in(variables)->rendezvous_file.empty());
  // srun with PMI sets PMI_RANK too; that is no Hydra.
  EXPECT_EQ(place_in(with(with(variables, "PMI_RANK", "5"), "PMI_SIZE", "6"))->source, "srun");
}

TEST(Environment, ABatchScriptOfSlurmIsNoWorker) {
  EXPECT_FALSE(place_in(without(kSrun, "SLURM_STEP_ID")).has_value());
}

TEST(Environment, MissingVariablesAreNamed) {
  for (const char* name : {"SHOAL_RANK", "SHOAL_SIZE", "SHOAL_STORE", "SHOAL_SECRET"}) {
    EXPECT_THAT(refusal(without(kShoal, name)), HasSubstr(name));
  }
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
    EXPECT_THAT(refusal(without(kTorchrun, name)), HasSubstr(name));
  }
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                           "OMPI_COMM_WORLD_LOCAL_RANK", "PMIX_NAMESPACE"}) {
    EXPECT_THAT(refusal(without(kOpenMpi, name)), HasSubstr(name));
  }
  EXPECT_THAT(refusal(without(kSrun, "SLURM_LOCALID")), HasSubstr("SLURM_LOCALID"));
  EXPECT_THAT(refusal(without(kSrun, "SHOAL_SECRET")), HasSubstr("SHOAL_SECRET_FILE"));
}

TEST(Environment, MalformedAndContradictoryNeighboursAreRefused) {
  for (const char* rank : {"", "-1", "4", "two", "1x", "0x1", " 1", "99999999999"}) {
    EXPECT_NE(refusal(with(kShoal, "SHOAL_RANK", rank)), "") << rank;
    EXPECT_NE(refusal(with(kTorchrun, "RANK", rank)), "") << rank;
  }
  for (const char* store :
       {"", "h", "h:", ":1", "h:0", "h:65536", "h:1x", "a:b:1", "[::1:2", "[]:1"}) {
    EXPECT_NE(refusal(with(kShoal, "SHOAL_STORE", store)), "") << store;
  }
  EXPECT_NE(refusal(with(kShoal, "SHOAL_SIZE", "0")), "");
  EXPECT_NE(refusal(with(kShoal, "SHOAL_LOCAL_RANK", "2")), "");
  EXPECT_NE(refusal(with(kShoal, "SHOAL_LOCAL_SIZE", "5")), "");
  EXPECT_NE(refusal(with(kShoal, "SHOAL_SECRET", "short")), "");
  EXPECT_NE(refusal(with(kShoal, "SHOAL_SECRET_FD", "9999")), "");
  EXPECT_NE(refusal(with(kShoal, "SHOAL_SECRET_FILE", "/nowhere")), "");
  EXPECT_NE(refusal(with(kTorchrun, "MASTER_PORT", "0")), "");
  EXPECT_NE(refusal(with(kTorchrun, "MASTER_PORT", "70000")), "");
  EXPECT_NE(refusal(with(kSrun, "SLURM_NODEID", "2")), "");
  EXPECT_NE(refusal(with(kSrun, "SLURM_STEP_TASKS_PER_NODE", "4(x")), "");
  EXPECT_NE(refusal(with(kSrun, "SLURM_STEP_NODELIST", "node[")), "");
}

TEST(HostPort, ReadsNamesAndAddresses) {
  EXPECT_EQ(parse_host_port("a.example:80", "--master").host, "a.example");
  EXPECT_EQ(parse_host_port("[fd00::2]:80", "--master").host, "fd00::2");
  EXPECT_EQ(parse_host_port("127.0.0.1:65535", "--master").port, 65535);
  EXPECT_TRUE(is_loopback("127.0.0.1"));
  EXPECT_FALSE(is_loopback("10.0.0.1"));
}

TEST(WorkerVariables, KeepWhatTheUserHasSet) {
  const auto plain = worker_variables({"A=1", "SHOAL_RANK=9"}, {"SHOAL_RANK=0"});
  EXPECT_THAT(plain, Contains("A=1"));
  EXPECT_THAT(plain, Contains("OMP_NUM_THREADS=1"));
  EXPECT_THAT(plain, Contains("MALLOC_TRIM_THRESHOLD_=17179869184"));
  EXPECT_THAT(plain, Contains("SHOAL_RANK=0"));
  EXPECT_THAT(plain, Not(Contains("SHOAL_RANK=9")));
  const auto set = worker_variables({"OMP_NUM_THREADS=8"}, {});
  EXPECT_THAT(set, Contains("OMP_NUM_THREADS=8"));
  EXPECT_THAT(set, Not(Contains("OMP_NUM_THREADS=1")));
}

}  // namespace
}  // namespace shoal
