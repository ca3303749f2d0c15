import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Page } from '@playwright/test';
import { adapters } from '../adapters';
import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll } from '../pages/generate';
import { type Song } from '../studio';

interface Used {
  provenance: { loras?: { name: string; scale: number }[] };
}

/** The fold LoRA, open. */
async function fold(page: Page) {
  const own = page.locator('#f-lora');
  if (!(await own.evaluate((details) => (details as HTMLDetailsElement).open))) await own.locator('summary').click();
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
