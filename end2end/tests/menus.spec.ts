import { expect, test } from '../fixtures';
import { GeneratePage, hydrated } from '../pages/generate';

const ready = { flags: ['--init_service', 'true'] };

test('a menu closes by Escape, by a press elsewhere, by Tab and by a choice', async ({ page, launch }) => {
  const studio = await launch(ready);
  const job = await studio.submit({ caption: 'waltz with flute', duration: 2, batch_size: 1, seed: 5 });
  const done = await studio.jobThat(job.id, (now) => now.state === 'done');
  const generate = await new GeneratePage(page).open(studio.url);
  const section = page.locator('#s-lyrics details.menu');
  const tasks = page.locator('#more-tasks');
  const more = generate.results.getByRole('article').first().locator('details.menu');
  for (const menu of [section, tasks, more]) {
    const button = menu.locator(':scope > summary');
    await button.click();
    await expect(menu).toHaveAttribute('open');
    await page.keyboard.press('Escape');
    await expect(menu).not.toHaveAttribute('open');
    await expect(button).toBeFocused();

    await button.click();
    await expect(menu).toHaveAttribute('open');
    await page.locator('.runs__title').first().click();
    await expect(menu).not.toHaveAttribute('open');

    await button.click();
    await expect(menu).toHaveAttribute('open');
    for (let step = 0; step < 20 && (await menu.getAttribute('open')) !== null; step += 1) await page.keyboard.press('Tab');
    await expect(menu).not.toHaveAttribute('open');
  }

  // One opens, the other closes.
  await section.locator('summary').click();
  await more.locator('summary').click();
  await expect(section).not.toHaveAttribute('open');
  await more.getByRole('button', { name: /^Restore/ }).click();
  await expect(generate.caption).toHaveValue('waltz with flute');
  await expect(more).not.toHaveAttribute('open');

  await section.locator('summary').click();
  await section.getByRole('button', { name: '[Chorus]' }).click();
  await expect(section).not.toHaveAttribute('open');
  await expect(generate.lyrics).toBeFocused();
  await expect(generate.lyrics).toHaveValue(/\[Chorus\]/);

  // A dialog gives the focus back to the menu it was opened from.
  await more.locator('summary').click();
  await more.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  await expect(more.locator('summary')).toBeFocused();

  // A form in a menu keeps it open while it is filled.
  await page.goto(`${studio.url}/library/${done.song_ids[0]}`);
  await hydrated(page);
  const rename = page.locator('details.menu', { has: page.locator('#song-rename') });
  await rename.locator('summary').click();
  await rename.locator('#song-rename').click();
  await rename.locator('#song-rename').fill('another name');
  await expect(rename).toHaveAttribute('open');
});
