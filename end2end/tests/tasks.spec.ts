import { rmSync } from 'node:fs';
import { type Page } from '@playwright/test';
import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll, openFold } from '../pages/generate';
import { baseCheckpoints, wav } from '../recordings';
import { type Song, type Studio } from '../studio';

const ready = { flags: ['--init_service', 'true'] };

/** A song of the library, made by the API. */
async function song(studio: Studio, params: Record<string, unknown> = {}): Promise<Song> {
  const asked = { caption: 'waltz with flute', duration: 4, batch_size: 1, seed: 5, audio_format: 'wav', ...params };
  const job = await studio.submit(asked);
  const done = await studio.jobThat(job.id, (now) => now.state === 'done');
  return studio.get<Song>(`/api/v1/songs/${done.song_ids[0]}`);
}

/** Presses the page's button and waits for the song it makes. */
async function make(studio: Studio, generate: GeneratePage): Promise<Song> {
  const before = (await studio.jobs())[0]?.id;
  await generate.go.click();
  await expect.poll(async () => (await studio.jobs())[0]?.id).not.toBe(before);
  const job = (await studio.jobs())[0];
  const done = await studio.jobThat(job?.id ?? '', (now) => ['done', 'failed'].includes(now.state));
  expect(done.state, JSON.stringify(done)).toBe('done');
  return studio.get<Song>(`/api/v1/songs/${done.song_ids[0]}`);
}

/** One channel of a song as the browser decodes it. */
async function heard(page: Page, id: string): Promise<{ seconds: number; rms: number; samples: number[] }> {
  return page.evaluate(async (path) => {
    const file = await (await fetch(path)).arrayBuffer();
    const decoded = await new OfflineAudioContext(2, 1, 8_000).decodeAudioData(file);
    const samples = [...decoded.getChannelData(0)];
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    return { seconds: decoded.duration, rms, samples };
  }, `/api/v1/songs/${id}/audio`);
}

/** Likeness of two sounds between two seconds, 1 = the same shape. */
function likeness(a: number[], b: number[], from: number, to: number): number {
  let [both, own, other] = [0, 0, 0];
  for (let at = Math.round(from * 8_000); at < Math.round(to * 8_000); at += 1) {
    const [x, y] = [a[at] ?? 0, b[at] ?? 0];
    both += x * y;
    own += x * x;
    other += y * y;
  }
  return both / Math.sqrt(own * other + 1e-12);
}

test('the row has what the loaded model can do, and More tasks says why the rest is off', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const row = page.getByRole('group', { name: 'Task', exact: true });
  await expect(row.getByRole('radio')).toHaveCount(3);
  await page.locator('summary', { hasText: 'More tasks' }).click();
  const extract = page.getByRole('button', { name: /^Extract/ }).filter({ visible: true }).first();
  await expect(extract).toBeDisabled();
  await expect(extract).toHaveAccessibleDescription(/need a base or sft model.*acestep-v15-demo is loaded/);
  await expect(generate.source).toHaveCount(0);
});

test('a cover follows an uploaded file, is as long as it and can be heard', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'house with drums and a warm bass', takes: '1', seed: '7' });
  await generate.task('Cover');
  await expect(generate.go).toBeDisabled();
  await expect(generate.plan).toContainText('Choose a source first');
  await generate.upload(generate.source, wav('Lied für Ülkü.wav', 5));
  await expect(generate.source).toContainText('Lied für Ülkü');
  await expect(generate.sourceLength).toHaveText('0:05');
  await expect(generate.plan).toContainText(/cover of Lied für Ülkü/);
  await generate.source.getByRole('button', { name: /^Play/ }).click();
  await expect(generate.source.getByRole('button', { name: /^Pause/ })).toBeVisible();
  const cover = await make(studio, generate);
  expect(cover.params).toMatchObject({ task_type: 'cover', caption: 'house with drums and a warm bass' });
  const sound = await heard(page, cover.id);
  expect(Math.abs(sound.seconds - 5)).toBeLessThanOrEqual(0.1);
  expect(sound.rms).toBeGreaterThan(0.005);
  await generate.source.getByRole('button', { name: 'Remove' }).click();
  await expect(generate.source).toContainText('No source yet');
});

test('a file that is no sound is refused at the source, with what to do', async ({ page, launch, allow }) => {
  allow.push(/\/api\/v1\/uploads/, /status of 4\d\d/);
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  await generate.upload(generate.source, { name: 'notes.wav', mimeType: 'audio/wav', buffer: Buffer.from('no sound at all') });
  await expect(generate.source.getByRole('alert').filter({ hasText: /\S/ })).toBeVisible();
  await expect(generate.source).toContainText('No source yet');
  await expect(generate.go).toBeDisabled();
});

test('a repaint changes its part and keeps the rest', async ({ page, launch }) => {
  const studio = await launch(ready);
  const source = await song(studio, { duration: 6 });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ takes: '1', seed: '9' });
  await generate.task('Repaint');
  await generate.fromLibrary(generate.source, /waltz with flute/);
  const start = page.getByRole('slider', { name: 'Start', exact: true });
  const end = page.getByRole('slider', { name: 'End', exact: true });
  await page.getByRole('textbox', { name: 'End', exact: true }).fill('0:05');
  await start.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowLeft');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(page.getByRole('textbox', { name: 'Start', exact: true })).toHaveValue('0:02');
  await expect(start).toHaveAttribute('aria-valuetext', '0:02 / 0:06');
  const from = await end.boundingBox();
  if (!from) throw new Error('the handle has no place');
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(from.x - 60, from.y + from.height / 2, { steps: 4 });
  await page.mouse.up();
  await expect(page.getByRole('textbox', { name: 'End', exact: true })).not.toHaveValue('0:05');
  // A stroke over the wave, from its end to its beginning, draws a part anew.
  const wave = await page.locator('.region__stage').boundingBox();
  if (!wave) throw new Error('the wave has no place');
  const across = (share: number) => [wave.x + wave.width * share, wave.y + wave.height / 2] as const;
  await page.mouse.move(...across(0.75));
  await page.mouse.down();
  await page.mouse.move(...across(0.5), { steps: 4 });
  await page.mouse.up();
  await expect(start).toHaveAttribute('aria-valuenow', '3.0');
  expect(Number(await end.getAttribute('aria-valuenow'))).toBeGreaterThan(4);
  await page.getByRole('textbox', { name: 'Start', exact: true }).fill('0:02');
  await page.getByRole('textbox', { name: 'End', exact: true }).fill('0:04');
  await expect(generate.plan).toContainText('repaint 0:02 to 0:04 of waltz with flute');
  await generate.caption.fill('heavy drums and bass');
  const repainted = await make(studio, generate);
  expect(repainted.params).toMatchObject({ task_type: 'repaint', src_audio: source.id, repainting_start: 2, repainting_end: 4 });
  const [before, after] = [await heard(page, source.id), await heard(page, repainted.id)];
  expect(Math.abs(after.seconds - before.seconds)).toBeLessThanOrEqual(0.05);
  const [outside, inside] = [
    Math.min(likeness(before.samples, after.samples, 0.2, 1.7), likeness(before.samples, after.samples, 4.3, 5.8)),
    likeness(before.samples, after.samples, 2.3, 3.7),
  ];
  expect(outside, 'likeness outside the part').toBeGreaterThan(0.7);
  expect(inside, 'likeness inside the part').toBeLessThan(outside - 0.2);
});

test('Extend goes on behind the end, and Undo brings back what stood in the form', async ({ page, launch }) => {
  const studio = await launch(ready);
  const source = await song(studio);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'something of my own', takes: '1', seed: '3' });
  await generate.results.getByRole('button', { name: 'Extend' }).first().click();
  await expect(page.getByRole('status').filter({ hasText: 'An extension is set up' })).toBeVisible();
  await expect(generate.caption).toHaveValue('waltz with flute');
  await expect(page.getByRole('textbox', { name: 'Start', exact: true })).toHaveValue('0:04');
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect(generate.caption).toHaveValue('something of my own');
  await expect(generate.source).toHaveCount(0);

  await generate.results.getByRole('button', { name: 'Extend' }).first().click();
  await page.getByRole('textbox', { name: 'End', exact: true }).fill('0:07');
  await expect(generate.plan).toContainText('0:03 more behind waltz with flute');
  await expect(generate.sourceLength).toHaveText('0:07');
  const longer = await make(studio, generate);
  const [before, after] = [await heard(page, source.id), await heard(page, longer.id)];
  expect(Math.abs(after.seconds - 7)).toBeLessThanOrEqual(0.1);
  expect(likeness(before.samples, after.samples, 0.2, 3.5)).toBeGreaterThan(0.7);
  const tail = after.samples.slice(5 * 8_000);
  expect(Math.max(...tail.map(Math.abs))).toBeGreaterThan(0.01);
});

test('a base model adds, extracts and completes tracks', async ({ page, launch }) => {
  const checkpoints = baseCheckpoints();
  const flags = ['--checkpoints', checkpoints, '--config_path', 'acestep-v15-base', ...ready.flags];
  const studio = await launch({ flags });
  const generate = await new GeneratePage(page).open(studio.url);
  const short = { inference_steps: 4 };
  await song(studio, { ...short, duration: 3 });
  await page.reload();
  await generate.open(studio.url);
  await expect(page.locator('summary', { hasText: 'More tasks' })).toHaveCount(0);
  await openFold(page.locator('#f-sampler'));
  await page.getByRole('slider', { name: /^Steps/ }).fill('4');
  await generate.describe({ caption: 'strings', takes: '1', seed: '4' });
  for (const [task, type] of [
    ['Add a track', 'lego'],
    ['Extract', 'extract'],
    ['Complete', 'complete'],
  ] as const) {
    await generate.task(task);
    // The place of the source comes with a program of its own.
    const none = generate.source.getByText('No source yet');
    await expect(none.or(generate.source.getByText(/waltz with flute/)).first()).toBeVisible();
    if ((await none.count()) > 0) {
      await generate.fromLibrary(generate.source, /waltz with flute/);
    }
    if (type === 'complete') {
      await expect(generate.plan).toContainText('Choose a track first');
      await page.getByRole('checkbox', { name: 'drums' }).check({ force: true });
      await page.getByRole('checkbox', { name: 'bass', exact: true }).check({ force: true });
    } else {
      await page.getByRole('radio', { name: 'strings' }).check({ force: true });
    }
    const made = await make(studio, generate);
    expect(made.params['task_type']).toBe(type);
    if (type === 'complete') expect(made.params['complete_track_classes']).toEqual(expect.arrayContaining(['drums', 'bass']));
    else expect(made.params['track_name']).toBe('strings');
    const sound = await heard(page, made.id);
    expect(Math.abs(sound.seconds - 3), type).toBeLessThanOrEqual(0.1);
    expect(sound.rms, type).toBeGreaterThan(0.001);
  }
  rmSync(checkpoints, { recursive: true, force: true });
});

test('references come from takes and files, and each can be removed', async ({ page, launch }) => {
  const studio = await launch(ready);
  const reference = await song(studio);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.results.getByRole('button', { name: 'Use as reference' }).first().click();
  await expect(generate.audioFold.locator('summary')).toContainText('1 reference, no codes');
  await generate.openAudioFold();
  await generate.upload(generate.audioFold, wav('room.wav', 3));
  await expect(generate.audioFold.locator('summary')).toContainText('2 references');
  await generate.audioFold.getByRole('button', { name: 'Remove room' }).click();
  await generate.describe({ caption: 'lofi piano', length: '0:03', takes: '1', seed: '2' });
  await expect(generate.plan).toContainText('1 reference');
  const made = await make(studio, generate);
  expect(made.params).toMatchObject({ task_type: 'text2music', reference_audio: reference.id });
  expect((await heard(page, made.id)).rms).toBeGreaterThan(0.005);
});

test('what is set for one task does not act in another', async ({ page, launch }) => {
  const studio = await launch(ready);
  const source = await song(studio);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.results.getByRole('button', { name: 'Repaint' }).first().click();
  await page.getByRole('textbox', { name: 'Start', exact: true }).fill('0:01');
  await generate.task('New song');
  await expect(generate.source).toHaveCount(0);
  await generate.describe({ length: '0:02', takes: '1', seed: '6' });
  const made = await make(studio, generate);
  expect(made.params).toMatchObject({ task_type: 'text2music', repainting_start: 0, repainting_end: -1 });
  expect(made.params['src_audio'] ?? null).toBeNull();
  await generate.task('Repaint');
  await expect(generate.source).toContainText(source.title);
  await expect(page.getByRole('textbox', { name: 'Start', exact: true })).toHaveValue('0:01');
});

test('codes beside the source of a cover are said to stand in its place', async ({ page, launch }) => {
  const studio = await launch(ready);
  await song(studio);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  await generate.fromLibrary(generate.source, /waltz with flute/);
  await generate.openAudioFold();
  await generate.audioFold.getByRole('textbox', { name: /^Audio codes/ }).fill('1, 2, 3, 4, 5');
  await expect(generate.source).toContainText(/source is not used: the audio codes in Audio in stand in its place/);
  // The built-in model reads none, which the studio would refuse; the page says so before.
  await expect(generate.audioFold).toContainText('cannot follow audio codes');
  await expect(generate.go).toBeDisabled();
  await expect(generate.plan).toContainText('cannot follow audio codes');
  // Without a source the codes are enough, and the page does not ask for one.
  await generate.source.getByRole('button', { name: 'Remove', exact: true }).click();
  await expect(generate.source).toContainText('No source is needed');
  // A task that reads none says that they are there and do nothing.
  await generate.task('Repaint');
  await expect(generate.audioFold).toContainText('holds 5 audio codes. This task does not read them');
  await generate.task('Cover');
  await generate.source.getByRole('button', { name: 'Remove the codes' }).click();
  await expect(generate.source).toContainText('No source yet');
  await expect(generate.go).toBeDisabled();
});

test('what a task lacks is said at each control, and by the API with its key', async ({ page, launch }) => {
  const checkpoints = baseCheckpoints();
  const flags = ['--checkpoints', checkpoints, '--config_path', 'acestep-v15-base', ...ready.flags];
  const studio = await launch({ flags });
  const generate = await new GeneratePage(page).open(studio.url);
  for (const [task, type, track] of [
    ['Cover', 'cover', null],
    ['Repaint', 'repaint', null],
    ['Add a track', 'lego', 'track_name'],
    ['Extract', 'extract', 'track_name'],
    ['Complete', 'complete', 'complete_track_classes'],
  ] as const) {
    await generate.task(task);
    await expect(generate.source, type).toContainText('No source yet');
    await expect(generate.go, type).toBeDisabled();
    if (track) await expect(page.locator(`#${track}-error`), type).toContainText('needs to know which track');
    const refusal = async (more: Record<string, unknown>) => {
      const body = { task_type: type, caption: 'x', ...more };
      const answer = await page.request.post(`${studio.url}/api/v1/jobs`, { data: body });
      expect(answer.status(), type).toBe(400);
      return (await answer.json()).field as string;
    };
    expect(await refusal({})).toBe('src_audio');
    if (track) expect(await refusal({ src_audio: 'any' })).toBe(track);
  }
  rmSync(checkpoints, { recursive: true, force: true });
});

test('a song is made again to the same sound', async ({ page, launch }) => {
  const studio = await launch(ready);
  const first = await song(studio, { duration: 2, batch_size: 1, seed: 11 });
  await page.goto(`${studio.url}/library/${first.id}`);
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  await page.locator('summary', { hasText: 'Use this take' }).click();
  await page.getByRole('button', { name: 'Re-create exactly' }).click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 60_000 }).toBe(2);
  const second = (await studio.songs()).find((own) => own.id !== first.id);
  const [one, two] = [await heard(page, first.id), await heard(page, second?.id ?? '')];
  expect(two.samples).toEqual(one.samples);
});

test('Remix in the library leads to the form', async ({ page, launch }) => {
  const studio = await launch(ready);
  const source = await song(studio);
  await page.goto(`${studio.url}/library/${source.id}`);
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
  await page.locator('summary', { hasText: 'Use this take' }).click();
  await page.getByRole('button', { name: 'Remix' }).click();
  const generate = new GeneratePage(page);
  await expect(generate.source).toContainText(source.title);
  await expect(page.getByRole('radio', { name: 'Cover' })).toBeChecked();
  await page.reload();
  await generate.open(studio.url);
  await expect(generate.source).toContainText(source.title);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test('axe finds nothing in any task, and at 320 px nothing runs over the edge', async ({ page, launch, a11y }) => {
      const studio = await launch(ready);
      await song(studio);
      const generate = await new GeneratePage(page).open(studio.url);
      const shoot = async (name: string) => {
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}-${colorScheme}.png` });
      };
      await page.locator('summary', { hasText: 'More tasks' }).click();
      await a11y(page);
      await shoot('more');
      await page.locator('summary', { hasText: 'More tasks' }).click();
      await generate.task('Cover');
      await a11y(page);
      await shoot('cover-empty');
      await generate.source.getByRole('button', { name: 'From library' }).click();
      await expect(page.getByRole('dialog').getByRole('button', { name: /^waltz/ })).toBeVisible();
      await a11y(page);
      await shoot('library');
      await page.getByRole('dialog').getByRole('button', { name: /^waltz/ }).click();
      await a11y(page);
      await shoot('cover');
      await generate.openAudioFold();
      await generate.fromLibrary(generate.audioFold, /waltz/);
      await a11y(page);
      await shoot('references');
      await generate.results.getByRole('button', { name: 'Repaint' }).first().click();
      await a11y(page);
      await shoot('repaint');
      await page.setViewportSize({ width: 390, height: 844 });
      await shoot('repaint-390');
      for (const task of ['New song', 'Cover', 'Repaint']) {
        await page.setViewportSize({ width: 320, height: 640 });
        await generate.task(task);
        await noSidewaysScroll(page);
      }
    });
  });
}
