import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';
import { ServicePanel } from '../pages/service';

/** The guide's edges: what `MAX_CUDA_VRAM` makes of any computer. Lengths in seconds, as they are
 * when nobody says anything: from 12 GB on a language model is loaded, and its limits hold. */
const tiers = [
  { vram: '4', tier: 'tier1', shown: 'Tier 1', seconds: 180, takes: 1, lms: [] },
  { vram: '5', tier: 'tier2', shown: 'Tier 2', seconds: 360, takes: 1, lms: [] },
  { vram: '6', tier: 'tier3', shown: 'Tier 3', seconds: 360, takes: 2, lms: ['0.6B'] },
  { vram: '8', tier: 'tier4', shown: 'Tier 4', seconds: 360, takes: 4, lms: ['0.6B'] },
  { vram: '12', tier: 'tier5', shown: 'Tier 5', seconds: 240, takes: 2, lms: ['0.6B', '1.7B'] },
  { vram: '16', tier: 'tier6', shown: 'Tier 6', seconds: 480, takes: 4, lms: ['0.6B', '1.7B', '4B'] },
  { vram: '24', tier: 'unlimited', shown: 'Unlimited', seconds: 600, takes: 8, lms: ['0.6B', '1.7B', '4B'] },
];

for (const { vram, tier, shown, seconds, takes, lms } of tiers) {
  test(`a card of ${vram} GB is ${tier}: its limits on the faders, its language models in the panel`, async ({ page, launch }) => {
    const studio = await launch({ env: { MAX_CUDA_VRAM: vram } });
    const panel = await new ServicePanel(page).open(studio.url);
    await expect(panel.tierCard).toContainText(shown);
    for (const size of ['0.6B', '1.7B', '4B']) {
      const reason = expect(panel.lm(size));
      await (lms.includes(size) ? reason.not : reason).toContainText(/From tier \d|From .* tier/);
    }

    await panel.initialize.click();
    const generate = new GeneratePage(page);
    await expect(generate.generate).toBeEnabled();
    await generate.open(studio.url);
    // The language model comes after the main one, and its limits with it.
    await expect.poll(() => generate.reach('Length')).toBe(seconds);
    if (takes > 1) expect(await generate.reach('Takes')).toBe(takes);

    // More than the tier allows is clamped, and a note says so; nothing is refused and nothing is silent.
    const job = await studio.submit({ caption: 'house', duration: 600, batch_size: 8 });
    await studio.delete(`/api/v1/jobs/${job.id}`);
    // It may have ended by itself a moment ago; asked twice, the answer is the same.
    await studio.delete(`/api/v1/jobs/${job.id}`);
    expect(job.params.duration).toBe(seconds);
    expect(job.params.batch_size).toBe(takes);
    const fields = job.notes.map((note) => note.field);
    expect(fields.includes('duration'), 'a note about the length').toBe(seconds < 600);
    expect(fields.includes('batch_size'), 'a note about the takes').toBe(takes < 8);
  });
}

test('a size that is no number is named in a note and ignored', async ({ page, launch }) => {
  const studio = await launch({ env: { MAX_CUDA_VRAM: 'plenty' } });
  const status = await studio.get<{ notes: { message: string }[] }>('/api/v1/status');
  expect(status.notes.map((note) => note.message).join(' ')).toContain('plenty');
  await new ServicePanel(page).open(studio.url);
  await expect(page.getByText('plenty').first()).toBeVisible();
});
