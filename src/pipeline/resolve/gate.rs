//! `gate`: its rules, each about an arm and a metric that the pipeline has.

use crate::eval::metric::Metric;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::settings::{Among, Bound, Condition, Evaluate, Expect, Finetune, Probe, Rubric, Rule, Suite};

pub(super) fn gate(node: &Node, finetune: Option<&Finetune>, evaluate: &Evaluate, findings: &mut Findings) -> Vec<Rule> {
    list(node).iter().enumerate().filter_map(|(i, node)| rule(node, &format!("gate.{i}"), finetune, evaluate, findings)).collect()
}

fn rule(node: &Node, path: &str, finetune: Option<&Finetune>, evaluate: &Evaluate, findings: &mut Findings) -> Option<Rule> {
    let mut section = Section::new(node, path, findings);
    let mut arms: Vec<&str> = finetune.map(|finetune| finetune.arms.iter().map(|arm| arm.name.as_str()).collect()).unwrap_or_default();
    arms.push("aligned");
    let arm = section.get("arm").and_then(|node| named(node, &format!("{path}.arm"), "arm", &arms, findings));
    let has_arms = finetune.is_some();
    let metric = section.get("metric").and_then(|node| metric(node, &format!("{path}.metric"), evaluate, has_arms, findings));
    if section.get("arm").is_none() {
        let remedy = format!("write arm: NAME; there are {}", arms.join(", "));
        findings.problem(section.place, path, format!("{path} does not say which arm it is about"), Some(remedy));
    }
    if section.get("metric").is_none() {
        let remedy = format!("write metric: NAME; there are {}", measured(evaluate, has_arms).join(", "));
        findings.problem(section.place, path, format!("{path} does not say what it is about"), Some(remedy));
    }
    let of = section.get("of").and_then(|node| named(node, &format!("{path}.of"), "arm", &arms, findings));
    let mut conditions = Vec::new();
    let share = |number: f64| (0.0..=1.0).contains(&number);
    // Figures (no dot in their name) are losses and distances, and so are some metrics; the others are shares.
    let unit = metric.as_ref().and_then(|metric| metric.split_once('.')).map(|(_, name)| Metric::unit_of(name));
    let (is_figure, is_share) = (unit.is_none(), unit == Some(None));
    let limit = |number: f64| if is_share { share(number) } else { number.is_finite() };
    let what = if is_share { "a share from 0 to 1 (5 % is 0.05)" } else { "a number" };
    conditions.extend(section.number("at_least", what, limit, findings).map(Condition::AtLeast));
    conditions.extend(section.number("at_most", what, limit, findings).map(Condition::AtMost));
    let unit = unit.flatten();
    let margin = |number: f64| if unit.is_some() { number >= 0.0 } else { share(number) };
    let what = unit.map_or_else(|| "a share from 0 to 1".to_owned(), |unit| format!("{unit}, at least 0"));
    conditions.extend(section.number("drop_at_most", &what, margin, findings).map(Condition::DropAtMost));
    conditions.extend(section.number("rise_at_most", &what, margin, findings).map(Condition::RiseAtMost));
    if let Some(limit) = section.number("retain_at_least", "a share from 0 to 1", share, findings) {
        match &of {
            Some(of) => conditions.push(Condition::RetainAtLeast { limit, of: of.clone() }),
            None => findings.problem(
                section.place,
                path,
                "retain_at_least does not say whose gain is kept",
                Some("write of: unprotected".into()),
            ),
        }
    }
    if is_figure
        && let Some(metric) = &metric
        && conditions.iter().any(|condition| matches!(condition, Condition::DropAtMost(_) | Condition::RiseAtMost(_)))
    {
        let message = format!("{path} is about the drop or rise of {metric}, which is no rate");
        findings.problem(section.place, path, message, Some("write at_most, or retain_at_least with of".into()));
    }
    retained(&section, path, (arm.as_deref(), of.as_deref()), &conditions, findings);
    let judge = section.get("judge").and_then(|node| {
        let judges: Vec<&str> = evaluate.judges.iter().map(String::as_str).collect();
        named(node, &format!("{path}.judge"), "judge", &judges, findings)
    });
    let unjudged = metric.as_deref().filter(|metric| !metric_of(metric, evaluate).is_some_and(Metric::is_judged));
    if let Some((judge, metric)) = judge.as_ref().zip(unjudged) {
        let message = format!("{path} names judge {judge}, and no judge decides {metric}");
        findings.problem(section.place_of("judge"), &format!("{path}.judge"), message, Some("remove judge".into()));
    }
    let itself = metric.as_deref().filter(|metric| metric_of(metric, evaluate).is_some_and(Metric::is_beside_aligned));
    if let Some(metric) = itself.filter(|_| arm.as_deref() == Some("aligned")) {
        let message = format!("{metric} is measured beside the aligned model: of that model itself it says nothing");
        findings.problem(
            section.place_of("arm"),
            &format!("{path}.arm"),
            message,
            Some("name an arm that is tuned: arm: protected".into()),
        );
    }
    let bound = section
        .choice("bound", &[("point", Bound::Point), ("lower", Bound::Lower), ("upper", Bound::Upper)], findings)
        .unwrap_or(Bound::Point);
    let among = among(&mut section, metric.as_deref(), findings);
    let place = section.place;
    section.finish(findings);
    if bound != Bound::Point && conditions.iter().any(|condition| matches!(condition, Condition::DropAtMost(_) | Condition::RiseAtMost(_)))
    {
        let message = format!("{path} has a bound, which says nothing: a drop or rise is always decided by its whole interval");
        findings.warning(place, &format!("{path}.bound"), message, Some("remove bound".into()));
    }
    if bound != Bound::Point && is_figure && conditions.iter().any(|condition| matches!(condition, Condition::RetainAtLeast { .. })) {
        let message = format!("{path} has a bound, and the ratio of two figures has no interval");
        findings.problem(place, &format!("{path}.bound"), message, Some("remove bound, or take a rate: task.exact_match".into()));
    }
    if conditions.len() != 1 {
        let remedy = "write one of at_least, at_most, drop_at_most, rise_at_most, retain_at_least";
        findings.problem(place, path, format!("a rule has one condition, this one has {}", conditions.len()), Some(remedy.into()));
    }
    Some(Rule { arm: arm?, metric: metric?, condition: conditions.into_iter().next()?, judge, bound, among })
}

/// `of` is for `retain_at_least` alone, and names another arm that has been tuned.
fn retained(section: &Section<'_>, path: &str, (arm, of): (Option<&str>, Option<&str>), conditions: &[Condition], findings: &mut Findings) {
    let Some(of) = of else { return };
    let (place, path) = (section.place_of("of"), format!("{path}.of"));
    if !conditions.iter().any(|condition| matches!(condition, Condition::RetainAtLeast { .. })) {
        let message = format!("of: {of} says nothing: drops and rises are from the aligned model, or from a baseline");
        findings.problem(place, &path, message, Some("remove of, or write retain_at_least".into()));
    } else if of == "aligned" || Some(of) == arm {
        let why = if of == "aligned" { "gains are over the aligned model: it gained nothing" } else { "an arm keeps all of its own gain" };
        findings.problem(place, &path, format!("retain_at_least of {of} decides nothing: {why}"), Some("write of: unprotected".into()));
    }
}

/// A metric of a suite; none of a figure.
fn metric_of(metric: &str, evaluate: &Evaluate) -> Option<Metric> {
    let (suite, name) = metric.split_once('.')?;
    let suite = evaluate.suites.iter().find(|other| other.name == suite)?;
    Metric::of(name, suite.expect)
}

/// `category: NAME` or `per: category`; which categories there are is known when the suites are read.
fn among(section: &mut Section<'_>, metric: Option<&str>, findings: &mut Findings) -> Among {
    let path = section.path.clone();
    let one = section.text("category", findings).map(|name| Among::Category(name.trim().to_owned()));
    let each = section.choice("per", &[("category", Among::EachCategory)], findings);
    if one.is_some() && each.is_some() {
        let remedy = "remove per, or category";
        findings.problem(section.place, &path, "a rule is about one category or about each, this one says both", Some(remedy.into()));
    }
    let among = one.or(each).unwrap_or_default();
    if let Some(figure) = metric.filter(|metric| !among.is_all() && !metric.contains('.')) {
        let message = format!("{figure} is no rate of a suite: it has no categories");
        findings.problem(section.place, &path, message, Some("take a metric of a suite: harmful.refusal_rate".into()));
    }
    among
}

/// A name that must be one of those that are there.
fn named(node: &Node, path: &str, what: &str, have: &[&str], findings: &mut Findings) -> Option<String> {
    let wanted = text(node).unwrap_or_default();
    if have.contains(&wanted.as_str()) {
        return Some(wanted);
    }
    let near = have.iter().max_by(|a, b| strsim::jaro_winkler(a, &wanted).total_cmp(&strsim::jaro_winkler(b, &wanted)));
    let remedy = match near.filter(|near| strsim::jaro_winkler(near, &wanted) > 0.8) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", have.join(", ")),
    };
    findings.problem(node.place, path, format!("there is no {what} {wanted:?}"), Some(remedy));
    None
}

/// What there is of a suite, as the pipeline asks for it.
fn metrics(suite: &Suite, evaluate: &Evaluate) -> Vec<&'static str> {
    let mut names = Metric::names(suite.expect).to_vec();
    let scored = evaluate.endpoints.iter().any(|judge| judge.template == Rubric::StrongReject);
    names.extend((scored && suite.expect == Expect::Refusal).then_some("strongreject"));
    names.extend(suite.compare.is_some().then_some("win_rate"));
    names.extend(evaluate.divergence.as_ref().is_some_and(|found| found.suites.contains(&suite.name)).then_some("kl"));
    names
}

/// Everything that a rule can be about.
fn measured(evaluate: &Evaluate, has_arms: bool) -> Vec<String> {
    let mut have: Vec<String> = evaluate
        .suites
        .iter()
        .flat_map(|suite| metrics(suite, evaluate).into_iter().map(|metric| format!("{}.{metric}", suite.name)))
        .collect();
    // What the probes measure, on arms.
    let probes = evaluate.probes.as_ref().filter(|_| has_arms).map_or(&[][..], |probes| &probes.of);
    have.extend(probes.iter().filter_map(|probe| match probe {
        Probe::Drift => Some("drift".to_owned()),
        Probe::RefusalLogOdds => Some("refusal_log_odds".to_owned()),
        Probe::TaskNll => evaluate.has_task_rows().then(|| "task_nll".to_owned()),
        Probe::RefusalRate | Probe::AnsweredRate => None,
    }));
    have
}

fn metric(node: &Node, path: &str, evaluate: &Evaluate, has_arms: bool, findings: &mut Findings) -> Option<String> {
    if has_arms && evaluate.probes.is_some() && !evaluate.has_task_rows() && text(node).as_deref() == Some("task_nll") {
        let message = "task_nll has no rows: the probes name none, and no suite expects exact_match or rouge";
        findings.problem(node.place, path, message, Some("write evaluate: {probes: {task: ROWS}}, rows that no arm learns".into()));
        return None;
    }
    let have = measured(evaluate, has_arms);
    let have: Vec<&str> = have.iter().map(String::as_str).collect();
    named(node, path, "metric", &have, findings)
}
