import { type Locator, type Page } from '@playwright/test';
import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll, openFold } from '../pages/generate';
import { wav } from '../recordings';
import { type Song, type Studio } from '../studio';

const ready = { flags: ['--init_service', 'true'] };

/** A song of the library, made by the API. */
async function song(studio: Studio, params: Record<string, unknown> = {}): Promise<Song> {
  const asked = { caption: 'waltz with flute', duration: 3, batch_size: 1, seed: 5, audio_format: 'wav', ...params };
  const job = await studio.submit(asked);
  const done = await studio.jobThat(job.id, (now) => now.state === 'done');
  return studio.get<Song>(`/api/v1/songs/${done.song_ids[0]}`);
}

/** Drops a file on a place. */
async function drop(page: Page, place: Locator, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  const data = await page.evaluateHandle(
    ({ name, type, bytes }) => {
      const transfer = new DataTransfer();
      const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([content], name, { type }));
      return transfer;
    },
    { name: file.name, type: file.mimeType, bytes: file.buffer.toString('base64') },
  );
  await place.dispatchEvent('dragover', { dataTransfer: data });
  await place.dispatchEvent('drop', { dataTransfer: data });
}

test('a run keeps going by itself, also over a reload, until one Stop', async ({ page, launch, a11y }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  // Long enough that one run does not give way to the next while its button is pressed.
  await generate.describe({ caption: 'lofi piano', length: '0:40', takes: '1', seed: '7' });
  await generate.plan.getByRole('switch', { name: /^Keep going/ }).check({ force: true });
  await generate.plan.getByRole('spinbutton', { name: 'Runs that follow' }).fill('50');
  await a11y(page);
  await generate.go.click();
  await expect(generate.job).toContainText(/more runs follow/);
  await expect.poll(async () => (await studio.songs()).length, { timeout: 90_000 }).toBeGreaterThan(1);
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.plan.getByRole('switch', { name: /^Keep going/ })).toBeChecked();
  await expect(generate.job).toContainText(/more runs follow/);
  const unfinished = (await studio.jobs()).filter((job) => ['queued', 'running'].includes(job.state));
  expect(unfinished.length, 'never more than one ahead').toBeLessThanOrEqual(1);
  await generate.job.getByRole('button', { name: 'Stop after this run' }).click();
  await expect(generate.job.getByRole('button', { name: 'Stop after this run' })).toHaveCount(0);
  await expect
    .poll(async () => (await studio.jobs()).every((job) => job.state === 'done'), { timeout: 90_000 })
    .toBe(true);
  const songs = await studio.songs();
  expect(songs.length, 'one Stop is enough').toBeLessThan(50);
  expect(new Set(songs.map((own) => own.seed)).size, 'every run is a song of its own').toBe(songs.length);
  expect(songs.at(-1)?.seed).toBe(7);
});

test('a wrong number of runs is told at its control', async ({ page, launch, allow }) => {
  allow.push(/status of [45]\d\d/, /submit/);
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'lofi piano', length: '0:02', takes: '1' });
  await generate.plan.getByRole('switch', { name: /^Keep going/ }).check({ force: true });
  await generate.plan.locator('#repeat').evaluate((input) => {
    (input as HTMLInputElement).type = 'text';
  });
  await generate.plan.locator('#repeat').fill('many');
  await generate.go.click();
  await expect(generate.plan).toContainText('Give a whole number from 0 to 99');
  expect(await studio.jobs()).toEqual([]);
});

test('a loudness is reached, shown with the raw one, and taken off again by Raw sound', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'house with drums', length: '0:03', takes: '1', seed: '7' });
  await openFold(page.locator('#f-output'));
  await page.getByLabel('Loudness', { exact: true }).selectOption({ label: '−23 LUFS, broadcast' });
  await expect(page.locator('#f-output .fold__now')).toContainText('−23 LUFS');
  await generate.go.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  const take = generate.results.getByRole('article').first();
  await expect(take).toContainText(/−2[23]\.\d LUFS/);
  await expect(take).toContainText(/raw \W*\d+\.\d/);
  await take.locator('summary', { hasText: 'More' }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), take.getByRole('link', { name: /^Raw sound/ }).click()]);
  expect(download.suggestedFilename()).toMatch(/\(raw\)\.wav$/);
});

test('two takes are heard at the same place, switched by key and by button, and their settings compared', async ({
  page,
  launch,
  a11y,
}) => {
  const studio = await launch(ready);
  const older = await song(studio, { seed: 1, duration: 30 });
  await song(studio, { seed: 2, duration: 30, caption: 'a slow waltz', bpm: 92 });
  const generate = await new GeneratePage(page).open(studio.url);
  await page.locator('body').press('b');
  await expect(page.getByRole('heading', { name: 'Compare two takes' })).toBeVisible();
  const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name}`) });
  await expect(row('Seed')).toContainText(/2\s*1/);
  await expect(row('Caption')).toContainText('a slow waltz');
  await expect(row('Tempo')).toContainText('92');
  await expect(row('File')).toHaveCount(0);
  await a11y(page);

  const play = page.locator('#compare-play');
  const [a, b] = [page.getByRole('button', { name: 'Hear A' }), page.getByRole('button', { name: 'Hear B' })];
  await play.click();
  await expect(play).toHaveAttribute('aria-pressed', 'true');
  const time = () =>
    page.locator('.compare__deck .take__time').evaluate((own) => {
      const [minutes, seconds] = (own.textContent ?? '').split(' / ')[0]?.split(':').map(Number) ?? [];
      return (minutes ?? 0) * 60 + (seconds ?? 0);
    });
  await expect.poll(time).toBeGreaterThanOrEqual(2);
  const before = await time();
  await expect(a).toHaveAttribute('aria-pressed', 'true');
  await b.focus();
  await page.keyboard.press('Enter');
  await expect(b).toHaveAttribute('aria-pressed', 'true');
  await page.keyboard.press('b');
  await expect(a).toHaveAttribute('aria-pressed', 'true');
  expect(await time()).toBeGreaterThanOrEqual(before);
  await expect(play).toHaveAttribute('aria-pressed', 'true');
  await page.locator('h1').click();
  await page.keyboard.press('Space');
  await expect(play).toHaveAttribute('aria-pressed', 'false');
  await expect(page.getByRole('switch', { name: /^Match loudness/ })).toBeChecked();

  // The player of the page and this one do not sound together.
  await play.click();
  await expect(play).toHaveAttribute('aria-pressed', 'true');
  await page.getByLabel('Take B').selectOption({ index: 0 });
  await expect(page).toHaveURL(/b=/);
  await expect(page.getByText('Both were made with the same settings.')).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  await noSidewaysScroll(page);

  await page.setViewportSize({ width: 1440, height: 900 });
  await generate.open(studio.url);
  const last = generate.results.getByRole('article').filter({ hasText: 'waltz with flute' }).last();
  await last.locator('summary', { hasText: 'More' }).click();
  await last.getByRole('link', { name: /^Compare with another/ }).click();
  await expect(page).toHaveURL(new RegExp(`a=${older.id}`));
  await expect(row('Seed')).toContainText(/1\s*2/);
});

test('a switch of the comparison leaves no gap', async ({ page, launch, allow }) => {
  // The simplest ear there is; the browser would rather have another.
  allow.push(/ScriptProcessorNode is deprecated/);
  const studio = await launch(ready);
  await song(studio, { seed: 1, duration: 20, caption: 'loud organ' });
  await song(studio, { seed: 1, duration: 20, caption: 'loud organ' });
  // Listens to what goes to the loudspeaker.
  await page.addInitScript(() => {
    const connect = AudioNode.prototype.connect as (this: AudioNode, to: AudioNode) => AudioNode;
    const heard: number[] = [];
    let tap: ScriptProcessorNode | undefined;
    Object.assign(window, { heard });
    AudioNode.prototype.connect = function (this: AudioNode, to: AudioNode) {
      if (to instanceof AudioDestinationNode && !(this instanceof ScriptProcessorNode)) {
        if (!tap) {
          tap = this.context.createScriptProcessor(256, 2, 2);
          tap.onaudioprocess = ({ inputBuffer }) => {
            const samples = inputBuffer.getChannelData(0);
            heard.push(Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
          };
          connect.call(tap, to);
        }
        connect.call(this, tap);
      }
      return connect.call(this, to);
    } as typeof AudioNode.prototype.connect;
  });
  await page.goto(`${studio.url}/compare`);
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  await page.locator('#compare-play').click();
  const blocks = () => page.evaluate(() => (window as unknown as { heard: number[] }).heard.length);
  await expect.poll(blocks).toBeGreaterThan(400);
  for (let count = 0; count < 6; count += 1) {
    await page.locator('#compare-other').click();
    await page.waitForTimeout(150);
  }
  const heard = await page.evaluate(() => (window as unknown as { heard: number[] }).heard);
  const from = heard.findIndex((level) => level > 1e-4);
  expect(from).toBeGreaterThanOrEqual(0);
  // Both sides are the same sound, so a switch must not be heard: no block of 5 ms falls silent.
  const silent = heard.slice(from + 20).filter((level) => level === 0).length;
  expect(silent, 'silent blocks after the start').toBe(0);
});

test('a song dropped on the page brings its settings back, whoever renamed it', async ({ page, launch }) => {
  const studio = await launch(ready);
  const made = await song(studio, { caption: 'two pianos in the rain', bpm: 77, audio_format: 'flac', lyrics: '[Verse]\nla' });
  const file = Buffer.from(await (await fetch(`${studio.url}/api/v1/songs/${made.id}/audio`)).arrayBuffer());
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'something else', seed: '99' });
  await drop(page, page.locator('body'), { name: 'holiday.bin', mimeType: '', buffer: file });
  await expect(generate.caption).toHaveValue('two pianos in the rain');
  await expect(generate.tempo).toHaveValue('77');
  await expect(generate.seed).toHaveValue('5');
  await expect(generate.lyrics).toHaveValue('[Verse]\nla');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(generate.caption).toHaveValue('something else');

  // Parameters as JSON, from anywhere in the studio.
  await page.goto(`${studio.url}/library`);
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  const params = JSON.stringify({ caption: 'from a file', bpm: 'fast', colour: 'blue' });
  await drop(page, page.locator('body'), { name: 'old.json', mimeType: 'application/json', buffer: Buffer.from(params) });
  await expect(generate.caption).toHaveValue('from a file');
  await expect(page.getByText('colour: this is not a parameter; it is not used.')).toBeVisible();
});

test('Load takes up the settings of a file that is picked, and Undo gives the form back', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'something else' });
  const [picker] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.getByRole('button', { name: 'Load', exact: true }).click(),
  ]);
  const params = JSON.stringify({ caption: 'from a file', think: false, shift: 2.5, audio_cover_strength: 0.4 });
  await picker.setFiles({ name: 'old.json', mimeType: 'application/json', buffer: Buffer.from(params) });
  await expect(generate.caption).toHaveValue('from a file');
  await generate.openAudioFold();
  await expect(page.getByRole('slider', { name: /^Codes strength/ })).toHaveValue('0.4');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(generate.caption).toHaveValue('something else');
});

test('a recording without settings is offered as source or reference, and a bad file is told', async ({ page, launch, allow }) => {
  allow.push(/\/api\/v1\/(settings|uploads)/, /status of 4\d\d/);
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await drop(page, page.locator('body'), wav('Lied.wav', 3));
  await expect(page.getByText('There are no settings in Lied.wav.')).toBeVisible();
  await page.getByRole('button', { name: 'Use as source' }).click();
  await expect(generate.source).toContainText('Lied.wav');
  await expect(page.getByRole('radio', { name: 'Cover', exact: true })).toBeChecked();
  await drop(page, page.locator('body'), { name: 'notes.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4') });
  await expect(page.getByRole('alert').filter({ hasText: 'notes.pdf could not be used.' })).toBeVisible();
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('notes.pdf could not be used.')).toHaveCount(0);

  // A place that takes recordings takes them itself.
  await drop(page, generate.source, wav('Other.wav', 2));
  await expect(generate.source).toContainText('Other.wav');
  await expect(page.getByText('There are no settings in Other.wav.')).toHaveCount(0);
});

test('the focus stays at the place after a song was chosen or removed', async ({ page, launch }) => {
  const studio = await launch(ready);
  await song(studio);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  await generate.fromLibrary(generate.source, /waltz with flute/);
  await expect(generate.source.getByRole('button', { name: 'From library' })).toBeFocused();
  await generate.source.getByRole('button', { name: 'Remove' }).click();
  await expect(generate.source.getByRole('button', { name: 'From library' })).toBeFocused();
});
