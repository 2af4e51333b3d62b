// The figures of the lesson: of the main job that was just run.
#pragma once

#include <string>

#include "main_job.h"

namespace qlora::chapter12 {

/// Writes structure.svg, loss.svg (of the training) and hits.svg (of every predictor) into it.
void draw(const std::string& folder, const MainJobResult& job);

}  // namespace qlora::chapter12
