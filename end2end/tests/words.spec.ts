import { expect, test } from '../fixtures';
import { GeneratePage, openFold } from '../pages/generate';

/** The built-in models on a simulated card, the language model among them. */
const withLm = { flags: ['--init_service', 'true', '--init_llm', 'true'], env: { MAX_CUDA_VRAM: '8' } };

test('Instrumental locks lyrics and language, what is sent says so, and switching it off brings both back', async ({ page, launch, a11y }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  const silent = page.getByRole('switch', { name: 'Instrumental', exact: true });
  const language = page.getByRole('combobox', { name: 'Vocal language' });
  const words = '[Verse]\nSoft notes in the morning light';
  await generate.describe({ caption: 'lofi piano', lyrics: words, length: '0:02', takes: '1', seed: '3' });
  await language.selectOption('ja');
  await silent.check({ force: true });
  await expect(generate.lyrics).not.toBeEditable();
  await expect(generate.lyrics).toHaveAccessibleDescription(/nobody sings/);
  await expect(language).toBeDisabled();
  await expect(page.locator('summary', { hasText: 'Section' })).toHaveCount(0);
  await a11y(page);

  await generate.generate.click();
  await expect.poll(async () => (await studio.jobs()).length).toBe(1);
  const { params, notes } = (await studio.jobs())[0]!;
  expect(params).toMatchObject({ instrumental: true, lyrics: '[Instrumental]', vocal_language: 'unknown' });
  expect(notes.filter((note) => note.code.endsWith('_ignored'))).toEqual([]);

  // What was locked is in the draft too.
  await expect(generate.finished.first()).toBeVisible({ timeout: 90_000 });
  await generate.open(studio.url);
  await expect(silent).toBeChecked();
  await expect(generate.lyrics).toHaveValue(words);
  await silent.uncheck({ force: true });
  await expect(generate.lyrics).toBeEditable();
  await expect(generate.lyrics).toHaveValue(words);
  await expect(language).toBeEnabled();
  await expect(language).toHaveValue('ja');

  // The mark alone is the switch in words: off, it goes.
  await silent.check({ force: true });
  await silent.uncheck({ force: true });
  await expect(generate.lyrics).toHaveValue(words);
  await generate.describe({ lyrics: '[Instrumental]' });
  await silent.check({ force: true });
  await silent.uncheck({ force: true });
  await expect(generate.lyrics).toHaveValue('');
});

test('Instrumental in Simple locks the language there', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.mode('Simple');
  const language = page.locator('#simple_language');
  await language.selectOption('de');
  await page.locator('#simple_instrumental').check({ force: true });
  await expect(language).toBeDisabled();
  await expect(page.getByText(/nobody sings/).filter({ visible: true })).toHaveCount(1);
  await generate.description.fill('rain');
  await generate.describe({ length: '0:02', takes: '1' });
  await generate.writeOnly.click();
  await expect.poll(async () => (await studio.jobs()).length).toBe(1);
  expect((await studio.jobs())[0]!.params).toMatchObject({ instrumental: true, vocal_language: 'unknown' });
  await expect(page.getByText('The language model wrote a song into the form.')).toBeVisible({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await page.locator('#simple_instrumental').uncheck({ force: true });
  await expect(language).toBeEnabled();
  await expect(language).toHaveValue('de');
});

test('a key is typed as musicians write it or chosen, and a wrong one is named at its field', async ({ page, launch, a11y }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'waltz', length: '0:02', takes: '1', seed: '3' });
  const fold = page.locator('#f-music');
  await openFold(fold);
  const key = fold.getByRole('textbox', { name: /^Key/ });
  await key.fill('F sharp minor');
  await expect(fold.locator('.field__aside').first()).toHaveText('F# minor');
  await expect(fold.locator('> summary')).toContainText('Key F# minor');

  await key.fill('H major');
  await expect(key).toHaveAttribute('aria-invalid', 'true');
  await expect(key).toHaveAccessibleDescription(/Key: “H major” cannot be read\. Give a key such as Am/);
  await expect(generate.generate).toBeDisabled();
  await a11y(page);

  const choose = fold.getByRole('button', { name: 'Choose' });
  const keys = page.getByRole('dialog', { name: 'Key of the song' });
  await choose.click();
  await expect(keys).toBeVisible();
  await a11y(page);
  await keys.getByRole('button', { name: 'A minor', exact: true }).click();
  await expect(keys).toBeHidden();
  await expect(key).toHaveValue('A minor');
  await expect(choose).toBeFocused();
  await key.fill('B♭m');
  await generate.generate.click();
  await expect.poll(async () => (await studio.jobs()).length).toBe(1);
  expect((await studio.jobs())[0]!.params).toMatchObject({ keyscale: 'Bb minor' });
  await choose.click();
  await expect(keys.getByRole('button', { name: 'Bb minor', exact: true })).toHaveAttribute('aria-pressed', 'true');
  await keys.getByRole('button', { name: 'Auto', exact: true }).click();
  await expect(key).toHaveValue('');
});

test('Write with LM writes lyrics for the caption, which stays, and Undo brings the old words back', async ({ page, launch }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'a slow lofi piano with rain', lyrics: 'my own words' });
  await page.getByRole('button', { name: 'Write with LM' }).click();
  await expect(page.getByText('The language model wrote lyrics for the caption into the form.')).toBeVisible({ timeout: 60_000 });
  const job = (await studio.jobs())[0]!;
  expect(job).toMatchObject({ kind: 'sample', params: { caption: 'a slow lofi piano with rain', lyrics: '' } });
  expect(job.next_job_id).toBeNull();
  await expect(generate.caption).toHaveValue('a slow lofi piano with rain');
  if (job.plan!.lyrics.trim()) await expect(generate.lyrics).toHaveValue(job.plan!.lyrics);
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect(generate.lyrics).toHaveValue('my own words');
});

test('what was set in Custom and does nothing in Simple is named there', async ({ page, launch, a11y }) => {
  const studio = await launch(withLm);
  const generate = await new GeneratePage(page).open(studio.url);
  const idle = page.getByRole('region', { name: 'Set in Custom, and not used here' });
  await generate.describe({ caption: 'slow piano' });
  await openFold(page.locator('#f-music'));
  await page.getByRole('textbox', { name: /^Key/ }).fill('Am');
  await generate.openAudioFold();
  await page.getByRole('textbox', { name: /^Audio codes/ }).fill('1, 2, 3');
  await expect(idle).toHaveCount(0);
  await generate.mode('Simple');
  await expect(idle.getByRole('listitem')).toHaveCount(3);
  await expect(idle).toContainText(/Caption\s*slow piano/);
  await expect(idle).toContainText(/Key\s*A minor/);
  await expect(idle).toContainText(/Audio codes\s*3 codes given/);
  await a11y(page);
  // The list tells the truth.
  await generate.description.fill('rain');
  await generate.describe({ length: '0:02', takes: '1' });
  await generate.writeOnly.click();
  await expect.poll(async () => (await studio.jobs()).length).toBe(1);
  expect((await studio.jobs())[0]!.params).toMatchObject({ caption: 'rain', keyscale: '', audio_codes: '' });
  await expect(page.getByText('The language model wrote a song into the form.')).toBeVisible({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  // A press on one leads to its control.
  await idle.getByRole('button', { name: /^Key/ }).click();
  await expect(page.getByRole('textbox', { name: /^Key/ })).toBeFocused();
  await expect(idle).toHaveCount(0);
});

test('notes are said in the language of the page', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'], env: { MAX_CUDA_VRAM: '4' } });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'ambient', length: '9:00' });
  const note = page.getByText(/9:00.*3:00/).first();
  await expect(note).toHaveText('Length: asked 9:00, using 3:00, the tier 1 limit without LM.');
  const language = page.getByRole('combobox', { name: 'Language', exact: true });
  await language.selectOption('zh');
  await expect(note).toHaveText('长度：要求 9:00，使用 3:00，这是不使用 LM 时第 1 档的上限。');
  await page.locator('select[name="lang"]').first().selectOption('he');
  await expect(note).toContainText('התבקש 9:00');
  await expect(note).not.toContainText('asked');
});
