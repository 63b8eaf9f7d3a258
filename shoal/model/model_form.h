// What the layers of a model of the zoo depend on, and pieces that they share.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace shoal {

// Which of two forms a network for pictures has: `cifar` keeps small pictures large at first.
enum class PictureForm : std::uint8_t { automatic, cifar, imagenet };

struct ModelForm {
  nlohmann::json outputs;  // classes, or columns to predict
  bool classes = false;
  bool is_row = false;  // a sample is one row of features already
  std::vector<std::int64_t> sample_shape;
  std::vector<std::int64_t> hidden;
  PictureForm pictures = PictureForm::automatic;

  // The head: a linear layer, for classes with softmax.
  nlohmann::json head(bool glorot = false) const {
    nlohmann::json linear = {{"linear", outputs}};
    if (glorot) linear["glorot"] = true;
    nlohmann::json layers = nlohmann::json::array({linear});
    if (classes) layers.push_back("softmax");
    return layers;
  }
  // The block with `flatten` before it when a sample is not a row yet.
  nlohmann::json on_row(nlohmann::json block) const {
    if (!is_row) block.insert(block.begin(), "flatten");
    return block;
  }
};

// Whether the CIFAR form is meant: asked for, or the pictures are 64 x 64 or less.
bool has_cifar_form(const ModelForm& form);

// Layer lists as a job file writes them. Source: He et al., Deep Residual Learning for Image
// Recognition, CVPR 2016, table 1 (ImageNet) and section 4.2 (CIFAR-10); the bottlenecks of
// resnet50 have their stride in the 3x3 convolution.
nlohmann::json resnet18(const ModelForm& form);
nlohmann::json resnet34(const ModelForm& form);
nlohmann::json resnet50(const ModelForm& form);
nlohmann::json resnet20(const ModelForm& form);  // CIFAR only, shortcuts without parameters
nlohmann::json resnet56(const ModelForm& form);
// With pre-activation bottlenecks. Source: He et al., Identity Mappings in Deep Residual Networks,
// ECCV 2016.
nlohmann::json resnet164(const ModelForm& form);
// Source: Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, table 1, column E;
// in the CIFAR form with one linear layer at the end.
nlohmann::json vgg19(const ModelForm& form);
nlohmann::json vgg19_bn(const ModelForm& form);
// Of characters: a table of what follows each; and causal convolutions whose dilations double,
// which see 63 characters. Source: Bai et al., An Empirical Evaluation of Generic Convolutional and
// Recurrent Networks for Sequence Modeling, 2018 (TCN), with one convolution a block and layer
// norm.
nlohmann::json bigram(const ModelForm& form);
nlohmann::json tcn(const ModelForm& form);

}  // namespace shoal
