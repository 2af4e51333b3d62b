#include "ops/processes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "ops/ops.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/nccl.h"
#endif

namespace qlora {
namespace {

// What a process says when it connects, and the answer to it. A stranger is not answered.
struct Greeting {
  std::array<char, 8> word{'q', 'l', 'o', 'r', 'a', '-', 'd', 'p'};
  std::int32_t size = 0, rank = 0;
};
constexpr std::byte kWelcome{1}, kRefused{2};
constexpr std::chrono::seconds kGreetingTime{10};

template <typename T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

std::span<std::byte> bytes_of(const Tensor& t) {
  return {static_cast<std::byte*>(t.raw()), t.nbytes()};
}

template <typename T>
void add(const Tensor& more, const Tensor& sum) {
  const T* from = more.data<T>();
  T* to = sum.data<T>();
  for (std::int64_t i = 0; i < sum.numel(); ++i) to[i] += from[i];
}

// The process behind a new connection, or nothing where it is none of this run's.
std::optional<std::int32_t> greeted(const Connection& connection, int size) {
  Greeting greeting;
  try {
    connection.patience(kGreetingTime);
    connection.receive(bytes_of(greeting));
    if (greeting.word != Greeting{}.word) return std::nullopt;
    std::byte answer =
        greeting.size == size && greeting.rank > 0 && greeting.rank < size ? kWelcome : kRefused;
    connection.send(bytes_of(answer));
    connection.patience(std::chrono::seconds(0));
    return answer == kWelcome ? std::optional(greeting.rank) : std::nullopt;
  } catch (const MachineLacks&) {
    return std::nullopt;
  }
}

}  // namespace

#if QLORA_HAS_CUDA
// NCCL's communicator; its id comes from process 0.
class Processes::Gpus {
 public:
  explicit Gpus(const Processes& all) : communicator_(id_of(all), all.rank(), all.size()) {}
  void sum(std::span<const Tensor> tensors) { communicator_.sum(tensors); }

 private:
  static cuda::NcclId id_of(const Processes& all) {
    cuda::NcclId id{};
    if (all.is_first()) id = cuda::new_nccl_id();
    for (const Connection& other : all.others_) {
      all.is_first() ? other.send(bytes_of(id)) : other.receive(bytes_of(id));
    }
    return id;
  }
  cuda::NcclCommunicator communicator_;
};
#else
class Processes::Gpus {};
#endif

Processes::Processes() = default;
Processes::~Processes() = default;

Processes::Processes(const ProcessPlace& place, std::chrono::seconds patience) : place_(place) {
  require(place.size >= 1 && place.rank >= 0 && place.rank < place.size, "Processes",
          "a rank below the number of processes");
  if (place.size == 1) return;
  const Deadline deadline = std::chrono::steady_clock::now() + patience;
  is_first() ? meet_others(deadline) : meet_first(deadline);
}

void Processes::meet_others(Deadline deadline) {
  const Listener listener = place_.listener >= 0 ? Listener::of_socket(place_.listener)
                                                 : Listener(place_.port, Listener::Reach::any_host);
  std::vector<std::optional<Connection>> met(static_cast<std::size_t>(place_.size - 1));
  const auto missing = [&] {
    return std::ranges::count(met, false, &std::optional<Connection>::has_value);
  };
  while (missing() > 0) {
    try {
      Connection connection = listener.accept(deadline);
      const auto rank = greeted(connection, place_.size);
      if (rank) met[static_cast<std::size_t>(*rank - 1)] = std::move(connection);
    } catch (const MachineLacks&) {
      std::string who;
      for (std::size_t i = 0; i < met.size(); ++i) {
        if (!met[i]) who += (who.empty() ? "" : ", ") + std::to_string(i + 1);
      }
      throw MachineLacks(std::to_string(missing()) + " of " + std::to_string(place_.size) +
                         " processes did not come to port " + std::to_string(listener.port()) +
                         ": " + who);
    }
  }
  for (auto& connection : met) {
    if (connection) others_.push_back(std::move(*connection));
  }
}

void Processes::meet_first(Deadline deadline) {
  Connection first = connect_to(place_.host, place_.port, deadline);
  Greeting greeting;
  greeting.size = place_.size;
  greeting.rank = place_.rank;
  first.send(bytes_of(greeting));
  std::byte answer{};
  first.patience(kGreetingTime);
  first.receive(bytes_of(answer));
  first.patience(std::chrono::seconds(0));
  if (answer != kWelcome) {
    throw MachineLacks("process 0 at " + place_.host + " port " + std::to_string(place_.port) +
                       " is of a run that does not have " + std::to_string(place_.size) +
                       " processes");
  }
  others_.push_back(std::move(first));
}

void Processes::sum(std::span<const Tensor> tensors) {
  if (size() == 1 || tensors.empty()) return;
  if (tensors.front().device() == Device::cpu) {
    for (const Tensor& tensor : tensors) sum_on_host(tensor);
    return;
  }
#if QLORA_HAS_CUDA
  if (!gpus_) gpus_ = std::make_unique<Gpus>(*this);
  gpus_->sum(tensors);
#endif
}

void Processes::sum_on_host(const Tensor& tensor) {
  require(tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64, "Processes::sum",
          "float32 or float64");
  if (!is_first()) {
    others_.front().send(bytes_of(tensor));
    others_.front().receive(bytes_of(tensor));
    return;
  }
  const Tensor theirs = Tensor::empty(tensor.dtype(), tensor.shape());
  for (const Connection& other : others_) {  // in the order of their ranks: equal runs, equal bits
    other.receive(bytes_of(theirs));
    tensor.dtype() == DType::f32 ? add<float>(theirs, tensor) : add<double>(theirs, tensor);
  }
  for (const Connection& other : others_) other.send(bytes_of(tensor));
}

std::int64_t Processes::largest(std::int64_t value) const {
  if (!is_first()) {
    others_.front().send(bytes_of(value));
    others_.front().receive(bytes_of(value));
    return value;
  }
  for (const Connection& other : others_) {
    std::int64_t theirs = 0;
    other.receive(bytes_of(theirs));
    value = std::max(value, theirs);
  }
  for (const Connection& other : others_) other.send(bytes_of(value));
  return value;
}

}  // namespace qlora
