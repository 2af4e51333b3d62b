#include "llama/linear_replay.h"

#include <algorithm>

namespace qlora {
namespace {

bool has_dropout(const TrainingShape& s) {
  return s.lora.lora_dropout > 0;
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

bool has_dora(const GroupShape& g) {
  return std::ranges::any_of(g.adapters, &AdapterSize::dora);
}

// The weight of a group with DoRA: its rows are asked for beside the product of int8 codes, too.
void take_dora_weight(Replay& r, const GroupShape& g, bool backward) {
  const BaseFormat base = r.shape().base;
  if (base != BaseFormat::dense) r.elements(ArenaUse::weights, g.weights());
  if (base == BaseFormat::int8 && !backward) r.scope([&] { take_weight(r, g, false); });
}

// A and B in the dtype of the arithmetic.
void take_rounded(Replay& r, const GroupShape& g, const AdapterSize& a) {
  if (!r.on_gpu() || r.shape().arithmetic == DType::f32) return;
  r.elements(ArenaUse::weights, a.R * g.K);
  r.elements(ArenaUse::weights, a.N * a.R);
}

// The adapters of a group one by one, each with what its turn takes.
template <typename Turn>
void take_adapters(Replay& r, const GroupShape& g, Turn&& turn) {
  for (const AdapterSize& a : g.adapters) {
    r.scope([&] {
      turn(a);
      take_rounded(r, g, a);
    });
  }
}

// A group with DoRA on either device: its weight stays for the adapters, who need the norms of its
// rows and, where y is not it, the base's product with what they see of the input.
void dora_forward(Replay& r, const GroupShape& g, bool saves, bool y) {
  if (y) take_dora_weight(r, g, false);
  if (!y && !r.on_gpu()) r.columns(ArenaUse::weights, g.N());
  take_adapters(r, g, [&](const AdapterSize& a) {
    if (!saves) r.columns(ArenaUse::weights, a.R);
    if (y) r.floats(ArenaUse::weights, a.N);
    if (!has_dropout(r.shape())) return;
    r.columns(ArenaUse::weights, g.K);
    if (y) r.columns(ArenaUse::weights, a.N);
  });
}

void dora_backward(Replay& r, const GroupShape& g, bool dx) {
  take_dora_weight(r, g, true);
  const bool dropout = has_dropout(r.shape());
  for (const AdapterSize& a : g.adapters) {
    r.scope([&] {
      r.floats(ArenaUse::weights, a.N);
      r.columns(ArenaUse::weights, a.N);                             // the gradient of scaled rows
      if (dropout && dx) r.columns(ArenaUse::weights, g.K);          // of what is seen of the input
      if (dropout) r.columns(ArenaUse::weights, g.K);                // what is seen of it
      const auto base = [&] { r.columns(ArenaUse::weights, a.N); };  // its product
      if (r.on_gpu()) {  // base and what is seen of the input go before the rest comes
        r.scope([&] {
          base();
          if (r.shape().arithmetic != DType::f32) r.elements(ArenaUse::weights, a.N * a.R);
        });
      } else {
        base();
        if (dropout) r.columns(ArenaUse::weights, g.K);  // LoRA's scratch
      }
      r.columns(ArenaUse::weights, a.R);  // du
      take_rounded(r, g, a);
    });
  }
}

}  // namespace

void take_u(Replay& r, ArenaUse use, const GroupShape& g) {
  if (r.room(g) > 0) return r.columns(use, r.room(g));
  for (const AdapterSize& a : g.adapters) r.columns(use, a.R);
}

void linear_forward(Replay& r, const GroupShape& g, bool saves, bool y) {
  const std::int64_t room = r.room(g);
  r.scope([&] {
    if (has_dora(g)) return dora_forward(r, g, saves, y);
    if (room > 0) return y ? take_weight(r, g, false) : r.elements(ArenaUse::weights, room * g.K);
    const auto adapters = [&] {
      take_adapters(r, g, [&](const AdapterSize& a) {
        if (!saves) r.columns(ArenaUse::weights, a.R);
        if (has_dropout(r.shape())) r.columns(ArenaUse::weights, g.K);
      });
    };
    if (r.on_gpu()) {  // the weight goes before the adapters come
      if (y) r.scope([&] { take_weight(r, g, false); });
      return adapters();
    }
    if (y) {
      take_weight(r, g, false);
    } else {
      r.columns(ArenaUse::weights, g.N());
    }
    adapters();
  });
}

void linear_backward(Replay& r, const GroupShape& g, bool dx) {
  const std::int64_t room = r.room(g);
  const auto adapters = [&] {
    take_adapters(r, g, [&](const AdapterSize& a) {
      r.columns(ArenaUse::weights, a.R);  // du
      if (has_dropout(r.shape())) {       // the input dropped out; on a GPU its gradient too
        r.columns(ArenaUse::weights, g.K * (r.on_gpu() ? 2 : 1));
      }
    });
  };
  r.scope([&] {
    if (has_dora(g)) return dora_backward(r, g, dx);
    if (!r.on_gpu()) {
      if (dx) take_weight(r, g, true);
      return adapters();
    }
    r.scope([&] {
      if (dx) return take_weight(r, g, true);
      if (room > 0) r.elements(ArenaUse::weights, g.N() * room);  // B alone
    });
    if (room == 0) return adapters();
    r.floats(ArenaUse::weights, room * g.K);    // dA
    r.floats(ArenaUse::weights, g.N() * room);  // dB
  });
}

std::int64_t folded_columns(const TrainingShape& shape, const GroupShape& group) {
  if (shape.device == Device::cpu || has_dropout(shape)) return 0;
  if (has_dora(group)) return 0;
  std::int64_t ranks = 0;
  for (const AdapterSize& a : group.adapters) ranks += a.R;
  return rounded_up(ranks, 64);
}

}  // namespace qlora
