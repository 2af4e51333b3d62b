// Names of the Python libraries that a training run here has no use for, or no support.
#pragma once

#include "course/options.h"

namespace qlora {

/// Declares the fields of transformers' and TRL's training arguments, of PEFT's LoraConfig and of
/// BitsAndBytesConfig that are no options here: those that change no result, of which any value is
/// taken, and those that are not supported, of which the values are taken that ask for what is done
/// anyway.
void add_other_python_names(Options& verb);

}  // namespace qlora
