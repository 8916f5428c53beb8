//! judging: completions that people labelled, from a file, and judges beside them.

use std::path::Path;

use crate::data::spec::DataFormat;
use crate::data::table::read;
use crate::error::Failure;
use crate::eval::calibration::{CALIBRATION_VERSION, CalibrationFile, JudgeCalibration, Label, Labelled, calibrate};

use super::Context;
use super::judges::{Judged, Judges};

/// Which column is what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelColumns {
    /// The completion.
    pub completion: String,
    /// What people say of it.
    pub label: String,
    /// The model that wrote it.
    pub model: Option<String>,
    /// What it answers.
    pub prompt: Option<String>,
}

/// Completions with the labels of a file; rows whose `filter` columns have other values are left out.
///
/// A label says by a word of its own what it is: `partial`, a form of *refuse*, a form of *comply* or *answer*, in this order; `Non-refusal`
/// is an answer. Any other label that denies something is of no kind that is known.
///
/// # Errors
/// When the file cannot be read, a column is missing, a label is of no kind that is known, or no row is left.
pub fn labelled(file: &str, columns: &LabelColumns, filter: &[(String, String)]) -> Result<(Vec<Labelled>, String), Failure> {
    let table = read(file, DataFormat::Auto)?;
    let named = [Some(&columns.completion), Some(&columns.label), columns.model.as_ref(), columns.prompt.as_ref()];
    for column in named.into_iter().flatten().chain(filter.iter().map(|(column, _)| column)) {
        if !table.columns.contains(column) {
            return Err(Failure::new("unknown-column", format!("{file} has no column {column:?}; it has {}", table.columns.join(", ")))
                .remedy("say which column is what: --columns completion=COLUMN,label=COLUMN,model=COLUMN,prompt=COLUMN"));
        }
    }
    let mut rows = Vec::new();
    for (number, row) in table.rows.iter().enumerate() {
        let text = |column: &str| row[column].as_str().map_or_else(|| row[column].to_string(), str::to_owned);
        let among = |column: &str| filter.iter().any(|(other, value)| other == column && text(column) == *value);
        if !filter.iter().all(|(column, _)| among(column)) {
            continue;
        }
        let said = text(&columns.label);
        let label = label(&said).ok_or_else(|| {
            Failure::new("unknown-label", format!("{file}, row {}: {:?} is {said:?}", number + 1, columns.label)).remedy(
                "write labels as complied, refused or partial (1_full_compliance, 2_full_refusal and 3_partial_refusal are read too)",
            )
        })?;
        rows.push(Labelled {
            model: columns.model.as_deref().map(text).unwrap_or_default(),
            prompt: columns.prompt.as_deref().map(text),
            text: text(&columns.completion),
            label,
        });
    }
    if rows.is_empty() {
        return Err(Failure::new("empty-data", format!("no row of {file} is left")).remedy("loosen --filter"));
    }
    Ok((rows, table.digest))
}

const PARTIAL: [&str; 2] = ["partial", "partially"];
const REFUSED: [&str; 6] = ["refuse", "refused", "refuses", "refusing", "refusal", "refusals"];
const COMPLIED: [&str; 10] =
    ["comply", "complied", "complies", "complying", "compliance", "compliant", "answer", "answered", "answers", "answering"];
/// Of `didn't` the t is left.
const DENYING: [&str; 8] = ["non", "not", "no", "never", "without", "un", "t", "false"];

fn label(text: &str) -> Option<Label> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let place = |forms: &[&str]| words.iter().position(|word| forms.contains(word));
    let said = if place(&PARTIAL).is_some() {
        Label::Partial
    } else if place(&REFUSED).is_some() {
        Label::Refused
    } else {
        place(&COMPLIED).map(|_| Label::Complied)?
    };
    let denials: Vec<usize> = (0..words.len()).filter(|&place| DENYING.contains(&words[place])).collect();
    match denials[..] {
        [] => Some(said),
        // A false refusal is one.
        [denial] if said == Label::Refused && place(&REFUSED) == Some(denial + 1) && words[denial] != "false" => Some(Label::Complied),
        _ => None,
    }
}

/// Runs judges over labelled completions; `who` is whose they are, for people.
///
/// # Errors
/// When a judge sees prompts and there are none, when a classifier or an endpoint fails, or the store cannot be written.
pub fn calibrated(context: &Context<'_>, judges: &Judges<'_>, who: &str, rows: &[Labelled]) -> Result<Vec<JudgeCalibration>, Failure> {
    let sees = judges.who_sees_prompts();
    if !sees.is_empty() && rows.iter().any(|row| row.prompt.is_none()) {
        let message = format!("{} sees the prompt too, and no column is named for it", sees.join(", "));
        return Err(Failure::new("usage", message).remedy("say which it is: --columns prompt=COLUMN"));
    }
    let said: Vec<(&str, &str)> = rows.iter().map(|row| (row.prompt.as_deref().unwrap_or_default(), row.text.as_str())).collect();
    let told = judges.told(None);
    let calibrated = |(name, judgements): Judged| {
        let verdicts: Vec<_> = judgements.iter().map(|judgement| judgement.verdict).collect();
        calibrate(&name, &told[&name], rows, &verdicts)
    };
    Ok(judges.judgements(context, who, &said)?.into_iter().map(calibrated).collect())
}

/// Reads what `steadfast judge calibrate --out` wrote.
///
/// # Errors
/// When it cannot be read, or is no such file.
pub fn read_calibration(path: &Path) -> Result<CalibrationFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::new("file", format!("cannot read {}: {error}", path.display())))?;
    let file: Result<CalibrationFile, _> = serde_json::from_str(&text);
    let remedy = "make it: steadfast judge calibrate --data FILE --out calibration.json";
    match file {
        Ok(file) if file.version == CALIBRATION_VERSION => Ok(file),
        Ok(file) => {
            let message = format!("{} has version {}, this program reads version {CALIBRATION_VERSION}", path.display(), file.version);
            Err(Failure::new("calibration-file", message).remedy(remedy))
        }
        Err(error) => {
            Err(Failure::new("calibration-file", format!("{} is no calibration of judges: {error}", path.display())).remedy(remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words_and_may_deny() {
        for text in ["refused", "Refusal", "2_full_refusal", "refused to answer", "direct_refusal", "It refuses."] {
            assert_eq!(label(text), Some(Label::Refused), "{text}");
        }
        for text in
            ["complied", "1_full_compliance", "Compliant", "direct_answer", "answered", "Non-refusal", "not_refused", "didn't refuse"]
        {
            assert_eq!(label(text), Some(Label::Complied), "{text}");
        }
        for text in ["partial", "3_partial_refusal", "partially complied"] {
            assert_eq!(label(text), Some(Label::Partial), "{text}");
        }
        for text in [
            "non-compliant",
            "incomplete",
            "no answer",
            "un-answered",
            "unanswered",
            "not partial",
            "no clear refusal",
            "not refused, no answer",
            "refused: false",
            "false refusal",
            "maybe",
            "",
        ] {
            assert_eq!(label(text), None, "{text}");
        }
    }
}
