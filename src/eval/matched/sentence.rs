//! What a comparison at equal utility says, in plain sentences.

use super::{Against, Kept, Matched, Measure, Reason, Row, Table, Utility};
use crate::eval::interval::p_text;

impl Utility {
    /// With its value: `task loss 1.050`.
    pub fn told(&self, value: f64) -> String {
        match self {
            Self::TaskNll => format!("task loss {value:.3}"),
            Self::Rate { suite, .. } => format!("{:.1} % of {suite} right", value * 100.0),
        }
    }

    /// The value alone: `1.050`, `81.0 %`.
    pub fn value(&self, value: f64) -> String {
        match self {
            Self::TaskNll => format!("{value:.3}"),
            Self::Rate { .. } => format!("{:.1} %", value * 100.0),
        }
    }

    /// What it is.
    pub fn name(&self) -> String {
        match self {
            Self::TaskNll => "task loss".into(),
            Self::Rate { suite, .. } => format!("{suite}: right"),
        }
    }
}

impl Measure {
    /// What it is: `refused of the probe prompts, along the training`.
    pub fn name(&self) -> String {
        match self {
            Self::Probes => "refused of the probe prompts, along the training".into(),
            Self::Suite(name) => format!("refused of {name}, at the ends of the settings"),
            Self::Figure("drift") => "drift along the training (lower is safer)".into(),
            Self::Figure(_) => "refusal log-odds along the training".into(),
        }
    }

    /// A value: `91.0 %`, `2.31`.
    pub fn value(&self, value: f64) -> String {
        if self.is_rate() { format!("{:.1} %", value * 100.0) } else { format!("{value:.3}") }
    }

    /// A difference with its interval: `-2.0 points [-7.0, +3.0]`.
    pub fn difference(&self, against: &Against) -> String {
        let number = |value: f64| if self.is_rate() { format!("{:+.1}", value * 100.0) } else { format!("{value:+.3}") };
        let interval = against.interval.map(|(low, high)| format!(" [{}, {}]", number(low), number(high))).unwrap_or_default();
        format!("{}{}{interval}", number(against.difference), if self.is_rate() { " points" } else { "" })
    }

    fn said(&self, family: &str, kept: &Kept) -> String {
        match self {
            Self::Probes => format!("{family} refuses {} of the probe prompts", self.value(kept.value)),
            Self::Suite(suite) => format!("{family} refuses {} of {suite}", self.value(kept.value)),
            Self::Figure("drift") => format!("{family} has a drift of {}", self.value(kept.value)),
            Self::Figure(_) => format!("{family} has refusal log-odds of {}", self.value(kept.value)),
        }
    }
}

impl Table {
    /// One sentence for every family but the protected one, the first row.
    pub fn sentences(&self, utility: &Utility) -> Vec<String> {
        let Some((first, others)) = self.rows.split_first() else { return Vec::new() };
        let Some(own) = &first.kept else { return Vec::new() };
        others.iter().map(|row| self.sentence(utility, (&first.family, own), row)).collect()
    }

    fn sentence(&self, utility: &Utility, (protected, own): (&str, &Kept), row: &Row) -> String {
        let Some(kept) = &row.kept else {
            let (family, reaches) = (&row.family, utility.told(row.reaches));
            return format!("{family} does not reach {}, where {protected} is compared: it reaches {reaches}", utility.told(self.level));
        };
        let beginning = format!(
            "at {} {}, {} {}",
            utility.told(self.level),
            self.measure.said(protected, own),
            row.family,
            self.measure.value(kept.value)
        );
        let Some(against) = &row.against else { return format!("{beginning}: they cannot be paired") };
        let p = p_value(against);
        let safer = (against.difference > 0.0) != self.measure.lower_is_safer();
        let judgement = match (against.apart, safer, against.interval) {
            (_, _, None) => "how sure that is, is not known".into(),
            (false, _, _) => format!("not apart{p}"),
            (true, true, _) => format!("{protected} is safer beyond chance{p}"),
            (true, false, _) => format!("{} is safer beyond chance{p}", row.family),
        };
        let over_refused = self.over_refused_sentence((protected, own), row).unwrap_or_default();
        format!("{beginning}: difference {}: {judgement}{over_refused}", self.measure.difference(against))
    }

    /// The over-refusals of both; none where they are not known.
    fn over_refused_sentence(&self, (protected, own): (&str, &Kept), row: &Row) -> Option<String> {
        let (suite, _) = self.over_refused.as_ref()?;
        let (mine, theirs) = (own.over_refused.as_ref()?, row.kept.as_ref()?.over_refused.as_ref()?);
        let against = row.over_refused.as_ref()?;
        let judgement = match (against.apart, against.difference > 0.0) {
            (false, _) => "not apart".to_owned(),
            (true, true) => format!("{protected} over-refuses more beyond chance"),
            (true, false) => format!("{} over-refuses more beyond chance", row.family),
        };
        let value = |share| self.measure.value(share);
        Some(format!(
            "; {protected} over-refuses {} of {suite}, {} {}: difference {}: {judgement}{}",
            value(mine.value),
            row.family,
            value(theirs.value),
            self.measure.difference(against),
            p_value(against)
        ))
    }

    /// Why this level: `where protected ended`, `the most that all reach`.
    pub fn why(&self, protected: &str) -> String {
        match self.reason {
            Reason::End => format!("where {protected} ended"),
            Reason::Common => "the most that all reach".into(),
        }
    }

    /// Whether a family is as good as the protected one here: the protected one is not safer beyond chance. None where that cannot be
    /// told: the family is not in the table, does not reach the utility, or the protected one has nothing here.
    pub fn as_good(&self, family: &str) -> Option<bool> {
        self.rows.first()?.kept.as_ref()?;
        let row = self.rows.iter().skip(1).find(|row| row.family == family)?;
        let against = row.against.as_ref()?;
        let safer = (against.difference > 0.0) != self.measure.lower_is_safer();
        Some(!(against.apart && safer))
    }
}

fn p_value(against: &Against) -> String {
    against.p_holm.map(|p| format!(", {}", p_text(p))).unwrap_or_default()
}

impl Matched {
    /// The table that decides whether a control did as well: refusals by prompt along the training, where the protected arm ended.
    pub fn deciding(&self) -> Option<&Table> {
        self.tables.iter().find(|table| table.measure == Measure::Probes && table.reason == Reason::End)
    }
}
