import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';

test('kill -9 in the middle of a run: the job is listed as interrupted and every song plays', async ({ page, launch }) => {
  const flags = ['--init_service', 'true'];
  const env = { MAX_CUDA_VRAM: '24' };
  const first = await launch({ flags, env });
  const whole = await first.submit({ caption: 'house', duration: 3, batch_size: 1 });
  await first.jobThat(whole.id, (job) => job.state === 'done');
  const cut = await first.submit({ caption: 'ambient', duration: 600, batch_size: 8 });
  const waiting = await first.submit({ caption: 'techno', duration: 2, batch_size: 1 });
  await first.jobThat(cut.id, (job) => job.state === 'running');
  await first.kill();

  const second = await launch({ flags, env, outputDir: first.outputDir });
  expect((await second.jobThat(cut.id, () => true)).state).toBe('interrupted');
  expect((await second.jobThat(waiting.id, () => true)).state).toBe('interrupted');
  const songs = await second.songs();
  expect(songs.length).toBeGreaterThanOrEqual(1);

  await new GeneratePage(page).open(second.url);
  for (const song of songs) {
    const seconds = await page.evaluate(async (path) => {
      const bytes = await (await fetch(path)).arrayBuffer();
      return (await new OfflineAudioContext(2, 1, 48_000).decodeAudioData(bytes)).duration;
    }, `/api/v1/songs/${song.id}/audio`);
    expect(Math.abs(seconds - song.duration_secs)).toBeLessThan(0.1);
  }
  await expect(page.getByText(/interrupted/i).first()).toBeVisible();
});
