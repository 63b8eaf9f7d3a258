// VGG-19 as layer lists.
#include "shoal/model/model_form.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

Json vgg(const ModelForm& form, bool batch_norm) {
  struct Stage {
    std::int64_t channels;
    int convolutions;
  };
  Json blocks = Json::array();
  for (const Stage& stage : {Stage{64, 2}, {128, 2}, {256, 4}, {512, 4}, {512, 4}}) {
    for (int i = 0; i < stage.convolutions; ++i) {
      Json block = Json::array({{{"conv", stage.channels}, {"padding", 1}, {"kaiming", true}}});
      if (batch_norm) block.push_back("batch_norm");
      block.push_back("relu");
      if (i + 1 == stage.convolutions) block.push_back({{"pool", 2}});
      blocks.push_back(block);
    }
  }
  blocks.back().push_back("flatten");
  if (!has_cifar_form(form)) {
    for (int i = 0; i < 2; ++i) {
      blocks.push_back(Json::array({{{"linear", 4096}}, "relu", {{"dropout", 0.5}}}));
    }
  }
  blocks.push_back(form.head());
  return blocks;
}

}  // namespace

nlohmann::json vgg19(const ModelForm& form) { return vgg(form, false); }
nlohmann::json vgg19_bn(const ModelForm& form) { return vgg(form, true); }

}  // namespace shoal
