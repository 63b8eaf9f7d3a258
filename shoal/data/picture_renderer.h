// From a picture to a sample: cut, resized, mirrored, normalised, channels first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shoal/data/color_jitter.h"
#include "shoal/data/picture.h"
#include "shoal/data/resampling.h"
#include "shoal/data/scaling.h"

namespace shoal {

// Immutable: all calls may run in several threads at once, each with a Resampler of its own.
class PictureRenderer {
 public:
  // Samples of {channels, height, width}; `scaling` has one group, or one per channel.
  PictureRenderer(const std::vector<std::int64_t>& shape, const Scaling& scaling);

  PictureSize window() const { return window_; }
  int channels() const { return channels_; }

  // Writes a sample, channels x height x width floats. `picture` has the sample's channels. Without
  // resizing each byte is looked up in a table, once, from the picture to the sample; with colours
  // changed the sample is gone over again.
  void render(const PictureView& picture, const PictureCut& cut, const ColorChange& colors,
              Resampler& resampler, std::span<float> out) const;

 private:
  void copy(const PictureView& picture, const PictureCut& cut, const std::vector<ByteTable>& tables,
            std::span<float> out) const;
  std::size_t group_of(int channel) const;

  int channels_;
  PictureSize window_;
  Scaling scaling_;
  std::vector<ByteTable> tables_;
  std::vector<ByteTable> unit_tables_;  // bytes / 255, for colours
};

}  // namespace shoal
