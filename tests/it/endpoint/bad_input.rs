//! What is wrong with a pipeline is said before anything is asked.

use super::KEY;
use super::model::model;
use crate::llm::{Answer, Llm};
use crate::tiny::told;

#[test]
fn what_cannot_be_is_told_before_anything_is_asked() {
    let llm = Llm::start(|_| Answer::Says("refused".into()));
    let check = |what: &str, set: &[String], expected: &[&str]| {
        let home = model(&llm);
        let mut command = home.command(&["run", "model.yaml"]);
        for set in set {
            command.args(["--set", set]);
        }
        let (text, code) = told(&command.env("MODEL_KEY", KEY).output().unwrap());
        assert_eq!(code, 2, "{what}: {text}");
        for part in expected.iter().chain(&["help"]) {
            assert!(text.contains(part), "{what}: {part}: {text}");
        }
    };
    let set = |text: &str| vec![text.to_owned()];
    let judge = |keys: &str| vec![format!("evaluate.judges=[{{name: llm, endpoint: {{url: \"{}\", model: m, {keys}}}}}]", llm.url)];
    check("weights too", &set("model.aligned=builtin:tiny-aligned"), &["model.aligned", "endpoint"]);
    check("probes", &set("evaluate.probes={every: 5}"), &["evaluate.probes needs a model's weights"]);
    let choice = "evaluate.suites.task.expect={multiple_choice: {choices: {list: c}, gold: {column: g}}}";
    check("choices", &set(choice), &["evaluate.suites.task needs a model's weights"]);
    check("training", &set("finetune={data: task.jsonl, arms: {a: {train: all}}}"), &["finetune needs a model's weights"]);
    check("a ticket", &set("ticket={score: snip, data: safety.jsonl}"), &["ticket needs a model's weights"]);
    check("a password in the URL", &set("model.endpoint.url=https://me:pass@host/v1"), &["model.endpoint.url holds a user"]);
    check("no URL", &set("model.endpoint.url=localhost"), &["model.endpoint.url is no URL"]);
    check("the whole path", &set("model.endpoint.url=http://host/v1/chat/completions"), &["/chat/completions, which is added"]);
    check(
        "a key for a variable",
        &set("model.endpoint.key_env=sk-proj-12345"),
        &["key_env is no name of an environment variable", "capitals"],
    );
    check("too many at once", &set("model.endpoint.concurrency=65"), &["concurrency is 65", "64"]);
    check("an unknown key", &set("model.endpoint.modell=x"), &["modell", "did you mean model?"]);
    check("a field of ours", &set("model.endpoint.parameters={max_tokens: 3}"), &["parameters.max_tokens is set by the program"]);
    check("no fields", &set("model.endpoint.parameters=3"), &["parameters is a number", "repeat_penalty: 1.0"]);
    check("no template", &judge("concurrency: 1"), &["does not say what is asked", "strongreject"]);
    check("another template", &judge("template: refusals"), &["did you mean refusal?"]);
    check("half a price", &judge("template: harm, price: {input: 1}"), &["does not say what output costs"]);
    check("a judge without a name", &set("evaluate.judges=[{endpoint: {url: http://a, model: m, template: harm}}]"), &["has no name"]);
    check("a judge without an endpoint", &set("evaluate.judges=[{name: llm}]"), &["has no endpoint"]);
    check("a name of ours", &[judge("template: harm")[0].replace("name: llm", "name: phrases")], &["judge \"phrases\" of its own"]);
    check("a name twice", &set("evaluate.judges=[phrases, phrases]"), &["stands twice"]);
    assert_eq!(llm.requests(), 0);
}
