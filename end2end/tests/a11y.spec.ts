import { expect, test } from '../fixtures';
import { GeneratePage } from '../pages/generate';
import { ServicePanel } from '../pages/service';

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test('axe finds nothing in the panel', async ({ page, launch, a11y }) => {
      const studio = await launch();
      await new ServicePanel(page).open(studio.url);
      await a11y(page);
    });

    test('axe finds nothing on the page before, with and after a take', async ({ page, launch, a11y }) => {
      const studio = await launch({ flags: ['--init_service', 'true'] });
      await new GeneratePage(page).open(studio.url);
      await a11y(page);
      const job = await studio.submit({ caption: 'waltz', duration: 2, batch_size: 1 });
      await studio.jobThat(job.id, (now) => now.state === 'done');
      await new GeneratePage(page).open(studio.url);
      await a11y(page);
      await page.goto(`${studio.url}/library`);
      await expect(page.getByRole('heading').first()).toBeVisible();
      await a11y(page);
      await page.goto(`${studio.url}/library/${(await studio.songs())[0]?.id}`);
      await a11y(page);
    });
  });
}
