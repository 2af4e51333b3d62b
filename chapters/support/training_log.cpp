#include "support/training_log.h"

namespace qlora {

Series logged(const Json& log_history, const std::string& member, const std::string& name,
              double times) {
  Series line{name, {}, {}};
  for (const Json& entry : log_history.as_array()) {
    if (const Json* value = entry.find(member)) {
      line.x.push_back(entry.at("step").as_number());
      line.y.push_back(times * value->as_number());
    }
  }
  return line;
}

}  // namespace qlora
