import { expect, test } from '../fixtures';
import { GeneratePage, hydrated, sound } from '../pages/generate';
import { ServicePanel } from '../pages/service';

test('without a loaded model the panel comes first, and the song can be written meanwhile', async ({ page, launch }) => {
  const studio = await launch();
  const panel = await new ServicePanel(page).open(studio.url);
  const generate = new GeneratePage(page);
  await expect(panel.heading).toBeVisible();
  await expect(page.getByRole('main').getByRole('heading').first()).toHaveText('Service Configuration');
  await expect(generate.status).toContainText('Not started');
  await expect(generate.generate).toBeDisabled();
  await expect(page.getByRole('link', { name: 'Initialize the service first', exact: true })).toBeVisible();

  await generate.describe({ caption: 'lofi with a slow piano' });
  await panel.initialize.click();
  await expect(generate.generate).toBeEnabled();
  await expect(generate.caption).toHaveValue('lofi with a slow piano');
});

test('flash attention off and on: both make a song', async ({ page, launch }) => {
  const studio = await launch();
  const panel = await new ServicePanel(page).open(studio.url);
  const generate = new GeneratePage(page);
  const attention: string[] = [];

  await panel.setFlashAttention(false);
  await panel.initialize.click();
  await expect(generate.generate).toBeEnabled();
  for (const pass of ['off', 'on']) {
    if (pass === 'on') {
      await page.getByRole('link', { name: 'Reconfigure…' }).click();
      await expect(panel.heading).toBeVisible();
      await panel.setFlashAttention(true);
      await panel.apply.click();
      await expect
        .poll(async () => (await studio.get<{ requested: { use_flash_attention: boolean } }>('/api/v1/status')).requested)
        .toMatchObject({ use_flash_attention: true });
      await expect.poll(async () => (await studio.get<{ state: string }>('/api/v1/status')).state).toBe('ready');
    }
    const status = await studio.get<{ model: { attention: string } }>('/api/v1/status');
    attention.push(status.model.attention);
    await generate.open(studio.url);
    await generate.describe({ caption: 'techno, 130 bpm', length: '0:03', takes: '1' });
    await generate.generate.click();
    await expect.poll(async () => (await studio.songs()).length).toBe(attention.length);
    await generate.finished.first().click();
    expect((await sound(page)).rms).toBeGreaterThan(0.01);
  }
  expect(attention[0]).not.toBe(attention[1]);
});

test('with a model loaded at start the panel is not in the page, and its status line leads to it', async ({ page, launch }) => {
  const studio = await launch({ flags: ['--init_service', 'true'] });
  const answer = await page.goto(studio.url);
  await hydrated(page);
  expect(await answer?.text()).not.toContain('Service Configuration');
  await expect(page.getByText('Service Configuration')).toHaveCount(0);
  await expect(page.getByText('Use flash attention')).toHaveCount(0);

  const generate = new GeneratePage(page);
  await expect(generate.generate).toBeEnabled();
  await expect(generate.status).toContainText('acestep-v15-demo');
  await page.getByRole('link', { name: 'Reconfigure…' }).click();
  const panel = new ServicePanel(page);
  await expect(panel.heading).toBeVisible();
  await expect(panel.apply).toBeVisible();
  await page.getByRole('link', { name: 'Close' }).click();
  await expect(panel.heading).toHaveCount(0);
});

test('a model that is not there fails with the reason, and the next attempt works', async ({ page, launch }) => {
  const studio = await launch();
  const panel = await new ServicePanel(page).open(studio.url);
  await panel.otherPath.fill('acestep-v15-nowhere');
  await panel.initialize.click();
  await expect(panel.error).toContainText('acestep-v15-nowhere');
  await expect(panel.heading).toBeVisible();
  await page.getByRole('button', { name: 'Start the demo model instead' }).click();
  await expect(new GeneratePage(page).generate).toBeEnabled();
  // A song can wait its turn while the last networks are read.
  const status = async () => studio.get<{ state: string; model: { name: string } }>('/api/v1/status');
  await expect.poll(async () => (await status()).state).toBe('ready');
  expect((await status()).model.name).toBe('acestep-v15-demo');
});
