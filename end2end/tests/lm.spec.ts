import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll, sound } from '../pages/generate';
import { ServicePanel } from '../pages/service';

/** The built-in models on a simulated card of 8 GB, whose limits depend on the language model. */
const card = { MAX_CUDA_VRAM: '8' };
const without = { flags: ['--init_service', 'true', '--init_llm', 'false'], env: card };
const withLm = { flags: ['--init_service', 'true', '--init_llm', 'true'], env: card };

/** Enough words that the language model writes for a while. */
const manyLines = Array.from(
  { length: 40 },
  (_, verse) => `[Verse ${verse + 1}]\nThe last train leaves the town behind\nAnd every window holds a light`,
).join('\n\n');

interface Status {
  lm_loaded: boolean;
  lm: { name: string; built_in: boolean; has_codes: boolean } | null;
}

test('from one sentence to a song: Simple writes and generates', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.mode('Simple');
  await expect(generate.caption).toBeHidden();
  await generate.description.fill('a slow lofi piano for a rainy evening');
  await page.getByRole('switch', { name: /^Instrumental/ }).filter({ visible: true }).check({ force: true });
  await generate.describe({ length: '0:05', takes: '1' });
  await generate.writeAndGenerate.first().click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 120_000 }).toBe(1);

  const sample = (await studio.jobs()).find((job) => job.kind === 'sample');
  expect(sample?.plan?.caption).toBeTruthy();
  expect(sample?.next_job_id).toBeTruthy();
  await expect(generate.written.first()).toContainText('Write a song');
  await generate.finished.first().click();
  expect((await sound(page)).rms).toBeGreaterThan(0.005);

  // A reload keeps the mode and the description.
  await generate.open(studio.url);
  await expect(generate.description).toHaveValue('a slow lofi piano for a rainy evening');
  await expect(generate.caption).toBeHidden();
});

test('Write only fills Custom, and one Undo brings Simple back', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'what stood here' });
  await generate.mode('Simple');
  await generate.description.fill('house with a warm bass');
  await generate.writeOnly.click();
  await expect(generate.caption).toBeVisible({ timeout: 60_000 });
  await expect(generate.caption).not.toHaveValue('what stood here');
  await expect(generate.caption).not.toHaveValue('');
  expect(await studio.songs()).toEqual([]);
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect(generate.description).toHaveValue('house with a warm bass');
  await generate.mode('Custom');
  await expect(generate.caption).toHaveValue('what stood here');
});

test('the dice of Simple writes a description, and undo brings back what was typed', async ({ page, launch }) => {
  const studio = await launch(without);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.mode('Simple');
  await generate.description.fill('mine');
  await page.getByRole('button', { name: 'Random description' }).click();
  await expect(generate.description).not.toHaveValue('mine');
  await page.getByRole('button', { name: 'Undo example' }).filter({ visible: true }).click();
  await expect(generate.description).toHaveValue('mine');
});

test('without a language model everything that needs one is off and says why', async ({ page, launch, a11y }) => {
  const studio = await launch(without);
  const song = await studio.submit({ caption: 'waltz', duration: 2, batch_size: 1 });
  await studio.jobThat(song.id, (job) => job.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  const reason = 'No language model is loaded.';
  const explained = async (control: ReturnType<typeof page.getByRole>) => {
    await expect(control).toBeDisabled();
    await expect(control).toHaveAccessibleDescription(new RegExp(reason));
  };

  await explained(generate.format);
  await generate.openLmFold();
  for (const name of ['Think', 'Fill tempo, key, time, length', 'Rewrite the caption', 'Detect the language']) {
    await expect(generate.lmSwitch(name)).toBeDisabled();
  }
  await expect(generate.lmFold.getByRole('slider', { name: 'Temperature' })).toBeDisabled();
  await expect(generate.lmFold).toContainText(reason);
  await expect(generate.plan).toContainText('not loaded');
  await a11y(page);

  await generate.results.locator('summary').filter({ hasText: 'More' }).first().click();
  const transcribe = generate.results.getByRole('button', { name: 'Transcribe this song' });
  await expect(transcribe).toBeDisabled();
  await expect(transcribe).toHaveAccessibleDescription(/Needs a language model|not trained on audio codes/);

  await generate.mode('Simple');
  await explained(generate.writeOnly);
  await expect(generate.writeAndGenerate.first()).toBeDisabled();
  await expect(generate.startSmallLm).toBeEnabled();
  await a11y(page);
});

test('the small language model starts from the page, and the limits of the faders follow at once', async ({ page, launch }) => {
  const studio = await launch(without);
  const generate = await new GeneratePage(page).open(studio.url);
  expect([await generate.reach('Length'), await generate.reach('Takes')]).toEqual([360, 4]);
  await generate.mode('Simple');
  await generate.startSmallLm.click();
  await expect(generate.writeAndGenerate.first()).toBeEnabled();
  await expect.poll(() => generate.reach('Length')).toBe(240);
  await expect.poll(() => generate.reach('Takes')).toBe(2);
  expect(await studio.get<Status>('/api/v1/status')).toMatchObject({ lm_loaded: true, lm: { built_in: true } });
  await expect(generate.status).toContainText('acestep-5Hz-lm-demo, built in');

  // And back by the panel.
  await page.getByRole('link', { name: 'Reconfigure…' }).click();
  const panel = new ServicePanel(page);
  await expect(page.getByText('acestep-5Hz-lm-demo is loaded.')).toBeVisible();
  await panel.initLm.click();
  await panel.apply.click();
  await expect.poll(async () => (await studio.get<Status>('/api/v1/status')).lm_loaded).toBe(false);
  await page.getByRole('link', { name: 'Close' }).click();
  await expect.poll(() => generate.reach('Length')).toBe(360);
});

test('in service mode the page offers no start, and says who decides', async ({ page, launch }) => {
  const studio = await launch({ flags: [...without.flags, '--service_mode', 'true'], env: card });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.mode('Simple');
  await expect(generate.startSmallLm).toHaveCount(0);
  await expect(page.getByText('set by whoever runs it').filter({ visible: true }).first()).toBeVisible();
});

test('Format fills the form, and Undo restores it', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'piano', lyrics: '[Instrumental]', length: '0:05' });
  await expect(generate.tempo).toHaveValue('');
  await generate.format.click();
  await expect(generate.tempo).not.toHaveValue('', { timeout: 60_000 });
  await expect(generate.written.first()).toContainText('Format');
  // What was given stands; the language model plans no song shorter than 10 s.
  await expect(generate.length).toHaveValue('0:05');
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect(generate.caption).toHaveValue('piano');
  await expect(generate.tempo).toHaveValue('');

  // The card still holds it.
  await generate.written.first().getByRole('button', { name: 'Use in the form' }).click();
  await expect(generate.tempo).not.toHaveValue('');
});

test('with Think and blanks to fill the take shows what was written beside what was asked', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'techno', length: '0:04', takes: '1' });
  await expect(generate.plan).toContainText(/fills .*tempo/);
  await generate.generate.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 120_000 });
  const [song] = await studio.songs();
  expect(song?.plan?.bpm).toBeTruthy();
  await expect(generate.results).toContainText('LM wrote');
  await page.goto(`${studio.url}/library/${song?.id}`);
  await expect(page.getByRole('row', { name: /^Tempo/ })).toContainText(/Auto, LM wrote \d+ BPM/);
});

test('with everything switched off the language model is not asked', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.openLmFold();
  for (const name of ['Think', 'Fill tempo, key, time, length']) {
    await generate.lmSwitch(name).uncheck({ force: true });
  }
  await generate.describe({ caption: 'techno', length: '0:03', takes: '1' });
  await expect(generate.lmFold.locator('summary')).toContainText('not asked');
  await expect(generate.plan).toContainText('off');
  await generate.generate.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 120_000 });
  expect((await studio.songs())[0]?.plan ?? null).toBeNull();

  // The switches are where they were left.
  await generate.open(studio.url);
  await generate.openLmFold();
  await expect(generate.lmSwitch('Think')).not.toBeChecked();
});

test('audio codes are counted as they are typed, and what is none is named', async ({ page, launch }) => {
  const studio = await launch(without);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.openAudioFold();
  const codes = generate.audioFold.getByRole('textbox', { name: /^Audio codes/ });
  await codes.fill('<|audio_code_1|><|audio_code_2|><|audio_code_3|><|audio_code_4|><|audio_code_5|>');
  await expect(generate.audioFold).toContainText('5 codes, 0:01');
  await codes.fill('1, 2, la');
  await expect(codes).toHaveAttribute('aria-invalid', 'true');
  await expect(generate.generate).toBeDisabled();
  await generate.audioFold.getByRole('button', { name: 'Clear' }).click();
  await expect(generate.generate).toBeEnabled();
});

test('a reload before it is written loses neither the text nor its way into the form', async ({ page, launch }) => {
  const studio = await launch(withLm);
  // The small model writes faster than a page loads; a long song ahead of it holds it back.
  const ahead = await studio.submit({ caption: 'ambient', duration: 240, batch_size: 2, thinking: false, use_cot_metas: false });
  await studio.jobThat(ahead.id, (job) => job.state === 'running');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'folk song', lyrics: manyLines });
  await generate.format.click();
  await expect(page.getByText('The language model writes.')).toBeVisible();
  await generate.open(studio.url);
  await expect(page.getByText('The language model writes.')).toBeVisible();
  await expect(generate.lyrics).toHaveValue(manyLines);
  await studio.delete(`/api/v1/jobs/${ahead.id}`);
  await expect(page.getByText('Format rewrote the song')).toBeVisible({ timeout: 60_000 });
  await expect(generate.written.first()).toContainText('Format');
  await expect(generate.tempo).not.toHaveValue('');
  // What was filled in is there after the next one, and so is the card.
  await generate.open(studio.url);
  await expect(generate.tempo).not.toHaveValue('');
  await expect(generate.written.first()).toContainText('folk song');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test('axe finds nothing in Simple, in the open fold and with a card of written text', async ({ page, launch, a11y }) => {
      const studio = await launch(withLm);
      const generate = await new GeneratePage(page).open(studio.url);
      await generate.openLmFold();
      await a11y(page);
      await generate.describe({ caption: 'piano' });
      await generate.format.click();
      await expect(generate.written.first()).toBeVisible({ timeout: 60_000 });
      await a11y(page);
      await generate.mode('Simple');
      await a11y(page);
    });
  });
}

test('at 320 px Simple, the open fold and the cards stay inside the window', async ({ page, launch }) => {
  const studio = await launch(withLm);
  await page.setViewportSize({ width: 320, height: 640 });
  const job = await studio.submit({ kind: 'format', caption: 'piano' });
  await studio.jobThat(job.id, (now) => now.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.openLmFold();
  await noSidewaysScroll(page);
  await generate.mode('Simple');
  await noSidewaysScroll(page);
  await page.getByRole('radio', { name: /^Takes/ }).check();
  await noSidewaysScroll(page);
});
