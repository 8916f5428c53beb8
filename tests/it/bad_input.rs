//! Every kind of bad input, through the real program: exit 2, a message that says what to do, and nothing left behind.

use crate::tiny::{Home, told};

/// Each piece of bad input: what is changed, and what the message must say.
#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    type Change = fn(&Home);
    let cases: Vec<(&str, Change, &[&str])> = vec![
        (
            "a typo in a key",
            |h| h.pipeline("learning_rate: 1e-3\n  per", "learning_rat: 1e-3\n  per"),
            &["p.yaml:6", "learning_rat", "learning_rate"],
        ),
        ("a key given twice", |h| h.pipeline("name: tiny", "name: tiny\nname: small"), &["p.yaml:2:1", "duplicate mapping key: name\n"]),
        ("an empty pipeline", |h| h.write("p.yaml", ""), &["--> p.yaml\n", "names no model"]),
        ("a list for a pipeline", |h| h.write("p.yaml", "- a\n"), &["p.yaml:1:1", "the pipeline is a list"]),
        ("broken YAML", |h| h.pipeline("arms:", "arms: ["), &["p.yaml:"]),
        ("an arm in the gate that is not there", |h| h.pipeline("- {arm: protected", "- {arm: protectd"), &["protectd", "protected"]),
        ("a missing file", |h| h.pipeline("data: task.jsonl", "data: tsk.jsonl"), &["tsk.jsonl"]),
        ("no rows", |h| h.write("task.jsonl", ""), &["task.jsonl"]),
        ("a list without rows", |h| h.write("task.jsonl", "[]"), &["task.jsonl"]),
        ("prompts that are all empty", |h| h.write("task.jsonl", "{\"prompt\": null, \"response\": \"a\"}\n"), &["every prompt is empty"]),
        ("rows without a reply", |h| h.write("task.jsonl", "{\"prompt\": \"a\"}\n"), &["finetune data", "no reply", "response:"]),
        (
            "another separator",
            |h| {
                h.write("semi.csv", "prompt;response\na;b\n");
                h.pipeline("data: task.jsonl", "data: semi.csv");
            },
            &["semi.csv", "separated by commas"],
        ),
        ("data on the hub without a file", |h| h.pipeline("data: task.jsonl", "data: hf://datasets/a/b@main"), &["hf://datasets", "FILE"]),
        (
            "a wrong column",
            |h| h.pipeline("data: task.jsonl", "data: {path: task.jsonl, columns: {prompt: question}}"),
            &["question", "prompt"],
        ),
        ("a broken row", |h| h.write("task.jsonl", "{\"prompt\": \"a\", \"response\": \"b\"}\n{\"prompt\": \n"), &["task.jsonl", "2"]),
        (
            "nothing to learn",
            |h| h.write("task.jsonl", format!("{{\"prompt\": \"{}\", \"response\": \"b\"}}\n", "a ".repeat(400))),
            &["task.jsonl", "row 1: no token of the reply", "max_length"],
        ),
        (
            "a conversation that the template refuses",
            |h| {
                h.write("refuses.jinja", "{% if messages[0].content == 'b' %}{{ raise_exception('no b') }}{% endif %}{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}");
                h.write(
                    "task.jsonl",
                    "{\"id\": \"x\", \"prompt\": \"a\", \"response\": \"c\"}\n{\"id\": \"y\", \"prompt\": \"b\", \"response\": \"c\"}\n",
                );
                h.pipeline("model: {base: model}", "model: {base: model, chat_template: refuses.jinja}");
            },
            &["task.jsonl", "row 2 (id y): chat template: no b", "mend the row"],
        ),
        (
            "truncated weights",
            |h| {
                let bytes = std::fs::read(h.path("model/model.safetensors")).unwrap();
                h.write("model/model.safetensors", &bytes[..bytes.len() - 100]);
            },
            &["model.safetensors", "damaged or truncated"],
        ),
        ("weights that are none", |h| h.write("model/model.safetensors", "not weights at all"), &["model.safetensors", "damaged"]),
        ("no weights", |h| std::fs::remove_file(h.path("model/model.safetensors")).unwrap(), &["model.safetensors"]),
        (
            "another architecture",
            |h| {
                let text = std::fs::read_to_string(h.path("model/config.json")).unwrap().replace("LlamaForCausalLM", "GPT2LMHeadModel");
                h.write("model/config.json", text);
            },
            &["GPT2LMHeadModel", "LlamaForCausalLM", "Mistral"],
        ),
        (
            "weights of another shape",
            |h| {
                let text = std::fs::read_to_string(h.path("model/config.json"))
                    .unwrap()
                    .replace("\"intermediate_size\":64", "\"intermediate_size\":48");
                h.write("model/config.json", text);
            },
            &["mlp.up_proj", "64", "48"],
        ),
        ("a truncated GGUF", |h| h.write("model.gguf", b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0"), &[]),
        ("a date that is none", |h| h.pipeline("base: model", "base: model, date: 31.12.2025"), &["p.yaml:2", "model.date", "2026-01-31"]),
        ("a source that is none", |h| h.pipeline("base: model", "base: hf://nobody"), &["hf://"]),
        (
            "training prompts in a suite",
            |h| h.write("harmful.jsonl", "{\"prompt\": \"Take amber number 0\"}\n{\"prompt\": \"Take birch number 1\"}\n"),
            &["harmful", "safety.jsonl"],
        ),
        (
            "training prompts among the probes",
            |h| h.write("benign_probes.jsonl", "{\"prompt\": \"Name of 3 dune\"}\n{\"prompt\": \"Name of 4 fjord please\"}\n"),
            &["probe prompts", "helpful.jsonl"],
        ),
        (
            "a probe in a suite",
            |h| h.write("benign_probes.jsonl", "{\"prompt\": \"Where does the cedar grow in 2?\"}\n"),
            &["suite benign", "benign_probes.jsonl"],
        ),
        ("no model there", |h| h.pipeline("base: model", "base: modell"), &["model.base", "modell", "hf://"]),
        (
            "no ticket there",
            |h| h.pipeline("score: snip, data: safety.jsonl, density: 0.5", "file: none.safetensors"),
            &["ticket.file", "none.safetensors", "ticket extract"],
        ),
        ("no judge", |h| h.pipeline("floor: 0.0\n", "floor: 0.0\n  judges: []\n"), &["no judge", "phrases"]),
        ("a seed twice", |h| h.pipeline("name: tiny\n", "name: tiny\nseeds: [0, 1, 0]\n"), &["seed 0 stands twice"]),
        ("a percentage for a share", |h| h.pipeline("drop_at_most: 0.05", "at_most: 5"), &["share from 0 to 1", "0.05"]),
        (
            "an arm that says nothing",
            |h| h.pipeline("dense: {train: complement}", "dense: {learning_rate: 1e-3}"),
            &["does not say what it trains", "train: all"],
        ),
        (
            "a density that means nothing",
            |h| h.pipeline("unprotected: {train: all}", "unprotected: {train: all, density: 0.1}"),
            &["unprotected", "remove density"],
        ),
        ("an arm outside the folder", |h| h.pipeline("dense: {train: complement}", "\"../x\": {train: complement}"), &["../x", "letters"]),
        ("a number without bound", |h| h.pipeline("max_new_tokens: 8", "max_new_tokens: 99999999999"), &["max_new_tokens", "1000000"]),
        (
            "a number written as text",
            |h| {
                let text = std::fs::read_to_string(h.path("model/config.json")).unwrap().replace("10000.0", "\"10000\"");
                h.write("model/config.json", text);
            },
            &["rope_theta", "above 0"],
        ),
        (
            "a prompt past the context",
            |h| h.write("harmful.jsonl", format!("{{\"prompt\": \"{}\"}}\n", "why ".repeat(300))),
            &["context is 512"],
        ),
        ("rows longer than the context", |h| h.pipeline("  save_steps: 2", "  max_length: 600"), &["600", "512"]),
        (
            "data nested without end",
            |h| {
                h.write("deep.json", format!("[{{\"prompt\": {}{}}}]", "[".repeat(100_000), "]".repeat(100_000)));
                h.pipeline("data: task.jsonl", "data: deep.json");
            },
            &["deep.json", "recursion limit"],
        ),
        (
            "a new model whose heads do not fit",
            |h| {
                h.pipeline("model: {base: model}", "pretrain: {architecture: {hidden_size: 100, num_attention_heads: 3}, data: task.jsonl}")
            },
            &["p.yaml:2", "3 heads cannot share hidden_size 100"],
        ),
        (
            "draws of a ticket that is not random",
            |h| h.pipeline("dense: {train: complement}", "dense: {train: complement, draws: 3}"),
            &["finetune.arms.dense has draws", "ticket: random"],
        ),
        (
            "too many draws",
            |h| h.pipeline("control: {like: protected, ticket: random}", "control: {like: protected, ticket: random, draws: 500}"),
            &["control.draws is 500", "at most 100"],
        ),
        (
            "an alignment by ticket without a size",
            |h| h.pipeline("  max_steps: 6\n", "  max_steps: 6\n  train: ticket\n"),
            &["align trains a ticket", "density: 0.10"],
        ),
        ("a base both given and made", |h| h.pipeline("model:", "pretrain: {data: task.jsonl}\nmodel:"), &["model.base", "pretrain"]),
        ("a builtin model that is not there", |h| h.pipeline("base: model", "base: builtin:tiny"), &["builtin:tiny", "tiny-aligned"]),
        ("a file in the way of a folder", |h| h.write("runs", "mine"), &["runs"]),
    ];
    let mut without_remedy = Vec::new();
    for (what, change, expected) in cases {
        let home = Home::new();
        change(&home);
        if what == "a truncated GGUF" {
            home.pipeline("base: model", "base: model.gguf");
        }
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert_eq!(code, 2, "{what}: {text}");
        assert!(!text.contains("panicked"), "{what}: {text}");
        if !text.contains("help: ") {
            without_remedy.push(format!("{what}: {text}"));
        }
        for part in expected {
            assert!(text.contains(part), "{what}: {part:?} is not in\n{text}");
        }
        if what != "a file in the way of a folder" {
            assert!(!home.path("runs/tiny/latest").exists(), "{what}: a run was left behind");
        }
    }
    assert!(without_remedy.is_empty(), "no remedy is said:\n{}", without_remedy.join("\n"));
}

#[test]
fn a_full_disk_is_said_and_the_run_goes_on_when_there_is_room() {
    let home = Home::new();
    std::fs::create_dir(home.path("runs")).unwrap();
    // A small file system of its own, which grows; needs user namespaces, and fails loudly without them.
    let script = "
        mount -t tmpfs -o size=64k none runs || exit 9
        for size in 64k 200k 300k 400k 500k 600k 800k 1000k 200m; do
            mount -o remount,size=$size runs || exit 9
            \"$0\" run p.yaml; echo \"size $size exit $?\"
            find runs -name '.writing-*' | sed 's/^/left behind: /'
            if [ $size != 200m ] && [ -e runs/tiny/latest ]; then echo 'a run too early'; fi
        done
        test -s runs/tiny/latest/report.html && echo 'a report'";
    let output = home_shell(&home, script);
    let (text, code) = told(&output);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("size 64k exit 2\n"), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    assert_eq!(text.matches("error[disk-full]").count(), text.matches(" exit 2\n").count(), "no other blame: {text}");
    assert!(text.contains("a report") && !text.contains("size 200m exit 2"), "{text}");
    assert!(!text.contains("left behind") && !text.contains("a run too early") && !text.contains("panicked"), "{text}");
}

/// A shell with mounts of its own in the home folder; `$0` is the program.
fn home_shell(home: &Home, script: &str) -> std::process::Output {
    let program = home.command(&[]);
    let mut shell = std::process::Command::new("unshare");
    shell.args(["-Urm", "sh", "-c", script]).arg(program.get_program()).current_dir(home.path("."));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap()
}
