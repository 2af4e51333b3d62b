// Every count of the course, from the shapes and ranks that it gives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "course/ledger.h"
#include "lora/counting.h"
#include "lora/method_counts.h"

namespace qlora::chapter06 {

/// The methods of the GPT-3 table.
enum class Method { fine_tune, prefix_embed, prefix_layer, adapter_h, lora };

/// One row of it: the claim, and what stands in its second column.
struct MethodRow {
  const char* id;       ///< the claim
  Method method;        ///< whose formula gives it
  const char* setting;  ///< as the course prints it

  /// l_p and l_i; r; or the sum of the ranks.
  std::int64_t first, second = 0;
};

/// A name of the Rank table, with the size that it stands for and a real model of that name.
struct RankColumn {
  const char* name;   ///< as the table has it
  double parameters;  ///< the round size

  /// Of the real model: layers, hidden size, width of the keys.
  std::int64_t layers, d, key_value_width;
};

/// The course's inputs.
struct CourseInputs {
  /// The linear maps of one layer of Llama 3.2 3B, out of its printed module tree.
  std::vector<LinearShape> layer{{"self_attn.q_proj", 3072, 3072}, {"self_attn.k_proj", 3072, 1024},
                                 {"self_attn.v_proj", 3072, 1024}, {"self_attn.o_proj", 3072, 3072},
                                 {"mlp.gate_proj", 3072, 8192},    {"mlp.up_proj", 3072, 8192},
                                 {"mlp.down_proj", 8192, 3072}};
  std::int64_t layers = 28;          ///< of these
  std::int64_t hidden = 3072;        ///< C
  std::int64_t vocabulary = 128256;  ///< V, of the tied embedding

  std::int64_t lite_rank = 32;       ///< on the four attention projections
  std::int64_t full_rank = 256;      ///< on all seven
  std::int64_t printed_rank = 16;    ///< of the printed line, on q_proj and v_proj
  double alpha_factor = 2.0;         ///< alpha = 2r
  DType adapter_dtype = DType::f32;  ///< of a saved adapter
  DType half_dtype = DType::bf16;    ///< the other way to save one

  /// GPT-3, and the rows of its table.
  SquareDecoder gpt3{12288, 96};
  /// Its vocabulary and its table of positions.
  std::int64_t gpt3_vocabulary = 50257, gpt3_positions = 2048;
  /// The table, from the top.
  std::vector<MethodRow> gpt3_rows{{"GT-01", Method::fine_tune, "", 0},
                                   {"GT-02", Method::prefix_embed, "l_p=32, l_i=8", 32, 8},
                                   {"GT-03", Method::prefix_embed, "l_p=64, l_i=8", 64, 8},
                                   {"GT-04", Method::prefix_embed, "l_p=128, l_i=8", 128, 8},
                                   {"GT-05", Method::prefix_embed, "l_p=256, l_i=8", 256, 8},
                                   {"GT-06", Method::prefix_embed, "l_p=512, l_i=8", 512, 8},
                                   {"GT-07", Method::prefix_layer, "l_p=2, l_i=2", 2, 2},
                                   {"GT-08", Method::prefix_layer, "l_p=8, l_i=0", 8, 0},
                                   {"GT-09", Method::prefix_layer, "l_p=8, l_i=8", 8, 8},
                                   {"GT-10", Method::prefix_layer, "l_p=32, l_i=4", 32, 4},
                                   {"GT-11", Method::prefix_layer, "l_p=64, l_i=0", 64, 0},
                                   {"GT-12", Method::adapter_h, "r=1", 1},
                                   {"GT-13", Method::adapter_h, "r=4", 4},
                                   {"GT-14", Method::adapter_h, "r=8", 8},
                                   {"GT-15", Method::adapter_h, "r=16", 16},
                                   {"GT-16", Method::adapter_h, "r=64", 64},
                                   {"GT-17", Method::lora, "r_v=2", 2},
                                   {"GT-18", Method::lora, "r_q=r_v=1", 2},
                                   {"GT-19", Method::lora, "r_q=r_v=2", 4},
                                   {"GT-20", Method::lora, "r_q=r_k=r_v=r_o=1", 4}};

  /// The ranks of the Rank table.
  std::vector<std::int64_t> rank_rows{1, 2, 8, 16, 512};
  /// Llama 2 7B, 13B and 70B; Falcon for 180B.
  std::vector<RankColumn> rank_columns{{"7B", 7e9, 32, 4096, 4096},
                                       {"13B", 13e9, 40, 5120, 5120},
                                       {"70B", 70e9, 80, 8192, 1024},
                                       {"180B", 180e9, 80, 14848, 1024}};
};

/// Parameters of adapters of rank R on all layers' modules of these names.
std::int64_t adapters(const CourseInputs& inputs, std::vector<std::string> names, std::int64_t R);
/// The same on every linear module.
std::int64_t all_linear(const CourseInputs& inputs, std::int64_t R);
/// Of the base model, without adapters.
std::int64_t base_parameters(const CourseInputs& inputs);

/// A row of the GPT-3 table by the paper's formula.
std::int64_t trainable(const CourseInputs& inputs, const MethodRow& row);

/// A real count: r on the modules of these out-features in all layers of a column's model.
std::int64_t real_count(const RankColumn& column, const std::vector<std::int64_t>& out_features,
                        std::int64_t r);

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter06
