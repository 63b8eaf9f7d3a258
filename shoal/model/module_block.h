// The template part of chain.h: modules written for torch::nn as blocks.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

#include "shoal/model/chain.h"

namespace shoal {

// While it lives, nobody else of shoal uses LibTorch's process-wide generator; afterwards the
// generator is as it was before. Blocks until others are done: nobody holds it while waiting for
// something else.
class GeneratorScope {
 public:
  GeneratorScope();
  ~GeneratorScope();
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

  void seed(std::uint64_t seed, const std::string& name);
  bool has_moved() const;  // since the start of the scope

 private:
  std::unique_lock<std::mutex> lock_;
  at::Generator generator_;
  at::Tensor state_;
};

// A torch module as a block. Its parameters, buffers and submodules keep their names; train() and
// eval() follow context.mode. When statistics are not to be updated, it runs on copies of its
// buffers.
class ModuleBlock final : public Block {
 public:
  using Forward = std::function<at::Tensor(const at::Tensor&)>;
  ModuleBlock(std::shared_ptr<torch::nn::Module> module, Forward forward);

  Activations forward(const Activations& input, const Context& context) override;
  void initialise(std::uint64_t, const std::string&) override {}  // the module did it

 private:
  std::shared_ptr<torch::nn::Module> module_;  // shared with what `forward_` calls
  Forward forward_;
};

namespace detail {
template <typename Made>
std::shared_ptr<Block> block_of_module(Made made) {
  const auto module = [&] {
    if constexpr (requires { made.ptr(); }) {
      return made.ptr();  // a torch::nn::ModuleHolder
    } else {
      return made;
    }
  }();
  static_assert(std::is_convertible_v<decltype(module->forward(at::Tensor())), at::Tensor>,
                "the module needs at::Tensor forward(at::Tensor)");
  return std::make_shared<ModuleBlock>(
      module, [module](const at::Tensor& x) { return at::Tensor(module->forward(x)); });
}
}  // namespace detail

template <typename Make>
Chain chain_of_module(const std::string& name, Make make, LossKind loss) {
  BlockFactory factory{.name = name,
                       .kind = "module " + name,
                       .build = [make] { return detail::block_of_module(make()); },
                       .initialises_itself = true};
  return Chain({std::move(factory)}, loss);
}

}  // namespace shoal
