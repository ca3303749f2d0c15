import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** A wav of a few tones that come and go, 16 bit, stereo. */
export function wav(name: string, seconds: number, rateHz = 44_100): { name: string; mimeType: string; buffer: Buffer } {
  const frames = Math.round(seconds * rateHz);
  const buffer = Buffer.alloc(44 + frames * 4);
  buffer.write('RIFF', 0);
  buffer.writeUInt32LE(36 + frames * 4, 4);
  buffer.write('WAVEfmt ', 8);
  buffer.writeUInt32LE(16, 16);
  buffer.writeUInt16LE(1, 20);
  buffer.writeUInt16LE(2, 22);
  buffer.writeUInt32LE(rateHz, 24);
  buffer.writeUInt32LE(rateHz * 4, 28);
  buffer.writeUInt16LE(4, 32);
  buffer.writeUInt16LE(16, 34);
  buffer.write('data', 36);
  buffer.writeUInt32LE(frames * 4, 40);
  for (let frame = 0; frame < frames; frame += 1) {
    const time = frame / rateHz;
    const note = 220 * 2 ** ((Math.floor(time * 4) % 8) / 12);
    const decay = 1 - (time * 4) % 1;
    const sample = 0.4 * decay * (Math.sin(2 * Math.PI * note * time) + 0.5 * Math.sin(4 * Math.PI * note * time));
    buffer.writeInt16LE(Math.round(sample * 32_767 * 0.6), 44 + frame * 4);
    buffer.writeInt16LE(Math.round(sample * 32_767 * 0.5), 46 + frame * 4);
  }
  return { name, mimeType: 'audio/wav', buffer };
}

/**
 * A checkpoints folder with a base model: the bundled one under a name and a config of that family. It was not
 * trained for single tracks, so what it makes of them is noise; the page cannot tell.
 */
export function baseCheckpoints(): string {
  const bundled = resolve(import.meta.dirname, '../src/engine/demo-model');
  const folder = mkdtempSync(join(tmpdir(), 'acestep-base-'));
  for (const part of ['vae', 'Qwen3-Embedding-0.6B']) cpSync(join(bundled, part), join(folder, part), { recursive: true });
  const model = join(folder, 'acestep-v15-base');
  cpSync(join(bundled, 'acestep-v15-demo'), model, { recursive: true });
  const config = join(model, 'config.json');
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), is_turbo: false }));
  return folder;
}
