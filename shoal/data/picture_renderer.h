// From a picture to a sample: cut, resized, mirrored, normalised, channels first.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shoal/data/color_jitter.h"
#include "shoal/data/picture.h"
#include "shoal/data/pixel_vector.h"
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
  // resizing each byte becomes its float once, from the picture to the sample; with colours changed
  // the sample is gone over again.
  void render(const PictureView& picture, const PictureCut& cut, const ColorChange& colors,
              Resampler& resampler, std::span<float> out) const;

 private:
  // What bytes become. A table says it; a line in vectors is faster and used where it gives the
  // same floats for all 256, as it nearly always does.
  struct Conversion {
    std::vector<ByteTable> tables;  // one per group
    std::optional<detail::PixelLines> lines;

    explicit Conversion(const Scaling& scaling);
    const ByteTable& table(int channel) const {
      return tables[tables.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
    }
  };

  void copy(const PictureView& picture, const PictureCut& cut, const Conversion& conversion,
            std::span<float> out) const;
  void copy_pixels(const std::uint8_t* rgb, int pixels, bool mirrored, const Conversion& conversion,
                   float* to) const;
  std::size_t group_of(int channel) const;

  int channels_;
  PictureSize window_;
  Scaling scaling_;
  Conversion to_inputs_;
  Conversion to_unit_;  // bytes / 255, for colours
};

}  // namespace shoal
