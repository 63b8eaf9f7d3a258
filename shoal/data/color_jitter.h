// Changes of a picture's colours, as torchvision defines them for float images
// (torchvision.transforms.functional: adjust_brightness, _contrast, _saturation, _hue).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace shoal {

enum class ColorStep : std::uint8_t { brightness, contrast, saturation, hue };

// A factor of 1, and a hue of 0, change nothing.
struct ColorChange {
  double brightness = 1;  // times each value
  double contrast = 1;    // away from the picture's mean grey
  double saturation = 1;  // away from each pixel's grey
  double hue = 0;         // turns of the colour circle, -0.5 to 0.5
  std::array<ColorStep, 4> order = {ColorStep::brightness, ColorStep::contrast,
                                    ColorStep::saturation, ColorStep::hue};

  bool changes() const { return brightness != 1 || contrast != 1 || saturation != 1 || hue != 0; }
};

// Changes `values` in place: `channels` planes of equal length, in 0..1, where they stay. Three
// channels are RGB; one is grey, which has neither saturation nor hue.
void change_colors(const ColorChange& change, int channels, std::span<float> values);

}  // namespace shoal
