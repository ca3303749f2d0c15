import { expect, test } from '../fixtures';
import { GeneratePage, sound } from '../pages/generate';

const ready = { flags: ['--init_service', 'true'] };
/** A card that allows ten minutes: a run that lasts until a test has done what it wants. */
const long = { ...ready, env: { MAX_CUDA_VRAM: '24' } };

test('a caption becomes a song of the asked length that can be heard', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'house with drums and a warm bass, 124 bpm', length: '0:06', takes: '1', seed: '7' });
  await generate.generate.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  await generate.finished.first().click();
  const heard = await sound(page);
  expect(Math.abs(heard.seconds - 6), `the player says ${heard.seconds} s`).toBeLessThanOrEqual(0.04);
  expect(heard.rms).toBeGreaterThan(0.01);
  await expect.poll(() => page.evaluate(() => document.querySelector('audio')?.currentTime)).toBeGreaterThan(0.2);
  const [song] = await studio.songs();
  expect(song).toMatchObject({ seed: 7 });
  await expect(generate.results).toContainText('7');
});

test('several takes appear with seeds of their own, and the same seed is the same song', async ({ page, launch }) => {
  const studio = await launch({ ...ready, env: { MAX_CUDA_VRAM: '8' } });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'waltz', length: '0:02', takes: '2', seed: '1, 2' });
  await generate.generate.click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 90_000 }).toBe(2);
  await expect(generate.finished).toHaveCount(2);
  const songs = await studio.songs();
  expect(songs.map((song) => song.seed).sort()).toEqual([1, 2]);

  const again = await studio.submit({ caption: 'waltz', duration: 2, batch_size: 1, seed: 2 });
  const done = await studio.jobThat(again.id, (job) => job.state === 'done');
  // The files differ in their tags (each run has its own); what is heard does not.
  const heard = (id: string) =>
    page.evaluate(async (path) => {
      const file = await (await fetch(path)).arrayBuffer();
      const sound = await new OfflineAudioContext(2, 1, 48_000).decodeAudioData(file);
      const hash = await crypto.subtle.digest('SHA-256', sound.getChannelData(0));
      return [...new Uint8Array(hash)].join(' ');
    }, `/api/v1/songs/${id}/audio`);
  const second = songs.find((song) => song.seed === 2);
  const first = songs.find((song) => song.seed === 1);
  expect(await heard(done.song_ids[0] ?? '')).toBe(await heard(second?.id ?? ''));
  expect(await heard(first?.id ?? '')).not.toBe(await heard(second?.id ?? ''));
});

test('more than the card allows is used up to the limit, and a note beside the control says so', async ({ page, launch }) => {
  const studio = await launch({ ...ready, env: { MAX_CUDA_VRAM: '4' } });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'ambient', length: '9:00' });
  await expect(page.getByText(/9:00.*3:00|3:00.*9:00/).first()).toBeVisible();
});

test('cancel stops the run soon and keeps nothing half done', async ({ page, launch }) => {
  const studio = await launch(long);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'ambient pads', length: '10:00', takes: '2' });
  await generate.generate.click();
  await expect(generate.job).toBeVisible();
  const [job] = (await studio.get<{ jobs: { id: string }[] }>('/api/v1/jobs')).jobs;
  await studio.jobThat(job?.id ?? '', (now) => now.state === 'running');
  await generate.cancel.click();
  await studio.jobThat(job?.id ?? '', (now) => now.state === 'cancelled', 60_000);
  await expect(generate.job).toHaveCount(0);
  await expect(generate.generate).toBeEnabled();
  expect(await studio.songs()).toEqual([]);
});

test('a reload in the middle of a run loses neither the run nor the form', async ({ page, launch }) => {
  const studio = await launch(long);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'chiptune, fast', lyrics: '[Instrumental]', length: '5:00', takes: '1', seed: '11' });
  await generate.generate.click();
  await expect(generate.job).toBeVisible();
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.caption).toHaveValue('chiptune, fast');
  await expect(generate.length).toHaveValue('5:00');
  await expect(generate.seed).toHaveValue('11');
  await expect(generate.job.or(generate.finished.first()).first()).toBeVisible();
  await expect(generate.finished.first()).toBeVisible({ timeout: 150_000 });
});

test('two tabs see the same run and the same songs', async ({ page, context, launch, watch }) => {
  const studio = await launch(long);
  const first = await new GeneratePage(page).open(studio.url);
  const tab = await context.newPage();
  watch(tab);
  const second = await new GeneratePage(tab).open(studio.url);
  await first.describe({ caption: 'techno', length: '3:00', takes: '1' });
  await first.generate.click();
  await expect(second.job).toBeVisible();
  await expect(second.finished.first()).toBeVisible({ timeout: 120_000 });
  await expect(first.finished.first()).toBeVisible();
});

test('the whole way by keyboard', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ length: '0:02', takes: '1' });
  await generate.caption.focus();
  await page.keyboard.type('lofi piano');
  await page.keyboard.press('Control+Enter');
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  await generate.finished.first().focus();
  await page.keyboard.press('Enter');
  await expect.poll(() => page.evaluate(() => document.querySelector('audio')?.paused)).toBe(false);
});

test('a take can be taken up again, downloaded and deleted', async ({ page, launch }) => {
  const studio = await launch(ready);
  const job = await studio.submit({ caption: 'waltz with flute', duration: 2, batch_size: 1, bpm: 90, seed: 5 });
  await studio.jobThat(job.id, (now) => now.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'something else', seed: '99' });
  await generate.results.getByRole('article').first().locator('summary', { hasText: 'More' }).click();
  await generate.results.getByRole('button', { name: /Restore/ }).first().click();
  await expect(generate.caption).toHaveValue('waltz with flute');
  await expect(generate.tempo).toHaveValue('90');

  const [song] = await studio.songs();
  await page.goto(`${studio.url}/library/${song?.id}`);
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('main').getByRole('link', { name: 'Download' }).first().click(),
  ]);
  expect(file.suggestedFilename()).toMatch(/\.mp3$/);
});

test('without scripts the page can be read', async ({ browser, launch, watch }) => {
  const studio = await launch(ready);
  const job = await studio.submit({ caption: 'ambient flute', duration: 2, batch_size: 1 });
  await studio.jobThat(job.id, (now) => now.state === 'done');
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  watch(page);
  await page.goto(studio.url);
  await expect(page.getByRole('textbox', { name: 'Caption', exact: true })).toBeVisible();
  await expect(page.getByText('acestep-v15-demo').first()).toBeVisible();
  await expect(page.getByText('ambient flute').first()).toBeVisible();
  await context.close();
});

test('the dice writes a whole song, and undo brings back what was typed', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'my own words', length: '0:30' });
  for (let roll = 0; roll < 2; roll += 1) {
    await page.getByRole('button', { name: 'Random example' }).click();
    await expect(generate.caption).not.toHaveValue('my own words');
  }
  await expect(generate.lyrics).not.toHaveValue('');
  await expect(generate.length).not.toHaveValue('0:30');
  await page.getByRole('button', { name: 'Undo example' }).click();
  await expect(generate.caption).toHaveValue('my own words');
  await expect(generate.lyrics).toHaveValue('');
  await expect(generate.length).toHaveValue('0:30');
});
