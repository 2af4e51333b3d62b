// The ledger on the terminal, and what it corrects on a page.
#include <algorithm>

#include "course/ledger.h"

namespace qlora {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

std::string Ledger::computed_for_people(const Claim& c) const {
  const Outcome outcome = outcome_of(c) == nullptr ? Outcome{} : *outcome_of(c);
  if (!outcome.value) return outcome.computed;
  return readable(*outcome.value) + (c.unit.empty() ? "" : " " + c.unit);
}

bool Ledger::is_compact(const Claim& c) const {
  const std::string verdict = verdict_of(c);
  if (verdict == "FAILED" || verdict == "NO VALUE") return true;
  const bool elsewhere = std::any_of(own_tables_.begin(), own_tables_.end(),
                                     [&](const std::string& p) { return c.id.starts_with(p); });
  return !elsewhere && (c.verdict == "WRONG" || c.has_computed_kind());
}

void Ledger::print(bool all_claims, std::FILE* out) const {
  Table table({"claim", "the course says", "computed here", "verdict", "what it is about"});
  std::vector<const Claim*> shown;
  for (const Claim& c : claims_) {
    if (!all_claims && !is_compact(c)) continue;
    shown.push_back(&c);
    table.add({c.id, c.course, computed_for_people(c), lower(verdict_of(c)), c.claim});
  }
  if (!shown.empty()) std::fputs(table.text().c_str(), out);
  if (!shown.empty()) std::fputc('\n', out);
  print_reasons(shown, out);
  print_summary(shown.size(), out);
}

// Where the course is wrong or only near, and where a claim failed: what is right, and why. Where
// nothing here decides: why, and what does. A paragraph each.
std::vector<std::string> Ledger::reasons_of(const Claim& c) const {
  const Outcome* outcome = outcome_of(c);
  if (outcome != nullptr && !outcome->failure.empty()) return {"FAILED: " + outcome->failure};
  if (const Undecided* u = undecided(c)) {
    return {"not checkable offline. " + u->reason, "Check with: " + u->check_with};
  }
  if (c.verdict != "WRONG" && c.verdict != "APPROXIMATE") return {};
  return {lower(c.verdict) + ". Right: " + c.right + (c.note.empty() ? "" : ". " + c.note)};
}

void Ledger::print_reasons(const std::vector<const Claim*>& shown, std::FILE* out) const {
  for (const Claim* c : shown) {
    std::string indent = c->id + "  ";
    for (const std::string& paragraph : reasons_of(*c)) {
      for (const std::string& line : wrapped(paragraph, kTextWidth - indent.size())) {
        std::fprintf(out, "%s%s\n", indent.c_str(), line.c_str());
        indent.assign(indent.size(), ' ');
      }
    }
  }
}

void Ledger::print_summary(std::size_t shown, std::FILE* out) const {
  std::vector<std::string> counts;
  for (const char* verdict : {"REPRODUCES", "ROUNDS TO", "APPROXIMATE", "WRONG",
                              "NOT CHECKABLE OFFLINE", "FAILED", "NO VALUE"}) {
    const auto n = std::count_if(claims_.begin(), claims_.end(),
                                 [&](const Claim& c) { return verdict_of(c) == verdict; });
    if (n > 0) counts.push_back(std::to_string(n) + " " + lower(verdict));
  }
  std::string line = std::to_string(claims_.size()) + " claims: " + joined(counts);
  if (shown < claims_.size()) {
    line += "; --all-claims shows the other " + std::to_string(claims_.size() - shown);
  }
  for (const std::string& part : wrapped(line, kTextWidth)) {
    std::fprintf(out, "%s\n", part.c_str());
  }
}

void Ledger::add_corrections(Table& table) const {
  for (const Claim& c : claims_) {
    if (c.verdict != "WRONG") continue;
    table.add({c.id, c.claim, c.course, computed_for_people(c),
               c.right + (c.note.empty() ? "" : ". " + c.note)});
  }
}

}  // namespace qlora
