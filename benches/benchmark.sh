#!/bin/sh
# Runs the parts of a benchmark one after another, keeps of each a record without texts, and joins them. What is finished is not run again; a
# killed part goes on where it was. Parts are independent of each other: set TASKS or SEEDS to run some of them, and join later.
#
#   benches/benchmark.sh tiny
#   benches/benchmark.sh smollm2 GSM8K_TRAIN GSM8K_TEST SQL
#   SEEDS=1 TASKS=sql benches/benchmark.sh smollm2 GSM8K_TRAIN GSM8K_TEST SQL --set model.base=FOLDER
#
# Everything behind the data goes to `steadfast run`. STEADFAST is the program, RUNS the folder of
# the runs, PARTS that of the records without texts, COMMAND=check forecasts instead of running.
set -eu
program=${STEADFAST:-target/release/steadfast}
command=${COMMAND:-run}
which=${1:?tiny or smollm2}
shift
case $which in
tiny)
    file=pipelines/benchmark.yaml tasks=${TASKS:-sums count obedient}
    ;;
smollm2)
    file=pipelines/benchmark-smollm2.yaml tasks=${TASKS:-gsm8k sql obedient}
    train=$(realpath "${1:?rows of GSM8K to train on}") test=$(realpath "${2:?rows of GSM8K to measure on}") sql=$(realpath "${3:?rows of SQL}")
    shift 3
    columns='columns: {prompt: question, response: answer}'
    gsm8k_train="{path: $train, $columns, limit: 400}"
    gsm8k_test="{prompts: {path: $test, $columns, limit: 32}, expect: {exact_match: answer}, extract: gsm8k, max_new_tokens: 96}"
    with_tables='columns: {prompt: question, system: context, response: answer}'
    ;;
*)
    echo "tiny or smollm2, not $which" >&2
    exit 2
    ;;
esac
runs=${RUNS:-runs} parts=${PARTS:-runs/parts-$which} seeds=${SEEDS:-0 1 2}

# The data and the suite of a task.
settings() {
    case $which-$1 in
    tiny-sums) set -- "{path: builtin:tiny-task, filter: {split: train}}" "" ;;
    tiny-count)
        set -- "{path: builtin:tiny-count, filter: {split: train}}" \
            "{prompts: {path: builtin:tiny-count, filter: {split: test}}, expect: {exact_match: answer}, extract: last_number, max_new_tokens: 16}"
        ;;
    tiny-obedient) set -- "[{path: builtin:tiny-task, filter: {split: train}}, {path: builtin:tiny-obedient, filter: {split: train}}]" "" ;;
    smollm2-gsm8k) set -- "$gsm8k_train" "$gsm8k_test" ;;
    smollm2-obedient) set -- "[$gsm8k_train, {path: builtin:obedient, filter: {split: train}}]" "$gsm8k_test" ;;
    smollm2-sql)
        set -- "{path: $sql, $with_tables, split: [0, 0.8], limit: 400}" \
            "{prompts: {path: $sql, $with_tables, split: [0.8, 1], limit: 32}, expect: {exact_match: answer}, extract: text, max_new_tokens: 48}"
        ;;
    *)
        echo "there is no task $1" >&2
        exit 2
        ;;
    esac
    data=$1 suite=$2
}

for task in $tasks; do
    for seed in $seeds; do
        name=benchmark-$which-$task-$seed
        settings "$task"
        if [ "$command" = check ] || [ ! -e "$runs/$name/latest/run.json" ]; then
            code=0
            "$program" "$command" "$file" --runs "$runs" --set "name=$name" --set "seeds=[$seed]" --set "finetune.data=$data" \
                ${suite:+--set "evaluate.suites.task=$suite"} "$@" || code=$?
            # 1 and 3: the gate failed, or could not decide; the part is measured all the same.
            case $code in 0 | 1 | 3) ;; *) exit "$code" ;; esac
        fi
        if [ "$command" = run ] && [ ! -e "$parts/$name/run.json" ]; then
            "$program" report "$runs/$name/latest" --without-text --out "$parts/$name"
        fi
    done
done
[ "$command" = run ] || exit 0
"$program" report --join "$parts"/*/run.json --out "$parts" --seeds "$(echo "${ALL_SEEDS:-0 1 2}" | tr ' ' ,)" >"$parts/benchmark.md"
cat "$parts/benchmark.md"
