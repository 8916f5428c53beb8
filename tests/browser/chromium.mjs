// A headless Chromium with a profile of its own, and pages that are watched: what they ask for, say and fail with.
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';

const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// Runs `look` with a browser context; what is asked of the context may differ (size, colours, script).
export async function withChromium(look) {
  const root = process.getuid?.() === 0;
  const open = async (options, inside) => {
    const profile = mkdtempSync(join(tmpdir(), 'steadfast-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
      args: root ? ['--no-sandbox', ...flags] : flags,
      viewport: {width: 1280, height: 900},
      ...options,
    });
    try {
      await inside(context);
    } finally {
      await context.close();
      rmSync(profile, {recursive: true, force: true});
    }
  };
  await look(open);
}

// Opens a file; `seen` are its requests, what it wrote to the console, and its errors.
export async function view(context, file, hash = '') {
  const page = await context.newPage();
  const seen = {requests: [], said: [], errors: []};
  page.on('request', request => seen.requests.push(request.url()));
  page.on('console', message => seen.said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', error => seen.errors.push(error.message));
  page.on('dialog', dialog => { seen.errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('popup', () => seen.errors.push('a window was opened'));
  const address = pathToFileURL(file).href;
  const begin = performance.now();
  await page.goto(address + hash, {waitUntil: 'load'});
  return {page, seen, address, loaded_s: (performance.now() - begin) / 1000};
}
