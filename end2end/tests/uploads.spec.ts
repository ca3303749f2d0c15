import { type Page } from '@playwright/test';
import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll } from '../pages/generate';
import { wav } from '../recordings';

const ready = { flags: ['--init_service', 'true'] };

interface BroughtFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

/** Drops files on what a selector finds, as a file manager does. */
async function drop(page: Page, selector: string, files: BroughtFile[]): Promise<void> {
  const packed = files.map(({ name, mimeType, buffer }) => ({ name, mimeType, base64: buffer.toString('base64') }));
  const data = await page.evaluateHandle((brought) => {
    const transfer = new DataTransfer();
    for (const { name, mimeType, base64 } of brought) {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([bytes], name, { type: mimeType }));
    }
    return transfer;
  }, packed);
  await page.dispatchEvent(selector, 'drop', { dataTransfer: data });
}

const noSound = { name: 'notes.wav', mimeType: 'audio/wav', buffer: Buffer.from('no sound at all') };

test('uploads are chosen again, deleted after a second thought, and then gone from the form', async ({ page, launch, a11y }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  await generate.upload(generate.source, wav('first.wav', 3));
  await expect(generate.source).toContainText('first.wav');
  await generate.upload(generate.source, wav('second.wav', 2));
  await expect(generate.sourceLength).toHaveText('0:02');

  await generate.source.getByRole('button', { name: 'From library' }).click();
  const dialog = page.getByRole('dialog', { name: 'Choose a recording' });
  await dialog.getByRole('button', { name: 'Uploads (2)' }).click();
  const first = dialog.getByRole('button', { name: /^first\.wav/ });
  await expect(first).toContainText(/UTC, kept until \d{4}-\d\d-\d\d/);
  await a11y(page);
  await noSidewaysScroll(page);
  await first.click();
  await expect(dialog).toBeHidden();
  await expect(generate.source).toContainText('first.wav');
  await expect(generate.sourceLength).toHaveText('0:03');

  await generate.source.getByRole('button', { name: 'From library' }).click();
  await dialog.getByRole('button', { name: 'Delete first.wav' }).click();
  const sure = dialog.getByRole('group', { name: 'Delete first.wav' });
  await sure.getByRole('button', { name: 'Keep it' }).click();
  expect((await studio.get<{ uploads: unknown[] }>('/api/v1/uploads')).uploads).toHaveLength(2);
  await dialog.getByRole('button', { name: 'Delete first.wav' }).click();
  await sure.getByRole('button', { name: 'Delete', exact: true }).click();
  // The place is empty again, and says how to fill it.
  await expect(generate.source).toContainText('No source yet');
  await expect(dialog).toBeHidden();
  const library = generate.source.getByRole('button', { name: 'From library' });
  await expect(library).toBeFocused();
  await library.click();
  await dialog.getByRole('button', { name: 'Uploads (1)' }).click();
  await expect(first).toHaveCount(0);
  await expect(dialog.getByRole('button', { name: /^second\.wav/ })).toBeVisible();
});

test('of several files dropped on the source the first is it, the others are uploads, and what is refused is named', async ({
  page,
  launch,
  allow,
}) => {
  allow.push(/\/api\/v1\/uploads/, /status of 4\d\d/);
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  const settings = { caption: 'from the file', task_type: 'cover', bpm: 77 };
  await drop(page, '#s-source', [
    noSound,
    wav('one.wav', 3),
    wav('two.wav', 2),
    { name: 'song.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(settings)) },
  ]);
  await expect(generate.source).toContainText('Also uploaded: two.wav');
  await expect(generate.source.getByRole('alert')).toContainText('notes.wav');
  await expect(generate.source).toContainText('one.wav');
  await expect(generate.caption).toHaveValue('from the file');
  const { uploads } = await studio.get<{ uploads: { name: string }[] }>('/api/v1/uploads');
  expect(uploads.map((own) => own.name).sort()).toEqual(['one.wav', 'two.wav']);
});

test('several files dropped on the page are each taken', async ({ page, launch, allow }) => {
  allow.push(/\/api\/v1\/(uploads|settings)/, /status of 4\d\d/);
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const json = (name: string, caption: string) => ({
    name,
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify({ caption })),
  });
  await drop(page, 'h1', [
    wav('one.wav', 2),
    json('a.json', 'the first'),
    json('b.json', 'the second'),
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') },
    wav('two.wav', 3),
  ]);
  await expect(page.getByText('The recordings are among your uploads.')).toBeVisible();
  await expect(generate.caption).toHaveValue('the first');
  const problems = page.getByRole('alert').filter({ hasText: 'Some files could not be used.' });
  await expect(problems).toContainText("b.json: only one file's settings can be in the form, and those of a.json are.");
  await expect(problems).toContainText('notes.txt');
  await page.getByRole('button', { name: 'Use as source: two.wav' }).click();
  await expect(generate.source).toContainText('two.wav');
  await expect(generate.sourceLength).toHaveText('0:03');
  await page.getByRole('button', { name: 'Use as reference: one.wav' }).click();
  await expect(generate.plan).toContainText('1 reference');
});
