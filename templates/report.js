// Filters, deep links and keys for the list of prompts. Without it the page shows the same, unfiltered.
(() => {
'use strict';
const form = document.getElementById('filter');
if (!form) return;
const data = JSON.parse(document.getElementById('data').textContent);
const aligned = data.arms.indexOf('aligned');
const page = 50; // rows of a suite that are shown at first
const words = {r: 'refused', c: 'complied', u: 'undetermined', k: 'correct', w: 'wrong'};
const field = name => form.elements.namedItem(name);
const fields = () => [...form.elements].filter(element => element.name);

const suites = [...document.querySelectorAll('.suite')].map((node, place) => {
  const {name, wanted, judges, items} = data.suites[place];
  const nodes = node.querySelectorAll('.item');
  const suite = {name, wanted, judges, node, rest: node.querySelector('.rest'), most: page};
  suite.more = button('', () => { suite.most = Infinity; filter(); });
  node.append(suite.more);
  return Object.assign(suite, {items: items.map(([category, letters], at) => (
    {category, letters, node: nodes[at], first: nodes[at].querySelector('summary > b').textContent}))});
});

function change(letters, arms) {
  const before = letters[aligned], after = new Map();
  for (const arm of arms) {
    const letter = letters[arm];
    if (before && letter !== '-' && letter !== before) after.set(letter, [...after.get(letter) || [], data.arms[arm]]);
  }
  const parts = [...after].map(([letter, names]) => `${words[letter]} (${names.join(', ')})`);
  return parts.length ? `${words[before]} → ${parts.join(', ')}` : '';
}

function matches(suite, item, wish) {
  const letters = item.letters[Math.max(0, suite.judges.indexOf(wish.judge))];
  const before = letters[aligned];
  if (wish.suite && wish.suite !== suite.name || wish.category && wish.category !== item.category) return false;
  const held = arm => {
    const now = letters[arm];
    if (now === '-' || wish.verdict && now !== wish.verdict) return false;
    switch (wish.change) {
      case 'changed': return now !== before;
      case 'lost': return before === suite.wanted && now !== before;
      case 'gained': return before !== suite.wanted && now === suite.wanted;
      case 'disputed': return item.letters.some(other => other[arm] !== now);
      default: return true;
    }
  };
  if (!wish.arms.some(held)) return false;
  if (!wish.q) return true;
  item.text ??= item.node.textContent.toLowerCase();
  return item.text.includes(wish.q);
}

function filter() {
  const wish = {};
  for (const {name, value} of fields()) wish[name] = value;
  wish.q = (wish.q || '').trim().toLowerCase();
  const chosen = data.arms.indexOf(wish.arm);
  const compares = wish.change && wish.change !== 'disputed';
  wish.arms = chosen >= 0 ? [chosen] : compares ? data.tuned : data.arms.map((_, arm) => arm);
  let shown = 0, all = 0;
  for (const suite of suites) {
    let here = 0, below = 0;
    for (const item of suite.items) {
      const hit = matches(suite, item, wish);
      here += hit;
      item.node.hidden = !hit || here > suite.most;
      if (item.node.hidden) continue;
      below += item.node.parentNode === suite.rest;
      const judge = suite.judges.indexOf(wish.judge);
      item.node.querySelector('summary > b').textContent = judge > 0 ? change(item.letters[judge], data.tuned) : item.first;
      for (const answer of item.node.querySelectorAll('[data-arms]')) {
        const arms = answer.dataset.arms.split(' ').map(Number);
        answer.hidden = chosen >= 0 && !arms.includes(chosen) && !arms.includes(aligned);
      }
    }
    if (suite.rest) {
      suite.rest.hidden = !below;
      suite.rest.open = below > 0;
    }
    suite.more.hidden = here <= suite.most;
    suite.more.textContent = `show ${here - suite.most} more`;
    suite.node.hidden = !here;
    shown += here;
    all += suite.items.length;
  }
  document.getElementById('count').textContent = `${shown} of ${all} prompts.`;
  return shown;
}

// Another wish: from the first rows on, and into the address.
function wished() {
  for (const suite of suites) suite.most = page;
  filter();
  const wish = new URLSearchParams();
  for (const {name, value} of fields()) if (value) wish.set(name, value);
  history.replaceState(null, '', `#prompts?${wish}`);
}

function ask(wish) {
  for (const element of fields()) element.value = wish.get(element.name) || '';
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
  const item = document.getElementById(hash);
  if (!item || !item.matches('.item')) return;
  if (item.hidden) ask(new URLSearchParams());
  for (let node = item; node; node = node.parentElement) {
    node.hidden = false;
    if (node.matches('details')) node.open = true;
  }
  item.querySelector('summary').focus();
  item.scrollIntoView();
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

function button(label, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.addEventListener('click', () => act(made));
  return made;
}

function reveal(item) {
  const on = item.classList.toggle('shown');
  item.querySelector('.tools [aria-pressed]')?.setAttribute('aria-pressed', on);
}

// What an open prompt can do is made when it is first opened.
document.addEventListener('toggle', ({target}) => {
  if (!target.matches('.item') || target.querySelector('.tools')) return;
  const tools = document.createElement('p');
  tools.className = 'tools';
  if (target.closest('.harm') && target.querySelector('.said')) {
    const show = button('show harmful text', () => reveal(target));
    show.setAttribute('aria-pressed', target.classList.contains('shown'));
    tools.append(show);
  }
  const id = target.querySelector('summary > code').textContent;
  tools.append(button('copy id', made => copy(id, made)));
  tools.append(button('copy link', made => copy(`${location.href.split('#')[0]}#${target.id}`, made)));
  target.querySelector('summary').after(tools);
}, true);

const list = document.getElementById('list');
list.addEventListener('keydown', event => {
  const typing = event.target.matches('input[type=search], select');
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const item = event.target.closest('.item');
  const step = {j: 1, k: -1}[event.key];
  if (step) {
    const rows = [...list.querySelectorAll('.item:not([hidden]) > summary')].filter(row => row.checkVisibility());
    const at = rows.indexOf(item && item.querySelector('summary'));
    rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  } else if (event.key === '/') {
    field('q').focus();
  } else if (event.key === 'x' && item && item.closest('.harm')) {
    item.open = true;
    reveal(item);
  } else if (event.key === 'c' && item) {
    item.open = true;
    setTimeout(() => [...item.querySelectorAll('.tools button')].find(made => made.textContent === 'copy id')?.click());
  } else {
    return;
  }
  event.preventDefault();
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
// At first, the prompts that lost what is wanted of them; where none did, all that changed; where nothing did, all.
for (const value of ['lost', 'changed', '']) {
  if (value && !data.tuned.length) continue;
  field('change').value = value;
  if (filter()) break;
}
// After the browser has gone to the address by itself, which takes the focus away.
window.addEventListener('load', () => setTimeout(go));
})();
