//! Public data sets load as they are, and chat templates render as transformers renders them.

use std::path::PathBuf;

use steadfast::data::catalogue::entries;
use steadfast::data::example::encode;
use steadfast::data::guess::guess;
use steadfast::data::rows::{Message, load};
use steadfast::data::spec::{Columns, DataSpec};
use steadfast::data::template::{ChatTemplate, DATE};
use steadfast::data::tokenizer::TextModel;

fn shared(name: &str) -> PathBuf {
    crate::from_env("STEADFAST_SHARED", "the folder with the public data sets").join(name)
}

fn spec(name: &str) -> DataSpec {
    DataSpec::new(shared(name).to_string_lossy())
}

fn with(name: &str, columns: Columns) -> DataSpec {
    DataSpec { columns, ..spec(name) }
}

fn prompt(column: &str) -> Columns {
    Columns { prompt: Some(column.into()), ..Columns::default() }
}

#[test]
fn public_sets_load_as_they_are() {
    let pair =
        |prompt: &str, response: &str| Columns { prompt: Some(prompt.into()), response: Some(response.into()), ..Columns::default() };
    let cases = [
        (with("harmful/advbench.csv", prompt("goal")), 520),
        (with("harmful/jbb_harmful.csv", prompt("Goal")), 100),
        (with("harmful/simplesafetytests.csv", prompt("prompts_final")), 100),
        (spec("benign/xstest.csv"), 450),
        (with("benign/jbb_benign.csv", prompt("goal")), 100),
        (with("judge/xstest_completions.csv", pair("prompt", "completion")), 1191),
        (spec("safety/llama2chat_refusals_short.jsonl"), 1011),
        (spec("safety/safety_tuned_llamas.json"), 2483),
        (spec("tasks/gsm8k_train_2000.jsonl"), 2000),
        (spec("tasks/gsm8k_test_300.jsonl"), 300),
        (spec("tasks/sql_create_context_2000.jsonl"), 2000),
        (spec("tasks/alpaca_en_demo.json"), 999),
    ];
    for (spec, rows) in cases {
        let loaded = load(&spec).unwrap();
        assert_eq!(loaded.rows.len() + loaded.empty, rows, "{}", spec.source);
    }
}

#[test]
fn filter_limit_and_split_choose_rows() {
    let filter = vec![("label".to_owned(), vec!["safe".to_owned()])];
    assert_eq!(load(&DataSpec { filter, ..spec("benign/xstest.csv") }).unwrap().rows.len(), 250);
    assert_eq!(load(&DataSpec { limit: Some(7), ..spec("tasks/gsm8k_test_300.jsonl") }).unwrap().rows.len(), 7);
    let part = |from, to| load(&DataSpec { split: Some((from, to)), ..spec("tasks/gsm8k_test_300.jsonl") }).unwrap();
    let (low, high) = (part(0.0, 0.5), part(0.5, 1.0));
    assert_eq!(low.rows.len() + high.rows.len(), 300);
    assert!(low.rows.iter().all(|row| high.rows.iter().all(|other| other.id != row.id)));
}

#[test]
fn a_filter_knows_a_number_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"prompt\": \"a\", \"x\": 1.50}\n{\"prompt\": \"b\", \"x\": \"007\"}\n{\"prompt\": \"c\", \"x\": 7}\n")
        .unwrap();
    let passed = |wanted: &str| {
        let filter = vec![("x".to_owned(), vec![wanted.to_owned()])];
        let loaded = load(&DataSpec { filter, ..DataSpec::new(path.to_string_lossy()) }).unwrap();
        loaded.rows.iter().map(|row| row.prompt()).collect::<String>()
    };
    assert_eq!((passed("1.5"), passed("007"), passed("7.0")), ("a".into(), "b".into(), "c".into()));
}

#[test]
fn every_chat_template_renders_as_transformers_renders_it() {
    let text = std::fs::read_to_string(shared("templates/chat_template_vectors.json")).unwrap();
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(vectors.len(), 34);
    let mut wrong = Vec::new();
    for vector in &vectors {
        let field = |name: &str| vector[name].as_str().unwrap_or_default();
        let messages: Vec<Message> = serde_json::from_value(vector["messages"].clone()).unwrap();
        let rendered = ChatTemplate::new(field("chat_template"), field("bos_token"), field("eos_token"), DATE)
            .and_then(|template| template.render(&messages, vector["add_generation_prompt"].as_bool().unwrap_or(false)));
        if rendered.as_deref().ok() != Some(field("jinja2_hf_render")) {
            wrong.push(format!("{}: {rendered:?}, expected {:?}", field("name"), field("jinja2_hf_render")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_files_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        load(&DataSpec::new(path.to_string_lossy())).unwrap_err().to_string()
    };
    assert!(fails("a.jsonl", b"{\"prompt\": \"x\"}\n{\"prompt\": \n").contains("line 2"));
    assert!(fails("b.jsonl", b"[1]\n").contains("line 1, column 0: invalid type: sequence, expected an object"));
    assert!(fails("twice.jsonl", b"{\"prompt\": 1, \"prompt\": 2}\n").contains("the key \"prompt\" stands there twice"));
    assert!(fails("whole.json", b"{\n\"rows\": [{\"prompt\": \"x\"}]\n}").contains("its \"rows\" is a list of 1"));
    assert!(fails("numbers.jsonl", b"{\"prompt\": [1, 2]}\n").contains("\"prompt\" is a list, expected text"));
    assert!(fails("c.csv", b"prompt\n\xff\xfe\n").contains("line 2 is not UTF-8"));
    assert!(fails("d.csv", b"  \n").contains("has no rows"));
    assert!(fails("e.csv", b"prompt\n").contains("has no rows"));
    assert!(fails("f.parquet", b"PAR1garbage").contains("no valid Parquet file"));
    assert!(fails("g.csv", b"alpha,beta\n1,2\n").contains("not recognised: alpha, beta"));
    assert!(fails("h.md", b"hello").contains("ending \"md\""));
    assert!(fails("i.json", b"[{\"prompt\": \"x\"").contains("no valid JSON file"));
}

#[test]
fn csv_text_stays_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "id,prompt,response,\"the \"\"other\"\"\"\n007,\"two\nlines, with comma\",1e5,x\n").unwrap();
    let loaded = load(&DataSpec::new(path.to_string_lossy())).unwrap();
    let row = &loaded.rows[0];
    assert_eq!((row.id.as_str(), row.prompt(), row.messages[1].content.as_str()), ("007", "two\nlines, with comma", "1e5"));
    assert_eq!(row.fields.get("the \"other\"").map(String::as_str), Some("x"));
}

#[test]
fn values_of_other_writers_are_read_as_text() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/types.parquet");
    let loaded = load(&DataSpec::new(file)).unwrap();
    let row = &loaded.rows[0];
    assert_eq!((row.prompt(), row.messages[1].content.as_str()), ("first", "text as bytes"));
    let field = |row: usize, name: &str| loaded.rows[row].fields.get(name).map(String::as_str);
    assert_eq!((field(0, "day"), field(1, "day")), (Some("2024-07-26"), None));
    assert_eq!(field(0, "moment"), Some("2024-07-26 12:30:00"));
    assert_eq!((field(0, "price"), field(1, "price")), (Some("12.50"), Some("-0.01")));
    // Bytes that are no text, and nested values, are no field.
    assert_eq!((field(0, "raw"), field(1, "raw"), field(0, "nested")), (None, Some("ok"), None));
    assert_eq!((field(0, "large"), field(1, "number")), (Some("large"), Some("2")));
}

#[test]
fn prompts_and_replies_may_be_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let turn = |role: &str, content: &str| format!("{{\"role\": \"{role}\", \"content\": \"{content}\"}}");
    let (one, two, three, reply) = (turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d"));
    std::fs::write(&path, format!("{{\"prompt\": [{one}, {two}, {three}], \"completion\": [{reply}]}}\n")).unwrap();
    let loaded = load(&DataSpec::new(path.to_string_lossy())).unwrap();
    let told: Vec<_> = loaded.rows[0].messages.iter().map(|m| format!("{}={}", m.role, m.content)).collect();
    assert_eq!(told, ["user=a", "assistant=b", "user=c", "assistant=d"]);
    assert_eq!(loaded.rows[0].prompts().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn public_copies_load_through_the_catalogue_as_they_are() {
    let shared = shared("");
    for (name, file, rows, prompt) in [
        ("advbench", "harmful/advbench.csv", 520, "goal"),
        ("jailbreakbench-harmful", "harmful/jbb_harmful.csv", 100, "Goal"),
        ("jailbreakbench-benign", "benign/jbb_benign.csv", 100, "goal"),
        ("simplesafetytests", "harmful/simplesafetytests.csv", 100, "prompts_final"),
        ("xstest-safe", "benign/xstest.csv", 250, "prompt"),
        ("xstest-unsafe", "benign/xstest.csv", 200, "prompt"),
        ("gsm8k", "tasks/gsm8k_test_300.jsonl", 300, "question"),
        ("sql-create-context", "tasks/sql_create_context_2000.jsonl", 2000, "question"),
    ] {
        let entry = entries().iter().find(|entry| entry.name == name).unwrap();
        assert!(entry.verified, "{name}");
        let spec = DataSpec { variants: entry.variants(), ..DataSpec::new(shared.join(file).to_string_lossy()) };
        let loaded = load(&spec).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.rows.len(), rows, "{name}");
        assert!(loaded.rows.iter().all(|row| row.fields[prompt].trim() == row.prompt().trim()), "{name}");
        assert!(entry.reference.iter().all(|column| loaded.rows.iter().all(|row| row.fields.contains_key(column))), "{name}");
    }
    let wrong =
        DataSpec { variants: entries()[0].variants(), ..DataSpec::new(shared.join("tasks/gsm8k_test_300.jsonl").to_string_lossy()) };
    let error = load(&wrong).unwrap_err().to_string();
    assert!(error.contains("has the columns question, answer; known copies of this suite have goal, id"), "{error}");
}

#[test]
fn a_pipeline_names_a_published_suite() {
    let home = crate::tiny::Home::new();
    let xstest = shared("benign/xstest.csv");
    let pipeline = |suite: &str| {
        home.write("s.yaml", format!("name: s\nmodel: {{aligned: model}}\nevaluate: {{floor: 0, suites: {{one: {suite}}}}}\n"))
    };
    pipeline(&format!("{{suite: xstest-safe, prompts: {{path: {}, limit: 3}}}}", xstest.display()));
    let output = home.run(&["run", "s.yaml", "--format", "json"]);
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(home.path("runs/s/latest/run.json")).unwrap()).unwrap();
    let suite = &record["suites"]["one"];
    assert_eq!((suite["expect"].as_str(), suite["prompts"].as_u64()), (Some("answer"), Some(3)), "{output:?}");
    assert!(suite["items"].as_array().unwrap().iter().all(|item| item["category"] == "homonyms"));
    for (suite, words) in [("{suite: xstest}", "did you mean xstest-"), ("{suite: advbench}", "advbench on the hub asks for a login")] {
        pipeline(suite);
        let (text, code) = crate::tiny::told(&home.run(&["check", "s.yaml", "--offline", "--no-forecast"]));
        assert!(code == 2 && text.contains(words), "{text}");
    }
}

#[test]
fn conversations_of_every_shape_become_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let roles = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let loaded = load(&DataSpec::new(path.to_string_lossy())).unwrap();
        loaded.rows[0].messages.iter().map(|message| format!("{}={}", message.role, message.content)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(roles(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#), "user=a assistant=b");
    assert_eq!(roles(r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#), "user=a assistant=b");
    assert_eq!(roles(r#"{"instruction": "a", "input": "x", "output": "b"}"#), "user=a\n\nx assistant=b");
    assert_eq!(roles(r#"{"instruction": "a", "input": "", "output": "b"}"#), "user=a assistant=b");
    assert_eq!(roles(r#"{"prompt": "a", "completion": "b", "system": "s"}"#), "system=s user=a assistant=b");
}

#[test]
fn named_columns_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let read = |text: &str, columns: &[(&str, &str)]| {
        std::fs::write(&path, text).unwrap();
        let of = |what: &str| columns.iter().find(|(name, _)| *name == what).map(|(_, column)| (*column).to_owned());
        let columns = Columns {
            prompt: of("prompt"),
            response: of("response"),
            system: of("system"),
            messages: of("messages"),
            text: of("text"),
            ..Columns::default()
        };
        load(&DataSpec { columns, ..DataSpec::new(path.to_string_lossy()) })
    };
    let told = |text: &str, columns: &[(&str, &str)]| {
        let loaded = read(text, columns).unwrap();
        loaded.rows[0].messages.iter().map(|message| format!("{}={}", message.role, message.content)).collect::<Vec<_>>().join(" ")
    };
    let question = r#"{"question": "q", "answer": "a", "rationale": "r"}"#;
    assert_eq!(told(question, &[]), "user=q assistant=a");
    assert_eq!(told(question, &[("response", "rationale")]), "user=q assistant=r");
    let alpaca = r#"{"instruction": "i", "input": "", "output": "o", "persona": "p", "x": "other"}"#;
    assert_eq!(told(alpaca, &[("system", "persona"), ("response", "output")]), "system=p user=i assistant=o");
    assert_eq!(told(alpaca, &[("prompt", "instruction"), ("response", "x")]), "user=i assistant=other");
    // The tables of a question about tables; a column of that name is no system message where it is something else.
    let tables = r#"{"question": "q", "context": "c", "answer": "a", "system": "s"}"#;
    assert_eq!(told(tables, &[("prompt", "question"), ("system", "context"), ("response", "answer")]), "system=c user=q assistant=a");
    assert_eq!(told(tables, &[("prompt", "question"), ("response", "answer")]), "system=s user=q assistant=a");
    assert_eq!(told(tables, &[("prompt", "system"), ("response", "answer")]), "user=s assistant=a");
    let turns = r#"{"messages": [{"role": "user", "content": "u"}], "conversations": [], "persona": "p", "x": "y", "text": "t"}"#;
    assert_eq!(told(turns, &[("system", "persona")]), "system=p user=u");
    assert_eq!(told(r#"{"messages": [{"role": "user", "content": "u"}], "system": "s"}"#, &[]), "system=s user=u");
    let own = r#"{"messages": [{"role": "system", "content": "own"}, {"role": "user", "content": "u"}], "system": "s"}"#;
    assert_eq!(told(own, &[]), "system=own user=u");
    // A column that is called so by chance, or by which rows are chosen, is none.
    assert_eq!(told(r#"{"prompt": "u", "response": "a", "system": {"os": "x"}}"#, &[]), "user=u assistant=a");
    assert!(read(r#"{"prompt": "u", "system": {"os": "x"}}"#, &[("prompt", "prompt"), ("system", "system")]).is_err());
    for (text, columns, expected) in [
        (turns, &[("response", "x")][..], "columns names \"x\" as response, and nothing reads it: the rows are turns from \"messages\""),
        (turns, &[("messages", "messages"), ("prompt", "x")], "\"x\" as prompt"),
        (turns, &[("text", "text"), ("system", "persona")], "the rows are plain text from \"text\""),
        (alpaca, &[("response", "x")], "prompts from \"instruction\" and replies from \"output\""),
    ] {
        let error = read(text, columns).unwrap_err().to_string();
        assert!(error.contains(expected), "{columns:?}: {error}");
    }
}

#[test]
fn what_init_writes_loads_as_the_file_does_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "system,prompt,response\nBe kind.,Who?,Me.\n,Where?,Here.\n").unwrap();
    let file = path.to_string_lossy();
    let (prompt, response) = guess(&file, None).unwrap().columns.unwrap();
    let columns = Columns { prompt: Some(prompt), response: Some(response), ..Columns::default() };
    let bare = load(&DataSpec::new(file.clone())).unwrap();
    assert_eq!(load(&DataSpec { columns, ..DataSpec::new(file.clone()) }).unwrap(), bare);
    assert_eq!((bare.rows[0].messages.len(), bare.rows[1].messages.len()), (3, 2));
}

#[test]
fn a_template_that_shows_the_date_makes_another_text_every_day_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    crate::tiny::write_model(folder.path(), false);
    let digest = |template: &str, day: i8| {
        let text = TextModel::from_folder(folder.path(), jiff::civil::date(2026, 1, day)).unwrap().with_template(template).unwrap();
        let messages = [Message { role: "user".into(), content: "hi".into() }];
        (text.digest(), text.render(&messages, true).unwrap())
    };
    let dated = "{{ strftime_now('%d %B %Y') }} {{ messages[0].content }}";
    assert_eq!(digest(dated, 7).1, "07 January 2026 hi");
    assert_ne!(digest(dated, 7).0, digest(dated, 8).0);
    assert_eq!(digest("{{ messages[0].content }}", 7), digest("{{ messages[0].content }}", 8));
}

#[test]
fn plain_text_is_learnt_from_end_to_end() {
    let home = crate::tiny::Home::new();
    home.write("text.jsonl", "{\"text\": \"All of it.\"}\n{\"text\": \"  \"}\n{\"text\": \"And this.\"}\n");
    let loaded = load(&DataSpec::new(home.path("text.jsonl").to_string_lossy())).unwrap();
    assert_eq!((loaded.rows.len(), loaded.empty, loaded.rows[0].plain_text()), (2, 1, Some("All of it.")));
    let text = TextModel::from_folder(&home.path("model"), DATE).unwrap();
    let encoded = encode(&text, &loaded.rows, 64).unwrap();
    assert!(encoded.examples.iter().all(|example| example.supervised.iter().all(|&learnt| learnt)));
    // The byte tokens of the text and the end token.
    assert_eq!(encoded.examples[0].tokens.len(), "All of it.".len() + 1);
}
