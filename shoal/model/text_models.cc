// Models of characters, each of which says what follows it.
#include "shoal/model/model_form.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

constexpr int kWidth = 128;

// What a sequence gains from a wider and wider past: added to what it is.
Json dilated(int dilation) {
  const Json conv = {{"conv1d", kWidth}, {"kernel", 3}, {"dilation", dilation}, {"causal", true}};
  return Json::array(
      {{{"residual", Json::array({"layer_norm", conv, "gelu", {{"linear", kWidth}}})}}});
}

}  // namespace

Json bigram(const ModelForm& form) { return Json::array({{{"embedding", form.outputs}}}); }

Json tcn(const ModelForm& form) {
  Json layers = Json::array({{{"embedding", kWidth}}});
  for (const int dilation : {1, 2, 4, 8, 16}) layers.push_back(dilated(dilation));
  layers.push_back(Json::array({"layer_norm", {{"linear", form.outputs}}}));
  return layers;
}

}  // namespace shoal
