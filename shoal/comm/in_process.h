// Objects that the threads of one process share through a store that lives in this process. That a
// store can do this is also the proof that its users are threads of one process.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace shoal {

class InProcess {
 public:
  virtual ~InProcess() = default;
  // The object named `key`: made by the first caller, and gone with the last who holds it.
  // Any thread.
  virtual std::shared_ptr<void> share(const std::string& key,
                                      const std::function<std::shared_ptr<void>()>& make) = 0;
  // Makes every wait and call, now and later, throw Cancelled with this text.
  virtual void close(const std::string& why) = 0;
};

}  // namespace shoal
