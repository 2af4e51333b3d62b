#include "llama/step_memory.h"

#include <algorithm>

#include "llama/memory_replay.h"

namespace qlora {
namespace {

constexpr std::int64_t kCpuHeadRows = 256;                         // ops/head.cpp: kChunk
constexpr std::int64_t kCudaLogitBytes = std::int64_t{256} << 20;  // ops/cuda/head.cu: kLogitBytes
constexpr std::int64_t kOffloadedInputs = 3;  // on the device: in use, coming, going

bool has_dropout(const TrainingShape& s) {
  return s.lora.lora_dropout > 0;
}

// ---- A group of linear layers: ops/linear.cpp, ops/cuda/linear.cu

// u = x·Aᵀ, which the backward pass needs.
void take_u(Replay& r, ArenaUse use, const GroupShape& g) {
  if (r.room(g) > 0) return r.columns(use, r.room(g));
  for (const AdapterSize& a : g.adapters) r.columns(use, a.R);
}

// The weight as the product takes it: with the adapters beside it, or dequantized, or as it is.
void take_weight(Replay& r, const GroupShape& g, bool backward) {
  const std::int64_t room = r.room(g);
  const BaseFormat base = r.shape().base;
  if (room > 0) {
    r.elements(ArenaUse::weights, (g.N() + room) * (g.K + room));
  } else if (base == BaseFormat::int8 && !backward) {  // codes are multiplied: a part's own result
    r.columns(ArenaUse::weights, *std::max_element(g.parts.begin(), g.parts.end()));
  } else if (base != BaseFormat::dense) {
    r.elements(ArenaUse::weights, g.weights());
  }
}

// A and B in the dtype of the arithmetic.
void take_rounded(Replay& r, const GroupShape& g, const AdapterSize& a) {
  if (!r.on_gpu() || r.shape().arithmetic == DType::f32) return;
  r.elements(ArenaUse::weights, a.R * g.K);
  r.elements(ArenaUse::weights, a.N * a.R);
}

// @param u  whether u is scratch too: nothing is saved for a backward pass
void linear_forward(Replay& r, const GroupShape& g, bool u = false) {
  r.scope([&] {
    take_weight(r, g, false);
    if (r.room(g) > 0) return;
    for (const AdapterSize& a : g.adapters) {
      r.scope([&] {
        if (u) r.columns(ArenaUse::weights, a.R);
        if (has_dropout(r.shape())) r.columns(ArenaUse::weights, g.K);
        take_rounded(r, g, a);
      });
    }
  });
}

void linear_backward(Replay& r, const GroupShape& g) {
  r.scope([&] {
    take_weight(r, g, true);
    if (const std::int64_t room = r.room(g); room > 0) {  // dA and dB
      r.floats(ArenaUse::weights, room * g.K);
      r.floats(ArenaUse::weights, g.N() * room);
      return;
    }
    for (const AdapterSize& a : g.adapters) {
      r.scope([&] {
        r.columns(ArenaUse::weights, a.R);  // du
        if (has_dropout(r.shape())) {       // the input dropped out; on a GPU its gradient too
          r.columns(ArenaUse::weights, g.K * (r.on_gpu() ? 2 : 1));
        }
        take_rounded(r, g, a);
      });
    }
  });
}

// ---- A layer

// What every policy but checkpointing keeps beside x.
void take_lean_set(Replay& r, ArenaUse use, const LayerShape& l) {
  const LlamaConfig& c = r.config();
  r.columns(use, c.attention_size() + r.room(l.o));
  r.floats(use, c.num_attention_heads * r.rows());  // lse
  r.columns(use, c.hidden_size);                    // x_middle
  r.floats(use, r.rows());                          // rstd1
  r.floats(use, r.rows());                          // rstd2
  take_u(r, use, l.o);
  take_u(r, use, l.down);
}

void take_qkv(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, r.config().qkv_size());
  take_u(r, use, l.qkv);
}

void take_gate_up(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, 2 * r.config().intermediate_size);
  take_u(r, use, l.gate_up);
}

// h1, h2 and activated: the outputs that are inputs of a group.
void take_input(Replay& r, const GroupShape& g) {
  r.columns(ArenaUse::scratch, g.K + r.room(g));
}

// The products of a forward pass; their results were taken by the caller.
void layer_products(Replay& r, const LayerShape& l, bool down) {
  const auto product = [&](const GroupShape& g) {
    r.scope([&] {
      take_input(r, g);
      linear_forward(r, g);
    });
  };
  product(l.qkv);
  linear_forward(r, l.o);
  product(l.gate_up);
  if (down) product(l.down);
}

bool keeps_inputs_alone(ActivationPolicy policy) {
  return policy == ActivationPolicy::checkpoint || policy == ActivationPolicy::offload;
}

void layer_forward(Replay& r, const LayerShape& l) {
  const ActivationPolicy policy = r.shape().activations;
  const ArenaUse use = policy == ActivationPolicy::keep ? ArenaUse::kept : ArenaUse::again;
  if (!keeps_inputs_alone(policy)) take_lean_set(r, ArenaUse::kept, l);
  const auto rest = [&] {
    if (keeps_inputs_alone(policy)) take_lean_set(r, use, l);
    take_qkv(r, use, l);
    take_gate_up(r, use, l);
  };
  if (policy == ActivationPolicy::keep) rest();
  r.scope([&] {
    if (policy != ActivationPolicy::keep) rest();
    layer_products(r, l, true);
  });
}

void mlp_backward(Replay& r, const LayerShape& l) {
  const LlamaConfig& c = r.config();
  const bool again = r.shape().activations == ActivationPolicy::lean;
  if (again) take_gate_up(r, ArenaUse::again, l);
  take_input(r, l.gate_up);  // h2
  if (again) linear_forward(r, l.gate_up);
  take_input(r, l.down);                              // activated
  r.columns(ArenaUse::scratch, c.intermediate_size);  // dactivated
  linear_backward(r, l.down);
  r.columns(ArenaUse::scratch, 2 * c.intermediate_size + r.room(l.gate_up));  // dgate_up
  r.columns(ArenaUse::scratch, c.hidden_size);                                // dh2
  linear_backward(r, l.gate_up);
}

void attention_backward(Replay& r, const LayerShape& l) {
  const LlamaConfig& c = r.config();
  const bool again = r.shape().activations == ActivationPolicy::lean;
  if (again) take_qkv(r, ArenaUse::again, l);
  take_input(r, l.qkv);  // h1
  if (again) linear_forward(r, l.qkv);
  r.columns(ArenaUse::scratch, c.attention_size());  // dattention
  linear_backward(r, l.o);
  r.columns(ArenaUse::scratch, c.qkv_size() + r.room(l.qkv));  // dqkv
  if (r.on_gpu()) {
    r.scope([&] { r.floats(ArenaUse::scratch, c.num_attention_heads * r.rows()); });  // delta
  }
  r.columns(ArenaUse::scratch, c.hidden_size);  // dh1
  linear_backward(r, l.qkv);
}

void layer_backward(Replay& r, const LayerShape& l) {
  r.scope([&] {
    if (keeps_inputs_alone(r.shape().activations)) {
      take_lean_set(r, ArenaUse::again, l);
      take_qkv(r, ArenaUse::again, l);
      take_gate_up(r, ArenaUse::again, l);
      layer_products(r, l, false);
    }
    r.scope([&] { mlp_backward(r, l); });
    r.scope([&] { attention_backward(r, l); });
  });
}

// ---- The head: ops/head.cpp, ops/cuda/head.cu

void head(Replay& r) {
  const std::int64_t V = r.config().vocab_size, count = r.shape().supervised_rows();
  if (count == 0) return;
  std::int64_t most = std::min(count, kCpuHeadRows);
  if (r.on_gpu()) {
    r.bytes(ArenaUse::head, 8);       // Σ loss
    r.floats(ArenaUse::head, count);  // positions
    r.floats(ArenaUse::head, count);  // targets
    most = std::min(count, std::max<std::int64_t>(1, kCudaLogitBytes / (V * r.element())));
  }
  r.elements(ArenaUse::head, most * r.config().hidden_size);
  r.elements(ArenaUse::head, most * V);
  r.floats(ArenaUse::head, most);
}

}  // namespace

std::int64_t folded_columns(const TrainingShape& shape, const GroupShape& group) {
  if (shape.device == Device::cpu || has_dropout(shape)) return 0;
  std::int64_t ranks = 0;
  for (const AdapterSize& a : group.adapters) ranks += a.R;
  return rounded_up(ranks, 64);
}

StepMemory training_pass_memory(const TrainingShape& shape, const std::vector<LayerShape>& layers) {
  Replay r(shape, shape.rows());
  const std::int64_t C = shape.config.hidden_size;
  const auto L = static_cast<std::int64_t>(layers.size());
  const bool offloads = shape.activations == ActivationPolicy::offload;
  r.begin("forward");
  const std::int64_t inputs = offloads ? std::min(kOffloadedInputs, L + 1) : L + 1;
  for (std::int64_t i = 0; i < inputs; ++i) r.columns(ArenaUse::inputs, C);
  if (offloads) r.pinned(L * shape.rows() * C * r.element());
  std::int64_t room = 0;  // of dx, which is the gradient of o's and down's outputs
  for (const LayerShape& layer : layers) {
    layer_forward(r, layer);
    room = std::max({room, r.room(layer.o), r.room(layer.down)});
  }
  r.begin("head");
  r.columns(ArenaUse::ends, C);            // h
  r.floats(ArenaUse::ends, shape.rows());  // rstd
  r.columns(ArenaUse::ends, C);            // dh
  r.scope([&] { head(r); });
  r.begin("backward");
  r.columns(ArenaUse::ends, C + room);  // dx
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) layer_backward(r, *layer);
  return r.found();
}

StepMemory generation_pass_memory(const TrainingShape& shape, const std::vector<LayerShape>& layers,
                                  std::int64_t tokens) {
  TrainingShape still = shape;
  still.lora.lora_dropout = 0.0;
  Replay r(still, tokens);
  const LlamaConfig& c = shape.config;
  r.begin("prompt");
  r.elements(ArenaUse::head, c.vocab_size);
  std::int64_t of_h = 0, of_attention = 0, of_activated = 0;
  for (const LayerShape& l : layers) {
    of_h = std::max({of_h, r.room(l.qkv), r.room(l.gate_up)});
    of_attention = std::max(of_attention, r.room(l.o));
    of_activated = std::max(of_activated, r.room(l.down));
  }
  for (const std::int64_t columns :
       {c.hidden_size, c.hidden_size + of_h, c.qkv_size(), c.attention_size() + of_attention,
        c.hidden_size, 2 * c.intermediate_size, c.intermediate_size + of_activated}) {
    r.columns(ArenaUse::scratch, columns);
  }
  r.floats(ArenaUse::scratch, tokens);  // rstd
  r.floats(ArenaUse::scratch, tokens);  // positions
  for (const LayerShape& l : layers) {
    for (const GroupShape* group : l.groups()) linear_forward(r, *group, true);
    r.scope([&] { r.floats(ArenaUse::scratch, c.num_attention_heads * tokens); });  // lse
  }
  return r.found();
}

}  // namespace qlora
