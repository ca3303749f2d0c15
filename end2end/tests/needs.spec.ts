import { expect, test } from '../fixtures';
import { GeneratePage, noSidewaysScroll } from '../pages/generate';

const ready = { flags: ['--init_service', 'true'] };

/** What a run that does not fit needs, by place as the page's own calls answer: needed, free, others', fits, changes, lowered, time, of what. */
function tooMuch(needs: unknown[]): unknown[] {
  const gib = 2 ** 30;
  const changes = [
    ['offload_to_cpu', true],
    ['quantization', 'int8'],
    ['device', 'cpu'],
  ];
  const lowered = [
    ['batch_size', 1],
    ['duration', 15],
  ];
  return [12 * gib, 8 * gib, '3.0 GiB (browser 2.0 GiB)', false, changes, lowered, needs[6], needs[7]];
}

test('memory and time follow the form as one types, and nothing jumps', async ({ page, launch }) => {
  const studio = await launch(ready);
  const generate = await new GeneratePage(page).open(studio.url);
  const memory = page.locator('#plan-memory');
  const time = page.locator('#plan-time');
  await generate.describe({ caption: 'ambient pads', length: '0:10', takes: '1' });
  await expect(memory).toContainText(/[\d.]+ [MG]i?B of [\d.]+ GiB free/);
  await expect(time).toContainText('diffusion');
  await expect(time).toContainText('first estimate');
  const before = await time.innerText();
  const top = async () => (await page.locator('#generate').boundingBox())?.y;
  const stood = await top();
  await generate.length.fill('3:00');
  await generate.length.blur();
  await expect(time).not.toHaveText(before);
  expect(await top()).toBe(stood);

  // What is no length cannot be planned; the rows stay where they are.
  await generate.length.fill('long');
  await expect(memory).toHaveText('known once the form is right');
  await generate.length.fill('0:02');
  await generate.length.blur();
  await expect(memory).toContainText('free');
  await generate.generate.click();
  await expect.poll(async () => (await studio.songs()).length, { timeout: 90_000 }).toBe(1);
  await expect(time).not.toContainText('first estimate');
});

test('what does not fit says what is needed, what is free and what would fit', async ({ page, launch }) => {
  const studio = await launch(ready);
  await page.route(/\/api\/page\/needs/, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: tooMuch(await answer.json()) });
  });
  const generate = await new GeneratePage(page).open(studio.url);
  await generate.describe({ caption: 'ambient pads', length: '0:20' });
  const memory = page.locator('#plan-memory');
  await expect(memory).toContainText('12.0 GiB needed, 8.0 GiB free, 3.0 GiB (browser 2.0 GiB) in use by other programs');
  await expect(memory).toContainText('fits with Offload to CPU, quantisation int8, the processor');
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(memory).toBeVisible();
  await noSidewaysScroll(page);
  await memory.getByRole('button', { name: /^Use 1 take, a length of 0:15/ }).click();
  await expect(generate.takes).toHaveValue('1');
  await expect(generate.length).toHaveValue('0:15');
});

test('without scripts and without a model the rows are there', async ({ browser, launch }) => {
  const studio = await launch();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(studio.url);
  await expect(page.locator('#plan-memory')).toContainText(/free of acestep-v15-demo, not loaded yet$/);
  await context.close();
});
