import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const demo = join(import.meta.dirname, '..', 'src', 'engine', 'demo-model');

/** Name of the model in the folder that `sungCheckpoints` makes. */
export const sungModel = 'acestep-v15-sung';

/** Heads whose attention is read, by their layers. */
const heads = { 3: [2, 3], 4: [2, 4] };

/** How much more their queries say: the built-in model looks at all words alike. */
const sharpness = 32;

/**
 * A checkpoints folder with a model that times lyrics, which the built-in one does not: its networks under another
 * name, with heads named and sharpened. It has learnt nothing of words, so lines get times and no more can be said.
 */
export function sungCheckpoints(): string {
  const folder = mkdtempSync(join(tmpdir(), 'acestep-e2e-sung-'));
  for (const part of ['vae', 'Qwen3-Embedding-0.6B']) cpSync(join(demo, part), join(folder, part), { recursive: true });
  const [source, target] = [join(demo, 'acestep-v15-demo'), join(folder, sungModel)];
  mkdirSync(target);
  cpSync(join(source, 'silence_latent.pt'), join(target, 'silence_latent.pt'));
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  writeFileSync(join(target, 'config.json'), JSON.stringify({ ...config, lyric_alignment_layers_config: heads }));
  const weights = readFileSync(join(source, 'model.safetensors'));
  const headerLength = Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.subarray(8, 8 + headerLength).toString());
  for (const layer of Object.keys(heads)) {
    const [start, end] = header[`decoder.layers.${layer}.cross_attn.q_norm.weight`].data_offsets;
    scaleBf16(weights.subarray(8 + headerLength + start, 8 + headerLength + end));
  }
  writeFileSync(join(target, 'model.safetensors'), weights);
  return folder;
}

/** Multiplies in place; bf16 is the upper half of a float. */
function scaleBf16(values: Buffer): void {
  const float = new DataView(new ArrayBuffer(4));
  for (let at = 0; at < values.length; at += 2) {
    float.setUint32(0, values.readUInt16LE(at) << 16);
    float.setFloat32(0, float.getFloat32(0) * sharpness);
    values.writeUInt16LE(float.getUint16(0), at);
  }
}
