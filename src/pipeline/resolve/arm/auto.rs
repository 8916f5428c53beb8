//! `protect: auto`: candidates of which a race chooses an arm's recipe.

use serde_json::json;

use super::Around;
use super::protect::safety_data;
use super::room_outside;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::resolve::sweep::rates;
use crate::pipeline::settings::{Arm, ArmTicket, Auto, RaceBudget, Replay, Train};

/// The share of refusals, and of answers, that may be lost where nothing is said.
const LIMIT: f64 = 0.05;

/// What says how an arm is trained, which a race decides.
const RECIPE: [&str; 16] = [
    "train",
    "density",
    "ticket",
    "calibration_steps",
    "calibration_learning_rate",
    "replay",
    "lora",
    "layers",
    "first_tokens",
    "anchor",
    "elastic",
    "project",
    "merge",
    "like",
    "sweep",
    "draws",
];

/// Whether an arm's recipe is chosen.
pub(super) fn is_auto(section: &mut Section<'_>) -> bool {
    section.get("protect").and_then(text).is_some_and(|word| word == "auto")
}

/// The race for the recipe of `arm`, whose hyperparameters the candidates take; `node` is its `auto:`.
pub(super) fn auto(section: &Section<'_>, node: Option<&Node>, arm: &Arm, around: &Around<'_>, findings: &mut Findings) -> Auto {
    let path = section.path.clone();
    for (key, place, _) in section.entries().iter().filter(|(key, _, _)| RECIPE.contains(key)) {
        let message = format!("{path} has {key}, and protect: auto chooses what it trains");
        findings.problem(
            *place,
            &section.join(key),
            message,
            Some(format!("remove {key}, or write it in an arm that auto names: auto: {{candidates: [ARM]}}")),
        );
    }
    let own: Vec<_> = section.given_but(&["protect", "auto"]).into_iter().filter(|(key, _)| !RECIPE.contains(key)).collect();
    let nothing = Node { value: crate::pipeline::node::Value::Null, place: section.place };
    let mut section = Section::new(node.unwrap_or(&nothing), &format!("{path}.auto"), findings);
    let share = |share: f64| (0.0..=1.0).contains(&share);
    let what = "a share in [0, 1]";
    let drop_at_most = section.number("drop_at_most", what, share, findings).unwrap_or(LIMIT);
    let answers_drop_at_most = section.number("answers_drop_at_most", what, share, findings).unwrap_or(LIMIT);
    let steps = section.whole("max_steps", 1, findings);
    let minutes = section.number("minutes", "a number above 0", |minutes| minutes > 0.0, findings);
    if steps.is_some() && minutes.is_some() {
        let message = format!("{} has max_steps and minutes: two budgets", section.path);
        findings.problem(section.place_of("minutes"), &section.join("minutes"), message, Some("remove one of them".into()));
    }
    let given = rates(&mut section, findings);
    let texts = json!({"type": "string"});
    section.describe("candidates", json!({"anyOf": [texts, {"type": "array", "items": texts, "minItems": 1}]}));
    let candidates = match section.get("candidates") {
        Some(node) => {
            for (key, place) in own.iter().filter(|(key, _)| *key != "max_steps") {
                let message = format!("{path} has {key}, and its candidates have their own");
                findings.problem(
                    *place,
                    &format!("{path}.{key}"),
                    message,
                    Some(format!("remove {key}, or write it in the candidates; rates also as auto: {{learning_rate: […]}}")),
                );
            }
            named(node, &section.join("candidates"), (arm, around), &given, findings)
        }
        None => {
            let own = arm.training.learning_rate;
            let rates = if given.is_empty() { vec![rounded(own * 0.1), rounded(own * 0.3), own] } else { given };
            defaults(arm, around).iter().flat_map(|recipe| at(recipe, &rates, &[])).collect()
        }
    };
    section.finish(findings);
    let max_steps = arm.training.max_steps;
    let candidates = candidates.into_iter().map(|mut one| {
        one.training.max_steps = max_steps;
        one
    });
    let budget = steps.map(RaceBudget::MaxSteps).or(minutes.map(RaceBudget::Minutes));
    Auto { candidates: candidates.collect(), drop_at_most, answers_drop_at_most, budget }
}

/// The arms that `candidates` names, in its order, each at the rates that are given, else at its own and those of a sweep of its own, and at
/// its own densities and its sweep's; what `finetune.sweep` adds to arms does not race. All train for the steps of the arm that is raced for.
fn named(node: &Node, path: &str, (raced, around): (&Arm, &Around<'_>), given: &[f64], findings: &mut Findings) -> Vec<Arm> {
    let mut found: Vec<Arm> = Vec::new();
    for item in list(node) {
        let name = text(item).unwrap_or_default();
        let arm = around.earlier.iter().find(|arm| arm.name == name);
        let problem = match arm {
            None => Some(format!("there is no arm {name:?} above it")),
            Some(arm) if arm.edit.is_some() || arm.auto.is_some() || arm.train == Train::None => {
                Some(format!("arm {name} trains nothing that could race"))
            }
            Some(arm) if found.iter().any(|other| other.family.as_ref() == Some(&arm.name)) => Some(format!("arm {name} is named twice")),
            Some(_) => None,
        };
        if let Some(message) = problem {
            findings.problem(item.place, path, message, Some("name arms that train, above this one, each once".into()));
            continue;
        }
        let Some(arm) = arm else { continue };
        let steps = raced.training.max_steps;
        if arm.training.max_steps != steps || arm.sweep.as_ref().is_some_and(|grid| !grid.max_steps.is_empty()) {
            let own = if arm.training.max_steps == steps {
                "sweeps max_steps".into()
            } else {
                format!("has max_steps {}", arm.training.max_steps)
            };
            let message = format!("arm {name} {own}, and all candidates of {} train for its {steps}", raced.name);
            let remedy = format!("write max_steps in arm {} alone, whose candidates all take it", raced.name);
            findings.problem(item.place, path, message, Some(remedy));
            continue;
        }
        let mut rates = given.to_vec();
        if rates.is_empty() {
            rates = arm.sweep.as_ref().map(|grid| grid.learning_rate.clone()).unwrap_or_default();
            if !rates.contains(&arm.training.learning_rate) {
                rates.push(arm.training.learning_rate);
            }
        }
        let mut densities = arm.sweep.as_ref().filter(|_| arm.density.is_some()).map(|grid| grid.density.clone()).unwrap_or_default();
        if !densities.is_empty() && !densities.iter().any(|share| arm.density == Some(*share)) {
            densities.extend(arm.density);
        }
        let settings = at(arm, &rates, &densities);
        if let Some(tight) = settings.iter().find(|one| room_outside(one, around.tickets).is_some_and(|room| one.density > Some(room))) {
            let message = format!("{} trains more of maskable than lies outside its ticket", tight.name);
            findings.problem(item.place, path, message, Some("sweep lower densities, or lower the ticket's".into()));
        }
        found.extend(settings);
    }
    found
}

/// What races where nothing is named, the cheapest first: plain fine-tuning, rehearsing what the model was aligned with, being held to the
/// aligned model there, and where there is a ticket staying outside it.
fn defaults(arm: &Arm, around: &Around<'_>) -> Vec<Arm> {
    let plain = Arm { name: "plain".into(), train: Train::All, ..arm.clone() };
    let replay = Some(Replay { data: safety_data(around), share: super::replay::SHARE });
    let anchor = Some(super::anchor::usual(safety_data(around)));
    let mut all = vec![
        plain.clone(),
        Arm { name: "rehearsed".into(), replay, ..plain.clone() },
        Arm { name: "anchored".into(), anchor, ..plain.clone() },
    ];
    if let Some(first) = around.tickets.first() {
        let ticket = Some(ArmTicket::Named(first.name.clone()));
        all.push(Arm { name: "ticket".into(), train: Train::Complement, ticket, ..plain });
    }
    all
}

/// A recipe at several learning rates and densities, its own where there are none, as a family.
fn at(recipe: &Arm, rates: &[f64], densities: &[f64]) -> Vec<Arm> {
    let shares: Vec<Option<f64>> = if densities.is_empty() { vec![None] } else { densities.iter().copied().map(Some).collect() };
    let one = |learning_rate: f64, share: Option<f64>| {
        let density = share.map(|share| format!("-d{share}")).unwrap_or_default();
        let name = format!("{}-lr{learning_rate:e}{density}", recipe.name).replace('.', "_");
        let mut arm = Arm { name, family: Some(recipe.name.clone()), sweep: None, density: share.or(recipe.density), ..recipe.clone() };
        arm.training.learning_rate = learning_rate;
        arm
    };
    rates.iter().flat_map(|&rate| shares.iter().map(move |&share| (rate, share))).map(|(rate, share)| one(rate, share)).collect()
}

/// To two digits, as rates are written.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}
