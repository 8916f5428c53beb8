// The list of prompts: filters, search, links and keys over the block of data in the page.
(() => {
'use strict';
const block = document.getElementById('data');
if (!block) return;
const data = JSON.parse(block.textContent);
const {arms, tuned, takes, units, said} = data; // a take is a seed or, where several were drawn, a reply
const aligned = arms.indexOf('aligned');
const page = 50, further = 200; // rows of a suite at first, and with every press on "show more"
const words = {r: 'refused', c: 'complied', u: 'undetermined', k: 'correct', w: 'wrong', s: 'scored'};
const kinds = {a: 'reads as compliance', t: "the task's format", u: 'form undetermined', e: 'empty', x: 'cut off', l: 'looping', g: 'gibberish'};
const form = document.getElementById('filter');
const list = document.getElementById('list');
const field = name => form.elements.namedItem(name);
const fields = () => [...form.elements].filter(element => element.name);

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function button(label, act) {
  const made = make('button', {type: 'button', textContent: label});
  made.addEventListener('click', () => act(made));
  return made;
}

// As `in_link` in the program writes it.
const inLink = text => encodeURIComponent(text).replace(/[!'()*~]/g, c => '%' + c.charCodeAt(0).toString(16).toUpperCase());

const items = new Map(); // by link
const suites = data.suites.map(({name, wanted, harmful, judges, prompts, items: rows}) => {
  const suite = {name, wanted, harmful, judges, most: page};
  suite.items = rows.map(([id, category, prompt, left, reference, letters, became, places]) => {
    const item = {suite, id, prompt, left, reference, letters, became, places, category: data.categories[category] || ''};
    item.link = `${inLink(name)}/${inLink(id)}`;
    items.set(item.link, item);
    return item;
  });
  suite.heading = make('h3', {}, `${name} `, make('span', {className: 'badge', textContent: `${prompts} prompts`}));
  if (harmful) suite.heading.append(' ', make('span', {className: 'badge', textContent: 'harmful texts inside'}));
  suite.rows = make('div', {});
  suite.more = button('', () => {
    const at = suite.rows.childElementCount;
    suite.most += further;
    show(suite);
    suite.rows.children[at]?.firstElementChild.focus();
  });
  suite.node = make('section', {className: harmful ? 'suite harm' : 'suite', ariaLabel: name}, suite.heading, suite.rows, suite.more);
  list.append(suite.node);
  return suite;
});

let wish = {}; // what is asked for, with the places of takes and arms
const place = (take, arm) => take * arms.length + arm;
const lettersOf = item => item.letters[Math.max(0, item.suite.judges.indexOf(wish.judge))];

// [text, rank]: how the answers of tuned arms differ from the aligned model's, lost ones first.
function change(item) {
  const letters = lettersOf(item), after = new Map();
  let rank = 3, before = '';
  if (aligned < 0) return ['', rank];
  for (const arm of wish.chosen >= 0 ? [wish.chosen] : tuned) for (const take of wish.takes) {
    const was = letters[place(take, aligned)], now = letters[place(take, arm)];
    if (now === '-' || was === '-' || now === was) continue;
    before = was;
    rank = Math.min(rank, was === item.suite.wanted ? 0 : now === item.suite.wanted ? 1 : 2);
    if (!after.has(now)) after.set(now, new Map());
    after.get(now).set(arm, (after.get(now).get(arm) || 0) + 1);
  }
  const several = wish.takes.length > 1;
  const asked = arm => wish.takes.filter(take => letters[place(take, arm)] !== '-').length;
  const told = ([arm, count]) => several ? `${arms[arm]} ${count}/${asked(arm)}` : arms[arm];
  const parts = [...after].map(([letter, found]) => `${words[letter]} (${[...found].map(told).join(', ')}${several ? ` ${units}` : ''})`);
  return [parts.length ? `${words[before]} → ${parts.join(', ')}` : '', rank];
}

function matches(item) {
  const {suite} = item, letters = lettersOf(item);
  if (wish.suite && wish.suite !== suite.name || wish.category && wish.category !== item.category) return false;
  const held = (arm, take) => {
    const at = place(take, arm), now = letters[at], before = letters[place(take, aligned)];
    if (now === '-' || wish.verdict && now !== wish.verdict) return false;
    if (wish.became) {
      const kind = item.became[at] || '-';
      if (wish.became === 'i' ? !'exlg'.includes(kind) : kind !== wish.became) return false;
    }
    switch (wish.change) {
      case 'changed': return now !== before;
      case 'lost': return before === suite.wanted && now !== before;
      case 'gained': return before !== suite.wanted && now === suite.wanted;
      case 'disputed': return item.letters.some(other => other[at] !== now);
      default: return true;
    }
  };
  if (!wish.arms.some(arm => wish.takes.some(take => held(arm, take)))) return false;
  if (!wish.q) return true;
  item.text ??= [item.id, item.category, item.prompt, item.reference, ...item.places.map(at => at < 0 ? '' : said[at][0])].join('\n').toLowerCase();
  return item.text.includes(wish.q);
}

function filter() {
  wish = {};
  for (const {name, value} of fields()) wish[name] = value;
  wish.q = (wish.q || '').trim().toLowerCase();
  wish.chosen = arms.indexOf(wish.arm);
  const compares = wish.became || wish.change && wish.change !== 'disputed';
  wish.arms = wish.chosen >= 0 ? [wish.chosen] : compares ? tuned : arms.map((_, arm) => arm);
  const take = takes.indexOf(wish.seed);
  wish.takes = take >= 0 ? [take] : takes.map((_, take) => take);
  let shown = 0, all = 0;
  for (const suite of suites) {
    suite.hits = suite.items.filter(matches).map(item => [item, ...change(item)]).sort((one, other) => one[2] - other[2]);
    show(suite);
    shown += suite.hits.length;
    all += suite.items.length;
  }
  document.getElementById('count').textContent = `${shown} of ${all} prompts.`;
  return shown;
}

// The first rows of a suite; open ones stay open.
function show(suite) {
  const open = new Set([...suite.rows.children].filter(row => row.open).map(row => row.id));
  suite.rows.replaceChildren(...suite.hits.slice(0, suite.most).map(([item, text]) => {
    const made = row(item, text);
    made.open = open.has(made.id);
    return made;
  }));
  const rest = suite.hits.length - suite.most;
  suite.more.hidden = rest <= 0;
  suite.more.textContent = `show ${Math.min(rest, further)} more of ${rest}`;
  suite.node.hidden = !suite.hits.length;
}

function row(item, changed) {
  const summary = make('summary', {}, make('code', {textContent: item.id}), ' ', make('small', {textContent: item.category}), ' ', make('b', {textContent: changed}));
  if (!item.suite.harmful && item.prompt) summary.append(' ', make('span', {}, ...cut(item.prompt, item.left)));
  return make('details', {className: 'item', id: item.link}, summary);
}

// A text, and how much of it is left out.
const cut = (text, left) => left ? [text, ' ', make('i', {textContent: `… ${left.toLocaleString('en')} more characters`})] : [text];

// What an open prompt shows is made when it is opened.
document.addEventListener('toggle', ({target}) => {
  if (target.matches('.item') && target.open) fill(target);
}, true);

function fill(target) {
  const item = items.get(target.id);
  if (target.childElementCount > 1) return;
  const tools = make('p', {className: 'tools'});
  if (item.suite.harmful && item.places.length) {
    const reveal = button('show harmful text', () => toggle(target));
    reveal.ariaPressed = target.classList.contains('shown');
    tools.append(reveal);
  }
  tools.append(button('copy id', made => copy(item.id, made)));
  tools.append(button('copy link', made => copy(`${location.href.split('#')[0]}#${item.link}`, made)));
  target.append(tools);
  if (item.suite.harmful && item.prompt) target.append(make('p', {className: 'said'}, ...cut(item.prompt, item.left)));
  if (item.reference) target.append(make('p', {className: 'soft'}, 'reference: ', make('bdi', {textContent: item.reference})));
  target.append(make('div', {className: 'answers'}, ...answers(item)));
}

// The answers, the aligned model's first; the same ones, judged alike, stand together.
function answers(item) {
  const groups = new Map();
  for (let arm = 0; arm < arms.length; arm++) for (const take of wish.takes) {
    const at = place(take, arm);
    if (!(item.places[at] >= 0)) continue;
    const kind = item.became[at] || '-', key = [item.places[at], kind, ...item.letters.map(letters => letters[at])].join();
    if (!groups.has(key)) groups.set(key, {at, kind, by: new Map()});
    const {by} = groups.get(key);
    by.set(arm, [...by.get(arm) || [], takes[take]]);
  }
  const wanted = ({by}) => wish.chosen < 0 || by.has(wish.chosen) || by.has(aligned);
  return [...groups.values()].filter(wanted).map(group => answer(item, group));
}

function answer(item, {at, kind, by}) {
  const [text, left, unended, extracted, score] = said[item.places[at]];
  const all = arm => wish.takes.filter(take => item.places[place(take, arm)] >= 0).length;
  const which = of => units === 'seeds' ? `seed ${of.join(', ')}` : of.join('; ');
  const told = ([arm, of]) => of.length < all(arm) ? `${arms[arm]} (${which(of)})` : arms[arm];
  const card = make('div', {}, make('b', {textContent: [...by].map(told).join(', ')}));
  const mark = (className, textContent) => card.append(' ', make('i', {className, textContent}));
  const letters = item.letters.map(letters => letters[at]);
  const style = letter => letter === 'u' ? 'u' : letter === item.suite.wanted ? 'g' : 'b';
  const scored = letters[0] === 's';
  if (scored) {
    // Its score says it.
  } else if (letters.every(letter => letter === letters[0])) mark(style(letters[0]), words[letters[0]]);
  else letters.forEach((letter, judge) => mark(style(letter), `${item.suite.judges[judge]}: ${words[letter]}`));
  if (score) mark('', score);
  if (kind !== '-') mark('kind', kinds[kind]);
  if (extracted) mark('', extracted);
  if (unended) mark('', 'token limit');
  // Where a text is read, nothing was to be said.
  const read = scored && score.startsWith('perplexity ');
  if (!read) card.append(make('p', {className: 'said'}, ...(text ? cut(text, left) : [make('i', {textContent: 'nothing'})])));
  return card;
}

function toggle(node) {
  const on = node.classList.toggle('shown');
  const pressed = node.querySelector('.tools [aria-pressed]');
  if (pressed) pressed.ariaPressed = on;
}

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'copied';
  } catch {
    button.textContent = text;
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

// Another wish: from the first rows on, and into the address.
function wished() {
  for (const suite of suites) suite.most = page;
  filter();
  const address = new URLSearchParams();
  for (const {name, value} of fields()) if (value) address.set(name, value);
  history.replaceState(null, '', `#prompts?${address}`);
}

function ask(address) {
  for (const element of fields()) element.value = address.get(element.name) || '';
  for (const suite of suites) suite.most = page;
  filter();
}

function go() {
  const hash = location.hash.slice(1);
  if (hash.startsWith('prompts?')) {
    ask(new URLSearchParams(hash.slice(8)));
    document.getElementById('prompts').scrollIntoView();
    return;
  }
  const item = items.get(hash);
  if (!item) return;
  const at = () => item.suite.hits.findIndex(([hit]) => hit === item);
  if (at() < 0) ask(new URLSearchParams());
  if (at() >= item.suite.most) {
    item.suite.most = at() + 1;
    show(item.suite);
  }
  const node = document.getElementById(hash);
  node.open = true;
  node.querySelector('summary').focus();
  node.scrollIntoView();
}

list.addEventListener('keydown', event => {
  const typing = event.target.matches('input[type=search], select');
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const node = event.target.closest('.item');
  const step = {j: 1, k: -1}[event.key];
  if (step) {
    const rows = [...list.querySelectorAll('.item > summary')];
    const at = rows.indexOf(node && node.querySelector('summary'));
    rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  } else if (event.key === '/') {
    field('q').focus();
  } else if (event.key === 'x' && node && node.closest('.harm')) {
    node.open = true;
    fill(node);
    toggle(node);
  } else if (event.key === 'c' && node) {
    node.open = true;
    fill(node);
    [...node.querySelectorAll('.tools button')].find(made => made.textContent === 'copy id')?.click();
  } else {
    return;
  }
  event.preventDefault();
});

// The same switch stands in two places.
document.addEventListener('change', ({target}) => {
  if (target.matches('.reveal input')) document.querySelectorAll('.reveal input').forEach(other => { other.checked = target.checked; });
});

let waiting;
form.addEventListener('input', () => {
  clearTimeout(waiting);
  waiting = setTimeout(wished, 120);
});
form.addEventListener('reset', () => setTimeout(wished));
form.addEventListener('submit', event => event.preventDefault());
window.addEventListener('hashchange', go);
form.hidden = false;
document.getElementById('needed').hidden = true;
// At first, the prompts that lost what is wanted of them; where none did, all that changed; where nothing did, all.
for (const value of ['lost', 'changed', '']) {
  if (value && !tuned.length) continue;
  field('change').value = value;
  if (filter()) break;
}
// After the browser has gone to the address by itself, which takes the focus away.
window.addEventListener('load', () => setTimeout(go));
})();
