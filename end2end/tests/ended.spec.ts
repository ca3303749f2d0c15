import { expect, test } from '../fixtures';
import { GeneratePage, hydrated } from '../pages/generate';
import { type Studio } from '../studio';

/** A card that allows ten minutes: a run that lasts until a test has done what it wants. */
const long = { flags: ['--init_service', 'true'], env: { MAX_CUDA_VRAM: '24' } };
const lasting = { duration: 600, batch_size: 2, inference_steps: 20 };

/** A run that is under way. */
async function running(studio: Studio, caption: string): Promise<string> {
  const job = await studio.submit({ ...lasting, caption });
  await studio.jobThat(job.id, (now) => now.state === 'running');
  return job.id;
}

test('a cancelled run says so at once, and its card stays with Queue again until it is dismissed', async ({ page, launch, a11y }) => {
  const studio = await launch(long);
  const id = await running(studio, 'ambient pads');
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.cancel.click();
  const saysSo = generate.results.getByRole('button', { name: 'Cancelling…' });
  const card = generate.results.getByText('ambient pads: cancelled');
  await expect(saysSo.or(card).first()).toBeVisible({ timeout: 1000 });
  await studio.jobThat(id, (now) => now.state === 'cancelled');
  await expect(card).toBeVisible();
  await expect(generate.job).toHaveCount(0);
  await a11y(page);

  await page.reload();
  await hydrated(page);
  await generate.results.getByRole('button', { name: 'Queue again' }).click();
  await expect(generate.job).toContainText('ambient pads');
  await expect(card).toHaveCount(0);
  await page.keyboard.press('Shift+Escape');
  await expect(card).toBeVisible({ timeout: 60_000 });
  await generate.results.getByRole('button', { name: 'Dismiss: ambient pads' }).click();
  await expect(card).toHaveCount(0);
  await page.reload();
  await hydrated(page);
  await expect(card).toHaveCount(0);
});

test('the queue tells when each starts, lets one go earlier, and is cleared', async ({ page, launch }) => {
  const studio = await launch(long);
  await running(studio, 'ambient pads');
  for (const caption of ['first', 'second', 'third']) await studio.submit({ caption, duration: 5, batch_size: 2 });
  const generate = await new GeneratePage(page).open(studio.url);
  const queue = generate.results.locator('.queue__item');
  await expect(queue).toHaveText([/first/, /second/, /third/]);
  await expect(queue.first()).toContainText('2 takes');
  await expect(queue.first()).toContainText('0:05');
  await generate.results.getByRole('button', { name: 'Earlier: third' }).click();
  await expect(queue).toHaveText([/first/, /third/, /second/]);
  await generate.results.getByRole('button', { name: 'Remove: first' }).click();
  await expect(queue).toHaveText([/third/, /second/]);
  await generate.results.getByRole('button', { name: 'Clear', exact: true }).click();
  await expect(queue).toHaveCount(0);
  await generate.cancel.click();
  await expect(generate.results.getByText(/: cancelled$/), 'only of the one that ran').toHaveCount(1);
});

test('a studio that goes away is told, and so is that it is back', async ({ page, launch, allow }) => {
  allow.push(/ERR_|Failed to (load|fetch)|status of 5/);
  const first = await launch(long);
  const id = await running(first, 'ambient pads');
  const waiting = await first.submit({ caption: 'lofi piano', duration: 5, batch_size: 1 });
  const generate = await new GeneratePage(page).open(first.url);
  await expect(generate.status).toContainText('Working');
  await first.kill();
  await expect(generate.status).toContainText('No answer; trying again');
  await expect(generate.results.getByRole('alert')).toContainText('The studio does not answer; trying again');
  // Asked for while nobody answers.
  await generate.describe({ caption: 'techno', length: '0:05', takes: '1' });
  await generate.go.click();

  const second = await launch({ ...long, outputDir: first.outputDir, port: first.port });
  expect((await second.jobThat(id, () => true)).state).toBe('interrupted');
  expect((await second.jobThat(waiting.id, () => true)).state).toBe('interrupted');
  await expect(generate.status).not.toContainText('No answer');
  await expect(generate.results.getByText('The studio does not answer')).toHaveCount(0);
  await expect(page.getByText('The studio did not answer.')).toHaveCount(0);
  await expect(generate.results).toContainText('ambient pads: the run was interrupted');
  await expect(generate.results).toContainText('lofi piano: the run had not begun');
  await generate.describe({ caption: 'techno, fast' });
  await expect(page.locator('#plan-memory')).toContainText('GiB');
  await expect(page.locator('#plan-time')).not.toContainText('known once');
});

test('songs of one title are told apart, and found by their seed', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  for (const seed of [4711, 4712]) {
    const job = await studio.submit({ caption: 'waltz', duration: 2, batch_size: 1, seed, bpm: 90 });
    await studio.jobThat(job.id, (now) => now.state === 'done');
  }
  await page.goto(`${studio.url}/library`);
  await hydrated(page);
  const rows = page.locator('.song-row');
  await expect(rows).toHaveText([/UTC.*Seed 4712/, /UTC.*Seed 4711/]);
  await page.locator('#library-search').fill('4711');
  await expect(rows).toHaveText([/Seed 4711/]);

  const generate = await new GeneratePage(page).open(studio.url);
  await generate.task('Cover');
  await generate.source.getByRole('button', { name: 'From library' }).click();
  const songs = page.getByRole('dialog', { name: 'Choose a recording' });
  await songs.getByRole('searchbox').fill('4711');
  await expect(songs.locator('.choose__take')).toHaveText([/Seed 4711/]);
  await songs.getByRole('button', { name: /^Play/ }).click();
  await expect.poll(() => page.evaluate(() => document.querySelector('audio')?.paused)).toBe(false);
  await expect(songs).toBeVisible();

  // Asked of it once more, the song is the same in all that is shown.
  await page.keyboard.press('Escape');
  const [song] = await studio.songs();
  await page.goto(`${studio.url}/library/${song?.id}`);
  await hydrated(page);
  await page.locator('summary', { hasText: 'Use this take' }).click();
  await page.getByRole('button', { name: 'Re-create exactly' }).click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 60_000 }).toBe(3);
  const [again] = await studio.songs();
  expect(again).toMatchObject({ title: song?.title, seed: song?.seed, params: song?.params });

  // A comparison of what is not there is not found.
  const gone = await page.request.get(`${studio.url}/compare?a=nope`);
  expect(gone.status()).toBe(404);
  await page.goto(`${studio.url}/compare?a=${again?.id}&b=${song?.id}`);
  await expect(page.getByText('Both were made with the same settings.')).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Pages' }).locator('[aria-current]')).toHaveCount(0);
});
