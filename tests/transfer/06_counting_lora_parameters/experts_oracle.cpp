// Counting in a mixture of experts by writing down every matrix of the model, and adding up rows.
#include <string>
#include <vector>

#include "experts.h"

namespace qlora {
namespace {

struct Matrix {
  std::string kind;  // "embedding", "head", "norm", "attention", "router", "experts"
  std::int64_t N = 0, K = 0;
  bool active = true;  // a token goes through it
};

std::vector<Matrix> matrices(const ExpertsShape& s) {
  std::vector<Matrix> all;
  all.push_back({"embedding", s.V, s.C});
  for (std::int64_t layer = 0; layer < s.L; ++layer) {
    all.push_back({"norm", s.C, 1});
    all.push_back({"attention", s.H * s.D, s.C});
    all.push_back({"attention", s.K * s.D, s.C});
    all.push_back({"attention", s.K * s.D, s.C});
    all.push_back({"attention", s.C, s.H * s.D});
    all.push_back({"norm", s.C, 1});
    all.push_back({"router", s.E, s.C});
    for (std::int64_t expert = 0; expert < s.E; ++expert) {
      const bool active = expert < s.k;  // any k of them: all have one size
      all.push_back({"experts", s.F, s.C, active});
      all.push_back({"experts", s.F, s.C, active});
      all.push_back({"experts", s.C, s.F, active});
    }
  }
  all.push_back({"norm", s.C, 1});
  all.push_back({"head", s.V, s.C});
  return all;
}

std::int64_t rows_added(std::int64_t rows, std::int64_t columns) {
  std::int64_t sum = 0;
  for (std::int64_t row = 0; row < rows; ++row) sum += columns;
  return sum;
}

bool is_target(const Matrix& m, const ExpertsTargets& targets) {
  return (m.kind == "attention" && targets.attention) || (m.kind == "router" && targets.router) ||
         (m.kind == "experts" && targets.experts);
}

std::int64_t adapter(const Matrix& m, std::int64_t R) {
  return rows_added(R, m.K) + rows_added(m.N, R);
}

}  // namespace

std::int64_t experts_parameters(const ExpertsShape& shape) {
  std::int64_t sum = 0;
  for (const Matrix& m : matrices(shape)) sum += rows_added(m.N, m.K);
  return sum;
}

std::int64_t experts_active_parameters(const ExpertsShape& shape) {
  std::int64_t sum = 0;
  for (const Matrix& m : matrices(shape)) sum += m.active ? rows_added(m.N, m.K) : 0;
  return sum;
}

std::int64_t experts_lora_parameters(const ExpertsShape& shape, const ExpertsTargets& targets,
                                     std::int64_t R) {
  std::int64_t sum = 0;
  for (const Matrix& m : matrices(shape)) sum += is_target(m, targets) ? adapter(m, R) : 0;
  return sum;
}

std::int64_t experts_active_lora_parameters(const ExpertsShape& shape,
                                            const ExpertsTargets& targets, std::int64_t R) {
  std::int64_t sum = 0;
  for (const Matrix& m : matrices(shape)) {
    if (is_target(m, targets) && m.active) sum += adapter(m, R);
  }
  return sum;
}

}  // namespace qlora
