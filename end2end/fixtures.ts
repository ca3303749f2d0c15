import AxeBuilder from '@axe-core/playwright';
import { type Page, expect, test as base } from '@playwright/test';
import { type LaunchOptions, Studio } from './studio';

interface Fixtures {
  /** Starts a studio; it is ended with the test. */
  launch: (options?: LaunchOptions) => Promise<Studio>;
  /** Messages and answers a test expects: everything else the console or the network complains of fails it. */
  allow: RegExp[];
  /** Watches another page as the first one is watched. */
  watch: (page: Page) => void;
  /** Fails on anything axe finds. */
  a11y: (page: Page) => Promise<void>;
}

export const test = base.extend<Fixtures>({
  launch: async ({}, use, info) => {
    const studios: Studio[] = [];
    await use(async (options) => {
      const studio = await Studio.launch(options);
      studios.push(studio);
      return studio;
    });
    for (const studio of studios.reverse()) {
      if (info.status !== info.expectedStatus) {
        await info.attach('studio', { body: studio.log(), contentType: 'text/plain' });
      }
      await studio.stop();
    }
  },

  allow: async ({}, use) => {
    await use([]);
  },

  watch: async ({ allow }, use) => {
    const complaints: string[] = [];
    const complain = (text: string) => {
      if (!allow.some((pattern) => pattern.test(text))) complaints.push(text);
    };
    await use((page) => {
      // A page drawn differently by server and browser warns in the console, so this catches that too.
      page.on('console', (message) => {
        if (['warning', 'error'].includes(message.type())) complain(`console ${message.type()}: ${message.text()}`);
      });
      page.on('pageerror', (error) => complain(`page error: ${error.message}`));
      page.on('response', (response) => {
        if (response.status() >= 400) complain(`${response.status()} ${response.request().method()} ${response.url()}`);
      });
    });
    expect(complaints, 'what the console and the network complained of').toEqual([]);
  },

  // `launch` comes first so that the page is closed before its studio: a page left alone complains, and rightly.
  page: async ({ launch: _, watch, page }, use) => {
    watch(page);
    await use(page);
  },

  a11y: async ({}, use) => {
    await use(async (page) => {
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
      const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
      const found = violations.map(
        ({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `    ${node.html}\n    ${node.failureSummary}`).join('\n')}`,
      );
      expect(found, 'axe').toEqual([]);
    });
  },
});

export { expect };
