import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Page } from '@playwright/test';
import { adapters } from '../adapters';
import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll, openFold } from '../pages/generate';
import { type Song, type Studio } from '../studio';

interface Used {
  provenance: { loras?: { name: string; scale: number }[] };
}

/** The fold LoRA, open. */
async function fold(page: Page) {
  const own = page.locator('#f-lora');
  await openFold(own);
  return own;
}

/** The names and scales that a song was made with. */
const used = (song: Song) => ((song as unknown as Used).provenance.loras ?? []).map(({ name, scale }) => [name, scale]);

test('several adapters at their scales make a song, which says so and gives them back', async ({ page, launch, a11y }) => {
  const folder = adapters({ 'tape-choir': {}, rain: {}, 'city brass': { width: 99 } });
  const studio = await launch({ flags: ['--init_service', 'true', '--lora_path', folder] });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'lofi piano', length: '0:02', takes: '1', seed: '7' });
  const loras = await fold(page);
  await expect(loras.locator('.fold__now')).toHaveText('None');
  const tape = loras.getByRole('switch', { name: /^tape-choir/ });
  const brass = loras.getByRole('switch', { name: /^city brass/ });
  await expect(brass).toBeDisabled();
  // Both shapes.
  await expect(brass).toHaveAccessibleDescription(/99\].*layers\.0|layers\.0.*99\]/s);
  await tape.check({ force: true });
  await loras.getByRole('switch', { name: /^rain/ }).check({ force: true });
  await loras.getByRole('slider', { name: 'Scale of tape-choir' }).fill('0.5');
  await loras.getByRole('slider', { name: 'Scale of rain' }).fill('0.25');
  await expect(loras.locator('.fold__now')).toHaveText('tape-choir 0.50, rain 0.25');
  await expect(generate.plan).toContainText('tape-choir 0.50, rain 0.25');
  await a11y(page);
  await generate.go.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  const [song] = await studio.songs();
  expect(used(song as Song)).toEqual([['tape-choir', 0.5], ['rain', 0.25]]);
  await expect(generate.results.getByRole('article').first()).toContainText('tape-choir 0.50, rain 0.25');

  // Off and on again keeps the scale; the draft keeps the choice.
  await tape.uncheck({ force: true });
  await expect(generate.plan).not.toContainText('tape-choir');
  await tape.check({ force: true });
  await expect(generate.plan).toContainText('tape-choir 0.50');
  await tape.uncheck({ force: true });
  await page.waitForTimeout(700);
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.plan).toContainText('rain 0.25');
  await expect(generate.plan).not.toContainText('tape-choir');

  // Its settings bring them back.
  await generate.results.getByRole('article').first().locator('summary', { hasText: 'More' }).click();
  await generate.results.getByRole('button', { name: /Restore/ }).first().click();
  await expect(generate.plan).toContainText('tape-choir 0.50, rain 0.25');
  await page.goto(`${studio.url}/library/${song?.id}`);
  await expect(page.getByRole('row', { name: /LoRA/ })).toContainText('tape-choir 0.50, rain 0.25');

  // One that is gone is named, and stands in the way until it is switched off.
  rmSync(join(folder, 'tape-choir'), { recursive: true });
  await generate.open(studio.url);
  await expect(generate.plan).toContainText('LoRA tape-choir is not in the folder');
  await expect(generate.go).toBeDisabled();
  const gone = (await fold(page)).getByRole('switch', { name: /^tape-choir/ });
  await expect(gone).toHaveAccessibleDescription(/no adapter of this name/);
  await gone.click({ force: true });
  await expect(generate.go).toBeEnabled();
  rmSync(folder, { recursive: true, force: true });
});

/** SHA-256 of the samples of a wav file of the API: the bytes behind its tags are the song's own. */
async function soundOf(studio: Studio, id: string): Promise<string> {
  const file = Buffer.from(await (await fetch(`${studio.url}/api/v1/songs/${id}/audio`)).arrayBuffer());
  for (let at = 12; at + 8 <= file.length; ) {
    const size = file.readUInt32LE(at + 4);
    if (file.toString('latin1', at, at + 4) === 'data') {
      return createHash('sha256').update(file.subarray(at + 8, at + 8 + size)).digest('hex');
    }
    at += 8 + size + (size % 2);
  }
  throw new Error('the file has no samples');
}

test('a song made with an adapter is made again to the same bytes, and not without the adapter', async ({ page, launch }) => {
  const folder = adapters({ 'tape-choir': {}, rain: {} });
  const studio = await launch({ flags: ['--init_service', 'true', '--lora_path', folder] });
  const asked = { caption: 'waltz with flute', duration: 2, batch_size: 1, seed: 11, audio_format: 'wav' };
  const made = async (more: object) => {
    const job = await studio.submit({ ...asked, ...more });
    const done = await studio.jobThat(job.id, (now) => ['done', 'failed'].includes(now.state));
    return done.song_ids[0] ?? '';
  };
  const [bare, first] = [await made({ loras: [] }), await made({ loras: 'tape-choir:0.5' })];
  // What is loaded now is another choice than the song's own.
  await studio.post('/api/v1/loras/load', { name: 'rain' });
  await page.goto(`${studio.url}/library/${first}`);
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  await page.locator('summary', { hasText: 'Use this take' }).click();
  await page.getByRole('button', { name: 'Re-create exactly' }).click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 60_000 }).toBe(3);
  const second = (await studio.songs()).find((own) => ![bare, first].includes(own.id)) as Song;
  expect(used(second)).toEqual([['tape-choir', 0.5]]);
  const [one, two, without] = await Promise.all([first, second.id, bare].map((id) => soundOf(studio, id)));
  expect(two).toBe(one);
  expect(without, 'the adapter is heard').not.toBe(one);

  rmSync(join(folder, 'tape-choir'), { recursive: true });
  await page.reload();
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  await page.locator('summary', { hasText: 'Use this take' }).click();
  const again = page.getByRole('button', { name: 'Re-create exactly' });
  await expect(again).toBeDisabled();
  await expect(again).toHaveAccessibleDescription('LoRA tape-choir, with which it was made, is not in the folder any more.');
  rmSync(folder, { recursive: true, force: true });
});

test('what is loaded in the service acts on songs that do not choose, and the fold follows it', async ({ page, launch }) => {
  const folder = adapters({ 'tape-choir': {}, 'city-brass': { width: 99 } });
  const studio = await launch({ flags: ['--init_service', 'true', '--lora_path', folder] });
  const generate = await new GeneratePage(page).open(studio.url);
  await page.getByRole('link', { name: 'Reconfigure…' }).click();
  const tape = page.getByRole('group', { name: /^tape-choir/ });
  await expect(page.getByRole('group', { name: /^city-brass/ }).getByRole('button', { name: 'Load' })).toBeDisabled();
  await tape.getByLabel('Scale').fill('0.4');
  await tape.getByRole('button', { name: 'Load' }).click();
  await expect(tape).toContainText('loaded');
  await expect(generate.status).toContainText('tape-choir 0.40');
  await noSidewaysScroll(page);
  await generate.open(studio.url);
  await generate.describe({ caption: 'waltz', length: '0:02', takes: '1' });
  const loras = await fold(page);
  await expect(loras.getByRole('switch', { name: /^tape-choir/ })).toBeChecked();
  await expect(loras).toContainText('As loaded in the service');
  await generate.go.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  expect(used((await studio.songs())[0] as Song)).toEqual([['tape-choir', 0.4]]);

  // A change is the song's own, until it follows again.
  await loras.getByRole('switch', { name: /^tape-choir/ }).uncheck({ force: true });
  await expect(loras).toContainText('Chosen for this song');
  await expect(generate.plan).not.toContainText('tape-choir');
  await loras.getByRole('button', { name: 'Use those that are loaded' }).click();
  await expect(generate.plan).toContainText('tape-choir 0.40');
  await studio.post('/api/v1/loras/unload', { name: 'tape-choir' });
  await expect(generate.plan).not.toContainText('tape-choir');
  rmSync(folder, { recursive: true, force: true });
});
