//! How the recipes of arms were chosen, as tables.

use serde::Serialize;

use super::words::percent;
use crate::record::{Race, RaceEnd, Record, Tried};

/// The race of one arm.
#[derive(Debug, Serialize)]
pub struct RaceView {
    /// The arm.
    pub arm: String,
    /// What was raced for, and in which heats.
    pub caption: String,
    /// The candidates.
    pub rows: Vec<RaceRow>,
}

/// One candidate.
#[derive(Debug, Serialize)]
pub struct RaceRow {
    /// Its name.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// One cell for each of [`COLUMNS`].
    pub cells: Vec<String>,
    /// Whether the arm became it.
    pub chosen: bool,
}

/// The heads of a table.
pub const COLUMNS: [&str; 5] = ["steps trained", "best within the limits", "refused there", "answered there", "how it ended"];

/// The races of a record.
pub(super) fn races(record: &Record) -> Vec<RaceView> {
    let raced = record.arms.iter().filter_map(|arm| Some((arm, arm.race.as_ref()?)));
    raced.map(|(arm, race)| RaceView { arm: arm.name.clone(), caption: caption(race), rows: rows(race) }).collect()
}

fn caption(race: &Race) -> String {
    let heats: Vec<String> = race.heats.iter().map(|heat| format!("{} to step {}", heat.runs, heat.until)).collect();
    format!(
        "Recipes raced on the probes alone, with seed {}: {}. The smallest task loss wins among points that lost at most {:.1} points of the probes' refusals (aligned {}) and {:.1} points of their answers (aligned {}); a recipe named earlier wins within one standard error.",
        race.seed,
        heats.join(", then "),
        race.drop_at_most * 100.0,
        percent(race.aligned.refusal_rate),
        race.answers_drop_at_most * 100.0,
        percent(race.aligned.answered_rate)
    )
}

fn rows(race: &Race) -> Vec<RaceRow> {
    let limits = race.limits();
    let row = |one: &Tried| {
        let chosen = race.winner.as_ref().is_some_and(|winner| winner.name == one.name);
        let best = limits.best(&one.points);
        let at = |text: &dyn Fn(&crate::record::RacePoint) -> String| best.map_or_else(|| "none".into(), text);
        let end = match &one.end {
            RaceEnd::Finished => "trained to its end".into(),
            RaceEnd::Outpaced => "others had learnt more".into(),
            RaceEnd::NothingLearnt => "nothing learnt within the limits".into(),
            RaceEnd::Left => "left the limits".into(),
            RaceEnd::Failed(why) => format!("failed: {why}"),
        };
        RaceRow {
            name: one.name.clone(),
            summary: one.summary.clone(),
            cells: vec![
                one.points.last().map_or(0, |point| point.step).to_string(),
                at(&|best| format!("{:.3} at step {}", best.task_nll, best.step)),
                at(&|best| percent(best.refusal_rate)),
                at(&|best| percent(best.answered_rate)),
                if chosen { format!("chosen; {end}") } else { end },
            ],
            chosen,
        }
    };
    race.tried.iter().map(row).collect()
}
