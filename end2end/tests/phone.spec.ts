import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll, sound } from '../pages/generate';
import { ServicePanel } from '../pages/service';

test('on a phone: from the panel to a song that plays', async ({ page, launch }) => {
  const studio = await launch();
  const panel = await new ServicePanel(page).open(studio.url);
  await expect(panel.heading).toBeVisible();
  await noSidewaysScroll(page);
  await panel.initialize.click();
  const generate = new GeneratePage(page);
  await expect(generate.generate).toBeEnabled();
  await generate.open(studio.url);
  await noSidewaysScroll(page);
  await generate.describe({ caption: 'lofi', length: '0:03' });
  await generate.generate.click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 90_000 }).toBeGreaterThan(0);
  await page.getByRole('radio', { name: /^Takes/ }).check();
  await generate.finished.first().click();
  expect((await sound(page)).rms).toBeGreaterThan(0.01);
  await noSidewaysScroll(page);
});

test('at 320 px nothing runs over the edge', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  await page.setViewportSize({ width: 320, height: 640 });
  await new GeneratePage(page).open(studio.url);
  await noSidewaysScroll(page);
  await page.goto(`${studio.url}/library`);
  await noSidewaysScroll(page);
});

test('on a phone Caption and Lyrics fold, and come back as they were', async ({ page, launch, a11y }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'lofi' });
  const fold = page.getByRole('button', { name: 'Fold Caption' });
  await expect(fold).toHaveAttribute('aria-expanded', 'true');
  await fold.click();
  await expect(generate.caption).toBeHidden();
  await expect(fold).toHaveAttribute('aria-expanded', 'false');
  await page.getByRole('button', { name: 'Fold Lyrics' }).click();
  await expect(generate.lyrics).toBeHidden();
  await a11y(page);
  await fold.click();
  await expect(generate.caption).toHaveValue('lofi');
  await noSidewaysScroll(page);
});

test('on a phone the menu of a take opens on the screen', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const job = await studio.submit({ caption: 'harbour lights', duration: 2, batch_size: 1 });
  await studio.jobThat(job.id, (job) => job.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  await page.getByRole('radio', { name: /^Takes/ }).check();
  await generate.results.locator('summary', { hasText: 'More' }).first().click();
  const item = generate.results.getByRole('button', { name: 'Restore settings' }).filter({ visible: true }).first();
  const place = (await item.boundingBox())!;
  expect(place.x).toBeGreaterThanOrEqual(0);
  expect(place.x + place.width).toBeLessThanOrEqual(390);
  await noSidewaysScroll(page);
});

test('the switch of the phone shows Simple, Custom or the takes', async ({ page, launch, a11y }) => {
  const studio = await launch({ flags: ['--init_service', 'true', '--init_llm', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  const show = page.getByRole('group', { name: 'Show' });
  const view = (name: string | RegExp) => show.getByRole('radio', { name });
  await expect(show.getByRole('radio')).toHaveCount(3);
  await expect(view('Custom')).toBeChecked();
  await expect(generate.caption).toBeVisible();
  await view('Simple').check({ force: true });
  await expect(generate.description).toBeVisible();
  await expect(generate.caption).toBeHidden();
  await view(/^Takes/).check({ force: true });
  await expect(generate.description).toBeHidden();
  await expect(generate.results).toBeVisible();
  await a11y(page);
  await view('Custom').check({ force: true });
  await expect(generate.caption).toBeVisible();
  await expect(generate.results).toBeHidden();
  // A task that cannot be described has no Simple.
  await generate.task('Cover');
  await expect(show.getByRole('radio')).toHaveCount(2);
  await expect(view('Song')).toBeChecked();
  await noSidewaysScroll(page);
  // Taking a song up leads back to the form.
  const job = await studio.submit({ caption: 'harbour lights', duration: 2, batch_size: 1 });
  await studio.jobThat(job.id, (job) => job.state === 'done');
  await view(/^Takes/).check({ force: true });
  await generate.results.locator('summary', { hasText: 'More' }).first().click();
  await generate.results.getByRole('button', { name: 'Restore settings' }).filter({ visible: true }).first().click();
  await expect(generate.caption).toHaveValue('harbour lights');
  await expect(view('Custom')).toBeChecked();
});
