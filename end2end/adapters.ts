import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * A folder of adapters for the bundled model: LoRA of rank 2 for its first query projection, in the layout of PEFT.
 * One with a width is for another model.
 */
export function adapters(named: Record<string, { width?: number }>): string {
  const config = JSON.parse(
    readFileSync(resolve(import.meta.dirname, '../src/engine/demo-model/acestep-v15-demo/config.json'), 'utf8'),
  ) as Record<string, number>;
  const out = (config.num_attention_heads ?? 0) * (config.head_dim ?? 0);
  const root = mkdtempSync(join(tmpdir(), 'acestep-loras-'));
  for (const [name, { width }] of Object.entries(named)) addAdapter(root, name, width ?? config.hidden_size ?? 0, out);
  return root;
}

function addAdapter(root: string, name: string, input: number, out: number): void {
  const module = 'base_model.model.layers.0.self_attn.q_proj';
  const parts = [
    { name: `${module}.lora_A.weight`, shape: [2, input], step: 0.7 },
    { name: `${module}.lora_B.weight`, shape: [out, 2], step: 0.3 },
  ].map((part) => {
    const values = new Float32Array((part.shape[0] ?? 0) * (part.shape[1] ?? 0));
    for (let index = 0; index < values.length; index += 1) values[index] = Math.sin(index * part.step);
    return { ...part, bytes: Buffer.from(values.buffer) };
  });
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const part of parts) {
    header[part.name] = { dtype: 'F32', shape: part.shape, data_offsets: [at, at + part.bytes.length] };
    at += part.bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'adapter_model.safetensors'), Buffer.concat([length, text, ...parts.map((part) => part.bytes)]));
  writeFileSync(
    join(folder, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 8, base_model_name_or_path: 'demo' }),
  );
}
