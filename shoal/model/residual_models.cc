// ResNets as layer lists.
#include "shoal/model/model_form.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

// Source of the initial values: He et al., Delving Deep into Rectifiers, ICCV 2015.
Json conv(std::int64_t channels, int kernel, int stride = 1) {
  return {{"conv", channels},      {"kernel", kernel}, {"stride", stride},
          {"padding", kernel / 2}, {"bias", false},    {"kaiming", true}};
}

void append(Json& list, const Json& more) { list.insert(list.end(), more.begin(), more.end()); }

Json projection(std::int64_t channels, int stride) {
  return Json::array({conv(channels, 1, stride), "batch_norm"});
}

// Two 3x3 convolutions and the way around them.
Json basic(std::int64_t channels, int stride, const Json& shortcut) {
  Json residual = {{"residual", Json::array({conv(channels, 3, stride), "batch_norm", "relu",
                                             conv(channels, 3), "batch_norm"})}};
  if (!shortcut.empty()) residual["shortcut"] = shortcut;
  return Json::array({residual, "relu"});
}

Json bottleneck(std::int64_t channels, int stride, const Json& shortcut) {
  Json residual = {
      {"residual", Json::array({conv(channels, 1), "batch_norm", "relu", conv(channels, 3, stride),
                                "batch_norm", "relu", conv(4 * channels, 1), "batch_norm"})}};
  if (!shortcut.empty()) residual["shortcut"] = shortcut;
  return Json::array({residual, "relu"});
}

Json stem(const ModelForm& form) {
  if (!has_cifar_form(form)) {
    return Json::array(
        {conv(64, 7, 2), "batch_norm", "relu", {{"pool", 3}, {"stride", 2}, {"padding", 1}}});
  }
  return Json::array({conv(64, 3), "batch_norm", "relu"});
}

Json head(const ModelForm& form) {
  Json block = Json::array({"global_avg_pool"});
  append(block, form.head());
  return block;
}

using Unit = Json (*)(std::int64_t channels, int stride, const Json& shortcut);

// Stages of 64, 128, 256 and 512 channels.
Json four_stages(const ModelForm& form, Unit unit, int widening, const std::vector<int>& units) {
  Json blocks = Json::array({stem(form)});
  std::int64_t before = 64;
  for (std::size_t stage = 0; stage < units.size(); ++stage) {
    const std::int64_t channels = std::int64_t{64} << stage;
    for (int i = 0; i < units[stage]; ++i) {
      const int stride = stage > 0 && i == 0 ? 2 : 1;
      const bool same = before == channels * widening && stride == 1;
      blocks.push_back(
          unit(channels, stride, same ? Json() : projection(channels * widening, stride)));
      before = channels * widening;
    }
  }
  blocks.push_back(head(form));
  return blocks;
}

// Stages of 16, 32 and 64 channels; where the size halves, every second row and column goes on and
// the new channels are zero: the paper's option A, which has no parameters.
Json three_stages(const ModelForm& form, int units) {
  Json blocks = Json::array({Json::array({conv(16, 3), "batch_norm", "relu"})});
  for (int stage = 0; stage < 3; ++stage) {
    const std::int64_t channels = std::int64_t{16} << stage;
    for (int i = 0; i < units; ++i) {
      const bool halves = stage > 0 && i == 0;
      const Json shortcut =
          halves ? Json::array({{{"subsample", 2}, {"channels", channels}}}) : Json();
      blocks.push_back(basic(channels, halves ? 2 : 1, shortcut));
    }
  }
  blocks.push_back(head(form));
  return blocks;
}

// Normalisation and relu come before the convolutions; where the shape changes, before the shortcut
// too.
void append_pre_activated(Json& blocks, std::int64_t channels, int stride, bool changes_shape) {
  const Json before = Json::array({"batch_norm", "relu"});
  Json body = Json::array({conv(channels, 1), "batch_norm", "relu", conv(channels, 3, stride),
                           "batch_norm", "relu", conv(4 * channels, 1)});
  if (!changes_shape) {
    Json whole = before;
    append(whole, body);
    blocks.push_back({{"residual", whole}});
    return;
  }
  Json block = before;
  block.push_back({{"residual", body}, {"shortcut", Json::array({conv(4 * channels, 1, stride)})}});
  blocks.push_back(block);
}

}  // namespace

bool has_cifar_form(const ModelForm& form) {
  switch (form.pictures) {
    case PictureForm::cifar:
      return true;
    case PictureForm::imagenet:
      return false;
    case PictureForm::automatic:
      break;
  }
  constexpr std::int64_t kLargestSmall = 64;
  return form.sample_shape.size() != 3 ||
         (form.sample_shape[1] <= kLargestSmall && form.sample_shape[2] <= kLargestSmall);
}

Json resnet18(const ModelForm& form) { return four_stages(form, basic, 1, {2, 2, 2, 2}); }
Json resnet34(const ModelForm& form) { return four_stages(form, basic, 1, {3, 4, 6, 3}); }
Json resnet50(const ModelForm& form) { return four_stages(form, bottleneck, 4, {3, 4, 6, 3}); }
Json resnet20(const ModelForm& form) { return three_stages(form, 3); }
Json resnet56(const ModelForm& form) { return three_stages(form, 9); }

Json resnet164(const ModelForm& form) {
  Json blocks = Json::array({conv(16, 3)});
  for (int stage = 0; stage < 3; ++stage) {
    for (int i = 0; i < 18; ++i) {
      append_pre_activated(blocks, std::int64_t{16} << stage, stage > 0 && i == 0 ? 2 : 1, i == 0);
    }
  }
  Json last = Json::array({"batch_norm", "relu"});
  append(last, head(form));
  blocks.push_back(last);
  return blocks;
}

}  // namespace shoal
