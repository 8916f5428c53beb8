//! What an arm does, in one sentence.

use crate::pipeline::settings::{Arm, ArmTicket, DataSpec, Edit, Edited, Merge, MergeMethod, Train};

/// One sentence on an arm: `trains every weight at 5e-4`.
pub(super) fn describe(arm: &Arm) -> String {
    if let Some(edited) = &arm.edit {
        return describe_edit(edited, &ticket(arm));
    }
    let rate = rate(arm);
    let several = arm.tasks.len() > 1;
    let mut ticket = ticket(arm);
    if several && arm.has_own_weights() {
        ticket.push_str(" and the earlier tasks' own");
    }
    let what = match (arm.train, arm.density) {
        (Train::All, _) => "every weight".into(),
        (Train::Maskable, _) => "every maskable weight".into(),
        (Train::Complement, Some(density)) => format!("the task's own top {:.0} % of maskable outside {ticket}", density * 100.0),
        (Train::Complement, None) => format!("every maskable weight outside {ticket}"),
        (Train::Ticket, _) => format!("only {ticket}"),
        (Train::Random, density) => {
            let which = if several { "another random" } else { "a random" };
            format!("{which} {:.0} % of maskable", density.unwrap_or(1.0) * 100.0)
        }
        (Train::Lora, _) => arm.lora.as_ref().map_or_else(String::new, |lora| {
            let targets = if lora.targets.len() == 7 { "every projection".into() } else { lora.targets.join(", ") };
            format!("LoRA factors of rank {} (alpha {}) on {targets}", lora.rank, lora.alpha)
        }),
        (Train::None, _) => return "trains nothing".into(),
    };
    let layers = arm.layers.as_ref().map(|layers| format!(" of {layers}")).unwrap_or_default();
    let replay = arm.replay.as_ref().map(|replay| {
        let sources: Vec<&str> = replay.data.iter().map(|data| data.source.as_str()).collect();
        format!(", with {:.1} % of its rows from {}", replay.share * 100.0, sources.join(" and "))
    });
    let each = match &arm.merge {
        Some(how) => format!(", on each of {} tasks from the aligned model, and {}", arm.tasks.len(), describe_merge(how)),
        None if several => format!(", in each of {} tasks", arm.tasks.len()),
        None => String::new(),
    };
    let is_swept = arm.sweep.as_ref().is_some_and(|grid| !grid.max_steps.is_empty());
    let steps = if is_swept { format!(", {} steps", arm.training.max_steps) } else { String::new() };
    let tokens = tokens(arm);
    let held = arm.first_tokens.as_ref().map_or("", |_| ", the first tokens of replies held to the aligned model's");
    let from = |data: &[DataSpec]| data.iter().map(|data| data.source.as_str()).collect::<Vec<_>>().join(" and ");
    let anchor =
        arm.anchor.as_ref().map(|anchor| format!(", plus {} · KL from the aligned model on {}", anchor.weight, from(&anchor.data)));
    let elastic = arm.elastic.as_ref().map(|elastic| {
        format!(
            ", each weight held to the aligned model's with strength {} · its Fisher information on {}",
            elastic.strength,
            from(&elastic.data)
        )
    });
    let project = arm.project.as_ref().map(|project| format!(", gradients projected off what raises the loss on {}", from(&project.data)));
    let beside = [replay.as_deref(), Some(held), anchor.as_deref(), elastic.as_deref(), project.as_deref()];
    format!("trains {what}{layers} at {rate}{tokens}{each}{steps}{}", beside.into_iter().flatten().collect::<String>())
}

/// The budget of tokens, or those of the tasks where they differ; empty where there is none.
fn tokens(arm: &Arm) -> String {
    let told = |most: Option<u64>| most.map_or_else(|| "any number of".to_owned(), |most| format!("at most {most}"));
    let mut budgets: Vec<Option<u64>> = arm.tasks.iter().map(|task| task.max_tokens).collect();
    budgets.dedup();
    match (budgets.is_empty(), arm.training.max_tokens) {
        (true, None) => String::new(),
        (true, most) => format!(", {} tokens", told(most)),
        (false, _) if budgets == [None] => String::new(),
        (false, _) => format!(", {} tokens a task", budgets.into_iter().map(told).collect::<Vec<_>>().join(", ")),
    }
}

/// The learning rate, or those of the tasks where they differ.
fn rate(arm: &Arm) -> String {
    let mut rates: Vec<String> = arm.tasks.iter().map(|task| format!("{:e}", task.learning_rate)).collect();
    rates.dedup();
    if rates.is_empty() {
        format!("{:e}", arm.training.learning_rate)
    } else {
        rates.join(if arm.merge.is_some() { " and " } else { ", then " })
    }
}

fn ticket(arm: &Arm) -> String {
    match &arm.ticket {
        Some(ArmTicket::Named(name)) => format!("ticket {name:?}"),
        Some(ArmTicket::Random { like, draw: 0 }) => format!("a random ticket as dense as {like:?}"),
        Some(ArmTicket::Random { like, draw }) => format!("a random ticket as dense as {like:?}, draw {}", draw + 1),
        None => "no ticket".into(),
    }
}

fn describe_merge(how: &Merge) -> String {
    let scales: Vec<String> = how.scale.iter().map(f64::to_string).collect();
    let scaled = if how.scale.iter().all(|scale| *scale == 1.0) { String::new() } else { format!(" times {}", scales.join(", ")) };
    let share = how.density.unwrap_or(1.0) * 100.0;
    match how.method {
        MergeMethod::Union => "writes their changes side by side".into(),
        MergeMethod::TaskArithmetic => format!("adds their task vectors{scaled}"),
        MergeMethod::Ties => format!("merges the largest {share:.0} % of their task vectors{scaled} (TIES)"),
        MergeMethod::Dare => format!("adds a random {share:.0} % of their task vectors{scaled}, scaled up (DARE)"),
    }
}

fn describe_edit(edited: &Edited, ticket: &str) -> String {
    let from = &edited.from;
    match edited.edit {
        Edit::Interpolate { weight } => format!("takes {weight} of {from}'s update: interpolation, no training"),
        Edit::Restore => format!("takes {from}'s weights with those of {ticket} as aligned, no training"),
        Edit::Resta { scale, drop } => {
            let dropped = if drop > 0.0 { format!(" with {:.0} % of its update dropped", drop * 100.0) } else { String::new() };
            format!("takes {from}'s weights{dropped} plus {scale} of the safety vector (RESTA), no training")
        }
        Edit::SafeLora { threshold } => {
            format!("takes {from}'s update projected where its cosine with the alignment is below {threshold} (Safe LoRA), no training")
        }
    }
}
