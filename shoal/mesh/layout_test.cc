#include "shoal/mesh/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Mesh kMesh({{"pipe", 2}, {"data", 3}, {"tensor", 2}, {"expert", 1}});
const Layout kMegatron{{{"batch", {"data"}},
                        {"ffn", {"tensor"}},
                        {"heads", {"tensor"}},
                        {"vocab", {"tensor"}},
                        {"experts", {"expert"}}}};

TEST(Layout, TheStandardSplitsTheBatchOverData) {
  EXPECT_THAT(Layout::standard(kMesh).axes_of("batch", kMesh), ElementsAre("data"));
  EXPECT_THAT(Layout::standard(Mesh({{"pipe", 3}})).axes_of_dim, IsEmpty());
  EXPECT_THAT(Layout::standard(Mesh()).axes_of_dim, IsEmpty());
}

TEST(Layout, AxesOfADimLeaveOutWhatDoesNotSplit) {
  EXPECT_THAT(kMegatron.axes_of("ffn", kMesh), ElementsAre("tensor"));
  EXPECT_THAT(kMegatron.axes_of("experts", kMesh), IsEmpty());  // an axis of size 1
  EXPECT_THAT(kMegatron.axes_of("hidden", kMesh), IsEmpty());
  EXPECT_THAT(kMegatron.axes_of("ffn", Mesh({{"data", 2}})), IsEmpty());
  const Layout both{{{"batch", {"tensor", "data"}}}};
  EXPECT_THAT(both.axes_of("batch", kMesh), ElementsAre("tensor", "data"));  // as given
}

TEST(Layout, NamesAxesThatTheMeshLacks) {
  EXPECT_THAT(kMegatron.problems(kMesh), IsEmpty());
  const Layout layout{{{"batch", {"dta", "dta"}}, {"ffn", {"zebra"}}, {"hidden", {"pipe"}}}};
  EXPECT_THAT(
      layout.problems(Mesh({{"data", 2}})),
      ElementsAre("layout splits 'batch' over axis 'dta', which the mesh (data 2) lacks: did you "
                  "mean 'data'?",
                  "layout splits 'batch' over axis 'dta' twice: name it once",
                  "layout splits 'ffn' over axis 'zebra', which the mesh (data 2) lacks: add the "
                  "axis to the mesh, or take 'ffn' out of the layout"));
}

TEST(Layout, RefusesTensorsThatItCannotSplit) {
  EXPECT_THAT(kMegatron.problems_of("w", {"ffn", "hidden"}, {8, 5}, kMesh), IsEmpty());
  EXPECT_THAT(
      kMegatron.problems_of("w", {"ffn", "hidden"}, {7, 5}, kMesh),
      ElementsAre("w: 'ffn' has size 7, which 2 parts (axis tensor) do not divide: choose a "
                  "size or an axis that does"));
  EXPECT_THAT(kMegatron.problems_of("w", {"ffn", "heads"}, {8, 8}, kMesh),
              ElementsAre(HasSubstr("w: axis 'tensor' splits both 'ffn' and 'heads'")));
  EXPECT_THAT(kMegatron.problems_of("w", {"ffn"}, {8, 8}, kMesh),
              ElementsAre("w has 1 dims (ffn) but 2 sizes: name each dim"));
  EXPECT_THAT(kMegatron.problems_of("scalar", {}, {}, kMesh), IsEmpty());
}

TEST(Layout, BatchAndVocabularyMayBeUneven) {
  EXPECT_THAT(kMegatron.problems_of("x", {"batch", "hidden"}, {100, 5}, kMesh), IsEmpty());
  EXPECT_THAT(kMegatron.problems_of("e", {"vocab", "hidden"}, {50257, 5}, kMesh), IsEmpty());
  EXPECT_THAT(kMegatron.problems_of("x", {"batch"}, {2}, kMesh), IsEmpty());  // one part is empty
}

TEST(Layout, GradientsAreSummedOverAxesOfDimsThatTheParameterLacks) {
  const std::vector<std::string> mlp = {"batch", "sequence", "hidden", "ffn"};
  // Column and row halves of a Megatron layer, its norm, and its row bias.
  EXPECT_THAT(kMegatron.gradient_axes({"hidden", "ffn"}, mlp, kMesh), ElementsAre("data"));
  EXPECT_THAT(kMegatron.gradient_axes({"ffn", "hidden"}, mlp, kMesh), ElementsAre("data"));
  const std::vector<std::string> norm = {"batch", "sequence", "hidden"};
  EXPECT_THAT(kMegatron.gradient_axes({"hidden"}, norm, kMesh), ElementsAre("data"));
  // With sequence parallelism the norm sees a part of the tokens.
  Layout sequence = kMegatron;
  sequence.axes_of_dim["sequence"] = {"tensor"};
  EXPECT_THAT(sequence.gradient_axes({"hidden"}, norm, kMesh), ElementsAre("data", "tensor"));
  // A batch over two axes: both, in mesh order.
  const Layout both{{{"batch", {"tensor", "data"}}}};
  EXPECT_THAT(both.gradient_axes({"out", "in"}, kMesh), ElementsAre("data", "tensor"));
  EXPECT_THAT(both.gradient_axes({"batch"}, kMesh), IsEmpty());
  EXPECT_THAT(Layout().gradient_axes({"hidden"}, kMesh), IsEmpty());
  EXPECT_THAT(both.gradient_axes({"out"}, Mesh()), IsEmpty());
}

}  // namespace
}  // namespace shoal
