import { defineConfig, devices } from '@playwright/test';

/** Debian's Chromium: Playwright's own cannot be fetched where the tests run. */
const launchOptions = {
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--mute-audio',
  ],
};

export default defineConfig({
  testDir: 'tests',
  // Each test starts a studio of its own, and a studio uses every core.
  workers: 1,
  fullyParallel: false,
  timeout: 180_000,
  expect: { timeout: 20_000 },
  forbidOnly: !!process.env.CI,
  reporter: [['list']],
  use: {
    launchOptions,
    locale: 'en-GB',
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
  projects: [
    {
      name: 'desktop',
      use: { ...devices['Desktop Chrome'], launchOptions, viewport: { width: 1440, height: 900 } },
      testIgnore: process.env.SCREENSHOT ? /phone\.spec/ : /(phone|screenshot)\.spec/,
    },
    {
      name: 'phone',
      use: { ...devices['Pixel 7'], launchOptions, viewport: { width: 390, height: 844 } },
      testMatch: /(phone|a11y)\.spec/,
    },
  ],
});
