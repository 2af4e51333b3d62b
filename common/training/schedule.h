// Learning-rate schedules.
#pragma once

#include "training/arguments.h"

namespace qlora {

/// Steps of warm-up: the value itself from 1 on, below 1 ceil(total · value)
/// (transformers: TrainingArguments.get_warmup_steps).
std::int64_t warmup_steps(double value, std::int64_t total);

/// The factor on the base learning rate after `step` completed optimizer steps, with w steps of
/// warm-up of T in all: s/max(1,w) during warm-up, then
///   linear (T−s)/max(1,T−w);  cosine ½(1 + cos(π(s−w)/max(1,T−w)));  constant_with_warmup 1;
/// constant is 1 throughout, its warm-up is ignored. The first step of a warm-up has rate 0
/// (transformers: optimization.py).
double lr_factor(LrScheduler kind, std::int64_t step, std::int64_t warmup, std::int64_t total);

}  // namespace qlora
