// The figures of the lesson: of the main job that was just run.
#pragma once

#include <string>

#include "main_job.h"

namespace qlora::chapter12 {

/// Writes loss.svg (the training loss) and predictors.svg (errors side by side) into the folder.
void draw(const std::string& folder, const MainJobResult& job);

}  // namespace qlora::chapter12
