#include "shoal/data/picture_renderer.h"

#include <algorithm>
#include <array>

#include "shoal/core/check.h"

namespace shoal {

namespace {

// Of all channels, whether a group each or one for all; none where the floats would be others.
std::optional<detail::PixelLines> exact_lines(const Scaling& scaling,
                                              const std::vector<ByteTable>& tables) {
  if (tables.size() != 1 && tables.size() != 3) return std::nullopt;
  constexpr std::size_t kValues = 256;
  detail::PixelLines lines;
  std::array<std::array<float, kValues>, 3> found{};
  std::array<std::uint8_t, 3 * kValues> grey{};
  for (std::size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<std::uint8_t>(i / 3);
  for (std::size_t c = 0; c < 3; ++c) lines.of[c] = scaling.line(tables.size() == 1 ? 0 : c);
  const std::size_t done = detail::convert_pixels(
      grey.data(), kValues, lines, {found[0].data(), found[1].data(), found[2].data()});
  bool are_equal = done == kValues;
  for (std::size_t c = 0; c < 3; ++c) {
    are_equal = are_equal && found[c] == tables[tables.size() == 1 ? 0 : c];
  }
  return are_equal ? std::optional(lines) : std::nullopt;
}

}  // namespace

PictureRenderer::Conversion::Conversion(const Scaling& scaling)
    : tables(byte_tables(scaling)), lines(exact_lines(scaling, tables)) {}

PictureRenderer::PictureRenderer(const std::vector<std::int64_t>& shape, const Scaling& scaling)
    : scaling_(scaling), to_inputs_(scaling), to_unit_({.unit = 1.0 / 255, .normalization = {}}) {
  check_equal(shape.size(), std::size_t{3}, "a picture has channels, height and width");
  channels_ = static_cast<int>(shape[0]);
  window_ = {.height = static_cast<int>(shape[1]), .width = static_cast<int>(shape[2])};
  const std::size_t groups = scaling.normalization.mean.size();
  check(groups == 1 || groups == static_cast<std::size_t>(channels_), "a mean for each channel");
}

std::size_t PictureRenderer::group_of(int channel) const {
  return to_inputs_.tables.size() == 1 ? 0 : static_cast<std::size_t>(channel);
}

void PictureRenderer::render(const PictureView& picture, const PictureCut& cut,
                             const ColorChange& colors, Resampler& resampler,
                             std::span<float> out) const {
  check_equal(picture.channels, channels_, "a picture has the channels of its samples");
  const bool resizes = cut.resized != PictureSize{cut.box.height, cut.box.width};
  const bool recolors = colors.changes();
  if (!resizes && !recolors) return copy(picture, cut, to_inputs_, out);
  double to_unit = 1;  // from what `out` holds to 0..1
  if (resizes) {
    resampler.resample(picture, cut, window_, out.data());
    to_unit = 1.0 / 255;
  } else {
    copy(picture, cut, to_unit_, out);
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
                           const Conversion& conversion, std::span<float> out) const {
  const int first = std::clamp(-cut.left, 0, window_.width);
  const int end = std::clamp(cut.box.width - cut.left, first, window_.width);
  const std::ptrdiff_t step = cut.mirrored ? -1 : 1;
  const bool is_rgb = picture.channels == 3 && picture.to_channel == 1 && picture.to_column == 3;
  for (int y = 0; y < window_.height; ++y) {
    const int row = cut.top + y;
    const bool inside = row >= 0 && row < cut.box.height;
    const std::uint8_t* const pixels = picture.bytes + (cut.box.top + row) * picture.to_row +
                                       (cut.box.left + cut.left + first) * picture.to_column;
    const bool in_vectors = inside && is_rgb && conversion.lines;
    if (in_vectors) {
      const int begin = cut.mirrored ? window_.width - end : first;
      copy_pixels(pixels, end - first, cut.mirrored, conversion,
                  out.data() + std::ptrdiff_t{y} * window_.width + begin);
    }
    for (int c = 0; c < channels_; ++c) {
      const ByteTable& table = conversion.table(c);
      float* const line = out.data() + (std::ptrdiff_t{c} * window_.height + y) * window_.width;
      if (!inside) {
        std::fill_n(line, window_.width, table[0]);
        continue;
      }
      float* to = cut.mirrored ? line + window_.width - 1 : line;
      for (int x = 0; x < first; ++x, to += step) *to = table[0];
      if (in_vectors) {
        to += (end - first) * step;
      } else {
        const std::uint8_t* from = pixels + c * picture.to_channel;
        for (int x = first; x < end; ++x, to += step, from += picture.to_column) *to = table[*from];
      }
      for (int x = end; x < window_.width; ++x, to += step) *to = table[0];
    }
  }
}

// A row of interleaved RGB, to three rows of which the first begins at `to`.
void PictureRenderer::copy_pixels(const std::uint8_t* rgb, int pixels, bool mirrored,
                                  const Conversion& conversion, float* to) const {
  const std::ptrdiff_t plane = std::ptrdiff_t{window_.height} * window_.width;
  const std::array<float*, 3> planes{to, to + plane, to + 2 * plane};
  const auto count = static_cast<std::size_t>(pixels);
  const std::size_t done = detail::convert_pixels(rgb, count, *conversion.lines, planes);
  for (std::size_t c = 0; c < 3; ++c) {
    const ByteTable& table = conversion.table(static_cast<int>(c));
    for (std::size_t i = done; i < count; ++i) planes[c][i] = table[rgb[3 * i + c]];
    if (mirrored) std::reverse(planes[c], planes[c] + pixels);
  }
}

}  // namespace shoal
