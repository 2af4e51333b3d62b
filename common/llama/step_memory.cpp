#include "llama/step_memory.h"

#include <algorithm>

#include "llama/linear_replay.h"

namespace qlora {
namespace {

constexpr std::int64_t kCpuHeadRows = 256;                         // ops/head.cpp: kChunk
constexpr std::int64_t kCudaLogitBytes = std::int64_t{256} << 20;  // ops/cuda/head.cu: kLogitBytes
constexpr std::int64_t kOffloadedInputs = 3;  // on the device: in use, coming, going

// ---- A layer: llama/decoder_layer.cpp, its functions under their own names

void take_qkv(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, r.config().qkv_size());
  take_u(r, use, l.qkv);
}

void take_attention(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, r.config().attention_size() + r.room(l.o));
  r.floats(use, r.config().num_attention_heads * r.rows());  // lse
}

void take_x_middle(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, r.config().hidden_size);
  take_u(r, use, l.o);
}

void take_gate_up(Replay& r, ArenaUse use, const LayerShape& l) {
  r.columns(use, 2 * r.config().intermediate_size);
  take_u(r, use, l.gate_up);
}

// h and rstd of a norm, or SwiGLU's output: what goes into a group.
void take_normed(Replay& r, const GroupShape& g) {
  r.columns(ArenaUse::scratch, g.K + r.room(g));
  r.floats(ArenaUse::scratch, r.rows());
}
void take_activated(Replay& r, const GroupShape& g) {
  r.columns(ArenaUse::scratch, g.K + r.room(g));
}

// The product of a group behind a norm.
void normed_product(Replay& r, const GroupShape& g) {
  r.scope([&] {
    take_normed(r, g);
    linear_forward(r, g);
  });
}

void down(Replay& r, const LayerShape& l, bool x_next) {
  r.scope([&] {
    take_activated(r, l.down);
    linear_forward(r, l.down, true, x_next);
  });
}

bool keeps_inputs_alone(ActivationPolicy policy) {
  return policy == ActivationPolicy::checkpoint || policy == ActivationPolicy::offload;
}

void layer_forward(Replay& r, const LayerShape& l) {
  const ActivationPolicy policy = r.shape().activations;
  const bool lean = policy == ActivationPolicy::lean, keep = policy == ActivationPolicy::keep;
  if (keep || lean) {
    take_attention(r, ArenaUse::kept, l);
    take_x_middle(r, ArenaUse::kept, l);
    take_u(r, ArenaUse::kept, l.down);
  }
  if (keep) {
    take_qkv(r, ArenaUse::kept, l);
    take_gate_up(r, ArenaUse::kept, l);
  }
  r.scope([&] {
    if (!keep) take_qkv(r, ArenaUse::again, l);
    normed_product(r, l.qkv);
    if (!keep && !lean) {
      take_attention(r, ArenaUse::again, l);
      take_x_middle(r, ArenaUse::again, l);
      take_u(r, ArenaUse::again, l.down);
    }
    linear_forward(r, l.o);
    if (!keep) take_gate_up(r, ArenaUse::again, l);
    normed_product(r, l.gate_up);
    down(r, l, true);
  });
}

void feed_forward_backward(Replay& r, const LayerShape& l) {
  const std::int64_t F = r.config().intermediate_size;
  r.columns(ArenaUse::scratch, 2 * F + r.room(l.gate_up));  // dgate_up
  r.scope([&] {
    take_activated(r, l.down);
    r.columns(ArenaUse::scratch, F);  // dactivated
    linear_backward(r, l.down);
  });
  take_normed(r, l.gate_up);
  r.columns(ArenaUse::scratch, r.config().hidden_size);  // dh
  linear_backward(r, l.gate_up);
}

void attention_backward(Replay& r, const LayerShape& l, bool need_dx) {
  const LlamaConfig& c = r.config();
  r.columns(ArenaUse::scratch, c.qkv_size() + r.room(l.qkv));  // dqkv
  r.scope([&] {
    r.columns(ArenaUse::scratch, c.attention_size());  // dattention
    linear_backward(r, l.o);
    if (r.on_gpu()) r.floats(ArenaUse::scratch, c.num_attention_heads * r.rows());  // delta, or
    r.bytes(ArenaUse::scratch, r.shape().attention_scratch);
  });
  take_normed(r, l.qkv);
  if (need_dx) r.columns(ArenaUse::scratch, c.hidden_size);  // dh
  linear_backward(r, l.qkv, need_dx);
}

void layer_backward(Replay& r, const LayerShape& l, bool need_dx) {
  const ActivationPolicy policy = r.shape().activations;
  const bool all_again = keeps_inputs_alone(policy), keep = policy == ActivationPolicy::keep;
  r.scope([&] {
    if (all_again) {
      take_qkv(r, ArenaUse::again, l);
      normed_product(r, l.qkv);
      take_attention(r, ArenaUse::again, l);
      take_x_middle(r, ArenaUse::again, l);
      linear_forward(r, l.o);
    }
    r.scope([&] {
      if (!keep) {
        take_gate_up(r, ArenaUse::again, l);
        normed_product(r, l.gate_up);
      }
      if (all_again) {
        take_u(r, ArenaUse::again, l.down);
        down(r, l, false);
      }
      feed_forward_backward(r, l);
    });
    if (policy == ActivationPolicy::lean) {
      take_qkv(r, ArenaUse::again, l);
      normed_product(r, l.qkv);
    }
    attention_backward(r, l, need_dx);
  });
}

// ---- The head: ops/head.cpp, ops/cuda/head.cu

void head(Replay& r) {
  const std::int64_t V = r.config().vocab_size, count = r.shape().supervised_rows();
  if (count == 0) return;
  std::int64_t most = std::min(count, kCpuHeadRows);
  if (r.on_gpu()) {
    most = std::min(count, std::max<std::int64_t>(1, kCudaLogitBytes / (V * r.element())));
  }
  r.elements(ArenaUse::head, most * r.config().hidden_size);
  r.elements(ArenaUse::head, most * V);
  r.floats(ArenaUse::head, most);
}

}  // namespace

StepMemory training_pass_memory(const TrainingShape& shape, const std::vector<LayerShape>& layers) {
  Replay r(shape, shape.rows());
  const std::int64_t C = shape.config.hidden_size;
  const auto L = static_cast<std::int64_t>(layers.size());
  const bool offloads = shape.activations == ActivationPolicy::offload;
  r.begin("forward");
  if (shape.device != Device::cpu) {  // positions, segments, ids; supervised rows and their targets
    for (int i = 0; i < 3; ++i) r.bytes(ArenaUse::inputs, 4 * shape.rows());
    for (int i = 0; i < 2; ++i) r.bytes(ArenaUse::inputs, 4 * shape.supervised_rows());
  }
  const std::int64_t inputs = offloads ? std::min(kOffloadedInputs, L + 1) : L + 1;
  for (std::int64_t i = 0; i < inputs; ++i) r.columns(ArenaUse::inputs, C);
  if (offloads) r.pinned(L * shape.rows() * C * r.element());
  std::int64_t room = 0;  // of dx, which is the gradient of o's and down's outputs
  for (const LayerShape& layer : layers) {
    layer_forward(r, layer);
    room = std::max({room, r.room(layer.o), r.room(layer.down)});
  }
  r.begin("head");
  r.columns(ArenaUse::ends, C + room);  // dx
  r.scope([&] {
    r.columns(ArenaUse::ends, C);            // h
    r.floats(ArenaUse::ends, shape.rows());  // rstd
    r.columns(ArenaUse::ends, C);            // dh
    head(r);
  });
  r.begin("backward");
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    layer_backward(r, *layer, std::next(layer) != layers.rend());
  }
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
    for (const GroupShape* group : l.groups()) linear_forward(r, *group, false);
    r.scope([&] { r.floats(ArenaUse::scratch, c.num_attention_heads * tokens); });  // lse
  }
  return r.found();
}

}  // namespace qlora
