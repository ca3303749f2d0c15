import { type Locator, type Page } from '@playwright/test';
import { hydrated } from './generate';

/** The Service Configuration panel. */
export class ServicePanel {
  readonly heading: Locator;
  readonly form: Locator;
  readonly flashAttention: Locator;
  readonly offload: Locator;
  readonly initLm: Locator;
  readonly otherPath: Locator;
  readonly tierCard: Locator;
  readonly error: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { name: 'Service Configuration' });
    this.form = page.getByRole('form', { name: 'Service Configuration' });
    this.flashAttention = page.getByRole('switch', { name: 'Use flash attention' });
    this.offload = page.getByRole('switch', { name: 'Offload to CPU', exact: true });
    this.initLm = page.getByRole('switch', { name: 'Initialize 5Hz LM' });
    this.otherPath = page.getByRole('textbox', { name: /^Other config path/ });
    this.tierCard = page.getByRole('region', { name: 'This computer' });
    this.error = page.getByRole('alert').filter({ hasText: 'did not start' });
  }

  async open(url: string): Promise<this> {
    await this.page.goto(url);
    await hydrated(this.page);
    return this;
  }

  /** The button that starts the service: in the panel on a desk, in the bar on a phone. */
  get initialize(): Locator {
    return this.page.getByRole('button', { name: /^Initialize service/ }).filter({ visible: true }).first();
  }

  get apply(): Locator {
    return this.page.getByRole('button', { name: /^Apply/ }).filter({ visible: true }).first();
  }

  /** The line of a language model. */
  lm(size: string): Locator {
    return this.page
      .getByRole('radiogroup', { name: 'Language model' })
      .locator('label')
      .filter({ hasText: `acestep-5Hz-lm-${size}` });
  }

  async setFlashAttention(on: boolean): Promise<void> {
    if ((await this.flashAttention.isChecked()) !== on) await this.flashAttention.click();
  }
}
