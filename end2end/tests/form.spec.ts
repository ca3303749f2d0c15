import { rmSync } from 'node:fs';
import { adapters } from '../adapters';
import { expect, test } from '../fixtures';
import { GeneratePage, openFold } from '../pages/generate';

const ready = { flags: ['--init_service', 'true'] };
const quiet = (page: { waitForTimeout(ms: number): Promise<void> }) => page.waitForTimeout(700);

test('switching every adapter off survives a reload, and a name with brackets does not stop the form', async ({ page, launch }) => {
  const folder = adapters({ 'my [v2] tape, "x"': {} });
  const studio = await launch({ flags: [...ready.flags, '--lora_path', folder] });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'lofi piano', length: '0:02', takes: '1' });
  const fold = page.locator('#f-lora');
  await openFold(fold);
  const tape = fold.getByRole('switch', { name: /^my \[v2\] tape/ });
  await tape.check({ force: true });
  await tape.uncheck({ force: true });
  await expect(fold).toContainText('Chosen for this song');
  await quiet(page);
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.go).toBeEnabled();
  await expect(fold.locator('.fold__now')).toHaveText('None');
  await generate.go.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  expect((await studio.jobs())[0]?.params.loras).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

test('a field says by its printed name what it takes, in the language of the page', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.length.fill('1:75');
  await expect(page.locator('#duration-note')).toContainText('Length: “1:75” cannot be read. Give minutes and seconds such as 3:30');
  await expect(generate.plan).toContainText('Length: this value cannot be used');
  await generate.length.fill('');
  await generate.takes.fill('0');
  await expect(page.locator('#batch_size-note')).toHaveText('Takes: “0” cannot be read. Give a whole number from 1 to 8.');
  await page.getByLabel('Language', { exact: true }).filter({ visible: true }).first().selectOption('ja');
  await expect(page.locator('#batch_size-note')).toContainText('テイク数：「0」は読み取れません');
});

test('typed numbers are shown as they are used: auto, a length, a seed in full, a gap filled', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ length: '150', takes: '2', seed: '1,,2' });
  await expect(generate.length).toHaveValue('2:30');
  await expect(generate.seed).toHaveValue(/^1, \d+, 2$/);
  await generate.describe({ length: '-1', takes: '', seed: '4294967295' });
  await expect(generate.length).toHaveValue('');
  await expect(generate.takes).toHaveAttribute('placeholder', /^\d$/);
  const cut = await generate.seed.evaluate((input) => input.scrollWidth > input.clientWidth);
  expect(cut, 'the seed is cut').toBe(false);
  await expect(generate.seed).toHaveAttribute('dir', 'ltr');
});

test('numbers of a loaded file that will be used otherwise are told field by field', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const settings = { caption: 'from a file', inference_steps: 50, shift: 9, lm_temperature: 5, duration: 'long', nonsense: 1 };
  await page.locator('input[type=file][accept^=".json"]').first().setInputFiles({
    name: 'old.json',
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify(settings)),
  });
  const report = page.locator('.composer__dropped');
  for (const line of ['Steps: asked 50, using 20', 'Shift: asked 9, using 5', 'Temperature: asked 5, using 2', '“long” cannot be read', 'nonsense']) {
    await expect(report).toContainText(line);
  }
  const fold = page.locator('#f-sampler');
  await expect(fold.locator('summary')).toContainText('There is a note inside');
  // The value stands for its own note after a reload too.
  await quiet(page);
  await page.reload();
  await generate.open(studio.url);
  await openFold(fold);
  await expect(fold).toContainText('Shift: asked 9, using 5');
});

test('what is wrong in a closed fold is named at its head and beside Generate', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const fold = page.locator('#f-music');
  await openFold(fold);
  await fold.getByRole('textbox', { name: /^Key/ }).fill('H major');
  await fold.locator('> summary').click();
  await expect(fold.locator('> summary')).toContainText('Key: this value cannot be used');
  await expect(generate.plan).toContainText('Key: this value cannot be used');
  await expect(generate.go).toBeDisabled();
});

test('words that are too many are told before the run', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const line = 'one more line of the song that goes on\n';
  await generate.describe({ caption: 'piano '.repeat(120), lyrics: `[Verse]\n${line.repeat(150)}`, length: '1:00' });
  await expect(page.locator('#s-caption')).toContainText('the models read about 512 of them');
  await expect(page.locator('#s-lyrics')).toContainText(/they sing about \d+:\d\d.*, and the song is 1:00 long/);
});

test('a source that was deleted elsewhere is told, and nothing starts on it', async ({ page, launch, allow }) => {
  allow.push(/\/audio/, /\/api\/page\/get_recording/, /\/api\/page\/needs/, /404/);
  const studio = await launch(ready);
  const made = await studio.submit({ caption: 'waltz', duration: 2, seed: 1, batch_size: 1 });
  const { song_ids } = await studio.jobThat(made.id, (job) => job.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Repaint');
  await generate.fromLibrary(generate.source, /waltz/);
  await expect(generate.go).toBeEnabled();
  // A part behind the end has nothing to play.
  await page.getByRole('textbox', { name: 'Start', exact: true }).fill('0:02');
  await page.getByRole('textbox', { name: 'End', exact: true }).fill('0:04');
  await expect(page.getByRole('button', { name: 'Play the part' })).toBeDisabled();
  await expect(generate.source).toContainText('The part lies behind the source');
  await studio.delete(`/api/v1/songs/${song_ids[0]}`);
  await expect(generate.source).toContainText('The source is not here any more');
  await expect(generate.go).toBeDisabled();
  await expect(generate.plan).toContainText('Choose a source first');
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.source).toContainText('The source is not here any more');
  await expect(generate.go).toBeDisabled();
});
