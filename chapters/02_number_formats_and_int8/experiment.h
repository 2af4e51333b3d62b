// A stand-in for what cannot be checked offline: what quantizing costs the embedded model.
#pragma once

#include <string>
#include <vector>

namespace qlora::chapter02 {

/// The model with its linear layers through one format.
struct QuantizedLoss {
  std::string format;         ///< "int8, a scale a row"
  double bits = 0.0;          ///< a weight, its share of the scales included
  double weight_error = 0.0;  ///< sqrt(Σ (w - w')² / Σ w²) over the linear layers
  double loss = 0.0;          ///< nats a token
};

/// Loss on descriptions of the test items, text that the model has not seen, of the weights as they
/// are and of each format.
std::vector<QuantizedLoss> embedded_model_losses(const std::string& data_folder);

}  // namespace qlora::chapter02
