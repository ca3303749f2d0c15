import { type Locator, type Page, expect } from '@playwright/test';

/** The page where songs are described and heard. */
export class GeneratePage {
  readonly caption: Locator;
  readonly lyrics: Locator;
  readonly length: Locator;
  readonly takes: Locator;
  readonly tempo: Locator;
  readonly seed: Locator;
  readonly results: Locator;
  readonly status: Locator;
  readonly description: Locator;
  readonly format: Locator;
  readonly writeAndGenerate: Locator;
  readonly writeOnly: Locator;
  readonly startSmallLm: Locator;
  readonly plan: Locator;
  readonly lmFold: Locator;
  readonly writing: Locator;
  readonly audioFold: Locator;
  readonly source: Locator;
  readonly sourceLength: Locator;

  constructor(readonly page: Page) {
    this.caption = page.getByRole('textbox', { name: 'Caption', exact: true });
    this.lyrics = page.getByRole('textbox', { name: 'Lyrics', exact: true });
    this.length = page.getByRole('textbox', { name: 'Length', exact: true });
    this.takes = page.getByRole('textbox', { name: 'Takes', exact: true });
    this.tempo = page.getByRole('textbox', { name: 'Tempo', exact: true });
    this.seed = page.getByRole('textbox', { name: 'Seed', exact: true });
    this.results = page.getByRole('region', { name: 'Takes', exact: true });
    this.status = page.getByRole('region', { name: 'Service', exact: true });
    this.description = page.getByRole('textbox', { name: 'Describe the song', exact: true });
    this.format = page.getByRole('button', { name: 'Format with LM' });
    this.writeAndGenerate = page.getByRole('button', { name: 'Write and generate' }).filter({ visible: true });
    this.writeOnly = page.getByRole('button', { name: /^Write only/ });
    this.startSmallLm = page.getByRole('button', { name: 'Start the small language model' }).filter({ visible: true }).first();
    this.plan = page.getByRole('region', { name: 'What will happen' });
    this.lmFold = page.locator('#f-lm');
    this.audioFold = page.locator('#f-audio');
    this.source = page.getByRole('region', { name: 'Source', exact: true });
    this.sourceLength = page.locator('#source-length');
    this.writing = page.getByRole('log', { name: 'What the language model writes' });
  }

  /** Opens the page and waits until the browser has taken it over. */
  async open(url: string): Promise<this> {
    await this.page.goto(url);
    await hydrated(this.page);
    return this;
  }

  /** The button that starts a run: in the plan on a desk, in the bar on a phone. */
  get generate(): Locator {
    return this.page.getByRole('button', { name: /^Generate/ }).filter({ visible: true }).first();
  }

  /** Chooses how much is written. */
  async mode(name: 'Simple' | 'Custom'): Promise<void> {
    await this.page.getByRole('radio', { name, exact: true }).check({ force: true });
    if (name === 'Simple') await expect(this.page.locator('.composer__simple[data-asleep]')).toHaveCount(0);
  }

  /** Chooses a task of the row. */
  async task(name: string): Promise<void> {
    await this.page.getByRole('radio', { name, exact: true }).check({ force: true });
  }

  /** The button that starts the task: in the plan on a desk. */
  get go(): Locator {
    return this.plan.locator('#generate');
  }

  /** Picks a file for a place that takes recordings. */
  async upload(place: Locator, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
    const [picker] = await Promise.all([
      this.page.waitForEvent('filechooser'),
      place.getByRole('button', { name: 'Upload', exact: true }).click(),
    ]);
    await picker.setFiles(file);
  }

  /** Takes a song of the library for a place that takes recordings. */
  async fromLibrary(place: Locator, title: string | RegExp): Promise<void> {
    await place.getByRole('button', { name: 'From library' }).click();
    const songs = this.page.getByRole('dialog', { name: 'Choose a recording' });
    await songs.locator('.choose__take').filter({ hasText: title }).click();
    await expect(songs).toBeHidden();
  }

  /** Opens the fold Audio in. */
  async openAudioFold(): Promise<void> {
    await openFold(this.audioFold);
  }

  /** Opens the fold Language model. */
  async openLmFold(): Promise<void> {
    await openFold(this.lmFold);
  }

  /** A switch of the fold Language model. */
  lmSwitch(name: string): Locator {
    // A switch says On or Off after its name.
    return this.lmFold.getByRole('switch', { name: new RegExp(`^${name}`) });
  }

  /** The cards of what the language model wrote. */
  get written(): Locator {
    return this.results.getByRole('article').filter({ hasText: /^(Format|Write a song|Transcribe|Audio codes)/ });
  }

  /** The run in progress. */
  get job(): Locator {
    return this.results.getByRole('article').filter({ has: this.page.getByRole('button', { name: /^Cancel/ }) });
  }

  get cancel(): Locator {
    return this.job.getByRole('button', { name: /^Cancel/ });
  }

  /** Finished takes: what can be played. */
  get finished(): Locator {
    return this.results.getByRole('button', { name: /^(Play|Pause)/ });
  }

  /** Fills what is given; the rest keeps its value. */
  async describe(song: { caption?: string; lyrics?: string; length?: string; takes?: string; seed?: string }): Promise<void> {
    for (const [field, value] of [
      [this.caption, song.caption],
      [this.lyrics, song.lyrics],
      [this.length, song.length],
      [this.takes, song.takes],
      [this.seed, song.seed],
    ] as const) {
      if (value === undefined) continue;
      await field.fill(value);
      await field.blur();
    }
  }

  /** The largest value a fader lets one reach. */
  async reach(name: string): Promise<number> {
    return Number(await this.page.getByRole('slider', { name, exact: true }).getAttribute('max'));
  }
}

/** Opens a fold and waits until scripts have taken its fields over. */
export async function openFold(fold: Locator): Promise<void> {
  if (!(await fold.evaluate((own) => (own as HTMLDetailsElement).open))) {
    await fold.locator('> summary').click();
  }
  await expect(fold.locator('> [data-asleep]')).toHaveCount(0);
}

/** Waits until scripts have taken the page over; before that a click is a plain form's. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator('html[data-hydrated]')).toBeAttached();
}

/** What the page's player holds: its length and how loud it is, decoded by the browser itself. */
export async function sound(page: Page): Promise<{ seconds: number; rms: number; decodedSeconds: number }> {
  return page.evaluate(async () => {
    const audio = document.querySelector('audio');
    if (!audio) throw new Error('the page has no audio element');
    if (!(audio.duration > 0)) {
      await new Promise((resolve, reject) => {
        audio.addEventListener('loadedmetadata', resolve, { once: true });
        audio.addEventListener('error', () => reject(new Error(`audio error ${audio.error?.message}`)), { once: true });
      });
    }
    const bytes = await (await fetch(audio.currentSrc)).arrayBuffer();
    const decoded = await new OfflineAudioContext(2, 1, 48_000).decodeAudioData(bytes);
    let sum = 0;
    let count = 0;
    for (let channel = 0; channel < decoded.numberOfChannels; channel += 1) {
      for (const sample of decoded.getChannelData(channel)) {
        sum += sample * sample;
        count += 1;
      }
    }
    return { seconds: audio.duration, rms: Math.sqrt(sum / count), decodedSeconds: decoded.duration };
  });
}

/** Fails if the page can be scrolled sideways. */
export async function noSidewaysScroll(page: Page): Promise<void> {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  expect(content, 'width of the content').toBeLessThanOrEqual(window ?? 0);
}
