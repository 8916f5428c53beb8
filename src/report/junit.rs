//! `junit.xml`: one test case a rule.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::record::{Decision, Record};

use super::ReportError;

/// The rules as JUnit; the same record gives the same bytes. An inconclusive rule is a failure of kind `inconclusive`:
/// CI systems know no third outcome, and a check that did not decide must not look green.
///
/// # Errors
/// When it cannot be serialised, which is a defect of the program.
pub fn render(record: &Record) -> Result<String, ReportError> {
    let mut suite = TestSuite::new(&record.name);
    for rule in record.gate.iter().flat_map(|gate| &gate.rules) {
        let status = match rule.decision {
            Decision::Pass => TestCaseStatus::success(),
            Decision::Fail => non_success(NonSuccessKind::Failure, "fail", &rule.reason),
            Decision::Inconclusive => non_success(NonSuccessKind::Failure, "inconclusive", &rule.reason),
            Decision::Error => non_success(NonSuccessKind::Error, "error", &rule.reason),
        };
        let judge = rule.judge.as_ref().map(|judge| format!(" ({judge})")).unwrap_or_default();
        let mut case = TestCase::new(format!("{}{judge}", rule.rule), status);
        case.set_classname(format!("{}.{}", record.name, rule.arm));
        suite.add_test_case(case);
    }
    let mut report = Report::new("steadfast");
    report.add_test_suite(suite);
    report.to_string().map_err(|error| ReportError::Junit(error.to_string()))
}

fn non_success(kind: NonSuccessKind, name: &str, reason: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name).set_message(reason);
    status
}
