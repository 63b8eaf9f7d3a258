#include "shoal/model/module_block.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "shoal/core/error.h"
#include "shoal/core/philox.h"
#include "shoal/model/layer_sequence.h"

namespace shoal {
namespace {

// LibTorch's generator is one per process, so its lock is too: modules draw from it as they are
// built, and lock its own mutex for a number at a time only.
std::mutex& generator_mutex() {
  static std::mutex mutex;
  return mutex;
}

// "torch::nn::LinearImpl" becomes "linear".
std::string short_name(const torch::nn::Module& module) {
  std::string name = module.name();
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  if (name.size() > 4 && name.ends_with("Impl")) name.erase(name.size() - 4);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// A call gives the module's buffers back as they were. set_data does not count as a write, which
// autograd would refuse to overlook when it saved the buffer for backward.
class KeptBuffers {
 public:
  explicit KeptBuffers(torch::nn::Module& module) : buffers_(module.buffers()) {
    for (at::Tensor& buffer : buffers_) {
      kept_.push_back(buffer.detach());
      buffer.set_data(buffer.detach().clone());
    }
  }
  ~KeptBuffers() {
    for (std::size_t i = 0; i < buffers_.size(); ++i) buffers_[i].set_data(kept_[i]);
  }
  KeptBuffers(const KeptBuffers&) = delete;
  KeptBuffers& operator=(const KeptBuffers&) = delete;

 private:
  std::vector<at::Tensor> buffers_;
  std::vector<at::Tensor> kept_;
};

}  // namespace

GeneratorScope::GeneratorScope()
    : lock_(generator_mutex()),
      generator_(at::detail::getDefaultCPUGenerator()),
      state_(generator_.get_state()) {}

GeneratorScope::~GeneratorScope() { generator_.set_state(state_); }

void GeneratorScope::seed(std::uint64_t seed, const std::string& name) {
  const RandomStream stream(seed, name);
  generator_.set_current_seed(std::uint64_t{stream.bits(1)} << 32 | stream.bits(0));
}

bool GeneratorScope::has_moved() const { return !at::equal(state_, generator_.get_state()); }

ModuleBlock::ModuleBlock(std::shared_ptr<torch::nn::Module> module, Forward forward)
    : module_(std::move(module)), forward_(std::move(forward)) {
  if (module_ == nullptr) throw InvalidInput("the factory of a module returned none");
  share_tensors(*module_, *this);
}

Activations ModuleBlock::forward(const Activations& input, const Context& context) {
  if (module_->is_training() != context.training()) module_->train(context.training());
  if (!context.training() || context.updates_statistics()) {
    return Activations(forward_(input.only()));
  }
  const KeptBuffers kept(*module_);
  return Activations(forward_(input.only()));
}

Chain chain_of_sequential(const std::function<torch::nn::Sequential()>& make, LossKind loss) {
  std::vector<BlockFactory> blocks;
  torch::nn::Sequential sample;
  {
    const GeneratorScope generator;
    sample = make();
  }
  if (sample.is_empty() || sample->is_empty()) {
    throw InvalidInput("the Sequential has no modules: add one");
  }
  for (std::size_t i = 0; i < sample->size(); ++i) {
    const std::string name = fmt::format("{}.{}", i, short_name(*sample->ptr(i)));
    const auto build = [make, i]() -> std::shared_ptr<Block> {
      torch::nn::AnyModule entry = *(make()->begin() + static_cast<std::ptrdiff_t>(i));
      const auto module = entry.ptr();
      const auto shared = std::make_shared<torch::nn::AnyModule>(std::move(entry));
      return std::make_shared<ModuleBlock>(module, [shared](const at::Tensor& x) {
        return shared->forward<at::Tensor>(at::Tensor(x));
      });
    };
    blocks.push_back(
        {.name = name, .kind = "module " + name, .build = build, .initialises_itself = true});
  }
  return Chain(std::move(blocks), loss);
}

}  // namespace shoal
