// The lesson at the terminal, behind the main job: what the course's configurations come to.
#pragma once

#include "core/json.h"
#include "main_job.h"

namespace qlora::chapter12 {

/// Prints the course's configurations as a table.
/// @return the report of the main job, and the table's rows as "configurations"
Json tell(const MainJobResult& job);

}  // namespace qlora::chapter12
