import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';

/** What a first visit may load, in bytes as they are sent. */
const MOST = 350_000;
/** Below what a page weighs that is not compressed, as that of a development build is not. */
const COMPRESSED = 2_000_000;

test('a first visit loads what the Generation page needs, and another page brings the rest of its own', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const loaded: { path: string; sent: number }[] = [];
  page.on('requestfinished', async (request) => {
    const { responseBodySize } = await request.sizes();
    loaded.push({ path: new URL(request.url()).pathname, sent: responseBodySize });
  });
  const files = (kind: RegExp) => loaded.map(({ path }) => path).filter((path) => kind.test(path));
  await new GeneratePage(page).open(studio.url);
  await expect.poll(() => files(/^\/pkg\//).length).toBeGreaterThanOrEqual(5);
  expect(files(/\.wasm$/)).toEqual(['/pkg/acestep_bg.wasm']);
  expect(files(/words-/)).toEqual(['/pkg/words-en.txt']);
  const sum = loaded.filter(({ path }) => path === '/' || path.startsWith('/pkg/')).reduce((sum, { sent }) => sum + sent, 0);
  console.log(`a first visit loads ${sum} bytes`);
  if (sum < COMPRESSED) expect(sum).toBeLessThanOrEqual(MOST);

  await page.locator('#f-sampler > summary').click();
  await expect.poll(() => files(/split_folds\.wasm$/)).toHaveLength(1);
  await page.getByRole('link', { name: 'Library', exact: true }).first().click();
  await expect(page.getByRole('main')).toHaveClass('library');
  expect(files(/split_library\.wasm$/)).toHaveLength(1);
  expect(files(/split_(compare|service)\.wasm$/)).toEqual([]);
});

test('what is typed in a fold before its program is there stays, and what was never opened is sent', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  let arrive = () => {};
  const held = new Promise<void>((resolve) => (arrive = resolve));
  await page.route('**/split_folds.wasm', async (route) => {
    await held;
    await route.continue();
  });
  await page.locator('#f-sampler > summary').click();
  const steps = page.locator('#inference_steps');
  await steps.fill('3');
  await steps.focus();
  arrive();
  await expect(page.locator('#f-sampler .fold__now')).toContainText('3');
  await expect(steps).toBeFocused();
  await expect(steps).toHaveValue('3');

  // The format of the file stands in a fold that stays closed.
  await generate.describe({ caption: 'slow rain' });
  const sent = page.waitForRequest((request) => request.url().includes('/api/page/submit'));
  await generate.generate.click();
  const fields = new URLSearchParams((await sent).postData() ?? '');
  expect(fields.get('inference_steps')).toBe('3');
  expect(fields.get('audio_format')).not.toBeNull();
});

test('a part that does not arrive says so, and comes with the next try', async ({ page, launch, allow }) => {
  allow.push(/Failed to load resource/, /TypeError: Failed to fetch/, /ERR_FAILED/);
  const studio = await launch({ flags: ['--init_service', 'true'] });
  await new GeneratePage(page).open(studio.url);
  await page.route('**/split_library.wasm', (route) => route.abort());
  await page.getByRole('link', { name: 'Library', exact: true }).first().click();
  await expect(page.getByRole('alert').filter({ hasText: 'This part of the page did not arrive.' })).toBeVisible();
  await page.unroute('**/split_library.wasm');
  await page.getByRole('link', { name: 'Try again' }).click();
  await expect(page.getByRole('main')).toHaveClass('library');
});

test('a language brings its words when it is chosen, and what is typed stays', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'rain on a roof' });
  const arrives = page.waitForResponse((response) => response.url().endsWith('/pkg/words-he.txt'));
  await page.locator('select[name="lang"]').first().selectOption('he');
  await arrives;
  await expect(page.locator('html')).toHaveAttribute('dir', 'rtl');
  await expect(page.getByRole('textbox', { name: 'תיאור', exact: true })).toHaveValue('rain on a roof');
  // The choice is kept, and the document comes in that language.
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('lang', 'he');
  await expect(page.getByRole('textbox', { name: 'תיאור', exact: true })).toBeVisible();
});
