import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const engine = join(import.meta.dirname, '..', 'src', 'engine');

/** Audio codes of the released codebook. */
const codes = 64_000;

/** Names of the models in the folder that `codesCheckpoints` makes. */
export const codesModels = { config: 'acestep-v15-tiny', lm: 'acestep-5Hz-lm-random' };

/**
 * A checkpoints folder whose language model writes audio codes, which the built-in one does not: the random networks
 * of the engine's parity tests, and the built-in language model with random rows for the codes. It is noise to the ear
 * and everything else to the program.
 */
export function codesCheckpoints(): string {
  const folder = mkdtempSync(join(tmpdir(), 'acestep-e2e-models-'));
  cpSync(join(engine, 'tests', 'fixtures', 'pipeline', 'checkpoint'), folder, { recursive: true });
  const source = join(engine, 'demo-model', 'acestep-5Hz-lm-demo');
  const target = join(folder, codesModels.lm);
  mkdirSync(target);

  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  const words: number = config.vocab_size;
  writeFileSync(join(target, 'config.json'), JSON.stringify({ ...config, vocab_size: words + codes }));

  const tokenizer = JSON.parse(readFileSync(join(source, 'tokenizer.json'), 'utf8'));
  const plain = { special: false, single_word: false, lstrip: false, rstrip: false, normalized: false };
  for (let code = 0; code < codes; code++) {
    tokenizer.added_tokens.push({ id: words + code, content: `<|audio_code_${code}|>`, ...plain });
  }
  writeFileSync(join(target, 'tokenizer.json'), JSON.stringify(tokenizer));

  const weights = readFileSync(join(source, 'model.safetensors'));
  writeFileSync(join(target, 'model.safetensors'), withRows(weights, /embed_tokens\.weight$/, codes));
  return folder;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A safetensors file with `rows` small random bf16 rows added to one matrix. */
function withRows(file: Buffer, name: RegExp, rows: number): Buffer {
  const headerLength = Number(file.readBigUInt64LE(0));
  const { __metadata__, ...header }: Record<string, Entry> = JSON.parse(file.subarray(8, 8 + headerLength).toString());
  const data = file.subarray(8 + headerLength);
  const tensors: Buffer[] = [];
  let end = 0;
  for (const [key, entry] of Object.entries(header)) {
    const tensor = [data.subarray(...entry.data_offsets)];
    if (name.test(key)) {
      const [known, width] = entry.shape as [number, number];
      tensor.push(randomRows(rows * width));
      entry.shape = [known + rows, width];
    }
    const start = end;
    for (const part of tensor) end += part.length;
    entry.data_offsets = [start, end];
    tensors.push(...tensor);
  }
  const text = Buffer.from(JSON.stringify({ __metadata__, ...header }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...tensors]);
}

/** Values from -0.1 to 0.1 in bf16. */
function randomRows(values: number): Buffer {
  const bytes = Buffer.alloc(values * 2);
  const float = new DataView(new ArrayBuffer(4));
  for (let i = 0, state = 1; i < values; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    float.setFloat32(0, (state / 2 ** 32) * 0.2 - 0.1);
    bytes.writeUInt16LE(float.getUint16(0), i * 2); // bf16 is the upper half of a float
  }
  return bytes;
}
