import { expect, test } from '../fixtures';
import { GeneratePage, openFold } from '../pages/generate';

/** The built-in models on a simulated card, the language model among them. */
const withLm = { flags: ['--init_service', 'true', '--init_llm', 'true'], env: { MAX_CUDA_VRAM: '8' } };

test('what was set in Custom and acts in Simple is named, leads to its control, and can be reset', async ({ page, launch, a11y }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  const unseen = page.getByRole('region', { name: 'Set in Custom, and used here too' });
  const shift = page.getByRole('slider', { name: /^Shift/ });

  await generate.mode('Simple');
  await expect(generate.description).toBeVisible();
  await expect(unseen).toHaveCount(0);

  await generate.mode('Custom');
  await openFold(page.locator('#f-sampler'));
  await shift.fill('1.5');
  await page.locator('#f-sampler > summary').click();
  await openFold(page.locator('#f-output'));
  await page.getByRole('combobox', { name: /^File/ }).selectOption('flac');
  await generate.openLmFold();
  await generate.lmFold.getByRole('slider', { name: 'Temperature' }).fill('0.5');
  // Codes are not written by this model, so thinking or not makes no difference; a caption of Custom is not sent.
  await generate.lmSwitch('Think').uncheck({ force: true });
  await generate.caption.fill('not the description');

  await generate.mode('Simple');
  const chips = unseen.getByRole('listitem');
  await expect(chips).toHaveCount(3);
  await expect(unseen).toContainText(/Shift\s*1\.5/);
  await expect(unseen).toContainText(/File\s*FLAC, 16 bit/);
  await expect(unseen).toContainText(/Temperature\s*0\.5/);
  await a11y(page);

  // The list tells the truth: this is what the studio is asked for.
  await generate.description.fill('rain');
  await generate.describe({ length: '0:02', takes: '1', seed: '4' });
  await generate.writeOnly.click();
  await expect.poll(async () => (await studio.jobs()).length).toBe(1);
  const { params } = (await studio.jobs())[0]!;
  expect(params).toMatchObject({ shift: 1.5, audio_format: 'flac', lm_temperature: 0.5 });
  await expect(page.getByText('The language model wrote a song into the form.')).toBeVisible({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Undo', exact: true }).click();

  // A press on one leads to its control, in an open fold.
  await unseen.getByRole('button', { name: /^Shift/ }).click();
  await expect(page.getByRole('radio', { name: 'Custom', exact: true })).toBeChecked();
  await expect(shift).toBeVisible();
  await expect(shift).toBeFocused();
  await expect(unseen).toHaveCount(0);

  // Reset brings all of them back, and Undo brings that back.
  await generate.mode('Simple');
  await unseen.getByRole('button', { name: 'Reset these' }).click();
  await expect(unseen).toHaveCount(0);
  await expect(page.getByText(/are back at their defaults/)).toBeVisible();
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect(chips).toHaveCount(3);
  await unseen.getByRole('button', { name: 'Reset these' }).click();
  await generate.mode('Custom');
  await expect(shift).toHaveValue('3');
  await expect(page.getByRole('combobox', { name: /^File/ })).toHaveValue('mp3');
});

test('own timesteps that cannot be read stop no run: their fold is marked and steps and shift decide', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  const head = page.locator('#f-sampler > summary');
  await openFold(page.locator('#f-sampler'));
  const own = page.getByRole('textbox', { name: /^Own timesteps/ });
  await own.fill('1, two');
  await expect(page.locator('#f-sampler')).toContainText('value 2, two, is not a number from 0 to 1');
  await head.click();
  await expect(head).toContainText('There is a note inside');
  await expect(generate.go).toBeEnabled();
  await generate.mode('Simple');
  await expect(generate.writeAndGenerate.first()).toBeEnabled();
});

test('everything Simple counts as seen has its control there', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.mode('Simple');
  for (const id of ['description', 'simple_language', 'duration', 'batch_size', 'bpm', 'seed']) {
    await expect(page.locator(`#${id}`), id).toBeVisible();
  }
  await expect(page.getByRole('switch', { name: /^Instrumental/ }).filter({ visible: true })).toHaveCount(1);
  await expect(page.getByRole('radio', { name: 'New song' })).toBeVisible();
});

test('a task is not sent what another task was set to', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const song = await studio.submit({ caption: 'waltz', duration: 2, seed: 1, batch_size: 1 });
  const { song_ids } = await studio.jobThat(song.id, (job) => job.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'with brushes', length: '0:03', takes: '1' });
  await generate.task('Cover');
  await generate.fromLibrary(generate.source, /waltz/);
  await generate.source.getByRole('slider', { name: /^Cover strength/ }).fill('0.4');
  await generate.source.getByRole('slider', { name: /^Start from the source/ }).fill('0.3');
  await generate.task('Repaint');
  await page.getByRole('textbox', { name: 'Start', exact: true }).fill('0:01');

  const asked = async (task: string) => {
    const before = (await studio.jobs()).length;
    await generate.go.click();
    await expect.poll(async () => (await studio.jobs()).length).toBe(before + 1);
    const { params, notes } = (await studio.jobs())[0]!;
    expect(params.task_type).toBe(task);
    expect(notes.filter((note) => note.code.endsWith('_ignored')), task).toEqual([]);
    return params;
  };
  expect(await asked('repaint')).toMatchObject({
    src_audio: song_ids[0], repainting_start: 1, audio_cover_strength: 1, cover_noise_strength: 0,
  }); // prettier-ignore
  await generate.task('Cover');
  expect(await asked('cover')).toMatchObject({
    src_audio: song_ids[0], repainting_start: 0, audio_cover_strength: 0.4, cover_noise_strength: 0.3,
  }); // prettier-ignore
  await generate.task('New song');
  expect(await asked('text2music')).toMatchObject({
    src_audio: null, repainting_start: 0, audio_cover_strength: 1, cover_noise_strength: 0, duration: 3,
  }); // prettier-ignore
});
