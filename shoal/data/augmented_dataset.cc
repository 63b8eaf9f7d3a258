#include "shoal/data/augmented_dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {

void require_augmentable(const Dataset& whole, const AugmentOptions& options) {
  require_none(options.problems());
  if (options.alters_pictures() && !whole.has_pictures()) {
    throw InvalidInput(fmt::format(
        "{} has no pictures of bytes: of [augment], only mixup can be used with it", whole.name()));
  }
  if (options.mixup > 0 && whole.input_type() != ElementType::float32) {
    throw InvalidInput(fmt::format(
        "{} has samples of ids, which cannot be mixed: leave [augment] mixup out", whole.name()));
  }
  const auto& shape = whole.sample_shape();
  if (options.changes_colors() && shape[0] != 1 && shape[0] != 3) {
    throw InvalidInput(
        fmt::format("{} has samples of {}: [augment] brightness, contrast, "
                    "saturation and hue take pictures of 1 or 3 channels",
                    whole.name(), fmt::join(shape, "x")));
  }
}

AugmentedDataset::AugmentedDataset(const Dataset& whole, const AugmentOptions& options,
                                   std::uint64_t seed)
    : Dataset(whole.facts()), whole_(whole), augmentation_(options, seed) {
  require_augmentable(whole, options);
}

void AugmentedDataset::read(std::span<const std::int64_t> ids, Batch& out) const {
  read_unmixed(ids, out);
  if (augmentation_.options().mixup > 0) mix(out);
}

void AugmentedDataset::read_unmixed(std::span<const std::int64_t> ids, Batch& out) const {
  if (augmentation_.options().alters_pictures()) {
    whole_.read_augmented(ids, augmentation_, out);
  } else {
    whole_.read(ids, out);
  }
}

// Inputs are mixed after normalising, which is linear: the same as before it, to rounding.
void AugmentedDataset::mix(Batch& out) const {
  const auto elements = static_cast<std::size_t>(facts().sample_elements());
  Batch other;
  other.index = out.index;
  out.shares.resize(static_cast<std::size_t>(out.samples));
  out.other_labels.resize(out.labels.size());
  for (std::size_t i = 0; i < out.shares.size(); ++i) {
    const auto mixture =
        augmentation_.mixture({.step = out.index, .row = out.sample_ids[i]}, whole_.size());
    read_unmixed(std::array{mixture.partner}, other);
    const auto share = static_cast<float>(mixture.share);
    out.shares[i] = share;
    const float rest = 1 - share;
    float* const own = out.inputs.as<float>().data() + i * elements;
    const float* const added = other.floats().data();
    for (std::size_t j = 0; j < elements; ++j) own[j] = share * own[j] + rest * added[j];
    if (classes() > 0) out.other_labels[i] = other.labels[0];
    for (std::size_t k = 0; k < other.targets.size(); ++k) {
      float& target = out.targets[i * other.targets.size() + k];
      target = share * target + rest * other.targets[k];
    }
  }
}

}  // namespace shoal
