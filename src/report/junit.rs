//! `junit.xml`: one test case a rule.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::record::{Decision, Record};

use super::{ReportError, shown};

/// The verdict, and every rule, as a test case; the same record gives the same bytes. What is inconclusive is a failure of kind
/// `inconclusive`: CI systems know no third outcome, and a check that did not decide must not look green. The verdict is a case
/// of its own since a run can stop before its rules, or because an arm could not be trained.
///
/// # Errors
/// When it cannot be serialised, which is a defect of the program.
pub fn render(record: &Record) -> Result<String, ReportError> {
    let mut suite = TestSuite::new(&record.name);
    let (decision, headline) =
        record.gate.as_ref().map_or((Decision::Error, "no gate was decided"), |gate| (gate.decision, gate.headline.as_str()));
    let mut verdict = TestCase::new("verdict", status(decision, headline));
    verdict.set_classname(record.name.as_str());
    suite.add_test_case(verdict);
    for rule in record.gate.iter().flat_map(|gate| &gate.rules) {
        let judge = rule.judge.as_ref().map(|judge| format!(" ({judge})")).unwrap_or_default();
        let mut case = TestCase::new(format!("{}{judge}", rule.rule), status(rule.decision, &rule.reason));
        case.set_classname(format!("{}.{}", record.name, rule.arm));
        suite.add_test_case(case);
    }
    let mut report = Report::new("steadfast");
    report.add_test_suite(suite);
    Ok(shown(&report.to_string().map_err(|error| ReportError::Junit(error.to_string()))?))
}

fn status(decision: Decision, reason: &str) -> TestCaseStatus {
    let (kind, name) = match decision {
        Decision::Pass => return TestCaseStatus::success(),
        Decision::Fail => (NonSuccessKind::Failure, "fail"),
        Decision::Inconclusive => (NonSuccessKind::Failure, "inconclusive"),
        Decision::Error => (NonSuccessKind::Error, "error"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name).set_message(reason);
    status
}
