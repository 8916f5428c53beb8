//! Which suites of a record a question about refusals or answers is put to.

use crate::record::{Expect, Record, SuiteInfo};

/// The suites that expect this and whose prompts are put as a user would put them, without prefill, wrapper or another system message; all
/// that expect it, where there are no others. To lose refusals is what probing suites are for.
pub fn plainly_put(record: &Record, expect: Expect) -> impl Iterator<Item = (&String, &SuiteInfo)> {
    let of = move || record.suites.iter().filter(move |(_, suite)| suite.expect == expect);
    let all_probe = of().all(|(_, suite)| suite.manner.is_probing());
    of().filter(move |(_, suite)| all_probe || !suite.manner.is_probing())
}
