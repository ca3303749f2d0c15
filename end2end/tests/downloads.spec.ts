import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test as base } from '../fixtures';
import { Hub } from '../hub';
import { GeneratePage, sound } from '../pages/generate';
import { ServicePanel } from '../pages/service';

interface Fixtures {
  hub: Hub;
  /** An empty checkpoints folder. */
  checkpoints: string;
}

const test = base.extend<Fixtures>({
  // The studios end before the hub and the folder do.
  hub: async ({}, use) => {
    const hub = await Hub.listen();
    await use(hub);
    hub.close();
  },
  checkpoints: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'acestep-e2e-checkpoints-'));
    await use(folder);
    rmSync(folder, { recursive: true, force: true });
  },
});

/** A port where nobody listens. */
const nowhere = 'http://127.0.0.1:9';

test('a released model is downloaded, paused over a restart, and makes a song', async ({ hub, checkpoints, page, launch, a11y }) => {
  const options = {
    flags: ['--checkpoints', checkpoints, '--init_llm', 'false'],
    env: { HF_ENDPOINT: hub.url, MODELSCOPE_DOMAIN: nowhere },
  };
  const first = await launch(options);
  let panel = await new ServicePanel(page).open(first.url);
  const turbo = (panel: ServicePanel) => panel.form.getByRole('listitem').filter({ has: page.getByText('acestep-v15-turbo', { exact: true }) });

  hub.hold();
  await turbo(panel).getByRole('button', { name: 'Download acestep-v15-turbo' }).click();
  await expect(turbo(panel).getByRole('progressbar')).toBeVisible();
  await a11y(page);
  await turbo(panel).getByRole('button', { name: 'Pause acestep-v15-turbo' }).click();
  await expect(turbo(panel)).toContainText('Paused');
  hub.goOn();
  await page.goto('about:blank');
  await first.kill();

  const second = await launch({ ...options, outputDir: first.outputDir });
  panel = await new ServicePanel(page).open(second.url);
  await expect(turbo(panel)).toContainText('Paused');
  await turbo(panel).getByRole('button', { name: 'Resume acestep-v15-turbo' }).click();
  const choice = panel.form.getByRole('radio', { name: 'acestep-v15-turbo', exact: false }).first();
  await expect(choice).toBeEnabled();
  await expect(turbo(panel)).toHaveCount(0);
  expect(readdirSync(checkpoints).sort()).toEqual(['Qwen3-Embedding-0.6B', 'acestep-v15-turbo', 'vae']);

  await choice.check();
  await panel.initialize.click();
  const generate = new GeneratePage(page);
  await expect(generate.generate).toBeEnabled();
  const status = await second.get<{ model: { name: string } }>('/api/v1/status');
  expect(status.model.name).toBe('acestep-v15-turbo');
  await generate.describe({ caption: 'lofi with a slow piano', length: '0:03', takes: '1' });
  await generate.generate.click();
  await expect.poll(async () => (await second.songs()).length).toBe(1);
  await generate.finished.first().click();
  expect((await sound(page)).rms).toBeGreaterThan(0.01);
});

test('a hub that is away is named; the download can be removed or tried again', async ({ checkpoints, page, launch }) => {
  const studio = await launch({
    flags: ['--checkpoints', checkpoints],
    env: { HF_ENDPOINT: nowhere, MODELSCOPE_DOMAIN: nowhere },
  });
  const panel = await new ServicePanel(page).open(studio.url);
  const lm = panel.form.locator('.model-list__row').filter({ hasText: 'acestep-5Hz-lm-0.6B' });
  await lm.getByRole('button', { name: 'Download acestep-5Hz-lm-0.6B' }).click();
  await expect(lm).toContainText('could not be reached');
  await expect(lm.getByRole('button', { name: 'Try again acestep-5Hz-lm-0.6B' })).toBeVisible();
  await lm.getByRole('button', { name: 'Remove acestep-5Hz-lm-0.6B' }).click();
  await expect(lm.getByRole('button', { name: 'Download acestep-5Hz-lm-0.6B' })).toBeVisible();
  expect(readdirSync(checkpoints)).toEqual([]);
});

test('a start with a model that is not here offers to download it', async ({ hub, checkpoints, page, launch }) => {
  const studio = await launch({
    flags: ['--checkpoints', checkpoints, '--init_service', 'true', '--init_llm', 'false', '--config_path', 'acestep-v15-base'],
    env: { HF_ENDPOINT: hub.url },
  });
  const panel = await new ServicePanel(page).open(studio.url);
  const notice = panel.form.getByRole('alert');
  await expect(notice).toContainText('acestep-v15-base');
  await notice.getByRole('button', { name: 'Download acestep-v15-base' }).click();
  await expect(panel.form.getByRole('radio', { name: /acestep-v15-base/ })).toBeEnabled();
  await notice.getByRole('button', { name: 'Try again', exact: true }).click();
  await expect(new GeneratePage(page).generate).toBeEnabled();
});

test('without scripts a download begins and pauses by the same buttons', async ({ hub, checkpoints, browser, launch }) => {
  hub.hold();
  const studio = await launch({ flags: ['--checkpoints', checkpoints], env: { HF_ENDPOINT: hub.url } });
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(studio.url);
  const row = page.locator('.model-list__row').filter({ hasText: 'acestep-5Hz-lm-0.6B' });
  await row.getByRole('button', { name: 'Download acestep-5Hz-lm-0.6B' }).click();
  await row.getByRole('button', { name: 'Pause acestep-5Hz-lm-0.6B' }).click();
  await expect(row.getByRole('button', { name: 'Resume acestep-5Hz-lm-0.6B' })).toBeVisible();
  await context.close();
});

test('the command line downloads what is not here and says what is', async ({ hub, checkpoints }) => {
  const acestep = (...args: string[]) =>
    promisify(execFile)(`${process.env.ACESTEP_BIN}`, ['download', '--checkpoints', checkpoints, ...args], {
      env: { ...process.env, HF_ENDPOINT: hub.url },
    });
  const before = JSON.parse((await acestep('--json')).stdout) as { downloadable: { name: string }[] };
  expect(before.downloadable.map(({ name }) => name)).toContain('acestep-v15-turbo');
  const fetched = JSON.parse((await acestep('--json', 'acestep-v15-turbo', 'acestep-5Hz-lm-0.6B')).stdout) as {
    downloads: { name: string; source: string; bytes: number }[];
  };
  expect(fetched.downloads.map(({ name, source }) => [name, source])).toEqual([
    ['acestep-v15-turbo', 'huggingface'],
    ['acestep-5Hz-lm-0.6B', 'huggingface'],
  ]);
  expect(fetched.downloads[0]?.bytes).toBeGreaterThan(10_000_000);
  expect((await acestep('acestep-v15-turbo')).stderr).toContain('here already');
  await expect(acestep('acestep-v16')).rejects.toMatchObject({ code: 2 });
});
