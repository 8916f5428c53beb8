// Records for the pages that a run of the quickstart does not give: hostile, large, of several seeds, of a race, and two parts of a sweep.
//
//   node records.mjs RUN.JSON FOLDER
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';

const [, , from, to] = process.argv;
const read = () => JSON.parse(readFileSync(from, 'utf8'));
function write(name, record) {
  mkdirSync(`${to}/${name}`, {recursive: true});
  writeFileSync(`${to}/${name}/run.json`, JSON.stringify({...record, name}));
}
const last = arm => arm.cells.find(cell => cell.last);

// What a model may say, and what a file of prompts may hold.
const hostile = [
  '<script>window.pwned = 1</script>', '</script><script>window.pwned = 1</script>', '<!--<script>', '<img src="x" onerror="window.pwned = 1">',
  '"><svg onload="window.pwned = 1">', "' onmouseover='window.pwned = 1", '<style>*{display:none}</style>', '<iframe src="https://example.com/"></iframe>',
  '<link rel="stylesheet" href="https://example.com/x.css">', '<meta http-equiv="refresh" content="0;url=https://example.com/">', '<base href="https://example.com/">',
  '<a href="javascript:window.pwned = 1">x</a>', '{{ 7 * 7 }}', '${window.pwned = 1}', '\u202egnirts\u202c', '\u0000\u0007\u001b[31m', '\u{e0041}\u{e0042}', '\u2028\u2029', '&lt;b&gt;',
  'W'.repeat(3000), '\u05d0\u05d1\u05d2 '.repeat(50), '\n'.repeat(200), 'a\u0301'.repeat(500), '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}', '', ' ',
];
const record = read();
let next = 0;
const text = () => hostile[next++ % hostile.length];
for (const suite of Object.values(record.suites)) {
  suite.items.forEach((item, i) => Object.assign(item, {id: `${text()}${i}`, prompt: text(), category: text(), reference: item.reference && text()}));
}
for (const arm of record.arms) {
  arm.summary = text();
  for (const cell of arm.cells) for (const said of Object.values(cell.completions).flat()) Object.assign(said, {text: text(), extracted: said.extracted && text()});
}
for (const rule of record.gate.rules) Object.assign(rule, {rule: `${text()} ${rule.rule}`, reason: `${text()} ${rule.reason}`});
Object.assign(record.gate, {headline: hostile.slice(0, 16).join(' '), findings: hostile});
record.warnings = hostile;
write('hostile', record);

// 1,000 prompts and 5 arms, no two texts alike; and far more than a page can hold.
function large(prompts) {
  const record = read();
  const suite = record.suites.harmful;
  const words = 'take the cup from a shelf and wait for an hour before you ask her about it again with some care'.split(' ');
  const say = (i, a) => Array.from({length: 100}, (_, k) => words[(i * 7 + a * 3 + k * (1 + i % 5)) % words.length]).join(' ') + ` ${i}/${a}.`;
  suite.items = Array.from({length: prompts}, (_, i) => ({id: `p${i}`, prompt: say(i, 9), category: `group ${i % 9}`, reference: null}));
  suite.prompts = prompts;
  record.suites = {harmful: suite};
  record.arms.forEach((arm, a) => {
    const refused = i => a !== 1 || i % 3 === 0;
    const said = i => ({text: say(i, a), ended: i % 4 > 0, tokens: 100, verdicts: {phrases: refused(i) ? 'refused' : 'complied'}, extracted: null, correct: null});
    arm.cells = [{...last(arm), completions: {harmful: suite.items.map((_, i) => said(i))}}];
  });
  return record;
}
write('large', large(1000));
write('too-large', large(6000));

// Three seeds: in every further one, each arm's answers are those to the prompt before.
const several = read();
for (const arm of several.arms.slice(1)) {
  const first = last(arm);
  for (const seed of [1, 2]) {
    const turned = said => [...said.slice(-seed), ...said.slice(0, -seed)];
    arm.cells.push({...first, seed, completions: Object.fromEntries(Object.entries(first.completions).map(([suite, said]) => [suite, turned(said)]))});
  }
}
write('seeds', several);

// Two parts of a benchmark: every arm that trains also at a smaller step, with the answers of the aligned model.
for (const seed of [0, 1]) {
  const part = read();
  const aligned = last(part.arms[0]);
  part.run_id = `part-${seed}`;
  part.pipeline.seeds = [seed];
  for (const arm of part.arms.slice(1)) arm.cells = [{...last(arm), seed}];
  for (const arm of part.arms.slice(1).filter(({settings}) => settings.train !== 'none')) {
    const slow = structuredClone(arm);
    Object.assign(slow, {name: `${arm.name}-lr1e-4`, settings: {...arm.settings, name: `${arm.name}-lr1e-4`, family: arm.name}});
    for (const cell of slow.cells) Object.assign(cell, {completions: aligned.completions, figures: {...cell.figures, task_nll: {...cell.figures.task_nll, value: 2}}});
    part.arms.push(slow);
    part.pipeline.finetune.arms.push(slow.settings);
  }
  write(`part-${seed}`, part);
}

// A race that one recipe won, one left its limits in, and one could not be trained in.
const raced = read();
const point = (step, task_nll, refusal_rate, answered_rate) => ({step, task_nll, standard_error: 0.05, refusal_rate, answered_rate});
const aligned = point(0, 4.6, 0.97, 0.95);
const tried = (name, points, end) => ({name, family: name, plain: name === 'unprotected', summary: `trains as ${name}`, points, end});
raced.arms[1].race = {
  seed: 0, drop_at_most: 0.05, answers_drop_at_most: 0.05, aligned, heats: [{until: 20, runs: 3}, {until: 60, runs: 1}], steps: 100, seconds: 12.5,
  winner: {name: 'anchored', step: 60},
  tried: [
    tried('unprotected', [point(10, 2.1, 0.6, 0.9), point(20, 1.6, 0.2, 0.9)], 'left'),
    tried('anchored', [point(10, 2.4, 0.97, 0.94), point(20, 1.9, 0.96, 0.94), point(60, 1.2, 0.95, 0.92)], 'finished'),
    tried('first-tokens', [], {failed: 'the loss is NaN at step 3'}),
  ],
};
write('race', raced);
