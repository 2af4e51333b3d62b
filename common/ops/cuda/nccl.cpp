#include "ops/cuda/nccl.h"

#include <dlfcn.h>
#include <nccl.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "ops/cuda/device.h"

namespace qlora::cuda {
namespace {

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));

// The library's functions, loaded once and for the whole process.
struct Library {
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRank) comm_init_rank = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;
  std::string problem;

  Library() {
    const char* folder = std::getenv("QLORA_NCCL");
    const std::string name = "libnccl.so.2";
    handle_ =
        dlopen((folder == nullptr ? name : std::string(folder) + "/" + name).c_str(), RTLD_NOW);
    if (handle_ == nullptr) {
      problem = dlerror();
      return;
    }
    find("ncclGetUniqueId", get_unique_id);
    find("ncclCommInitRank", comm_init_rank);
    find("ncclCommDestroy", comm_destroy);
    find("ncclAllReduce", all_reduce);
    find("ncclGroupStart", group_start);
    find("ncclGroupEnd", group_end);
    find("ncclGetErrorString", error_string);
  }

 private:
  template <typename F>
  void find(const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(handle_, name));
    if (function == nullptr) problem = std::string("it has no ") + name;
  }
  void* handle_ = nullptr;
};

const Library& library() {
  static const Library loaded;
  if (!loaded.problem.empty()) {
    throw MachineLacks("several GPUs need NCCL (libnccl2, or its folder in QLORA_NCCL): " +
                       loaded.problem);
  }
  return loaded;
}

void check(ncclResult_t code, const char* function) {
  if (code != ncclSuccess) {
    throw MachineLacks(std::string(function) + ": NCCL: " + library().error_string(code));
  }
}

}  // namespace

NcclId new_nccl_id() {
  ncclUniqueId made;
  check(library().get_unique_id(&made), "ncclGetUniqueId");
  NcclId id{};
  std::memcpy(id.data(), made.internal, sizeof made);
  return id;
}

NcclCommunicator::NcclCommunicator(const NcclId& id, int rank, int size) {
  stream();  // the device of this process is in use from here on
  ncclUniqueId of_all;
  std::memcpy(of_all.internal, id.data(), sizeof of_all);
  ncclComm_t made = nullptr;
  check(library().comm_init_rank(&made, size, of_all, rank), "ncclCommInitRank");
  communicator_ = made;
}

NcclCommunicator::~NcclCommunicator() {
  library().comm_destroy(static_cast<ncclComm_t>(communicator_));
}

void NcclCommunicator::sum(std::span<const Tensor> tensors) const {
  const Library& nccl = library();
  check(nccl.group_start(), "ncclGroupStart");
  for (const Tensor& t : tensors) {
    const ncclDataType_t type = t.dtype() == DType::f64 ? ncclFloat64 : ncclFloat32;
    check(nccl.all_reduce(t.raw(), t.raw(), static_cast<std::size_t>(t.numel()), type, ncclSum,
                          static_cast<ncclComm_t>(communicator_), stream()),
          "ncclAllReduce");
  }
  check(nccl.group_end(), "ncclGroupEnd");
}

}  // namespace qlora::cuda
