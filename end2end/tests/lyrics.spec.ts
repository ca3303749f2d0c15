import { rmSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect, test } from '../fixtures';
import { GeneratePage, hydrated, openFold } from '../pages/generate';
import type { Studio } from '../studio';
import { sungCheckpoints, sungModel } from '../sungModel';

let folder: string;
test.beforeAll(() => {
  folder = sungCheckpoints();
});
test.afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sung = () => ['--checkpoints', folder, '--config_path', sungModel, '--init_service', 'true', '--init_llm', 'false'];
const lyrics = '[Verse]\nSoft notes in the morning light\n\n[Chorus]\nMusic fills the air';
const lines = ['[Verse]', 'Soft notes in the morning light', '[Chorus]', 'Music fills the air'];

/** A song with words, made by the API. */
async function made(studio: Studio, more: Record<string, unknown> = {}): Promise<string> {
  const job = await studio.submit({
    caption: 'lofi piano', lyrics, duration: 8, seed: 7, batch_size: 1, audio_format: 'wav', ...more,
  }); // prettier-ignore
  const done = await studio.jobThat(job.id, (job) => job.state === 'done');
  return done.song_ids[0]!;
}

/** The menu of a song of the library in which it is listened to. */
async function openMenu(page: Page) {
  await page.locator('summary', { hasText: 'Language model' }).filter({ visible: true }).click();
}

test('lyrics are timed, followed, pressed and saved', async ({ page, launch }) => {
  const studio = await launch({ flags: sung() });
  const id = await made(studio);
  await page.goto(`${studio.url}/library/${id}`);
  await hydrated(page);
  const timed = page.getByRole('region', { name: 'Lyrics, timed' });
  await expect(timed).toBeHidden();
  await openMenu(page);
  // Nothing was timed yet, so nobody says how long it takes.
  const ask = page.getByRole('button', { name: 'Time the lyrics' });
  await expect(ask).toHaveText('Time the lyrics');
  await ask.click();
  await expect(timed).toBeVisible({ timeout: 60_000 });
  const rows = timed.getByRole('listitem').getByRole('button');
  await expect(rows).toHaveCount(lines.length);
  for (const [index, line] of lines.entries()) await expect(rows.nth(index)).toContainText(line);

  // No line is sung while nothing plays; a press goes to a line and marks it.
  await expect(timed.locator('[aria-current]')).toHaveCount(0);
  const last = rows.last();
  await last.click();
  await expect(last).toHaveAttribute('aria-current', 'true');
  const song = await studio.get<{ lyric_lines: { start_secs: number; text: string }[] }>(`/api/v1/songs/${id}`);
  const start = song.lyric_lines.at(-1)!.start_secs;
  expect(start).toBeGreaterThan(0);
  const position = () => page.evaluate(() => document.querySelector('audio')!.currentTime);
  await expect.poll(position).toBeCloseTo(start, 1);
  // The mark follows the sound: back at the start an earlier line has it.
  await page.getByRole('slider', { name: 'Position' }).first().press('Home');
  await expect(last).not.toHaveAttribute('aria-current', 'true');

  for (const [name, kind, head] of [
    ['LRC', 'lrc', /^\[00:0/],
    ['WebVTT', 'vtt', /^WEBVTT\n/],
    ['SubRip', 'srt', /^1\n00:00:0/],
  ] as const) {
    await timed.locator('summary', { hasText: 'Save lyrics' }).click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      timed.getByRole('link', { name: new RegExp(name) }).click(),
    ]);
    expect(file.suggestedFilename()).toBe(`lofi piano.${kind}`);
    const text = await (await page.request.get(`${studio.url}/api/v1/songs/${id}/lyrics.${kind}`)).text();
    expect(text).toMatch(head);
    for (const line of lines) expect(text).toContain(line);
    await page.reload();
    await hydrated(page);
  }
});

test('the menu says how long timing takes once it was done, of a take and of a song of the library', async ({ page, launch }) => {
  const studio = await launch({ flags: sung() });
  const id = await made(studio);
  const job = await studio.submit({ kind: 'lyrics_timing', song_id: id });
  await studio.jobThat(job.id, (job) => job.state === 'done');
  const other = await made(studio, { seed: 8 });
  await page.goto(`${studio.url}/library/${other}`);
  await hydrated(page);
  await openMenu(page);
  const item = (name: string) => page.getByRole('button', { name }).filter({ visible: true });
  await expect(item('Time the lyrics')).toHaveText(/^Time the lyrics\s*about \d+ s$/);
  // The score has a pace of its own, and none was made.
  await expect(item('Score this song')).toHaveText('Score this song');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.results.locator('summary', { hasText: 'More' }).first().click();
  await expect(item('Time the lyrics')).toHaveText(/^Time the lyrics\s*about \d+ s$/);
});

test('a take asked to be timed and scored shows both without a reload', async ({ page, launch }) => {
  const studio = await launch({ flags: sung() });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'lofi piano', lyrics, length: '0:08', takes: '1' });
  await openFold(page.locator('#f-output'));
  await page.getByRole('switch', { name: /^Time the lyrics/ }).check({ force: true });
  await page.getByRole('switch', { name: /^Score each take/ }).check({ force: true });
  await expect(page.getByRole('slider', { name: 'Score sensitivity' })).toBeVisible();
  await generate.generate.click();
  const take = generate.results.getByRole('article').filter({ has: page.getByText('lofi piano') }).first();
  await expect(take.getByText('4 lines')).toBeVisible({ timeout: 120_000 });
  await take.getByText('Scores', { exact: true }).click();
  await expect(take.getByText('Sung clearly')).toBeVisible();
  const jobs = await studio.jobs();
  expect(jobs.map((job) => job.kind)).toEqual(['score', 'generate']);
});

test('what the built-in model cannot find out says why', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const id = await made(studio, { duration: 2 });
  await page.goto(`${studio.url}/library/${id}`);
  await hydrated(page);
  await openMenu(page);
  for (const [name, why] of [
    ['Time the lyrics', /acestep-v15-demo looks for the words/],
    ['Score this song', /Needs a language model that reads audio codes/],
  ] as const) {
    const button = page.getByRole('button', { name });
    await expect(button).toBeDisabled();
    await expect(button).toHaveAccessibleDescription(why);
  }
  const generate = await new GeneratePage(page).open(studio.url);
  await openFold(generate.page.locator('#f-output'));
  await expect(page.getByRole('switch', { name: /^Time the lyrics/ })).toHaveCount(0);
  await expect(page.locator('#f-output')).toContainText(/looks for the words/);
});
