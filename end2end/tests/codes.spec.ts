import { rmSync } from 'node:fs';
import { codesCheckpoints, codesModels } from '../codesModel';
import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';

let folder: string;
test.beforeAll(() => {
  folder = codesCheckpoints();
});
test.afterAll(() => rmSync(folder, { recursive: true, force: true }));

const flags = () => [
  '--checkpoints', folder, '--config_path', codesModels.config, '--lm_model_path', codesModels.lm,
  '--init_service', 'true', '--init_llm', 'true', '--unlimited',
]; // prettier-ignore

test('the song follows codes that the language model wrote, five a second', async ({ page, launch }) => {
  const studio = await launch({ flags: flags() });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'slow piano', length: '0:12', takes: '1' });
  await expect(generate.plan).toContainText(/codes/);
  await generate.generate.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 120_000 });
  const [song] = await studio.songs();
  const written = song?.audio_codes?.match(/<\|audio_code_\d+\|>/g) ?? [];
  expect(written).toHaveLength(60);
});

test('a run is cancelled in the middle of its codes, and the next one works', async ({ page, launch }) => {
  const studio = await launch({ flags: flags() });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'slow piano', length: '8:00', takes: '4' });
  await generate.generate.click();
  await expect(generate.job).toContainText(/codes/, { timeout: 30_000 });
  const [running] = await studio.jobs();
  const pressed = Date.now();
  await generate.cancel.click();
  await studio.jobThat(running!.id, (job) => job.state === 'cancelled');
  expect(Date.now() - pressed).toBeLessThan(5_000);
  expect(await studio.songs()).toEqual([]);

  await generate.describe({ length: '0:10', takes: '1' });
  await generate.generate.click();
  await expect(generate.finished.first()).toBeVisible({ timeout: 120_000 });
});

test('codes of a recording come into their field, and the codes there are described', async ({ page, launch }) => {
  const studio = await launch({ flags: flags() });
  const made = await studio.submit({ caption: 'slow piano', duration: 4, batch_size: 1, thinking: false, use_cot_metas: false });
  await studio.jobThat(made.id, (job) => job.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.openAudioFold();
  const codes = page.getByRole('textbox', { name: /^Audio codes/ });
  await expect(generate.audioFold.getByRole('button', { name: 'Invent a song' })).toBeEnabled();
  await generate.fromLibrary(generate.audioFold.getByRole('group', { name: 'Codes of a recording' }), /slow piano/);
  await expect(codes).toHaveValue(/^(<\|audio_code_\d+\|>){20}$/, { timeout: 60_000 });
  expect((await studio.jobs())[0]).toMatchObject({ kind: 'encode', state: 'done' });

  await generate.audioFold.getByRole('button', { name: 'Describe codes' }).click();
  await expect.poll(async () => (await studio.jobs())[0]!.kind).toBe('understand');
  expect((await studio.jobs())[0]!.params.audio_codes).toBe(await codes.inputValue());
});

test('codes that are given stand in place of thinking and of a source, and both places say so', async ({ page, launch }) => {
  const studio = await launch({ flags: flags() });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'slow piano', takes: '1' });
  await generate.openAudioFold();
  await page.getByRole('textbox', { name: /^Audio codes/ }).fill('1, 2, 3, 4, 5');
  await expect(generate.audioFold).toContainText('While codes are given, the language model writes none');
  await generate.openLmFold();
  await expect(generate.lmFold).toContainText('Not used: audio codes are given in Audio in');
  await generate.task('Cover');
  await expect(generate.audioFold).toContainText('the cover follows them and not the source');
  await expect(generate.source).toContainText('No source is needed');
  await expect(generate.go).toBeEnabled();
  await generate.source.getByRole('button', { name: 'Remove the codes' }).click();
  await expect(generate.source).toContainText('No source yet');
  await expect(generate.go).toBeDisabled();
});
