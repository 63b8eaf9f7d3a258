#include "shoal/data/picture_renderer.h"

#include <algorithm>

#include "shoal/core/check.h"

namespace shoal {

PictureRenderer::PictureRenderer(const std::vector<std::int64_t>& shape, const Scaling& scaling)
    : scaling_(scaling),
      tables_(byte_tables(scaling)),
      unit_tables_(byte_tables({.unit = 1.0 / 255, .normalization = {}})) {
  check_equal(shape.size(), std::size_t{3}, "a picture has channels, height and width");
  channels_ = static_cast<int>(shape[0]);
  window_ = {.height = static_cast<int>(shape[1]), .width = static_cast<int>(shape[2])};
  const std::size_t groups = scaling.normalization.mean.size();
  check(groups == 1 || groups == static_cast<std::size_t>(channels_), "a mean for each channel");
}

std::size_t PictureRenderer::group_of(int channel) const {
  return tables_.size() == 1 ? 0 : static_cast<std::size_t>(channel);
}

void PictureRenderer::render(const PictureView& picture, const PictureCut& cut,
                             const ColorChange& colors, Resampler& resampler,
                             std::span<float> out) const {
  check_equal(picture.channels, channels_, "a picture has the channels of its samples");
  const bool resizes = cut.resized != PictureSize{cut.box.height, cut.box.width};
  const bool recolors = colors.changes();
  if (!resizes && !recolors) return copy(picture, cut, tables_, out);
  double to_unit = 1;  // from what `out` holds to 0..1
  if (resizes) {
    resampler.resample(picture, cut, window_, out.data());
    to_unit = 1.0 / 255;
  } else {
    copy(picture, cut, unit_tables_, out);
  }
  const std::size_t plane = out.size() / static_cast<std::size_t>(channels_);
  if (recolors) {
    if (to_unit != 1) {
      for (float& value : out) value *= static_cast<float>(to_unit);
      to_unit = 1;
    }
    change_colors(colors, channels_, out);
  }
  for (int c = 0; c < channels_; ++c) {
    const Scaling::Line line = scaling_.line(group_of(c));
    const auto slope = static_cast<float>(line.slope * 255 * to_unit);
    const auto offset = static_cast<float>(line.offset);
    float* const values = out.data() + static_cast<std::size_t>(c) * plane;
    for (std::size_t i = 0; i < plane; ++i) values[i] = values[i] * slope + offset;
  }
}

void PictureRenderer::copy(const PictureView& picture, const PictureCut& cut,
                           const std::vector<ByteTable>& tables, std::span<float> out) const {
  const int first = std::clamp(-cut.left, 0, window_.width);
  const int end = std::clamp(cut.box.width - cut.left, first, window_.width);
  const std::ptrdiff_t step = cut.mirrored ? -1 : 1;
  for (int y = 0; y < window_.height; ++y) {
    const int row = cut.top + y;
    const bool inside = row >= 0 && row < cut.box.height;
    for (int c = 0; c < channels_; ++c) {
      const ByteTable& table = tables[tables.size() == 1 ? 0 : static_cast<std::size_t>(c)];
      float* const line = out.data() + (std::ptrdiff_t{c} * window_.height + y) * window_.width;
      if (!inside) {
        std::fill_n(line, window_.width, table[0]);
        continue;
      }
      const std::uint8_t* from = picture.bytes + c * picture.to_channel +
                                 (cut.box.top + row) * picture.to_row +
                                 (cut.box.left + cut.left + first) * picture.to_column;
      float* to = cut.mirrored ? line + window_.width - 1 : line;
      for (int x = 0; x < first; ++x, to += step) *to = table[0];
      for (int x = first; x < end; ++x, to += step, from += picture.to_column) *to = table[*from];
      for (int x = end; x < window_.width; ++x, to += step) *to = table[0];
    }
  }
}

}  // namespace shoal
