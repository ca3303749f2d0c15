import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';

/** The picture in the README: SCREENSHOT=../public/screenshot.png cargo xtask test, or npx playwright test screenshot. */
test('the README shows the studio as it is', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'], env: { MAX_CUDA_VRAM: '8' } });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({
    caption: 'House at night: drums, a warm bass, synth chords and a flute lead',
    lyrics: '[Instrumental]',
    length: '0:24',
    takes: '2',
    seed: '7, 8',
  });
  await generate.generate.click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 120_000 }).toBe(2);
  await expect(generate.finished).toHaveCount(2);
  await generate.finished.first().click();
  await page.waitForTimeout(4000);
  await page.screenshot({ path: process.env.SCREENSHOT });
});
