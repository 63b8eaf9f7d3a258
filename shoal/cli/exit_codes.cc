#include "shoal/cli/exit_codes.h"

#include <c10/util/Exception.h>

#include <csignal>
#include <new>
#include <ostream>
#include <string>

#include "shoal/core/error.h"
#include "shoal/core/first_line.h"
#include "shoal/tensor/torch_errors.h"

namespace shoal {
namespace {

// The launcher shows lines that begin with "error: " once for all ranks that print them.
int fail(std::ostream& err, const std::string& sentence, int code) {
  err << "error: " << sentence << std::endl;
  return code;
}

int report_torch_error(const c10::Error& error, std::ostream& err) {
  if (is_out_of_memory(error)) return fail(err, out_of_memory(error, "tensors").what(), kMemory);
  return fail(err, "LibTorch: " + first_line(error.what_without_backtrace()), kOther);
}

}  // namespace

int report_failure(const std::exception_ptr& failure, bool training, std::ostream& err) {
  const int refused = training ? kOther : kRefused;
  try {
    std::rethrow_exception(failure);
  } catch (const InvalidInput& error) {
    // A context was put before the first fault: what() has it.
    if (error.faults.size() == 1) return fail(err, error.what(), refused);
    for (const auto& fault : error.faults) fail(err, fault, refused);
    return refused;
  } catch (const Corrupt& error) {
    return fail(err, error.what(), refused);
  } catch (const PeerLost& error) {
    return fail(err, error.what(), kLost);
  } catch (const TimedOut& error) {
    return fail(err, error.what(), kLost);
  } catch (const NotFinite& error) {
    return fail(err, error.what(), kNotFinite);
  } catch (const Cancelled& error) {
    const int code = error.signal == SIGINT    ? kInterrupted
                     : error.signal == SIGTERM ? kTerminated
                                               : kOther;
    return fail(err, error.what(), code);
  } catch (const OutOfMemory& error) {
    return fail(err, error.what(), kMemory);
  } catch (const std::bad_alloc&) {
    return fail(err, "there is no memory left: use a smaller [train] batch or [recompute]",
                kMemory);
  } catch (const c10::Error& error) {
    return report_torch_error(error, err);
  } catch (const std::exception& error) {
    return fail(err, error.what(), kOther);
  }
}

}  // namespace shoal
