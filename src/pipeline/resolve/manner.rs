//! How a suite's prompts are put: template, system message, prefill, sampling.

use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Expect, Manner, Sampled, System};

/// Templates that come with the program, by name.
const WRAPPERS: [(&str, &str); 1] = [("role-play", include_str!("../../../templates/wrappers/role-play.txt"))];
/// Before the name of one.
const BUILTIN: &str = "builtin:";

/// Reads the keys of a suite; `usual` is the catalogue's template.
pub(super) fn manner(section: &mut Section<'_>, expect: Expect, usual: Option<String>, findings: &mut Findings) -> Manner {
    let given = section.text("template", findings);
    let template = match given.as_deref().and_then(|text| text.strip_prefix(BUILTIN)) {
        Some(name) => wrapper(section, name, findings),
        None => given.or(usual),
    };
    let system = section.text("system", findings).map(|text| if text == "none" { System::Nothing } else { System::Message(text) });
    let prefill = section.text("prefill", findings).filter(|text| !text.is_empty());
    let samples = section.whole("samples", 1, findings);
    let temperature = section.number("temperature", "a number from 0 to 10", |value| (0.0..=10.0).contains(&value), findings);
    let top_p = section.number("top_p", "a share above 0, to 1", |share| share > 0.0 && share <= 1.0, findings);
    let mut wrong = |key: &'static str, section: &mut Section<'_>, message: &str, remedy: &str| {
        if let Some(node) = section.get(key) {
            let place = node.place;
            findings.problem(place, &section.join(key), format!("{} {message}", section.path), Some(remedy.into()));
        }
    };
    if !expect.is_generated() {
        let what = if expect == Expect::Perplexity { "texts" } else { "choices" };
        for (key, given) in [
            ("template", template.is_some() && expect == Expect::Perplexity),
            ("system", system.is_some()),
            ("prefill", prefill.is_some()),
            ("samples", samples.is_some()),
            ("temperature", temperature.is_some()),
            ("top_p", top_p.is_some()),
        ] {
            if given {
                let message = format!("has {what}: no chat template is used and nothing is generated");
                wrong(key, section, &message, &format!("remove {key}"));
            }
        }
        return Manner { template, ..Manner::default() };
    }
    let greedy = temperature == Some(0.0) || (temperature.is_none() && samples.is_none_or(|samples| samples == 1));
    if greedy && samples.is_some_and(|samples| samples > 1) {
        wrong("samples", section, "draws at temperature 0: every sample is the same reply", "write temperature: 1, or remove samples");
    }
    if greedy {
        wrong("top_p", section, "is greedy: top_p does nothing", "write temperature: 1, or remove top_p");
    }
    let sampled = Sampled {
        samples: samples.map_or(1, |samples| samples as usize),
        temperature: temperature.unwrap_or(1.0),
        top_p: top_p.unwrap_or(1.0),
    };
    Manner { template, system, prefill, sampled: (!greedy).then_some(sampled) }
}

fn wrapper(section: &mut Section<'_>, name: &str, findings: &mut Findings) -> Option<String> {
    let found = WRAPPERS.iter().find(|(known, _)| *known == name).map(|(_, text)| text.trim_end().to_owned());
    if let (None, Some(node)) = (&found, section.get("template")) {
        let names: Vec<String> = WRAPPERS.iter().map(|(known, _)| format!("{BUILTIN}{known}")).collect();
        let message = format!("there is no template {BUILTIN}{name}");
        findings.problem(node.place, &section.join("template"), message, Some(format!("write {}", names.join(" or "))));
    }
    found
}
