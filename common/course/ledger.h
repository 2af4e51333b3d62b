// The ledger of claims: what the course says, what this program computes, and who is right.
#pragma once

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "course/table.h"

namespace qlora {

/// The claims of a chapter (its numbers.json) and the values that the program computed for them.
///
/// Every claim must get a value, once. The right value that stands in numbers.json is only what a
/// computed value is held against; it is never shown as computed.
///
///   Ledger ledger(chapter_folder + "/numbers.json");
///   ledger.number("MM-06", scale);
///   ledger.test("MM-01", "MinMax.OneByteInsteadOfFour");
///   ledger.print(all_claims);
///   ledger.check();
class Ledger {
 public:
  /// @throws BadInput if the file is not a list of claims
  explicit Ledger(const std::string& path);

  /// A number in the claim's unit. It must equal the right value, within `tolerance` or one part in
  /// 10^9, whichever is more (give one where the right value is written rounded); and what the
  /// verdict says must be true of it: that it is the course's number, that it rounds to the digits
  /// that the course prints, or that the course's number is wrong.
  void number(std::string_view id, double computed, double tolerance = 0.0);
  /// A text (shape, formula, format) that must be the right value to the letter.
  void text(std::string_view id, std::string computed);
  /// A text whose right value is prose: `holds` is the program's own check.
  void checked(std::string_view id, std::string computed, bool holds);
  /// A concept, feature, typo, setting, code or template that a test shows: "Suite.Name".
  void test(std::string_view id, std::string_view name);
  /// The same, shown by an experiment (`experiment NAME` of a chapter).
  void experiment(std::string_view id, std::string_view name);
  /// A claim that nothing here can decide: why, and what a user who has the real checkpoint, the
  /// network or the hardware runs to check it. Every claim of this verdict needs it: alone, or
  /// beside a value that is a part of it or stands in for it. Of the others only one that the
  /// course has right may be left so, and none that must be computed.
  /// @throws std::invalid_argument if a text is empty, or it stands for another sort of claim
  void not_checkable(std::string_view id, std::string reason, std::string check_with);

  /// The compact form leaves out claims whose id begins so: the lesson prints them as a table.
  void has_own_table(std::string_view id_prefix);

  /// Prints the claims as a table, the reasons where the course is wrong or cannot be checked, and
  /// a summary. Compact: the claims with a value, those that the course gets wrong, and those that
  /// failed.
  void print(bool all_claims, std::FILE* out = stdout) const;
  /// Rows {id, course, computed, verdict}, for numbers {value, unit}, and for what cannot be
  /// checked here {reason, check_with}.
  Json json() const;
  /// Adds a row {id, what it is about, what the course says, what is computed here, what is right
  /// and why} for each claim that the course gets wrong.
  void add_corrections(Table& table) const;
  /// @throws Error (ExitCode::check_failed) naming each claim that failed, got no value, or cannot
  ///         be checked and does not say why
  void check() const;

 private:
  struct Claim {
    std::string id, kind, claim, course, right, verdict, note, unit;
    std::optional<double> course_number, right_number;  // in the claim's unit
    bool has_computed_kind() const;  // number, formula, shape or table: a test does not do
  };
  struct Outcome {
    std::string computed;
    std::optional<double> value;
    std::string failure;  // what does not hold, or empty
  };
  struct Undecided {
    std::string reason, check_with;
  };
  const Claim& find(std::string_view id) const;
  void put(std::string_view id, Outcome outcome);
  void put_witness(const char* sort, std::string_view id, std::string_view name);
  const Outcome* outcome_of(const Claim& claim) const;  // nullptr before it has a value
  const Undecided* undecided(const Claim& claim) const;
  std::string verdict_of(const Claim& claim) const;
  std::string computed_for_people(const Claim& claim) const;
  bool is_compact(const Claim& claim) const;
  std::vector<std::string> reasons_of(const Claim& claim) const;
  void print_reasons(const std::vector<const Claim*>& shown, std::FILE* out) const;
  void print_summary(std::size_t shown, std::FILE* out) const;
  static std::string number_failure(const Claim& claim, double right, double computed,
                                    double tolerance);

  std::string path_;
  std::vector<Claim> claims_;
  std::map<std::string, Outcome, std::less<>> outcomes_;
  std::map<std::string, Undecided, std::less<>> undecided_;
  std::vector<std::string> own_tables_;
};

}  // namespace qlora
