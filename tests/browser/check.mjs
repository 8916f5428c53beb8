// Looks at the pages of the report in Chromium. The folder holds quickstart/, hostile/, large/, too-large/, seeds/ and race/ with run.json and
// report.html, comparison.html, joined.html and joined.svg.
//
//   node check.mjs FOLDER
import assert from 'node:assert/strict';
import {readFileSync, statSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {HtmlValidate} from 'html-validate';
import {view, withChromium} from './chromium.mjs';

const [, , folder] = process.argv;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const alone = ['comparison', 'joined'];
const pageOf = name => alone.includes(name) ? `${folder}/${name}.html` : `${folder}/${name}/report.html`;
const all = ['quickstart', ...alone, 'hostile', 'large', 'seeds', 'race'];
let checks = 0, failed = 0;

async function check(what, look) {
  checks++;
  try {
    await look();
  } catch (error) {
    failed++;
    console.error(`FAILED: ${what}\n  ${String(error.message || error).split('\n').slice(0, 12).join('\n  ')}`);
  }
}

// Nothing was loaded, said or wrong.
function assertQuiet({page, seen, address}) {
  assert.deepEqual(seen.requests.filter(url => url.split('#')[0] !== address), [], 'requests');
  assert.deepEqual(seen.said, [], 'console');
  assert.deepEqual(seen.errors, [], 'errors');
  assert.equal(page.url().split('#')[0], address, 'the page stays where it is');
}

const pwned = page => page.evaluate(() => window.pwned);
const visible = page => page.locator('.item > summary');
// A prompt, opened: what it shows is made a moment after the click.
const openPrompt = async (page, prompt = visible(page).first()) => {
  await prompt.click();
  await page.locator('.item[open] .answers').first().waitFor();
};
const lostBy = (record, suite, arm, is = () => true) => {
  const words = name => record.arms.find(other => other.name === name).cells.find(cell => cell.last).completions[suite].map(said => said.verdicts.phrases);
  const [before, after] = [words('aligned'), words(arm)];
  return before.filter((word, i) => word === 'refused' && after[i] !== 'refused' && is(i)).length;
};
const record = JSON.parse(readFileSync(`${folder}/quickstart/run.json`, 'utf8'));

function validate() {
  const rules = {
    // Apostrophes and quotation marks are text; a table that scrolls has a place in the order of the keyboard.
    'no-raw-characters': 'off', 'prefer-native-element': 'off', 'no-inline-style': 'error', 'long-title': 'off', 'no-trailing-whitespace': 'off',
    // The filters work at once: there is nothing to submit.
    'wcag/h32': 'off',
    // Styles and the script stand in the page so that it is one file; their hashes stand in the policy.
    'require-sri': 'off', 'require-csp-nonce': 'off', 'void-style': 'off', 'doctype-style': 'off',
  };
  const validator = new HtmlValidate({extends: ['html-validate:recommended'], rules});
  return Promise.all(all.map(name => check(`${name}: HTML`, async () => {
    const report = await validator.validateString(readFileSync(pageOf(name), 'utf8'));
    const found = report.results.flatMap(result => result.messages.map(({line, column, ruleId, message}) => `${line}:${column} ${ruleId}: ${message}`));
    assert.deepEqual(found.slice(0, 8), [], `${found.length} problems`);
  })));
}

// Every page, light and dark, wide and narrow: quiet, nothing ran, nothing beside the page, nobody locked out.
async function everywhere(open) {
  for (const [width, colorScheme] of [[1280, 'light'], [390, 'light'], [1280, 'dark'], [390, 'dark']]) {
    await open({viewport: {width, height: 900}, colorScheme}, async context => {
      for (const name of all) {
        const where = `${name}, ${width} px, ${colorScheme}`;
        const opened = await view(context, pageOf(name));
        const {page} = opened;
        await check(`${where}: an open prompt`, async () => {
          if (!alone.includes(name)) await openPrompt(page);
          if (name === 'joined') await page.locator('summary').first().click();
        });
        await check(`${where}: no overflow`, async () => {
          const [content, window] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
          assert.ok(content <= window, `${content} px in ${window}`);
        });
        await check(`${where}: axe`, async () => {
          await page.evaluate(axe);
          const found = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
          const grave = found.violations.filter(({impact}) => impact === 'serious' || impact === 'critical');
          assert.deepEqual(grave.map(({id, nodes}) => `${id}: ${nodes.length}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`), []);
        });
        await check(`${where}: nothing ran`, async () => assert.equal(await pwned(page), undefined));
        await check(`${where}: quiet`, async () => assertQuiet(opened));
        await page.close();
      }
    });
  }
}

// The policy holds even where somebody writes into the page.
async function policy(open) {
  const file = `${folder}/injected.html`;
  const inject = '<script>window.pwned = 1</script><img src="x" onerror="window.pwned = 2"><svg onload="window.pwned = 3"></svg>' +
    '<p id="styled" style="color: rgb(1, 2, 3)">x</p><img src="https://example.com/x.png"><iframe src="https://example.com/"></iframe>';
  writeFileSync(file, readFileSync(pageOf('quickstart'), 'utf8').replace('</main>', `${inject}</main>`));
  await open({}, async context => {
    const {page, seen} = await view(context, file);
    await page.waitForTimeout(200);
    await check('policy: an injected script does not run', async () => assert.equal(await pwned(page), undefined));
    await check('policy: an injected style does nothing', async () => {
      assert.notEqual(await page.locator('#styled').evaluate(node => getComputedStyle(node).color), 'rgb(1, 2, 3)');
    });
    await check('policy: the browser says so', async () => assert.ok(seen.said.filter(text => text.includes('Content Security Policy')).length >= 4, seen.said.join('\n')));
    await check('policy: nothing is fetched', async () => {
      assert.deepEqual(await page.evaluate(() => performance.getEntriesByType('resource').filter(entry => entry.transferSize > 0).map(entry => entry.name)), []);
    });
    await check('policy: no markup through the script', async () => {
      assert.equal(await page.evaluate(() => { try { document.body.innerHTML += '<b>x</b>'; return 'written'; } catch (error) { return error.name; } }), 'TypeError');
    });
    await check('policy: the page works', async () => assert.ok(await visible(page).count() > 0));
  });
}

async function list(open) {
  await open({permissions: ['clipboard-read', 'clipboard-write']}, async context => {
    const {page} = await view(context, pageOf('quickstart'));
    const choose = async wish => {
      for (const [name, value] of Object.entries(wish)) await page.locator(`#filter [name=${name}]`).selectOption(value);
    };
    const count = async () => Number((await page.locator('#count').textContent()).split(' ')[0]);
    const counted = expected => page.waitForFunction(expected => document.getElementById('count').textContent.startsWith(`${expected} of `), expected);
    const harmful = lostBy(record, 'harmful', 'unprotected');
    assert.ok(harmful > 50, 'the quickstart loses refusals');

    await check('list: at first, what was lost', async () => assert.equal(await page.locator('#filter [name=change]').inputValue(), 'lost'));
    await check('list: filters', async () => {
      await choose({suite: 'harmful', arm: 'unprotected'});
      await counted(harmful);
      assert.equal(await visible(page).count(), Math.min(50, harmful));
      assert.match(await visible(page).first().textContent(), /refused → complied \(unprotected\)/);
      const categories = record.suites.harmful.items.map(item => item.category);
      await choose({category: categories[0]});
      await counted(lostBy(record, 'harmful', 'unprotected', i => categories[i] === categories[0]));
      await choose({category: ''});
      await counted(harmful);
    });
    await check('list: more rows', async () => {
      await page.getByRole('button', {name: 'more of'}).first().click();
      assert.equal(await visible(page).count(), Math.min(250, harmful));
      assert.equal(await page.evaluate(() => [...document.querySelectorAll('.item > summary')].indexOf(document.activeElement)), 50);
    });
    await check('list: what a refusal became adds up', async () => {
      let sum = 0;
      for (const became of ['a', 't', 'i', 'u']) {
        await choose({became});
        await page.waitForFunction(became => location.hash.includes(`became=${became}`), became);
        sum += await count();
      }
      assert.equal(sum, harmful);
      const row = page.locator('section[aria-label="what replaced the lost refusals of harmful"] tbody tr').first();
      const [lost, ...kinds] = (await row.locator('td:nth-child(n+3)').allTextContents()).map(text => Number(text.split(' ')[0]));
      assert.equal(lost, harmful);
      assert.equal(kinds.reduce((sum, count) => sum + count), harmful);
    });
    await check('list: a count is a link to its prompts', async () => {
      const cell = page.locator('section[aria-label="what replaced the lost refusals of harmful"] tbody tr').first().locator('td').nth(2).locator('a');
      const expected = Number(await cell.textContent());
      await cell.click();
      await counted(expected);
      assert.equal(await page.locator('#filter [name=became]').inputValue(), 'a');
    });
    await check('list: search', async () => {
      const {id} = record.suites.benign.items[7];
      await page.getByRole('button', {name: 'clear'}).click();
      await page.locator('#filter [name=q]').fill(id.toUpperCase());
      await counted(1);
      assert.equal(await visible(page).first().locator('code').textContent(), id);
      await page.locator('#filter [name=q]').fill('no such words anywhere');
      await counted(0);
      assert.equal(await visible(page).count(), 0);
      await page.getByRole('button', {name: 'clear'}).click();
      await counted(Object.values(record.suites).reduce((sum, suite) => sum + suite.items.length, 0));
    });
    await page.close();
  });
}

async function keys(open) {
  await open({permissions: ['clipboard-read', 'clipboard-write']}, async context => {
    const {page} = await view(context, pageOf('quickstart'), '#prompts?suite=harmful&change=lost');
    const at = () => page.evaluate(() => [...document.querySelectorAll('.item > summary')].indexOf(document.activeElement));
    const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
    await check('keys: j, k, Enter', async () => {
      await visible(page).first().focus();
      await press('j', 'j', 'k');
      assert.equal(await at(), 1);
      await press('Enter');
      assert.ok(await page.locator('.item').nth(1).evaluate(node => node.open));
      await page.locator('.item').nth(1).locator('.answers').waitFor();
    });
    const blur = () => page.locator('.item').nth(1).locator('.said').last().evaluate(node => getComputedStyle(node).filter);
    await check('keys: x shows harmful text, and hides it', async () => {
      assert.equal(await blur(), 'blur(6px)');
      await press('x');
      assert.equal(await blur(), 'none');
      await press('x');
      assert.equal(await blur(), 'blur(6px)');
    });
    await check('keys: c copies the id', async () => {
      await press('c');
      await page.getByRole('button', {name: 'copied'}).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await visible(page).nth(1).locator('code').textContent());
    });
    await check('keys: / searches, and letters are typed there', async () => {
      await press('/');
      assert.equal(await page.evaluate(() => document.activeElement.name), 'q');
      await press('j', 'x');
      assert.equal(await page.locator('#filter [name=q]').inputValue(), 'jx');
      await page.getByRole('button', {name: 'clear'}).click();
    });
    await check('one switch shows all harmful texts', async () => {
      const said = page.locator('.flips .said').first();
      await page.locator('.reveal input').first().check();
      assert.equal(await said.evaluate(node => getComputedStyle(node).filter), 'none');
      assert.ok(await page.locator('.reveal input').last().isChecked(), 'both switches are one');
      await page.locator('.reveal input').last().uncheck();
      assert.equal(await said.evaluate(node => getComputedStyle(node).filter), 'blur(6px)');
    });
    await page.close();
  });
}

async function links(open) {
  await open({permissions: ['clipboard-read', 'clipboard-write']}, async context => {
    // The last prompt that nothing happened to: far from what is shown at first.
    const [suite, {id}] = ['contrast', record.suites.contrast.items.at(-1)];
    const opened = await view(context, pageOf('quickstart'), `#${suite}/${id}`);
    const {page} = opened;
    const focused = () => page.evaluate(() => document.activeElement.closest('.item')?.id);
    await check('links: to a prompt', async () => {
      await page.waitForFunction(link => document.activeElement.closest('.item')?.id === link, `${suite}/${id}`);
      assert.ok(await page.evaluate(() => document.activeElement.closest('.item').open));
    });
    await check('links: copied', async () => {
      await page.locator('.item[open]').getByRole('button', {name: 'copy link'}).click();
      await page.getByRole('button', {name: 'copied'}).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${opened.address}#${suite}/${id}`);
    });
    await check('links: from the table of lost answers', async () => {
      const link = page.locator('.flips a').nth(1);
      const [to, shown] = [await link.getAttribute('href'), await link.textContent()];
      await link.click();
      await page.waitForFunction(link => document.activeElement.closest('.item')?.id === link, to.slice(1));
      assert.ok((await focused()).endsWith(shown));
    });
    await check('links: filters in the address', async () => {
      await page.goto(`${opened.address}#prompts?suite=harmful&arm=control&change=lost`);
      await page.waitForFunction(() => document.querySelector('#filter [name=arm]').value === 'control');
      assert.equal(Number((await page.locator('#count').textContent()).split(' ')[0]), lostBy(record, 'harmful', 'control'));
    });
    await check('links: every place of the page is there', async () => {
      const gone = await page.evaluate(() => [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href')).filter(href => !document.getElementById(href.slice(1))));
      assert.deepEqual(gone, []);
    });
    await check('links: quiet', async () => assertQuiet(opened));
    await page.close();
  });
}

async function seeds(open) {
  await open({}, async context => {
    const {page} = await view(context, pageOf('seeds'), '#prompts?suite=harmful&arm=unprotected&change=lost');
    const count = async () => Number((await page.locator('#count').textContent()).split(' ')[0]);
    await check('seeds: all, or one', async () => {
      const together = await count();
      assert.match(await visible(page).first().textContent(), /\(unprotected [123]\/3 seeds\)/);
      await page.locator('#filter [name=seed]').selectOption('0');
      await page.waitForFunction(() => location.hash.includes('seed=0'));
      assert.equal(await count(), lostBy(record, 'harmful', 'unprotected'));
      assert.ok(together > await count(), 'other seeds lose other prompts');
      assert.match(await visible(page).first().textContent(), /\(unprotected\)/);
    });
    await check('seeds: every seed has its answer', async () => {
      await page.locator('#filter [name=seed]').selectOption('');
      await page.waitForFunction(() => !location.hash.includes('seed='));
      await openPrompt(page, visible(page).filter({hasText: /unprotected [12]\/3 seeds/}).first());
      const told = await page.locator('.item[open] .answers > div > b').allTextContents();
      assert.ok(told.some(text => /unprotected \(seed/.test(text)), `answers of: ${told.join('; ')}`);
    });
    await page.close();
  });
}

// The picture of a joined benchmark stands by itself: one drawing for each suite, dark where the reader's system is.
async function picture(open) {
  const file = `${folder}/joined.svg`;
  const colours = [];
  for (const colorScheme of ['light', 'dark']) {
    await open({colorScheme}, async context => {
      const opened = await view(context, file);
      const {page} = opened;
      await check(`picture, ${colorScheme}`, async () => {
        assert.ok(await page.locator('svg svg.chart').count() >= 2, 'drawings');
        assert.ok(await page.locator('svg svg.chart polyline').first().isVisible());
        assert.match(await page.locator('text').first().textContent(), /tiny-task/);
        colours.push(await page.locator('svg text').first().evaluate(node => getComputedStyle(node).fill));
        assertQuiet(opened);
      });
      await page.close();
    });
  }
  await check('picture: light and dark differ', async () => assert.notEqual(colours[0], colours[1]));
}

async function race(open) {
  await open({}, async context => {
    const {page} = await view(context, pageOf('race'));
    await check('race: all that raced, and what came of it', async () => {
      const rows = await page.locator('section[aria-labelledby=races] tbody tr').allTextContents();
      assert.ok(rows.length >= 3 && ['unprotected', 'anchored', 'first-tokens'].every(name => rows.some(row => row.includes(name))), rows.join('; '));
    });
    await page.close();
  });
}

async function paper(open) {
  await open({}, async context => {
    const {page} = await view(context, pageOf('quickstart'));
    await check('print: what is open, and no controls', async () => {
      await openPrompt(page);
      await page.emulateMedia({media: 'print'});
      for (const gone of ['nav', '#filter', '.tools button', '.reveal']) assert.ok(!await page.locator(gone).first().isVisible(), gone);
      assert.equal(await visible(page).filter({visible: true}).count(), 1);
      assert.ok(await page.locator('.card').first().isVisible() && await page.locator('.item .answers').isVisible());
      assert.ok((await page.pdf()).length > 20_000);
    });
    await page.close();
  });
}

async function withoutScript(open) {
  await open({javaScriptEnabled: false}, async context => {
    const {page} = await view(context, pageOf('quickstart'));
    await check('without a script: tables, and a word on the list', async () => {
      assert.ok(await page.locator('#needed').isVisible() && !await page.locator('#filter').isVisible());
      assert.ok(await page.locator('.flips .said').nth(1).isVisible() && await page.locator('.chart').first().isVisible());
      await page.locator('.reveal input').first().check();
      assert.equal(await page.locator('.flips .said').first().evaluate(node => getComputedStyle(node).filter), 'none');
    });
    await page.close();
  });
}

// Printed to be read; only far too long is an error.
async function size(open) {
  for (const name of ['large', 'too-large']) {
    await open({}, async context => {
      const bytes = statSync(pageOf(name)).size;
      await check(`${name}: under 2 MB`, async () => assert.ok(bytes < 2_000_000, `${bytes} bytes`));
      const {page, loaded_s} = await view(context, pageOf(name));
      const begin = performance.now();
      await check(`${name}: opens`, () => openPrompt(page));
      const first_s = (performance.now() - begin) / 1000;
      console.log(`${name}: ${(bytes / 1e6).toFixed(2)} MB, loaded in ${loaded_s.toFixed(2)} s, a prompt opened in ${first_s.toFixed(2)} s`);
      await check(`${name}: says what is left out`, async () => {
        const told = await page.locator('#list').textContent();
        assert.match(told, /characters are cut/);
        assert.equal(/prompts, \d+ are listed/.test(told), name === 'too-large');
      });
      await page.close();
    });
  }
}

await validate();
await withChromium(async open => {
  for (const look of [everywhere, policy, list, keys, links, seeds, race, picture, paper, withoutScript, size]) await look(open);
});
console.log(`${checks} checks in Chromium, ${failed} failed`);
process.exit(failed ? 1 : 0);
