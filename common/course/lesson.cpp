#include "course/lesson.h"

#include <cstdio>

#include "core/files.h"
#include "course/provenance.h"

namespace qlora {

void add_lesson_options(Options& options, LessonOptions& lesson) {
  options.add("--json", lesson.json, "write the results and all claims there").value_name("FILE");
  options.add("--figures", lesson.figures, "write the lesson's figures there, as SVG")
      .value_name("DIR");
  options.add("--all-claims", lesson.all_claims,
              "print every claim of the course, also those that a test shows");
}

void run_lesson(const Chapter& chapter, const LessonOptions& options) {
  Ledger ledger(chapter.folder + "/numbers.json");
  chapter.claims(ledger);
  Json results = chapter.tell(ledger);
  std::fputs("\n", stdout);
  ledger.print(options.all_claims);
  if (!options.figures.empty()) {
    make_folder(options.figures);
    chapter.draw(options.figures);
  }
  results["claims"] = ledger.json();
  write_results(options.json, std::move(results));
  ledger.check();
}

}  // namespace qlora
